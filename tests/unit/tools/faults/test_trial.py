# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest

from tools.faults import trial
from tools.faults.nginx import driver
from tools.faults.payload import PYTHON
from tools.faults.trial import Trial
from tools.lab.host import Host, Output


class Answering(Host):
    """A host whose tools say one thing."""

    def __init__(self, out: str) -> None:
        super().__init__("host")
        self.out = out

    def follow(self, *argv: str, on_line: t.Callable[[str], None], silence: float) -> Output:
        assert argv == (*PYTHON, "-m", "tools.faults.look", "closely")
        assert silence >= 300
        for line in self.out.splitlines(keepends=True):
            on_line(line)
        return Output(0, self.out, "Traceback")


class Look(Trial[driver.Count]):
    def look(self) -> dict[str, t.Any]:
        return self._inside("look", "closely")


@pytest.mark.parametrize(
    ("out", "found", "broken"),
    [
        ('BROKEN x\n{"injected": 1}\n', {"injected": 1}, []),
        ("", {}, ["newer: look closely died: Traceback"]),
        ("no object", {}, ["newer: look closely died: Traceback"]),
    ],
)
def test_the_last_line_of_a_tool_counts(out: str, found: dict[str, t.Any], broken: list[str]) -> None:
    tried = Look("newer", Answering(out), driver.Count())
    assert (tried.look(), tried.count.broken) == (found, broken)


def test_how_far_it_has_come_is_told_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trial, "_PAUSE", -1)
    out = 'progress: 3 of 70 faults, 0 broken\n{"injected": 1}\n'
    Look("newer", Answering(out), driver.Count()).look()
    assert capsys.readouterr().out == "newer: closely: 3 of 70 faults, 0 broken\n"


def test_what_is_said_has_the_name_of_the_host(capsys: pytest.CaptureFixture[str]) -> None:
    Look("newer", Host("host"), driver.Count()).say("well")
    assert capsys.readouterr().out == "newer: well\n"


def test_faults_are_counted_by_what_they_do() -> None:
    assert trial.describe_faults({"signal=KILL": 2, "error=EIO": 1}) == "2 x KILL, 1 x EIO"
