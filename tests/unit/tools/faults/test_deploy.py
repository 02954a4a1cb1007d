# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import signal
import subprocess
import typing as t
from pathlib import Path

import pytest

from tools.common import ToolError
from tools.faults.deploy import driver, points
from tools.faults.deploy.stage import VARIANTS, Release
from tools.faults.deploy.subjects import Switch
from tools.faults.deploy.verdict import dishonest, expected_units
from tools.faults.inject import commands
from tools.faults.inject.commands import FAILS, LIES, ORPHANED, Commands
from tools.faults.inject.injector import Ended
from tools.faults.inject.trace import Point
from tools.faults.model import Options
from tools.lab import engine

ID = "3f2a91c-1b9e02d4"


def test_the_last_line_counts_commands_without_a_master_as_killed() -> None:
    total = driver.Count(deploys=30)
    total.add_injected({"signal=KILL": 1, "error=EIO": 2, FAILS: 3, LIES: 4, ORPHANED: 5})
    total.add(driver.Count(10, 20, 1, 30, 9, ["x"]))
    assert str(total) == "gunicorn_service: 16 kill points, 29 fault points, 60 deploys under load, 1 broken"


def test_every_plan_belongs_to_a_host() -> None:
    assert {task.plan for tasks in driver.SHARES.values() for task in tasks} == set(points.PLANS)
    assert driver.BUSY in driver.SHARES


@pytest.mark.parametrize(
    ("distributions", "every", "kills", "errors"),
    [(("newer", "older"), 1, "2 of 2 states", "2 of 4 calls"), (("newer",), 3, "1 of 6 states", "1 of 12 calls")],
)
def test_what_was_left_out_is_said(distributions: tuple[str, ...], every: int, kills: str, errors: str) -> None:
    text = driver.coverage(Options(distributions, every=every))
    assert kills in text and errors in text and text.endswith("code first keep refused rollback unwell dying")


@pytest.mark.parametrize(
    ("call", "text", "worth"),
    [
        ("write", "1, \"{'changed': true}\"", False),
        ("write", '18, "[Unit]"', True),
        ("connect", '7, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}', False),
        ("openat", 'AT_FDCWD, "/proc/17/cgroup", O_RDONLY', False),
        ("openat", 'AT_FDCWD, "/etc/passwd", O_RDONLY', False),
        ("openat", 'AT_FDCWD, "/proc/net/unix", O_RDONLY', True),
    ],
)
def test_what_nobody_needs_is_not_struck_at(call: str, text: str, worth: bool) -> None:
    assert points.worth(Point(call, 1, text)) is worth


@pytest.mark.parametrize(
    ("label", "result", "honest"),
    [
        ("error=EIO at fsync 3", {"failed": True, "msg": "shop: [Errno 5] Input/output error: '/srv/shop'"}, True),
        ("error=EIO at fsync 3", {"failed": True, "msg": "shop: it did not work"}, False),
        ("error=EIO at fsync 3", {"failed": True, "msg": "shop: / answered 500"}, True),
        ("error=EIO at fsync 3", {"changed": True}, True),
        ("error=EIO at fsync 3", {"failed": True, "msg": "no result, exit code 1: Traceback"}, False),
        (
            "command=fails at systemctl 2",
            {"failed": True, "msg": "'systemctl start' failed: injected for a test"},
            True,
        ),
        ("command=lies at systemctl 2", {"failed": True, "msg": "'systemctl show' failed with exit code 1"}, True),
        ("command=lies at systemd-run 2", {"failed": True, "msg": "hook after_switch 'true' was ended"}, True),
        ("command=lies at systemctl 2", {"failed": True, "msg": "oh"}, False),
        ("error=EIO at clone3 1", {"failed": True, "msg": "shop: [Errno 11] can't start new thread: …"}, True),
        ("error=EIO at clone3 1", {"failed": True, "msg": "oh"}, False),
    ],
)
def test_a_failure_names_its_reason(label: str, result: dict[str, t.Any], honest: bool) -> None:
    assert (dishonest(label, Ended(1, result), ["answered 500"]) == "") is honest


def test_a_run_that_was_killed_says_nothing() -> None:
    assert dishonest("signal=KILL at fsync 3", Ended(-9, {"failed": True, "msg": "no result"}), []) == ""


def test_the_units_of_a_release_are_known() -> None:
    assert expected_units(None) == {"files": set(), "enabled": set(), "loose": set()}
    plain = expected_units(Release("one", ID, VARIANTS["one"].params("c0ffee")))
    assert plain["files"] == plain["enabled"] == {f"shop@{ID}.socket", f"shop@{ID}.service"}
    rich = expected_units(Release("rich", ID, VARIANTS["rich"].params("c0ffee")))
    assert rich["enabled"] - plain["enabled"] == {
        f"shop@{ID}.worker-mail.0.service",
        f"shop@{ID}.timer-tidy.timer",
        "shop@tcp-127.0.0.1:8001.socket",
    }
    assert rich["files"] - rich["enabled"] == {f"shop@{ID}.timer-tidy.service", "shop@tcp-127.0.0.1:8001.service"}


class Script:
    """A change that runs two commands and a third behind its back, as a process of its own."""

    way = "there"

    def __init__(self, marks: Path) -> None:
        self._marks = marks

    def ready(self, _label: str) -> str:
        return ""

    def change(self, _strace: t.Sequence[str] = ()) -> Ended:
        (self._marks / "done").write_text("")
        script = 'touch "$0/one" && touch \'-c\' \'--\' "$0/two\nlines" && echo end >> "$0/done"'
        done = subprocess.run(["sh", "-c", script, str(self._marks)], capture_output=True, check=False)
        return Ended(done.returncode, {"msg": done.stderr.decode()})

    def judge(self, _label: str) -> str:
        return ""

    def mend(self) -> None: ...


@pytest.mark.parametrize(
    ("fault", "rc", "made"),
    [(FAILS, 1, False), (LIES, 1, True), (ORPHANED, -signal.SIGKILL, True)],
)
def test_a_command_fails_or_loses_its_answer_or_its_master(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, rc: int, made: bool
) -> None:
    monkeypatch.setattr(commands, "_PLACE", tmp_path / "commands")
    marks = tmp_path / "marks"
    marks.mkdir()
    subject, means, before = Script(marks), Commands(("touch",)), dict(os.environ)
    injections = [injection for injection in means.find(subject) if injection[0] == fault]
    assert [(point.number, point.text.split()[:2]) for _fault, point in injections] == [
        (1, ["touch", f"{marks}/one"]),
        (2, ["touch", "-c"]),
    ]
    (marks / "one").unlink()
    label, reached = means.inject(subject, *injections[0])
    if fault == ORPHANED:
        # It goes on alone.
        for _attempt in range(200):
            if (marks / "one").exists():
                break
            subprocess.run(["sleep", "0.01"], check=True)
    assert (reached, f"rc {rc}:" in label, (marks / "one").exists()) == (True, True, made)
    assert (marks / "done").read_text() == ""
    assert dict(os.environ) == before


def test_a_switch_is_there_and_back() -> None:
    assert issubclass(points.PLANS["rollback"][0], Switch)
    assert {one for _kind, one, _other in points.PLANS.values()} <= {"", *VARIANTS}
    assert {other for _kind, _one, other in points.PLANS.values()} <= set(VARIANTS)


def test_an_unknown_host_is_refused_before_an_engine_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def ensure() -> None:
        raise AssertionError("an engine was asked for")

    monkeypatch.setattr(engine, "ensure", ensure)
    with pytest.raises(ToolError, match=r"no host is called 'newer-serve'; there are: .*serve"):
        driver.try_to_break(Options(distributions=("newer",), only="newer-serve", every=1))
