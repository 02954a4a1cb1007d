# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow the error log of a running nginx. Private to flaskops.stack."""

from __future__ import annotations

import os
import re
import typing as t

from .._system.command import CommandError
from .host import NginxHost

# The journal is asked by a process of its own, a log file is only read.
_ASK = 0.5
# More than this is not the end of one reload.
_MOST = 1024 * 1024
_COMPLAINT = re.compile(r"\[(?:emerg|alert|crit)\] (\d+)#")


class ErrorLog:
    """What a process has logged since C(begin), in files, or in the journal where there is none."""

    def __init__(self, host: NginxHost, pid: int, paths: t.Iterable[str], service: str) -> None:
        """Name the process, the files in which it may log, and the unit whose journal is read otherwise."""
        self._host = host
        self._pid = str(pid)
        self._service = service
        self._paths = [path for path in paths if path]
        self.begin()

    def begin(self) -> None:
        """Ignore everything that was logged until now."""
        self._started = self._host.time()
        self._asked = 0.0
        self._said: list[str] = []
        self._files = {path: _size(path) for path in self._paths}

    def errors(self, now: bool = False) -> list[str]:
        """Return the errors, without time; the journal is asked at times only, unless the answer is wanted now."""
        if not any(os.path.isfile(path) for path in self._files):
            lines = self._journal(now)
        else:
            lines = [line for path, start in self._files.items() for line in _lines(path, start)]
        found = [(match, line) for line in lines for match in [_COMPLAINT.search(line)] if match]
        return list(dict.fromkeys(line[match.start() :] for match, line in found if match.group(1) == self._pid))

    def _journal(self, now: bool) -> list[str]:
        if self._host.has_systemd() and (now or self._host.monotonic() - self._asked > _ASK):
            self._asked = self._host.monotonic()
            try:
                self._said = self._host.journal_tail(self._service, 200, f"@{self._started:.3f}").splitlines()
            except CommandError:
                self._said = []
        return self._said


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _lines(path: str, start: int) -> list[str]:
    try:
        with open(path, "rb") as stream:
            stream.seek(start)
            return stream.read(_MOST).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
