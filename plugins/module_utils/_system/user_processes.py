# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a user: end them with the account, avoid user ids in use. Private to flaskops.stack."""

from __future__ import annotations

import glob
import os
import re
import signal
import time
import typing as t
from contextlib import suppress
from dataclasses import dataclass

# To kill takes no time; a process that the kernel keeps from ending (a dead network file system) must not hold us.
_PATIENCE = 10.0
# Where useradd(8) and groupadd(8) take the numbers of system accounts from when login.defs(5) says nothing.
_FIRST, _LAST = 101, 999
_LOGIN_DEFS = "/etc/login.defs"


@dataclass(frozen=True)
class UserProcess:
    """One process, and on whose behalf it acts: real, effective, saved and file-system ids, and all groups."""

    pid: int
    name: str
    uids: frozenset[int]
    gids: frozenset[int]

    def __str__(self) -> str:
        """Return how it is named to people."""
        return f"{self.name} ({self.pid})"


def parse_status(pid: int, text: str) -> UserProcess | None:
    """Return what /proc/<pid>/status says, nothing for a process that has ended and is not reaped yet."""
    values = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    if values.get("State", "").split()[:1] in (["Z"], ["X"]):
        return None
    gids = [*values.get("Gid", "").split(), *values.get("Groups", "").split()]
    uids = frozenset(map(int, values.get("Uid", "").split()))
    return UserProcess(pid, values.get("Name", "").strip(), uids, frozenset(map(int, gids)))


def list_processes() -> list[UserProcess]:
    """Return the processes of this host."""
    found = []
    for path in glob.glob("/proc/[0-9]*/status"):
        # It may have ended meanwhile.
        with suppress(OSError):
            with open(path, encoding="utf-8", errors="replace") as stream:
                process = parse_status(int(path.split("/")[2]), stream.read())
            found += [process] if process else []
    return found


def end_processes(uid: int) -> list[str]:
    """Kill all processes of a user, and return them by name; raise OSError when one stays."""
    ended: dict[int, str] = {}
    deadline = time.monotonic() + _PATIENCE
    while True:
        # Those that one of them starts meanwhile are met the next time.
        left = [process for process in list_processes() if uid in process.uids]
        if not left:
            return [ended[pid] for pid in sorted(ended)]
        if time.monotonic() > deadline:
            raise OSError(
                f"processes of user {uid} do not end when they are killed: {', '.join(map(str, left))}; see what "
                "they wait for with ps on the host, and run the playbook again"
            )
        for process in left:
            ended[process.pid] = str(process)
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.01)


def free_number(kind: str, taken: t.Collection[int], busy: t.Collection[int], defs: str) -> int | None:
    """Return a number for a new system account that no process has; None when the program that makes it may choose.

    C(kind) is UID or GID, C(taken) are the numbers of accounts, C(busy) those of processes: what a removed
    user has left running would get all rights of the account with that number. C(defs) is the text of login.defs(5).
    """
    first, last = (_setting(defs, f"SYS_{kind}_{end}", default) for end, default in (("MIN", _FIRST), ("MAX", _LAST)))
    numbers = range(last, first - 1, -1)
    if not any(number in busy and number not in taken for number in numbers):
        return None
    return next((number for number in numbers if number not in busy and number not in taken), None)


def _setting(defs: str, name: str, default: int) -> int:
    found = re.search(rf"^{name}\s+(\d+)\s*$", defs, re.MULTILINE)
    return int(found.group(1)) if found else default


def login_defs() -> str:
    """Return the text of login.defs(5)."""
    try:
        with open(_LOGIN_DEFS, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""
