# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with an nginx, systemd and a clock that need no root: nginx's tree is a real one, in a temporary directory.

The nginx reads its files as the real one does, by its main file and what that includes. It refuses a configuration
with the word C(broken) when it tests it and when it loads it, one with C(unloadable) only when it loads it (as one
whose port another process has), and never shows what it has not loaded.
"""

from __future__ import annotations

import glob
import os
import re
import time
import typing as t
from pathlib import Path

from ansible_collections.flaskops.stack.plugins.module_utils._nginx.host import NginxHost
from ansible_collections.flaskops.stack.plugins.module_utils._system.command import CommandError, Result
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_clock import FakeClock

STATUS = "State:\t{state} (x)\nSigPnd:\t0\nShdPnd:\t{pending:x}\nSigBlk:\t{blocked:x}\n"
MAIN = """
pid {root}/nginx.pid;
error_log {root}/error.log;
events {{}}
http {{
  include {root}/enabled/*;
}}
"""
_INCLUDE = re.compile(r"include ([^;]+);")
_CERTIFICATE = re.compile(r"ssl_certificate(?:_key)? (/[^;]+);")
_TICKS = os.sysconf("SC_CLK_TCK")
UNIT = "nginx"
LOADING, LEAVING = 0.1, 0.2


class FakeNginx:
    """An nginx that runs, or not, with the configuration that it has loaded."""

    def __init__(self, root: Path, clock: FakeClock) -> None:
        self.root = root
        self.config = str(root / "nginx.conf")
        self.installed = True
        self.master = 0
        self.workers: dict[int, str] = {}
        self.started: dict[int, int] = {}
        # What a visitor is served by: the files that were loaded last.
        self.loaded: dict[str, str] = {}
        self.reloads = 0
        self.tests: list[list[str]] = []
        self.happens_at_reload: t.Callable[[], None] | None = None
        self.takes_signals = True
        self.suspended = False
        self.warning = ""
        self.mounts: dict[str, str] = {}
        self._clock = clock
        self._next = 100
        self._pending = self._busy = False

    def read(self, main: str = "") -> dict[str, str]:
        """Return the text of each file that it reads, by the name under which it reads it."""
        found: dict[str, str] = {}
        queue = [main or self.config]
        while queue:
            path = queue.pop(0)
            found[path] = Path(self._real(path)).read_text()
            for pattern in _INCLUDE.findall(found[path]):
                directory, base = os.path.split(pattern.strip('"'))
                real = self._real(directory)
                queue += [
                    os.path.join(directory, os.path.basename(name)) for name in sorted(glob.glob(f"{real}/{base}"))
                ]
        return found

    def _real(self, path: str, count: int | None = None) -> str:
        """Return what stands at a path, with what is mounted over it, of the first mounts: a later one hides others."""
        mounts = list(self.mounts.items())[:count]
        for number, (target, source) in reversed(list(enumerate(mounts))):
            if path == target or path.startswith(target + "/"):
                return self._real(source + path[len(target) :], number)
        return path

    def complaint(self, files: t.Mapping[str, str], word: str) -> str:
        for path, text in files.items():
            for number, line in enumerate(text.splitlines(), 1):
                if re.search(rf"\b{word}\b", line):
                    return f'[emerg] 1#1: unknown directive "{word}" in {path}:{number}'
        return ""

    def _missing(self, files: t.Mapping[str, str]) -> str:
        """Return what it says of a certificate or key that is not there."""
        for path in _CERTIFICATE.findall("\n".join(files.values())):
            if not os.path.isfile(self._resolved(path)):
                return f'[emerg] 1#1: cannot load certificate "{path}"'
        return ""

    def _resolved(self, path: str) -> str:
        """Return what a path leads to, with what is mounted: links are followed before a mount is looked for."""
        for _number in range(40):
            real = self._real(path)
            if os.path.exists(real):
                return real
            parts = path.split("/")
            links = [count for count in range(2, len(parts) + 1) if os.path.islink(self._real("/".join(parts[:count])))]
            if not links:
                return real
            head, rest = "/".join(parts[: links[0]]), parts[links[0] :]
            path = os.path.normpath("/".join([os.path.dirname(head), os.readlink(self._real(head)), *rest]))
        return path

    def test(self, argv: t.Sequence[str]) -> Result:
        """Do what nginx -t does."""
        self.tests.append(list(argv))
        files = self.read(argv[list(argv).index("-c") + 1])
        said = self.complaint(files, "broken") or self._missing(files)
        if self.warning:
            said = f"nginx: [warn] {self.warning}\n" + (f"nginx: {said}" if said else "")
        failed = "[emerg]" in said
        verdict = "test failed" if failed else "test is successful"
        return Result(tuple(argv), int(failed), "", f"{said}\nnginx: configuration file {self.config} {verdict}\n")

    def start(self, age: float = 0.0) -> None:
        """Start it with what is on disk; it refuses as the real one does."""
        files = self.read()
        if self.complaint(files, "broken") or self.complaint(files, "unloadable"):
            raise CommandError("Job for nginx.service failed")
        self.master = self._process(age)
        (self.root / "nginx.pid").write_text(f"{self.master}\n")
        self._load(files, age)

    def stop(self) -> None:
        self.master, self.workers = 0, {}
        (self.root / "nginx.pid").unlink(missing_ok=True)

    def _process(self, age: float) -> int:
        self._next += 1
        self.started[self._next] = int((time.clock_gettime(time.CLOCK_BOOTTIME) - age) * _TICKS)
        return self._next

    def _load(self, files: dict[str, str], age: float = 0.0) -> None:
        self.loaded = files
        for pid in self.workers:
            self.workers[pid] = "nginx: worker process is shutting down"
        self.workers.update({self._process(age): "nginx: worker process" for _number in range(2)})

    def hang_up(self) -> None:
        """Do what nginx does on HUP: load, and let the old workers go, or complain and keep them."""
        self._pending = True
        if self.happens_at_reload:
            self.happens_at_reload()
        if self.takes_signals:
            self._clock.after(0.01, self._begin)

    def _begin(self) -> None:
        self._pending, self._busy = False, True
        self._clock.after(LOADING, self._finish)

    def _finish(self) -> None:
        self.reloads += 1
        self._busy = False
        files = self.read()
        said = self.complaint(files, "broken") or self.complaint(files, "unloadable")
        if said:
            with (self.root / "error.log").open("a") as log:
                log.write(f"2026/01/01 00:00:00 {said.replace('1#1', f'{self.master}#{self.master}')}\n")
            return
        old = list(self.workers)
        self._load(files)
        self._clock.after(LEAVING, lambda: self._let_go(old))

    def _let_go(self, workers: t.Iterable[int]) -> None:
        for pid in workers:
            self.workers.pop(pid, None)

    def status(self) -> str:
        busy = self._busy or self._pending
        return STATUS.format(
            state="T" if self.suspended else "R" if busy else "S", pending=int(self._pending), blocked=int(self._busy)
        )


class FakeHost(NginxHost):
    """A host whose nginx, clock and systemd are the fakes."""

    def __init__(self, root: Path) -> None:
        for name in ("available", "enabled", "state", "locks"):
            (root / name).mkdir()
        (root / "nginx.conf").write_text(MAIN.format(root=root))
        (root / "error.log").write_text("")
        self.root = root
        self.clock = FakeClock()
        self.nginx = FakeNginx(root, self.clock)
        self.systemd = True
        self.has_openssl = True
        # Whether it lets a test have mounts of its own.
        self.isolates = True
        self.properties: dict[str, str] = {}
        self.journal: list[tuple[float, str]] = []
        self.wall: float | None = None
        self.start_fails = ""
        self.titles: dict[int, str] = {}
        self.directories: dict[int, str] = {}
        self.namespaces: dict[int | str, str] = {}
        self.errors: dict[int, str] = {}
        self.parents: dict[int, int] = {}
        self.asked: list[list[str]] = []

    def find_program(self, name: str) -> str | None:
        known = {"nginx": self.nginx.installed, "unshare": True, "openssl": self.has_openssl}
        return f"/usr/sbin/{name}" if known[name] else None

    def run(self, argv: t.Sequence[str], timeout: float = 60, stdin: str | None = None) -> Result:
        self.asked.append(list(argv))
        if argv[0] == "openssl":
            return super().run(argv, timeout, stdin)
        if argv[0] == "unshare":
            return self._isolated(list(argv), timeout)
        if argv[1:] == ["-V"]:
            places = f"--prefix={self.root} --conf-path={self.root}/nginx.conf --pid-path={self.root}/nginx.pid"
            options = f"{places} --error-log-path=stderr --user=root"
            return Result(tuple(argv), 0, "", f"nginx version: nginx/1.26.3\nconfigure arguments: {options}\n")
        return self.nginx.test(argv)

    def _isolated(self, argv: list[str], timeout: float) -> Result:
        """Do what unshare and the script that it runs do: mount, say so, run."""
        if not self.isolates:
            return Result(tuple(argv), 1, "", "unshare: unshare failed: Operation not permitted\n")
        count, rest = int(argv[8]), argv[9:]
        pairs = list(zip(rest[: 2 * count : 2], rest[1 : 2 * count : 2]))
        self.nginx.mounts = {target: source for source, target in pairs}
        result = self.run(rest[2 * count :], timeout)
        self.nginx.mounts = {}
        return Result(result.argv, result.rc, result.out, f"flaskops: mounted\n{result.err}")

    def monotonic(self) -> float:
        return self.clock.now

    def time(self) -> float:
        return time.time() if self.wall is None else self.wall

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    def has_systemd(self) -> bool:
        return self.systemd

    def property_of(self, unit: str, name: str) -> str:
        assert unit == UNIT
        return {"MainPID": str(self.nginx.master), **self.properties}.get(name, "")

    def start_unit(self, unit: str) -> None:
        assert unit == UNIT
        if self.start_fails:
            raise CommandError(self.start_fails)
        self.nginx.start()

    def journal_tail(self, unit: str, lines: int, since: str) -> str:
        """Return what was logged since then, as systemd does."""
        assert unit == UNIT
        said = [line for moment, line in self.journal if moment >= float(since.lstrip("@"))]
        return "\n".join(said[-lines:])

    def processes(self) -> t.Iterator[int]:
        yield from filter(None, (1, self.nginx.master, *self.nginx.workers, *self.titles))

    def title(self, pid: int) -> str:
        if pid in self.titles:
            return self.titles[pid]
        if pid and pid == self.nginx.master:
            return f"nginx: master process /usr/sbin/nginx -c {self.nginx.config}"
        return self.nginx.workers.get(pid, "init" if pid == 1 else "")

    def children(self, pid: int) -> list[int]:
        own = list(self.nginx.workers) if pid == self.nginx.master else []
        return [*own, *(child for child, parent in self.parents.items() if parent == pid)]

    def parent(self, pid: int) -> int:
        if pid in self.parents:
            return self.parents[pid]
        return 1 if pid == self.nginx.master else self.nginx.master

    def start_ticks(self, pid: int) -> int:
        return self.nginx.started.get(pid, 0)

    def status(self, pid: int) -> str:
        return self.nginx.status() if pid == self.nginx.master else ""

    def directory(self, pid: int) -> str:
        return self.directories.get(pid, "/")

    def namespace(self, pid: int | str) -> str:
        return self.namespaces.get(pid, "pid:[1]")

    def standard_error(self, pid: int) -> str:
        return self.errors.get(pid, "")

    def send_hup(self, pid: int) -> bool:
        if pid != self.nginx.master:
            return False
        self.nginx.hang_up()
        return True
