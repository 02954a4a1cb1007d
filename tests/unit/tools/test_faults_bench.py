# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t
from dataclasses import dataclass

import pytest

import faults_bench
import faults_nginx
import visitors
from nginx_host import PAYLOAD, Host, Said


@dataclass(frozen=True)
class Answering(Host):
    """A host whose tools say one thing."""

    out: str = ""

    def run(self, *argv: str, stdin: str = "", check: bool = True, timeout: float = 300) -> Said:
        assert (argv, stdin, check) == (("python3", f"{PAYLOAD}/look.py", "closely"), "", False)
        assert timeout > 300
        return Said(0, self.out, "Traceback")


class Bench(faults_bench.Bench[faults_nginx.Count]):
    def look(self) -> dict[str, t.Any]:
        return self._inside("look.py", "closely")


@pytest.mark.parametrize(
    ("out", "found", "broken"),
    [
        ('BROKEN x\n{"struck": 1}\n', {"struck": 1}, []),
        ("", {}, ["newer: look.py closely died: Traceback"]),
        ("no object", {}, ["newer: look.py closely died: Traceback"]),
    ],
)
def test_the_last_line_of_a_tool_counts(out: str, found: dict[str, t.Any], broken: list[str]) -> None:
    bench = Bench("newer", Answering(name="host", out=out), faults_nginx.Count())
    assert (bench.look(), bench.count.broken) == (found, broken)


def test_what_is_said_has_the_name_of_the_host(capsys: pytest.CaptureFixture[str]) -> None:
    Bench("newer", Host("host"), faults_nginx.Count()).say("well")
    assert capsys.readouterr().out == "newer: well\n"


def test_blows_are_told_by_what_they_do() -> None:
    assert faults_bench.tell_blows({"signal=KILL": 2, "error=EIO": 1}) == "2 x KILL, 1 x EIO"


def test_every_tool_that_nginx_is_struck_with_is_there() -> None:
    assert all((faults_bench.TOOLS / name).is_file() for name in faults_nginx.INSIDE)


@pytest.mark.parametrize(
    ("kind", "what", "harmless", "lost"),
    [
        ("new", "answered", (), []),
        ("kept", "closed while idle", (), ["3 requests on kept connections: closed while idle"]),
        ("kept", "closed while idle", ("closed while idle",), []),
        ("kept", "lost", ("closed while idle",), ["3 requests on kept connections: lost"]),
        ("new", "closed while idle", ("closed while idle",), ["3 requests on new connections: closed while idle"]),
    ],
)
def test_what_is_harmless_on_a_kept_connection_is_a_loss_on_others(
    kind: str, what: str, harmless: t.Sequence[str], lost: list[str]
) -> None:
    assert visitors.losses({kind: {what: 3}}, harmless) == lost
