# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find a running nginx, reload it and prove that the new configuration runs. Private to flaskops.stack."""

from __future__ import annotations

import glob
import os
import re
import signal
import time
import typing as t

from ._command import CommandError
from ._files import read_file
from ._nginx_build import Build
from ._nginx_conf import parse
from ._systemd import is_running, journal_tail, show

_POLL = 0.005
# A worker of the new configuration that ends at once (a limit, a missing user) is seen to do so within this time.
_SETTLE = 0.05
# The journal is asked by a process of its own, a log file is only read.
_ASK = 0.5
_MASTER = "nginx: master process"
_WORKER = "nginx: worker process"
_LEAVING = "is shutting down"
_NUMBER = re.compile(r"\[(?:emerg|alert|crit)\] (\d+)#")


class ReloadError(RuntimeError):
    """A reload that did not take."""


class Reload(t.NamedTuple):
    """What became of a reload."""

    performed: bool
    proved: bool
    reason: str = ""
    old_workers: tuple[int, ...] = ()
    new_workers: tuple[int, ...] = ()
    output: str = ""

    def result(self) -> dict[str, t.Any]:
        """Return what the module reports."""
        return {
            "performed": self.performed,
            "proved": self.proved,
            "reason": self.reason,
            "old_workers": list(self.old_workers),
            "new_workers": list(self.new_workers),
        }


def _title(pid: int) -> str:
    """Return the command line of a process as nginx has set it; '' when there is no such process."""
    try:
        return (read_file(f"/proc/{pid}/cmdline") or b"").replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in (read_file(f"/proc/{pid}/task/{pid}/children") or b"").split()]
    except OSError:
        return []


def _namespace(pid: int | str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def pid_file(config: str, build: Build) -> str:
    """Return the pid file that the configuration on disk names."""
    for directive in parse((read_file(config) or b"").decode("utf-8", "surrogateescape")):
        if directive.name == "pid" and directive.args:
            return os.path.join(build.prefix, directive.args[0])
    return build.pid


class Master:
    """The master process of a running nginx."""

    def __init__(self, pid: int, service: str) -> None:
        """Name the process, and the unit in whose journal it may write."""
        self.pid = pid
        self._service = service
        self._started = time.time()
        self._asked = 0.0
        self._log = self._open_log()
        self._end = self._log.seek(0, os.SEEK_END) if self._log else 0

    def workers(self, leaving: bool = False) -> set[int]:
        """Return the workers that take new connections, or those that only finish old ones."""
        titles = {pid: _title(pid) for pid in _children(self.pid)}
        return {pid for pid, title in titles.items() if title.startswith(_WORKER) and (_LEAVING in title) == leaving}

    def _open_log(self) -> t.BinaryIO | None:
        """Open the error log of the master, which is its standard error."""
        try:
            path = os.readlink(f"/proc/{self.pid}/fd/2")
            return open(path, "rb") if os.path.isfile(path) else None
        except OSError:
            return None

    def _logged(self) -> list[str]:
        """Return what the master, and others, have logged since this object was made."""
        if self._log is not None:
            self._log.seek(self._end)
            return self._log.read().decode("utf-8", "replace").splitlines()
        if not is_running():
            return []
        try:
            return journal_tail(self._service, 200, f"@{self._started:.0f}").splitlines()
        except CommandError:
            return []

    def complaints(self) -> list[str]:
        """Return what the master has logged as an error since this object was made."""
        lines = self._logged()
        mine = str(self.pid)
        found = [(match.group(1), line) for line in lines for match in [_NUMBER.search(line)] if match]
        return [line[line.index("[") :] for pid, line in found if pid == mine]

    def reload(self, timeout: float) -> Reload:
        """Send HUP and wait until workers of the new configuration have replaced the old ones.

        nginx starts new workers only after it has read the configuration, opened its logs and bound its sockets, and
        only then tells the old ones to end; until both were seen nothing is proved.
        """
        old = self.workers()
        os.kill(self.pid, signal.SIGHUP)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            time.sleep(_POLL)
            now = self.workers()
            if now - old and not now & old:
                time.sleep(_SETTLE)
                new = self.workers() - old
                if new:
                    return Reload(True, True, "", tuple(sorted(old)), tuple(sorted(new)))
            failure = self._failure()
            if failure:
                return Reload(True, False, failure, tuple(sorted(old)), (), "\n".join(self.complaints()))
        reason = f"no new workers within {timeout:g} s"
        if not _title(self.pid).startswith(_MASTER):
            reason = "the master process ended"
        return Reload(True, False, reason, tuple(sorted(old)), (), "\n".join(self.complaints()))

    def _failure(self) -> str:
        """Return why nginx has given up loading; '' while it has not."""
        if self._log is None and time.monotonic() - self._asked < _ASK:
            return ""
        self._asked = time.monotonic()
        for line in self.complaints():
            # nginx tries to bind five times within 2.5 s before it gives up.
            if line.startswith("[emerg]") and "bind() to" not in line:
                return "nginx could not load the new configuration"
        if not _title(self.pid):
            return "the master process ended"
        return ""

    def still_runs(self, workers: t.Iterable[int]) -> bool:
        """Tell whether the given workers are all there and none is about to leave."""
        return set(workers) <= self.workers()


def find_master(config: str, build: Build, service: str) -> Master | None:
    """Return the master process of the nginx that runs a configuration, None when it does not run.

    A pid file may be stale or another instance's, so that the process must say itself which configuration it runs.
    """
    mine = _namespace("self")
    for pid in _candidates(config, build, service):
        if pid and _is_master(pid, config, build.config) and _namespace(pid) == mine:
            return Master(pid, service)
    return None


def _candidates(config: str, build: Build, service: str) -> t.Iterator[int]:
    """Yield process ids, the likely ones first; systemd and the whole process table are asked only when needed."""
    yield _pid_from_file(pid_file(config, build))
    yield _pid_from_systemd(service)
    for path in glob.glob("/proc/[0-9]*"):
        yield int(path[len("/proc/") :])


def _pid_from_file(path: str) -> int:
    try:
        return int((read_file(path) or b"0").strip() or b"0")
    except (OSError, ValueError):
        return 0


def _pid_from_systemd(service: str) -> int:
    if not is_running():
        return 0
    try:
        return int(show([service], ["MainPID"]).get(service, {}).get("MainPID", "0") or 0)
    except (CommandError, ValueError):
        return 0


def _is_master(pid: int, config: str, default_config: str) -> bool:
    title = _title(pid)
    if not title.startswith(_MASTER):
        return False
    words = title.split()
    named = words[words.index("-c") + 1] if "-c" in words[:-1] else default_config
    return os.path.realpath(named) == os.path.realpath(config)
