# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is removed leaves nothing running, and no account gets the number of a user who has."""

from __future__ import annotations

import os
import pwd
import subprocess
import typing as t
from types import SimpleNamespace

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._system import user_processes as _user_processes
from ansible_collections.flaskops.stack.plugins.module_utils._system import users as _users
from ansible_collections.flaskops.stack.plugins.module_utils._system.user_processes import (
    UserProcess,
    end_processes,
    free_number,
    list_processes,
    parse_status,
)

STATUS = """Name:	python3
State:	S (sleeping)
Pid:	7
Uid:	0	998	998	998
Gid:	0	997	997	997
Groups:	33 996
"""


def test_all_ids_of_a_process_count() -> None:
    process = parse_status(7, STATUS)
    assert process == UserProcess(7, "python3", frozenset({0, 998}), frozenset({0, 997, 33, 996}))
    assert str(process) == "python3 (7)"


def test_one_that_has_ended_has_none() -> None:
    assert parse_status(7, STATUS.replace("S (sleeping)", "Z (zombie)")) is None


def test_this_process_is_listed() -> None:
    assert next(process.uids for process in list_processes() if process.pid == os.getpid()) == {os.geteuid()}


@pytest.mark.parametrize(
    ("taken", "busy", "defs", "chosen"),
    [
        # The program that makes it chooses where nothing is left of a removed user.
        ({999, 998}, {999, 0, 65534}, "", None),
        ({998}, {999}, "", 997),
        ({997}, {999, 998}, "", 996),
        ({1}, {500}, "SYS_UID_MIN\t\t400\nSYS_UID_MAX\t\t499\n", None),
        ({1}, {450}, "#SYS_UID_MAX 900\nSYS_UID_MIN\t\t400\nSYS_UID_MAX\t\t499\n", 499),
    ],
)
def test_a_new_user_gets_no_number_that_a_process_has(
    taken: set[int], busy: set[int], defs: str, chosen: int | None
) -> None:
    assert free_number("UID", taken, busy, defs) == chosen


def test_what_a_user_has_left_is_killed_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        left = [UserProcess(process.pid, "sleep", frozenset({998}), frozenset({998}))]
        other = UserProcess(os.getpid(), "pytest", frozenset({0}), frozenset({998}))
        monkeypatch.setattr(
            _user_processes, "list_processes", lambda: [other, *(left if process.poll() is None else [])]
        )
        assert end_processes(998) == [f"sleep ({process.pid})"]
    assert end_processes(998) == []


def test_one_that_stays_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_user_processes, "_PATIENCE", 0.05)
    monkeypatch.setattr(os, "kill", lambda _pid, _signal: None)
    monkeypatch.setattr(
        _user_processes, "list_processes", lambda: [UserProcess(7, "nfs", frozenset({998}), frozenset())]
    )
    with pytest.raises(OSError, match=r"user 998 do not end when they are killed: nfs .7."):
        end_processes(998)


def test_a_user_is_made_with_numbers_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(_users, "run_checked", ran.append)
    monkeypatch.setattr(_users, "exist", lambda _name, _group: False)
    monkeypatch.setattr(_users, "find_user", lambda _name: None)
    monkeypatch.setattr(_users, "find_group", lambda _name: None)
    monkeypatch.setattr(_users, "login_defs", lambda: "SYS_UID_MAX 61500\nSYS_UID_MIN 61400\nSYS_GID_MAX 61500\n")
    left = UserProcess(7, "python3", frozenset({61500}), frozenset({61499}))
    monkeypatch.setattr(_users, "list_processes", lambda: [left])
    assert _users.ensure_user("shop", "shop", "/srv/shop/shared")
    assert ran[0][2:4] == ["--gid", "61500"]
    assert ran[1][ran[1].index("--uid") + 1] == "61499"


def test_the_processes_of_somebody_else_s_user_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(_uid: int) -> t.NoReturn:
        pytest.fail("killed")

    monkeypatch.setattr(_users, "end_processes", kill)
    assert _users.end_user(pwd.getpwuid(os.geteuid()).pw_name) == []
    assert _users.end_user("no-such-user") == []
    ours = SimpleNamespace(pw_uid=998, pw_gecos=_users.COMMENT)
    monkeypatch.setattr(_users, "find_user", lambda _name: ours)
    monkeypatch.setattr(_users, "end_processes", lambda uid: [f"python3 ({uid})"])
    assert _users.end_user("shop") == ["python3 (998)"]
