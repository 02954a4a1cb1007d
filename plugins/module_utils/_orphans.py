# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""End what commands leave running in the background. Private to flaskops.stack."""

from __future__ import annotations

import ctypes
import glob
import os
import signal
import time
from contextlib import suppress
from types import TracebackType

# prctl(2): a process whose parent has ended becomes a child of the nearest ancestor that has asked for it.
_PR_SET_CHILD_SUBREAPER = 36

# To kill takes no time; a process that the kernel keeps from ending (a dead network file system) must not hold us.
_PATIENCE = 10.0


class OrphanError(RuntimeError):
    """A process in the background that does not end."""


class Orphans:
    """Within this block nothing that a command has started gets away, whatever session or group it makes its own.

    For a process whose only children are commands that it waits for, as a module of Ansible is.
    """

    def __enter__(self) -> Orphans:
        """Adopt from now on."""
        _adopt(True)
        return self

    def end(self) -> None:
        """Kill all that is left of earlier commands, and what that has started; raise OrphanError if it stays."""
        deadline = time.monotonic() + _PATIENCE
        while _has_children():
            children = _children(os.getpid())
            for pid in children:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            _reap()
            if time.monotonic() > deadline:
                raise OrphanError(
                    f"a command has left the processes {', '.join(map(str, children))} running, which do not end when "
                    "they are killed: see what they are with ps on the host"
                )

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill what is left, and adopt no more."""
        try:
            self.end()
        finally:
            _adopt(False)


def _adopt(wanted: bool) -> None:
    # A kernel or C library without it leaves orphans to init, as it always was.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0)


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _children(parent: int) -> list[int]:
    """Return the processes whose parent it is; their own children follow when these have ended."""
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        with suppress(OSError):
            with open(path, "rb") as stream:
                # The program's name, in brackets, may hold anything.
                fields = stream.read().rpartition(b")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(path.split("/")[2]))
    return found


def _reap() -> None:
    """Take note of the children that have ended, and give the others a moment."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        time.sleep(0.005)
