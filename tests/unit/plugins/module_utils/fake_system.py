# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with simulated systemd, commands, processes, sockets and clock; its files are real, below one directory.

systemd reads real unit files and keeps the state of each unit. It runs gunicorn as one process with workers, which load
the application and answer as the test has it: see C(App). Commands are recorded in the order in which they were run.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.flaskops.stack.plugins.module_utils._service.units import parse_unit_name
from ansible_collections.flaskops.stack.plugins.module_utils._service.worker_mark import parse_marks
from ansible_collections.flaskops.stack.plugins.module_utils._system.command import CommandError, Commands, Result
from ansible_collections.flaskops.stack.plugins.module_utils._system.host import Host, Http, Kernel
from ansible_collections.flaskops.stack.plugins.module_utils._system.http import Answer, ProbeError
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_clock import FakeClock

MIB = 2**20
_RESTART = 1.0
_MARK = 0x666C61 << 40
_GROUP = "/system.slice/"


@dataclass
class App:
    """How the services of one release behave."""

    # Seconds until its workers have loaded the application; None for never.
    loads_in: float | None = 0.2
    status: int = 200
    headers: t.Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    workers: int = 2
    # Whether each of them starts threads of its own.
    threads: bool = False
    # Seconds after its start when gunicorn exits with status 3, and whether it does so at each start.
    exits_after: float | None = None
    # Seconds after its start when one worker dies, and another one takes its place.
    worker_dies_after: float | None = None
    # Seconds that it takes to stop; it stops at once when it is killed.
    stops_in: float = 0.1
    memory: int = 50 * MIB
    page_cache: int = 50 * MIB
    log: str = ""


@dataclass
class Unit:
    """The state of one unit."""

    name: str
    text: str
    active: str = "inactive"
    sub: str = "dead"
    result: str = "success"
    status: int = 0
    restarts: int = 0
    pid: int = 0
    since: float = 0.0
    job: int = 0
    condition: bool = True
    # Counts its starts, so that what was due for an earlier one does not happen.
    life: int = 0
    workers: dict[int, int] = field(default_factory=dict)
    loaded: set[int] = field(default_factory=set)

    @property
    def runs(self) -> bool:
        return self.active in ("active", "activating", "deactivating", "reloading")

    def show(self) -> dict[str, str]:
        group = {"ControlGroup": _GROUP + self.name} if self.runs and self.pid else {}
        return {
            "Id": self.name,
            "LoadState": "loaded",
            "ActiveState": self.active,
            "SubState": self.sub,
            "Result": self.result,
            "ExecMainStatus": str(self.status),
            "NRestarts": str(self.restarts),
            "MainPID": str(self.pid),
            "Job": str(self.job) if self.job else "",
            "ConditionResult": "yes" if self.condition else "no",
            "ActiveEnterTimestampMonotonic": str(int(self.since * 1e6)),
            **group,
        }


class FakeSystemd:
    """systemd: the units in its memory, and what it does with them."""

    def __init__(self, clock: FakeClock, directories: t.Sequence[Path]) -> None:
        self.clock = clock
        self.directories = directories
        self.units: dict[str, Unit] = {}
        self.apps: dict[str, App] = {}
        self.default_stop = "1min 30s"
        # TCP addresses that another program listens on.
        self.taken: set[str] = set()
        self._pid = 1000

    def app(self, release: str) -> App:
        return self.apps.setdefault(release, App())

    def app_of(self, name: str) -> App:
        unit = parse_unit_name(name)
        return self.app(unit.release if unit else "")

    def file_of(self, name: str) -> str | None:
        found = (directory / name for directory in self.directories if (directory / name).is_file())
        return next((path.read_text() for path in found), None)

    def get(self, name: str) -> Unit | None:
        """Return a unit, which systemd loads when it is asked for it; None when there is none."""
        unit, text = self.units.get(name), self.file_of(name)
        if unit is None and text is not None:
            unit = self.units[name] = Unit(name, text)
        if unit and not unit.runs and text is None and unit.active != "failed":
            del self.units[name]
            return None
        return unit

    def known(self) -> list[Unit]:
        return [unit for name in list(self.units) if (unit := self.get(name))]

    def reload(self) -> None:
        for unit in self.known():
            unit.text = self.file_of(unit.name) or unit.text

    def reset_failed(self, names: t.Iterable[str]) -> None:
        for name in names:
            unit = self.units.get(name)
            if unit and unit.active == "failed":
                unit.active, unit.sub, unit.result, unit.restarts = "inactive", "dead", "success", 0

    # Start

    def start(self, name: str, restarted: bool = False) -> str:
        """Start a unit; return why it did not start."""
        unit = self.get(name)
        if unit is None:
            return f"Failed to start {name}: Unit {name} not found."
        if unit.active in ("active", "activating") and not restarted:
            return ""
        if unit.active == "deactivating":
            # Queued until it has stopped.
            unit.job += 1
            return ""
        unit.condition = self._condition(unit)
        if not unit.condition:
            return ""
        unit.job, unit.life = 0, unit.life + 1
        unit.restarts = unit.restarts + 1 if restarted else 0
        unit.active, unit.sub, unit.since, unit.result, unit.status = "active", "running", self.clock.now, "success", 0
        if name.endswith(".socket"):
            return self._listen(unit)
        if name.endswith(".service"):
            self._run(unit)
        return ""

    def _condition(self, unit: Unit) -> bool:
        flag = re.search(r"^ConditionPathExists=!(.+)$", unit.text, re.MULTILINE)
        current = re.search(r"^ExecCondition=/usr/bin/test (\S+) -ef (\S+)$", unit.text, re.MULTILINE)
        same = current is None or os.path.realpath(current.group(1)) == os.path.realpath(current.group(2))
        return same and not (flag and os.path.exists(flag.group(1)))

    def _listen(self, unit: Unit) -> str:
        address = self.address(unit)
        if address in self.taken:
            unit.active, unit.sub, unit.result = "failed", "failed", "resources"
            return f"Job for {unit.name} failed."
        if address.startswith("/"):
            os.makedirs(os.path.dirname(address), exist_ok=True)
            Path(address).touch()
        return ""

    @staticmethod
    def address(unit: Unit) -> str:
        found = re.search(r"^ListenStream=(.+)$", unit.text, re.MULTILINE)
        return found.group(1) if found else ""

    def _run(self, unit: Unit) -> None:
        app, life = self.app_of(unit.name), unit.life
        self._pid += 1
        unit.pid, unit.workers, unit.loaded = self._pid, {}, set()
        parsed = parse_unit_name(unit.name)
        for number in range(0 if parsed and parsed.role else app.workers):
            self._fork(unit, app, number + 1)

        def later(seconds: float | None, happens: t.Callable[[], object]) -> None:
            if seconds is not None:
                self.clock.after(seconds, lambda: happens() if unit.life == life and unit.active == "active" else None)

        later(app.exits_after, lambda: self.exit(unit))
        later(app.worker_dies_after, lambda: self.lose_worker(unit))

    def _fork(self, unit: Unit, app: App, number: int) -> None:
        self._pid += 1
        pid, life = self._pid, unit.life
        unit.workers[pid] = number

        def load() -> None:
            if unit.life == life and pid in unit.workers:
                unit.loaded.add(pid)

        if app.loads_in is not None:
            self.clock.after(app.loads_in, load)

    def lose_worker(self, unit: Unit) -> None:
        """Let one worker die; gunicorn starts another one."""
        pid = min(unit.workers)
        del unit.workers[pid]
        unit.loaded.discard(pid)
        self._fork(unit, self.app_of(unit.name), max([0, *unit.workers.values()]) + 1)

    def exit(self, unit: Unit, status: int = 3) -> None:
        """Let the main process of a service exit; systemd starts it again."""
        unit.active, unit.sub, unit.result, unit.status = "activating", "auto-restart", "exit-code", status
        unit.pid, unit.workers, unit.loaded = 0, {}, set()
        life = unit.life
        self.clock.after(_RESTART, lambda: self.start(unit.name, restarted=True) if unit.life == life else None)

    # Stop

    def stop(self, name: str, wait: bool) -> None:
        unit = self.units.get(name)
        if unit is None or not unit.runs:
            return
        unit.life += 1
        if unit.pid and self.app_of(name).stops_in:
            unit.active, unit.sub = "deactivating", "stop-sigterm"
            life = unit.life
            self.clock.after(self.app_of(name).stops_in, lambda: self._end(unit, "success", life))
        else:
            self._end(unit, "success", unit.life)
        while wait and unit.active == "deactivating":
            self.clock.sleep(0.01)

    def kill(self, names: t.Iterable[str]) -> None:
        for name in names:
            unit = self.units.get(name)
            if unit and unit.pid:
                unit.life += 1
                self._end(unit, "signal", unit.life)

    def _end(self, unit: Unit, result: str, life: int) -> None:
        if unit.life != life:
            return
        unit.active, unit.sub = ("inactive", "dead") if result == "success" else ("failed", "failed")
        unit.result, unit.pid, unit.workers, unit.loaded = result, 0, {}, set()
        if unit.name.endswith(".socket") and "RemoveOnStop=yes" in unit.text:
            Path(self.address(unit)).unlink(missing_ok=True)
        if unit.job:
            unit.job = 0
            self.start(unit.name)


class FakeCommands(Commands):
    """The commands of the host, all recorded; those of systemd act on the simulated one."""

    def __init__(self, clock: FakeClock, systemd: FakeSystemd) -> None:
        self.clock = clock
        self.systemd = systemd
        self.asked: list[list[str]] = []
        self.timeouts: list[float] = []
        # Is called with each command before it runs.
        self.before: list[t.Callable[[list[str]], object]] = []
        # How hooks end, by a word of their command: exit code and output.
        self.hooks: dict[str, tuple[int, str]] = {}
        self.journal: dict[str, str] = {}
        self.nginx = ""
        self._failing: list[tuple[re.Pattern[str], list[str]]] = []

    def fail(self, pattern: str, said: str = "connection timed out", times: int = 1000) -> None:
        """Let commands fail that match a pattern, as often as asked."""
        self._failing.append((re.compile(pattern), [said] * times))

    def told(self) -> list[str]:
        """Return what systemd was told to do with which units, in order; not what it was asked."""
        return [
            " ".join([argv[1], *argv[argv.index("--") + 1 :]])
            for argv in self.asked
            if argv[0] == "systemctl" and argv[1] not in ("show", "daemon-reload")
        ]

    def run(self, argv: t.Sequence[str], timeout: float = 60) -> Result:
        words = list(argv)
        self.asked.append(words)
        self.timeouts.append(timeout)
        for seen in self.before:
            seen(words)
        for pattern, left in self._failing:
            if left and pattern.search(" ".join(words)):
                raise CommandError(left.pop())
        rc, out, err = self._do(words)
        return Result(tuple(words), rc, out, err)

    def _do(self, words: list[str]) -> tuple[int, str, str]:
        program = {"systemctl": self._systemctl, "journalctl": self._journalctl, "systemd-run": self._systemd_run}
        if words[0] in program:
            return program[words[0]](words)
        return 0, self.nginx if words[0] == "nginx" else "", ""

    def _systemctl(self, words: list[str]) -> tuple[int, str, str]:
        verb = words[1]
        units = words[words.index("--") + 1 :] if "--" in words else []
        if verb == "show":
            return 0, self._show(units, words[3]), ""
        if verb == "daemon-reload":
            self.systemd.reload()
        elif verb == "reset-failed":
            self.systemd.reset_failed(units)
        elif verb == "kill":
            self.systemd.kill(units)
        else:
            return self._change(verb, units, wait="--no-block" not in words)
        return 0, "", ""

    def _change(self, verb: str, units: t.Sequence[str], wait: bool) -> tuple[int, str, str]:
        for name in units if verb in ("stop", "restart") else ():
            self.systemd.stop(name, wait or verb == "restart")
        faults = [said for name in units if verb != "stop" and (said := self.systemd.start(name))]
        return (1 if faults else 0), "", "\n".join(faults)

    def _show(self, names: t.Sequence[str], properties: str) -> str:
        if not names:
            return f"{properties}={self.systemd.default_stop}\n"
        blocks = []
        for name in names:
            if any(char in name for char in "*?["):
                blocks += [unit.show() for unit in self.systemd.known() if fnmatch.fnmatch(unit.name, name)]
                continue
            unit = self.systemd.get(name)
            nothing = {"Id": name, "LoadState": "not-found", "ActiveState": "inactive", "SubState": "dead"}
            blocks.append(unit.show() if unit else nothing)
        wanted = properties.split(",")
        return "\n".join("".join(f"{key}={block[key]}\n" for key in wanted if key in block) for block in blocks)

    def _journalctl(self, words: list[str]) -> tuple[int, str, str]:
        unit = next((word.partition("=")[2] for word in words if word.startswith("--unit=")), "")
        text = self.journal.get(unit, "") or self.systemd.app_of(unit).log
        pattern = next((word.partition("=")[2] for word in words if word.startswith("--grep=")), "")
        if not pattern:
            return 0, text, ""
        lines = [line for line in text.splitlines() if re.search(pattern, line)]
        return (0, lines[-1], "") if lines else (1, "", "")

    def _systemd_run(self, words: list[str]) -> tuple[int, str, str]:
        if "--wait" not in words:
            return 0, "", ""
        log = next(word.rpartition("append:")[2] for word in words if "StandardOutput=append:" in word)
        # The last words are the command; before it come those of the wrapper that keeps its output.
        command = " ".join(words[-3:])
        rc, said = next((found for word, found in self.hooks.items() if word in command), (0, ""))
        Path(log).write_text(said)
        result = "exit-code" if rc else "success"
        return rc, "", f"Finished with result: {result}\nMain processes terminated with: code=exited, status={rc}/X\n"

    def spawn_detached(self, argv: t.Sequence[str]) -> None:
        words = list(argv)
        self.asked.append(words)
        for seen in self.before:
            seen(words)
        if words[:2] == ["nice", "rm"]:
            for path in words[words.index("--") + 1 :]:
                shutil.rmtree(path)
        elif "forget" in words:
            self._forget(words[words.index("forget") + 1 :])

    def _forget(self, names: list[str]) -> None:
        if any(unit.active == "deactivating" for name in names if (unit := self.systemd.units.get(name))):
            self.clock.after(1, lambda: self._forget(names))
            return
        self.systemd.reload()
        self.systemd.reset_failed(names)


_MEMINFO = "MemTotal: {} kB\nMemAvailable:  {} kB\n"


class FakeKernel(Kernel):
    """Processes, sockets and memory; any other file is read from the disk."""

    def __init__(self, clock: FakeClock, systemd: FakeSystemd) -> None:
        self.clock = clock
        self.systemd = systemd
        self.total = 16384 * MIB
        self.available: int | None = 4096 * MIB
        # Open connections: the path of the socket, and when the request has been answered.
        self.visitors: list[tuple[str, float]] = []
        # When the table of sockets was read.
        self.looks: list[float] = []
        # Paths that cannot be read, and what reading the table of sockets raises, as often as it stands here.
        self.unreadable: set[str] = set()
        self.table_fails: list[OSError] = []

    def visit(self, path: str, seconds: float) -> None:
        """Let a visitor wait for an answer."""
        self.visitors.append((path, self.clock.now + seconds))

    def _services(self) -> list[Unit]:
        return [unit for unit in self.systemd.units.values() if unit.pid]

    def read(self, path: str, most: int = 65536) -> str | None:
        if any(part in path for part in self.unreadable):
            return None
        if path == "/proc/meminfo":
            return "" if self.available is None else _MEMINFO.format(self.total // 1024, self.available // 1024)
        if path == "/proc/locks":
            return "".join(map(self._lock, self._services()))
        found = re.fullmatch(r"/proc/(\d+)/(.+)", path)
        if found:
            # A process of this machine may have the number of one that is simulated.
            known = re.fullmatch(r"task/\d+/children|cmdline|stat", found.group(2))
            return self._process(int(found.group(1)), found.group(2)) if known else None
        if path.startswith("/sys/fs/cgroup"):
            name = path.split(_GROUP)[1].split("/", maxsplit=1)[0]
            return self._cgroup(name, path) if self.systemd.units[name].pid else ""
        return super().read(path, most)

    def _lock(self, unit: Unit) -> str:
        app = self.systemd.app_of(unit.name)
        lines = []
        for pid in sorted(unit.loaded):
            place = _MARK + (unit.workers[pid] << 16) + (app.threads << 15) + app.workers
            lines.append(f"1: POSIX  ADVISORY  READ {pid} 00:89:30 {place} {place}\n")
        assert set(parse_marks("".join(lines))) == unit.loaded
        return "".join(lines)

    def _process(self, pid: int, what: str) -> str:
        for unit in self._services():
            if what.endswith("children") and unit.pid == pid:
                return " ".join(map(str, unit.workers))
            if what == "cmdline" and (pid == unit.pid or pid in unit.workers):
                return "gunicorn\0"
            if what == "stat" and pid in unit.workers:
                return f"{pid} (gunicorn) S {unit.pid} 0"
        return ""

    def _cgroup(self, name: str, path: str) -> str:
        app = self.systemd.app_of(name)
        if path.endswith("cgroup.procs"):
            return " ".join(map(str, [self.systemd.units[name].pid, *self.systemd.units[name].workers]))
        if path.endswith("memory.current"):
            return f"{app.memory + app.page_cache}\n"
        return f"anon 1\nactive_file 4096\ninactive_file {app.page_cache - 4096}\n"

    def exists(self, path: str) -> bool:
        return path.startswith(("/proc/", "/sys/fs/cgroup")) or super().exists(path)

    def processes(self) -> list[int] | None:
        return [pid for unit in self._services() for pid in (unit.pid, *unit.workers)]

    def unix_sockets(self) -> str:
        self.looks.append(self.clock.now)
        if self.table_fails:
            raise self.table_fails.pop()
        open_ones = [path for path, end in self.visitors if end > self.clock.now]
        return "".join(f"0: 00000003 00000000 00000000 0001 03 7 {path}\n" for path in open_ones)


class FakeHttp(Http):
    """Requests to the applications, each answered when a worker has loaded."""

    def __init__(self, clock: FakeClock, systemd: FakeSystemd) -> None:
        self.clock = clock
        self.systemd = systemd
        self.requests: list[str] = []

    def get(
        self, address: str, path: str, host: str, timeout: float, headers: t.Mapping[str, str] | None = None
    ) -> Answer:
        assert headers
        self.requests.append(f"{address} {path} {host}")
        deadline = self.clock.now + timeout
        while True:
            socket = self._socket(address)
            if socket is None:
                raise ProbeError(f"{address}: [Errno 111] Connection refused")
            service = self.systemd.units.get(socket.name.replace(".socket", ".service"))
            # One that is stopping takes no new request.
            if service and service.active == "active" and service.loaded:
                app = self.systemd.app_of(service.name)
                return Answer(app.status, dict(app.headers), app.body)
            if self.clock.now >= deadline:
                raise ProbeError(f"{address}: no complete answer within {round(timeout, 1):g} s")
            self.clock.sleep(0.01)

    def _socket(self, address: str) -> Unit | None:
        path = address[len("unix:") :]
        active = (unit for unit in self.systemd.units.values() if unit.active == "active")
        return next((unit for unit in active if self.systemd.address(unit) == path), None)


class Simulation(t.NamedTuple):
    """A host for the code under test, and its parts for the test."""

    host: Host
    clock: FakeClock
    systemd: FakeSystemd
    commands: FakeCommands
    kernel: FakeKernel
    http: FakeHttp


def simulate(*directories: Path) -> Simulation:
    """Return a host whose systemd reads unit files from these directories."""
    clock = FakeClock()
    systemd = FakeSystemd(clock, directories)
    commands, kernel = FakeCommands(clock, systemd), FakeKernel(clock, systemd)
    http = FakeHttp(clock, systemd)
    return Simulation(Host(commands, clock, kernel, http), clock, systemd, commands, kernel, http)
