# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the running nginx, reload it and verify that the new configuration runs. Private to flaskops.stack."""

from __future__ import annotations

import os
import typing as t

from .._site.syntax import parse
from .._system.command import CommandError
from .._system.files import read_file
from .build_options import Build
from .conf import Configuration
from .error_log import ErrorLog
from .host import NginxHost
from .options import global_directives, unit_directives
from .policy import ReloadResult
from .proof import INCONCLUSIVE, PROVED, REFUSED, Observation, ReloadAttempt, Signals, parse_signals

_POLL = 0.005
_MASTER = "nginx: master process"
_WORKER = "nginx: worker process"
_LEAVING = "is shutting down"
_ENDED = "the master process ended"
NOT_TAKEN = (
    "its master process did not take the signal in time: it was still loading an earlier configuration, or is suspended"
)
_UPGRADE = "an upgrade of nginx's binary (USR2) has begun meanwhile"


def pid_file(config: str, build: Build) -> str:
    """Return the pid file that the configuration on disk names."""
    for directive in parse((read_file(config) or b"").decode("utf-8", "surrogateescape")):
        if directive.name == "pid" and directive.args:
            return os.path.join(build.prefix, directive.args[0])
    return build.pid


def given_directives(host: NginxHost, master: Master | None, service: str) -> str:
    """Return what nginx's process, or, where there is none, its unit gives to nginx with C(-g)."""
    if master:
        return global_directives(host.title(master.pid))
    if not host.has_systemd():
        return ""
    try:
        return unit_directives(host.property_of(service, "ExecStart"))
    except CommandError:
        return ""


class Master:
    """The master process of a running nginx."""

    def __init__(self, host: NginxHost, pid: int, log: ErrorLog) -> None:
        """Name the process and its log."""
        self.pid = pid
        self._host = host
        self._log = log

    def workers(self, leaving: bool = False) -> set[int]:
        """Return the workers that take new connections, or those that only finish old ones."""
        return _workers(self._host, self.pid, leaving)

    @property
    def suspended(self) -> bool:
        """Tell whether it is stopped, by SIGSTOP or a debugger, and takes no signal until SIGCONT."""
        return self._signals().suspended

    def reload(self, timeout: float, idle_timeout: float | None = None) -> ReloadResult:
        """Send HUP and wait until workers of a load that began after it have replaced all others.

        nginx starts new workers only after it has read the configuration, opened its logs and bound its sockets, and
        only then tells the old ones to end; until both were seen nothing is proved. A load that another program has
        asked for is waited for first, for C(idle_timeout) seconds (C(timeout) when None), so that the log is of ours.
        """
        self.present_workers()
        self._wait_until_idle(timeout if idle_timeout is None else idle_timeout)
        deadline = self._host.monotonic() + timeout
        while True:
            self._log.begin()
            attempt = ReloadAttempt(self._look())
            old = tuple(sorted(attempt.old))
            reason = self._send_hup() or self._wait_for_result(attempt, deadline)
            if reason != INCONCLUSIVE:
                break
        if not reason:
            return ReloadResult(True, True, "", old, tuple(sorted(self.workers())))
        return ReloadResult(True, False, reason, old, (), "\n".join(self._log.errors(now=True)))

    def _send_hup(self) -> str:
        """Send HUP; return why that is not possible."""
        return "" if self._host.send_hup(self.pid) else _ENDED

    def _wait_for_result(self, attempt: ReloadAttempt, deadline: float) -> str:
        """Wait for the result of a HUP; return why it failed, INCONCLUSIVE when it has to be sent again, or ''."""
        while True:
            state = attempt.evaluate(self._look(), self._logged_error())
            if state == PROVED:
                return _UPGRADE if self.competing_masters() else ""
            if state == REFUSED:
                return "nginx could not load the new configuration"
            if not self._host.title(self.pid):
                return _ENDED
            if self._host.monotonic() > deadline:
                return "no new workers in time" if attempt.taken else NOT_TAKEN
            if state == INCONCLUSIVE:
                return INCONCLUSIVE
            self._host.sleep(_POLL)

    def _look(self) -> Observation:
        """Return the state of the processes; the order matters, see ReloadAttempt."""
        began = self._host.monotonic()
        workers = frozenset(self.workers())
        signals = self._signals()
        return Observation(began, self._host.monotonic(), workers, signals)

    def _signals(self) -> Signals:
        return parse_signals(self._host.status(self.pid))

    def present_workers(self) -> set[int]:
        """Return the workers; a master that was just started is given the time to make them."""
        deadline = self._host.monotonic() + 1
        while not self.workers() and self._host.monotonic() < deadline:
            self._host.sleep(_POLL)
        return self.workers()

    def _wait_until_idle(self, timeout: float) -> None:
        """Wait for the end of loads that are under way; under a storm of signals there is none."""
        deadline = self._host.monotonic() + timeout
        while not self._signals().idle and self._host.title(self.pid) and self._host.monotonic() < deadline:
            self._host.sleep(_POLL)

    def _logged_error(self) -> bool:
        """Tell whether nginx has given up a load; it tries to bind five times within 2.5 s before it does."""
        return any(line.startswith("[emerg]") and "bind() to" not in line for line in self._log.errors())

    def runs_only(self, workers: t.Iterable[int]) -> bool:
        """Tell whether the given workers are all there, none is about to leave, and nothing is being loaded."""
        return set(workers) <= self.workers() and self._signals().idle

    def competing_masters(self) -> list[tuple[int, int]]:
        """Return, while the binary is exchanged (USR2), the old and the new master when both take connections.

        A worker that was just made has its master's title for a moment, but no workers.
        """
        host = self._host
        pairs = [(host.parent(self.pid), self.pid), *((self.pid, child) for child in host.children(self.pid))]
        return [
            pair for pair in pairs if all(host.title(pid).startswith(_MASTER) and _workers(host, pid) for pid in pair)
        ]


def _workers(host: NginxHost, master: int, leaving: bool = False) -> set[int]:
    titles = {pid: host.title(pid) for pid in host.children(master)}
    return {pid for pid, title in titles.items() if title.startswith(_WORKER) and (_LEAVING in title) == leaving}


def find_master(host: NginxHost, config: str, build: Build, service: str, logs: t.Sequence[str] = ()) -> Master | None:
    """Return the master process of the nginx that runs a configuration, None when it does not run.

    A pid file may be stale or another instance's, so that the process must say itself which configuration it runs.
    C(logs) are further error logs that it may write when it reloads.
    """
    mine = host.namespace("self")
    for pid in _candidates(host, config, build, service):
        if pid and _is_master(host, pid, config, build) and host.namespace(pid) == mine:
            return Master(host, pid, ErrorLog(host, pid, [host.standard_error(pid), *logs], service))
    return None


def error_logs(config: Configuration | None, build: Build) -> list[str]:
    """Return the error logs of the main level; a reload that fails late is logged in those of the new configuration."""
    if config is None:
        return []
    found = [item.directive.args[0] for item in config.top() if item.directive.name == "error_log"]
    return [os.path.join(build.prefix, path) for path in found if path != "stderr" and ":" not in path]


def _candidates(host: NginxHost, config: str, build: Build, service: str) -> t.Iterator[int]:
    """Yield process ids, the likely ones first; systemd and the whole process table are asked only when needed."""
    yield _pid_from_file(pid_file(config, build))
    yield _pid_from_systemd(host, service)
    yield from host.processes()


def _pid_from_file(path: str) -> int:
    try:
        return int((read_file(path) or b"0").strip() or b"0")
    except (OSError, ValueError):
        return 0


def _pid_from_systemd(host: NginxHost, service: str) -> int:
    if not host.has_systemd():
        return 0
    try:
        return int(host.property_of(service, "MainPID") or 0)
    except (CommandError, ValueError):
        return 0


def _is_master(host: NginxHost, pid: int, config: str, build: Build) -> bool:
    title = host.title(pid)
    if not title.startswith(_MASTER):
        return False
    return os.path.realpath(configuration_of(title, host.directory(pid), build)) == os.path.realpath(config)


def configuration_of(title: str, directory: str, build: Build) -> str:
    """Return the configuration file that a master with this command line, begun in this directory, has read."""
    options = {"-c": "", "-p": ""}
    words = title.split()
    for word, following in zip(words, [*words[1:], ""]):
        if word[:2] in options:
            options[word[:2]] = word[2:] or following
    prefix, config = build.compiled
    return os.path.join(directory, options["-p"] or prefix, options["-c"] or config)
