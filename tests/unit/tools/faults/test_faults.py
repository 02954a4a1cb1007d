# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest

from tools.cli import faults
from tools.common import ToolError
from tools.faults import machines
from tools.faults.inject.injector import Ended, Injection, Subject, inject_all
from tools.faults.inject.trace import KILL, Point, distinct, points_in, spread
from tools.faults.nginx import driver
from tools.lab import images

TRACE = """
openat(AT_FDCWD, "/usr/lib/python3.11/glob.py", O_RDONLY|O_CLOEXEC) = 3
openat(AT_FDCWD, "/etc/nginx/nginx.conf", O_RDONLY|O_CLOEXEC) = 3
--- SIGCHLD {si_signo=SIGCHLD} ---
rename("/a", "/b")                      = 0
openat(AT_FDCWD, "/proc/1/cmdline", O_RDONLY|O_CLOEXEC) = 3
openat(AT_FDCWD, "/proc/1/cmdline", O_RDONLY|O_CLOEXEC) = 3
openat(AT_FDCWD, "/x.py", O_WRONLY|O_CREAT|O_CLOEXEC, 0666) = 3
rename("/b", "/c")                      = 0
openat(AT_FDCWD, "/proc/1/cmdline", O_RDONLY|O_CLOEXEC) = 3
"""


def test_points_are_counted_by_name_without_pythons_own_files_and_without_waiting() -> None:
    assert [(point.call, point.number) for point in points_in(TRACE)] == [
        ("openat", 2),
        ("rename", 1),
        ("openat", 3),
        ("openat", 5),
        ("rename", 2),
        ("openat", 6),
    ]


def test_the_code_that_a_host_keeps_is_read_as_a_step_of_the_module() -> None:
    text = 'AT_FDCWD, "/usr/local/lib/flaskops/code/test/flaskops_code/_deploy/drain.py", O_RDONLY|O_CLOEXEC) = 3'
    assert points_in(f"openat({text}") == [Point("openat", 1, text)]


@pytest.mark.parametrize(
    ("text", "fault", "possible"),
    [
        ('AT_FDCWD, "/a", O_RDONLY) = 3', "error=ENOSPC", False),
        ('AT_FDCWD, "/a", O_RDONLY) = 3', "error=EIO", True),
        ('AT_FDCWD, "/a", O_RDONLY) = 3', "signal=KILL", True),
        ('AT_FDCWD, "/a", O_RDWR|O_CREAT) = 3', "error=ENOSPC", True),
    ],
)
def test_a_read_does_not_meet_a_full_disk(text: str, fault: str, possible: bool) -> None:
    assert Point("openat", 1, text).fails_with(fault) is possible


def test_to_wait_for_a_command_does_not_fail_but_may_be_the_end() -> None:
    assert [Point("wait4", 1, "17").fails_with(fault) for fault in ("error=EIO", KILL)] == [False, True]


STATES = """mkdir("/a", 0755)                       = 0
openat(AT_FDCWD, "/a", O_RDONLY|O_CLOEXEC) = 3
openat(AT_FDCWD, "/a/x", O_RDWR|O_CREAT|O_EXCL, 0600) = 4
fsync(4)                                = 0
rename("/a/x", "/a/y")                  = 0
openat(AT_FDCWD, "/idle", O_RDONLY) = 5
unlink("/a/x")                          = -1 ENOENT (No such file or directory)
symlink("/a", "/b")                     = 0
unlink("/a/y")                          = 0
openat(AT_FDCWD, "/c", O_RDONLY) = 6
write(1, "/idle", 5)                    = 5
openat(AT_FDCWD, "/d", O_RDONLY) = 7
"""


def test_one_kill_stands_for_those_between_which_nothing_changes() -> None:
    found = distinct(points_in(STATES), lambda point: "/idle" not in point.text)
    assert [(point.call, point.number) for point in found] == [
        ("mkdir", 1),
        ("openat", 2),
        ("rename", 1),
        # Before it, names were looked for in vain only.
        ("symlink", 1),
        ("unlink", 2),
        # Something was done between these two.
        ("openat", 4),
        ("openat", 5),
    ]


@pytest.mark.parametrize("every", [1, 2, 3, 8])
def test_hosts_that_take_turns_meet_all_calls_also_where_one_makes_more(every: int) -> None:
    calls = [Point(call, number, "") for number in range(5) for call in ("open", "rename", "link")]
    more = [Point("open", 9, "only here"), Point("poll", 1, ""), *calls]
    met = [point for first in range(every) for point in spread(calls if first % 2 else more, every, first)]
    names = {(point.call, point.number) for point in met if point.call in ("rename", "link")}
    assert names == {(point.call, point.number) for point in calls if point.call != "open"}


def test_of_what_comes_in_masses_one_stands_for_many() -> None:
    calls = [Point(call, number, "") for number in range(32) for call in ("link", "rename")]
    met = [point.call for first in (0, 1) for point in spread(calls, 2, first, {"link": 8})]
    assert (met.count("link"), met.count("rename")) == (4, 32)


class Walk:
    """A subject with a way there and a way back, where the second fault on the way back breaks something."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.there = False

    @property
    def way(self) -> str:
        return "back" if self.there else "there"

    def ready(self, _label: str) -> str:
        return ""

    def change(self, _strace: t.Sequence[str] = ()) -> Ended:
        self.there = not self.there
        return Ended(0, {})

    def judge(self, label: str) -> str:
        self.seen.append(label)
        return f"{label}: broken" if label == "back b2" else ""

    def mend(self) -> None:
        self.seen.append("mended")


class Feather:
    """An injector that only writes down where."""

    def find(self, subject: Subject) -> list[Injection]:
        way = subject.way
        subject.change()
        return [("x", Point(f"{way[0]}{number}", number, "")) for number in ((1, 2) if way == "back" else (1,))]

    def inject(self, subject: Subject, _fault: str, point: Point) -> tuple[str, bool]:
        label = f"{subject.way} {point.call}"
        subject.change()
        return label, True


def test_each_way_is_struck_at_its_own_points_and_what_broke_is_mended() -> None:
    walk = Walk()
    result = inject_all(walk, Feather()).to_json()
    assert walk.seen == ["there t1", "back b1", "back b2", "mended"]
    assert result == {"injected": {"x": 3}, "unreached": 0, "left": 0, "broken": ["back b2: broken"]}


def test_points_for_which_there_is_no_time_are_counted() -> None:
    result = inject_all(Walk(), Feather(), until=0).to_json()
    assert result == {"injected": {}, "unreached": 0, "left": 3, "broken": []}


@pytest.mark.parametrize("hosts", [2, 4, 6, 8, 10])
def test_every_error_is_met_on_some_host(hosts: int) -> None:
    met = [name for number in range(hosts) for name in driver.share(driver.ERRORS, number, hosts)]
    assert set(met) == set(driver.ERRORS)


def test_the_last_line_counts() -> None:
    total = driver.Count(1, 2, 3, 4, 5, [])
    total.add(driver.Count(1, 20, 30, 40, 50, ["x"]))
    line = "nginx_site: 22 kill points, 33 fault points, 44 swaps under load, 55 configurations compared, 1 broken"
    assert str(total) == line


def test_what_visitors_noticed_is_explained() -> None:
    requests = {"new": {"answered": 900}, "kept": {"answered": 800, "cut on the way": 2, "closed while idle": 7}}
    state = {"workers": 2, "kib": 4000}
    found = {"version": "1.26.3", "site": "", "swaps": 200, "seconds": 40.2, "requests": requests}
    text = driver.explain({**found, "before": state, "after": state})
    assert "of 900 requests on connections of their own 0 failed" in text
    assert "2 were cut and asked again, 7 found a connection closed while idle, 0 were lost" in text
    assert "keepalive_min_timeout" in text and "workers 2 -> 2, memory 4000 -> 4000 KiB" in text


@pytest.mark.parametrize("words", [["--part", "apache"], ["--distributions", "newer hurd"]])
def test_what_is_not_known_is_refused(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["faults.py", *words])
    with pytest.raises(ToolError, match=r"apache|hurd"):
        faults.parse()


def test_a_host_is_called_by_what_sets_it_apart() -> None:
    titles = [
        machines.Machine("newer").title,
        machines.Machine("older", privileged=False).title,
        machines.Machine("older", label="code").title,
    ]
    assert titles == ["newer", "older-unprivileged", "older-code"]


def test_an_image_has_one_tag_whatever_it_is_called() -> None:
    assert images.image_of("trixie") == images.RECIPES["debian"]["newer"].tag
    assert images.image_of("older") == "flaskops-host:older"
