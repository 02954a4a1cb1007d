# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health check that a release has to pass before the switch. Private to flaskops.stack."""

from __future__ import annotations

import errno
import re
import threading
import typing as t
from dataclasses import dataclass, field

from .._input.defaults import Settings
from .._service.idle import is_asleep
from .._system.command import CommandError, Commands
from .._system.exit_codes import explain_exit
from .._system.host import Clock, Host, Http
from .._system.http import Answer, ProbeError
from .._system.systemd import has_job
from .workers import LOOK_INTERVAL, Workers, last_death

# Asking systemd costs a process each time; this interval notices a dead release soon enough.
_WATCH_INTERVAL = 0.25
# Seconds between two requests that both have to succeed.
_PROBE_INTERVAL = 0.25
# Properties of a service that systemd is asked for.
STATE = ("ActiveState", "SubState", "Result", "NRestarts", "ExecMainStatus", "MainPID", "Job")
# How often each worker is asked before the switch, on average.
_WARM_EACH = 2
# How often all workers of an application are; they may share a database with the old release, which serves.
_WARM_MOST = 24
# Seconds that this may take for all applications of a task.
_WARM_SECONDS = 3.0
# An application that needs longer for an answer is left alone: its visitors would wait behind these requests.
_WARM_ANSWER = 1.0
# Of a rejected response's body, what is shown: at most 300 characters, and no half of a word at the end. It may be a
# secret, and they are masked as a whole.
_EXCERPT = re.compile(r".{,300}(?=[^!-~]|[\"',;<>]|$)")
# Bytes of it in which they are looked for.
_READ = 16384
_HTML = re.compile(r"\s*<(?:!doctype html|html|head|body)\b", re.IGNORECASE)
_UNREAD = re.compile(r"<!--.*?-->|<(style|script)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^<>]*>")
# Seconds that an attempt has at least, also when the time for all of them is over.
_SHORTEST_ATTEMPT = 0.1


class HealthCheckError(RuntimeError):
    """A release that did not pass its health check."""

    def __init__(self, reason: str, service: str = "") -> None:
        """Take the reason, and the service whose log has details, where one is known."""
        super().__init__(reason)
        self.service = service


@dataclass(frozen=True)
class Health:
    """The response that a healthy instance gives, and the timeout."""

    path: str
    status: tuple[int, ...]
    host: str
    timeout: float
    successes: int
    # For a release that was built when any status below 500 was healthy: a rollback to it has to stay possible.
    lenient: bool = False
    # Below which path visitors find the application.
    prefix: str = ""

    @classmethod
    def from_settings(cls, settings: Settings, lenient: bool = False) -> Health:
        """Return the criteria from the settings of a release."""
        health = settings.health
        return cls(
            health.path,
            health.status,
            _host_to_request(health.host),
            health.timeout,
            health.successes,
            lenient,
            settings.prefix,
        )

    def accepts(self, status: int) -> bool:
        """Tell whether this status is healthy."""
        if self.status:
            return status in self.status
        return status < 500 if self.lenient else 200 <= status < 400 or status == 401

    def expected(self) -> str:
        """Return the accepted statuses for an error message."""
        if self.status:
            return " or ".join(map(str, self.status))
        return "a status below 500" if self.lenient else "2xx, 3xx or 401"


def _host_to_request(host: str) -> str:
    """Return a host name to request from an nginx server name, which may have a wildcard."""
    if host.startswith("*."):
        return "www" + host[1:]
    name = host.rstrip("*").strip(".")
    return name if name and "*" not in name and not name.startswith("~") else "localhost"


@dataclass
class Probe:
    """The health check of one instance, which a thread of its own runs."""

    instance: int
    socket: str
    service: str
    status: int = 0
    seconds: float = 0.0
    # Why the last response was rejected; empty before the first.
    problem: str = ""
    passed: bool = False
    # Set once it has passed.
    passed_event: threading.Event = field(default_factory=threading.Event)
    # The restart counter of systemd when the service was started; empty when that is not known yet.
    restarts: str = ""
    # Its workers, and when it was started, where all of them have to load; None where one response is enough.
    workers: Workers | None = None
    since: float = 0.0
    # Whether it ends by itself without requests.
    sleeps: bool = False
    stop: threading.Event = field(default_factory=threading.Event)


def run_probe(host: Host, probe: Probe, health: Health, deadline: float, once: bool = False) -> None:
    """Request the health path until it succeeds as often in a row as required, or the deadline has passed."""
    clock = host.clock
    started = clock.monotonic()
    good = 0
    while good < health.successes and not probe.stop.is_set() and clock.monotonic() < deadline:
        answer = _ask(host.http, probe, health, deadline - clock.monotonic())
        good = good + 1 if answer is not None and health.accepts(answer.status) else 0
        probe.problem = "" if good else probe.problem if answer is None else _explain_bad_answer(answer, health)
        probe.status = probe.status if answer is None else answer.status
        if once:
            break
        if good < health.successes:
            clock.wait(probe.stop, _PROBE_INTERVAL)
    probe.seconds = round(clock.monotonic() - started, 3)
    probe.passed = good >= health.successes
    if probe.passed:
        probe.passed_event.set()


def _ask(http: Http, probe: Probe, health: Health, timeout: float) -> Answer | None:
    # The headers that nginx sends: without them, a redirect to https or a forbidden host would falsify the check.
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": health.host}
    if health.prefix:
        headers["X-Forwarded-Prefix"] = health.prefix
    try:
        seconds = max(timeout, _SHORTEST_ATTEMPT)
        return http.get(
            f"unix:{probe.socket}", health.path, health.host, seconds, {**headers, "User-Agent": "flaskops"}
        )
    except ProbeError as exc:
        # What the deadline cuts short says less than the attempt before it.
        if timeout > _SHORTEST_ATTEMPT or not probe.problem:
            probe.problem = f"no answer to {health.path}: {exc}"
        return None


def _explain_bad_answer(answer: Answer, health: Health) -> str:
    said = f"{health.path} answered {answer.status}"
    way_out = f"accept it with health.status: [{answer.status}]"
    location = answer.headers.get("location", "") if 300 <= answer.status < 400 else ""
    if location:
        # The query string may hold something private.
        place = location.partition("?")[0]
        return (
            f"{said} and leads to {place}, wanted {health.expected()}: let health.path name what needs no login, or "
            f"{way_out}"
        )
    found = _EXCERPT.match(_text_of(answer.body))
    text = found.group().strip() if found else ""
    return (
        f"{said} for host '{health.host}', wanted {health.expected()}{_advice(answer.status, way_out)}"
        f"{f'; it said: {text}' if text else ''}"
    )


def _text_of(body: bytes) -> str:
    """Return what a visitor would read; an excerpt of HTML ends before its words begin."""
    said = body[:_READ].decode("utf-8", "replace")
    if _HTML.match(said):
        said = _TAG.sub(" ", _UNREAD.sub(" ", said))
    return " ".join(said.split())


def _advice(status: int, way_out: str) -> str:
    """Return the way out for a status; for a server error there is none but to fix the application."""
    if status >= 500:
        return ""
    if status in (400, 403, 421):
        return f" (let the application accept this host, or ask for another one with health.host; or {way_out})"
    return f" (let health.path name a path that it answers, or {way_out})"


def find_service_fault(service: str, state: t.Mapping[str, str], restarts: str, sleeps: bool = False) -> str:
    """Return why a service has failed, or an empty text; C(restarts) is its counter when it was started.

    One that C(sleeps) may have ended by itself since it has passed.
    """
    if sleeps and is_asleep(state):
        return ""
    # It is queued until the units before it have started, or its former process has stopped.
    if state.get("ActiveState") in ("inactive", "failed") and has_job(state):
        return ""
    if state.get("ActiveState") == "failed" or state.get("SubState") in ("auto-restart", "auto-restart-queued"):
        return f"{service} ended ({state.get('Result')}, exit status {explain_exit(state.get('ExecMainStatus'))})"
    if restarts and state.get("NRestarts", restarts) != restarts:
        return f"{service} ended and was started again"
    if state.get("LoadState") == "not-found" or state.get("ActiveState") == "inactive":
        return f"{service} does not run"
    return ""


def find_probe_fault(commands: Commands, probe: Probe, state: t.Mapping[str, str]) -> str:
    """Return why an instance or its workers have failed, or an empty text."""
    sleeps = probe.sleeps and probe.passed
    return find_service_fault(probe.service, state, probe.restarts, sleeps) or find_worker_fault(commands, probe, state)


def find_worker_fault(commands: Commands, probe: Probe, state: t.Mapping[str, str]) -> str:
    """Return why workers of an instance have failed, or an empty text; C(state) has systemd's properties of it."""
    workers = probe.workers
    if workers is None:
        return ""
    gone = workers.look(_main_process(state) if state else workers.master)
    if workers.fault:
        return f"{workers.fault} ({probe.service})"
    # A loaded worker may have been replaced after max_requests; the log of gunicorn says which it was.
    said = last_death(commands, probe.service, probe.since) if gone else ""
    return f"a worker of {probe.service} died ({said})" if said else ""


def _main_process(state: t.Mapping[str, str]) -> int:
    """Return the main process of a service; 0 for one that is stopping, whose workers end for that reason."""
    return 0 if state.get("ActiveState") == "deactivating" else int(state.get("MainPID") or 0)


def is_loaded(probe: Probe) -> bool:
    """Tell whether all workers of an instance have loaded the application."""
    return probe.workers is None or probe.workers.complete


def restarts_at_start(known: str, state: t.Mapping[str, str]) -> str:
    """Return the restart counter of a service when it was started; an empty text when it is not known yet.

    C(known) is the value so far. A service that is still stopping shows the counter of its former process; with the
    queued start, systemd counts from zero.
    """
    count = state.get("NRestarts", "")
    if not count or state.get("ActiveState") not in ("active", "activating", "reloading"):
        return known
    return min(known, count, key=int) if known else count


def start_probe(host: Host, probe: Probe, health: Health, deadline: float, once: bool = False) -> threading.Thread:
    """Run a probe in a thread; raise OSError, as for other exhausted resources, when the host cannot start one."""
    try:
        return host.clock.start_thread(lambda: run_probe(host, probe, health, deadline, once))
    except RuntimeError as exc:
        # Python does not pass on the system's error.
        raise OSError(
            errno.EAGAIN,
            f"the health check cannot start, {exc}: the host, or what this runs in, has too many "
            "processes (TasksMax=, ulimit -u) or no memory",
        ) from exc


@dataclass
class HealthCheck:
    """The health check of one release: all its instances, until a deadline."""

    health: Health
    probes: list[Probe]
    host: Host
    deadline: float = 0.0
    passed: bool = False
    # When systemd was queried last, on the clock of time.monotonic().
    last_query: float = 0.0

    def start(self, states: t.Mapping[str, t.Mapping[str, str]]) -> None:
        """Start the probes of all instances; C(states) are those of the services just started."""
        self.deadline = self.host.clock.monotonic() + self.health.timeout
        for probe in self.probes:
            state = states.get(probe.service, {})
            probe.restarts = restarts_at_start(probe.restarts, state)
            start_probe(self.host, probe, self.health, self.deadline)
            if probe.workers:
                # Worker faults are evaluated when the probe has passed.
                probe.workers.look(_main_process(state))

    def check(self, states: t.Mapping[str, t.Mapping[str, str]], systemd_error: str = "") -> bool:
        """Tell whether all instances are healthy; raise HealthCheckError as soon as one has failed.

        C(systemd_error) is why systemd gave no states: no release is healthy without them.
        """
        self.check_running(states)
        if not systemd_error and all(probe.passed and is_loaded(probe) for probe in self.probes):
            self.passed = True
        if not self.passed and self.host.clock.monotonic() > self.deadline:
            raise self._timeout_error(systemd_error)
        return self.passed

    def check_running(self, states: t.Mapping[str, t.Mapping[str, str]]) -> None:
        """Raise HealthCheckError when an instance or a worker has ended; without C(states) only workers are checked."""
        self.last_query = self.host.clock.monotonic() if states else self.last_query
        for probe in self.probes:
            state = states.get(probe.service, {})
            probe.restarts = restarts_at_start(probe.restarts, state)
            reason = find_probe_fault(self.host.commands, probe, state)
            if reason:
                raise HealthCheckError(reason, probe.service)

    def _timeout_error(self, systemd_error: str) -> HealthCheckError:
        if systemd_error:
            return HealthCheckError(systemd_error)
        late = next((probe for probe in self.probes if not probe.passed), None)
        waited = f"(waited {self.health.timeout:g} s: health.timeout)"
        if late:
            reason = late.problem or f"{self.health.path} was not answered"
            return HealthCheckError(f"instance {late.instance}: {reason} {waited}", late.service)
        slow = next(probe for probe in self.probes if not is_loaded(probe))
        progress = slow.workers.progress() if slow.workers else ""
        return HealthCheckError(f"instance {slow.instance}: {progress} {waited}", slow.service)

    def stop(self) -> None:
        """Stop the probes."""
        for probe in self.probes:
            probe.stop.set()


def wait_until_healthy(host: Host, gates: t.Mapping[str, HealthCheck]) -> t.Iterator[tuple[str, HealthCheckError]]:
    """Wait until all releases are healthy; yield each that is not, with the reason, as soon as that is known."""
    services = {probe.service for gate in gates.values() for probe in gate.probes}
    # While the applications load: the states have the main processes and the restart counters.
    first, _systemd_error = query_systemd(host, services)
    for gate in gates.values():
        gate.start(first)
    waiting = dict(gates)
    # A release that has passed may still fail while others load.
    while not all(gate.passed for gate in waiting.values()):
        _wait_for_probes(host.clock, waiting.values())
        states, systemd_error = query_systemd(host, services)
        for name, gate in list(waiting.items()):
            refused: HealthCheckError | None = None
            try:
                if gate.check(states, systemd_error):
                    gate.stop()
            except HealthCheckError as exc:
                refused = exc
            if refused is None:
                continue
            gate.stop()
            del waiting[name]
            yield name, refused
            # The abort in between takes time, so the states are outdated.
            break


def warm_up(host: Host, gates: t.Iterable[HealthCheck]) -> None:
    """Ask all workers of healthy releases at the same time, so that visitors do not wait for the first answer of each.

    One worker may have answered all of the health check, and the first answer of a process takes longest: modules,
    templates and connections are loaded with it. What is answered here does not count: the release is healthy.
    """
    until = host.clock.monotonic() + _WARM_SECONDS
    for gate in gates:
        for probe in gate.probes if gate.passed else ():
            count = _warm_count(probe, len(gate.probes))
            if count and _ask_together(host, gate.health, probe, 1, min(until, host.clock.monotonic() + _WARM_ANSWER)):
                _ask_together(host, gate.health, probe, count - 1, until)


def _ask_together(host: Host, health: Health, probe: Probe, count: int, until: float) -> bool:
    """Request the health path so often at the same time, and tell whether all was answered in time."""
    seconds = until - host.clock.monotonic()
    answered: list[bool] = []

    def ask() -> None:
        # The result of the health check stays what it is.
        once = Probe(probe.instance, probe.socket, probe.service)
        answered.append(_ask(host.http, once, health, seconds) is not None)

    try:
        for _number in range(count if seconds > 0 else 0):
            host.clock.start_thread(ask)
    except RuntimeError:
        # A host without room for threads is not kept from the switch.
        return False
    while len(answered) < count and host.clock.monotonic() < until:
        host.clock.sleep(LOOK_INTERVAL)
    return len(answered) == count and all(answered)


def _warm_count(probe: Probe, instances: int) -> int:
    """Return how often one of so many instances is asked once more: a single worker has answered already."""
    workers = probe.workers.wanted if probe.workers else 0
    return min(_WARM_EACH * workers, _WARM_MOST // instances) if workers > 1 else 0


def query_systemd(host: Host, services: t.Collection[str]) -> tuple[dict[str, dict[str, str]], str]:
    """Return the states, or why there are none: systemd may be busy for a moment."""
    try:
        return host.systemd.show(sorted(services), STATE), ""
    except CommandError as exc:
        host.clock.sleep(_WATCH_INTERVAL)
        return {}, f"systemd could not be asked: {exc}"


def _wait_for_probes(clock: Clock, gates: t.Iterable[HealthCheck]) -> None:
    """Sleep until the next query of systemd, or until all probes have passed and all workers have loaded."""
    until = clock.monotonic() + _WATCH_INTERVAL
    probes = [probe for gate in gates if not gate.passed for probe in gate.probes]
    # The main process is not known before systemd has been queried.
    known = [probe.workers for probe in probes if probe.workers and probe.workers.master]
    if any(probe.passed and probe.workers and not probe.workers.master for probe in probes):
        # The next query may name it, and must not follow at once.
        clock.sleep(LOOK_INTERVAL)
    while clock.monotonic() < until:
        # Look at once: the kernel needs 0.01 s for the first listing of locks after a while.
        for crew in known:
            crew.look(crew.master)
        missing = [probe for probe in probes if not probe.passed]
        if any(crew.fault for crew in known) or not (missing or any(not crew.complete for crew in known)):
            return
        if missing:
            clock.wait(missing[0].passed_event, LOOK_INTERVAL)
        else:
            clock.sleep(LOOK_INTERVAL)
