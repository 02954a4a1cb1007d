# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All workers have to load, and none may end: seen at real processes that behave as gunicorn's do."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.health import (
    Health,
    HealthCheck,
    HealthCheckError,
    Probe,
    find_worker_fault,
    wait_until_healthy,
)
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.workers import Workers
from ansible_collections.flaskops.stack.plugins.module_utils._service.gunicorn_conf import render_gunicorn_conf
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import parse_settings
from ansible_collections.flaskops.stack.plugins.module_utils._service.worker_mark import (
    Mark,
    marks,
    parse_marks,
    with_mark,
)
from ansible_collections.flaskops.stack.plugins.module_utils._system.host import Host, Kernel
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_system import App, simulate

RUNNING = {"ActiveState": "active", "SubState": "running", "NRestarts": "0"}
HEALTH = Health("/", (), "localhost", 5, 1)

# It runs the configuration that a release has, and tells its workers what to do: load, end, wait.
MASTER = """
import os, signal, sys, tempfile, types

package, config = types.ModuleType("gunicorn"), types.ModuleType("gunicorn.config")
package.__version__, config.KNOWN_SETTINGS = "27.0.1", []
sys.modules.update({"gunicorn": package, "gunicorn.config": config})
names = {}
exec(open(sys.argv[1]).read(), names)
age, alive = 0, set()


def fork(plan):
    global age
    age += 1
    worker = types.SimpleNamespace(age=age, tmp=tempfile.TemporaryFile(), cfg=types.SimpleNamespace(workers=2))
    ready, told = os.pipe()
    pid = os.fork()
    if not pid:
        if plan == "load":
            names["post_worker_init"](worker)
        os.write(told, b".")
        signal.pause()
    os.read(ready, 1)
    alive.add(pid)
    return pid


for line in sys.stdin:
    word, _blank, rest = line.strip().partition(" ")
    if word == "fork":
        print(fork(rest), flush=True)
    else:
        os.kill(int(rest), signal.SIGKILL)
        os.waitpid(int(rest), 0)
        alive.discard(int(rest))
        print(rest, flush=True)
for pid in alive:
    os.kill(pid, signal.SIGKILL)
"""


class Server:
    """A master whose workers do what a test wants."""

    def __init__(self, path: Path) -> None:
        conf = path / "gunicorn.conf.py"
        conf.write_text(with_mark(render_gunicorn_conf(parse_settings({}), str(path))))
        self.release = str(path)
        words = [sys.executable, "-c", MASTER, str(conf)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, *words: object) -> int:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def workers(self, fresh: bool = True, kernel: Kernel | None = None, **more: t.Any) -> Workers:
        return Workers(self.release, kernel or Kernel(), fresh=fresh, **more)


class Forgetful(Kernel):
    """A kernel that does not let some files be read, or leaves out children."""

    def __init__(self) -> None:
        self.unreadable = ""
        # What it lists as children, one answer after the other.
        self.children: list[str] = []
        self.all_alike = False

    def read(self, path: str, most: int = 65536) -> str | None:
        if self.unreadable and self.unreadable in path:
            return None
        if path.endswith("children") and self.children:
            return self.children.pop(0)
        # A process that was made up has gone, or is a copy of its master.
        return "gunicorn" if self.all_alike and path.endswith("cmdline") else super().read(path, most)


@pytest.fixture
def server(tmp_path: Path) -> t.Iterator[Server]:
    made = Server(tmp_path)
    # At its end the master ends its workers.
    with made.process:
        yield made


def test_a_worker_counts_when_it_has_loaded_and_not_before(server: Server) -> None:
    workers = server.workers()
    server.tell("fork load")
    waiting = server.tell("fork wait")
    assert workers.look(server.process.pid) == set()
    assert (workers.complete, workers.wanted, workers.fault) == (False, 2, "")
    assert workers.progress() == "1 of 2 workers have loaded the application"
    workers.look(server.process.pid)
    server.tell("kill", waiting)
    assert workers.look(server.process.pid) == {waiting}
    assert workers.fault == f"worker {waiting} ended before it had loaded the application"


def test_a_release_is_complete_with_all_of_its_workers(server: Server) -> None:
    workers = server.workers()
    for _number in range(2):
        server.tell("fork load")
    workers.look(server.process.pid)
    assert (workers.complete, workers.fault) == (True, "")


@pytest.mark.parametrize("unreadable", ["children", "locks"])
def test_what_the_kernel_does_not_tell_is_no_end(server: Server, unreadable: str) -> None:
    kernel = Forgetful()
    workers = server.workers(kernel=kernel)
    loaded = [server.tell("fork load") for _number in range(2)]
    workers.look(server.process.pid)
    kernel.unreadable = unreadable
    assert workers.look(server.process.pid) == set()
    assert (workers.fault, workers.complete, sorted(workers.loaded)) == ("", True, sorted(loaded))


def test_a_child_that_the_list_of_children_leaves_out_has_not_ended(server: Server) -> None:
    """The list is read in parts, while others end (proc_pid_task(5))."""
    kernel = Forgetful()
    workers = server.workers(kernel=kernel)
    server.tell("fork wait")
    for _look in range(2):
        workers.look(server.process.pid)
    kernel.children = [""]
    assert (workers.look(server.process.pid), workers.fault) == (set(), "")
    assert kernel.children == []


def test_what_the_master_starts_looks_like_a_worker_until_it_runs_its_own_program(server: Server) -> None:
    """A configuration may run programs, such as git; between fork and exec they are copies of the master."""
    kernel = Forgetful()
    kernel.all_alike = True
    # No process has such an id.
    kernel.children = ["9999917", "", "9999918", "9999918", ""]
    workers = server.workers(kernel=kernel)
    assert [workers.look(server.process.pid) for _look in range(4)] == [set()] * 4
    assert workers.fault == ""
    # That was seen twice, so it was a worker.
    assert workers.look(server.process.pid) == {9999918}
    assert workers.fault == "worker 9999918 ended before it had loaded the application"


def test_a_worker_that_was_gone_before_it_was_seen_left_its_number(server: Server) -> None:
    workers = server.workers()
    server.tell("kill", server.tell("fork load"))
    for _number in range(2):
        server.tell("fork load")
    workers.look(server.process.pid)
    assert "a worker ended" in workers.fault


@pytest.mark.parametrize(
    ("more", "fault"),
    [({}, True), ({"max_requests": 10000}, True), ({"max_requests": 1}, False), ({"fresh": False}, False)],
)
def test_a_worker_may_be_replaced_for_its_requests_only(server: Server, more: dict[str, t.Any], fault: bool) -> None:
    workers = server.workers(**more)
    first = server.tell("fork load")
    server.tell("fork load")
    workers.look(server.process.pid)
    server.tell("kill", first)
    server.tell("fork load")
    assert workers.look(server.process.pid) == {first}
    assert (bool(workers.fault), workers.complete) == (fault, True)


def test_one_that_is_replaced_after_each_request_may_be_gone_before_it_was_seen_to_load(server: Server) -> None:
    workers = server.workers(max_requests=1)
    waiting = server.tell("fork wait")
    for _look in range(2):
        workers.look(server.process.pid)
    server.tell("kill", waiting)
    assert workers.look(server.process.pid) == {waiting}
    assert workers.fault == ""


def test_what_a_hook_of_gunicorn_starts_is_no_worker(tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(with_mark(""))
    with subprocess.Popen(["sleep", "30"]) as other:
        # The master is this test.
        workers = Workers(str(tmp_path), Kernel(), fresh=True)
        workers.look(os.getpid())
        assert other.pid not in workers.seen
        other.kill()
    workers.look(os.getpid())
    assert workers.fault == ""


def test_a_release_of_an_earlier_version_needs_one_answer(tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(render_gunicorn_conf(parse_settings({}), str(tmp_path)))
    workers = Workers(str(tmp_path), Kernel(), fresh=True)
    workers.look(os.getpid())
    assert (workers.marked, workers.complete) == (False, True)


def test_the_health_check_waits_for_all_workers_and_names_what_it_waited_for(server: Server) -> None:
    server.tell("fork load")
    late = server.tell("fork wait")
    probe = Probe(0, "/none", "shop.service", passed=True, restarts="0", workers=server.workers())
    gate = HealthCheck(HEALTH, [probe], Host(), deadline=time.monotonic() + 60)
    states = {"shop.service": {**RUNNING, "MainPID": str(server.process.pid)}}
    assert gate.check(states) is False
    gate.deadline = time.monotonic() - 1
    with pytest.raises(
        HealthCheckError, match=r"instance 0: 1 of 2 workers have loaded the application \(waited 5 s: health"
    ):
        gate.check(states)
    server.tell("kill", late)
    with pytest.raises(
        HealthCheckError, match=rf"worker {late} ended before it had loaded .* \(shop\.service\)"
    ) as refused:
        gate.check_running(states)
    assert refused.value.service == "shop.service"


def test_workers_of_a_master_that_systemd_does_not_name_count_as_not_loaded(server: Server) -> None:
    for _number in range(2):
        server.tell("fork load")
    probe = Probe(0, "/none", "shop.service", passed=True, restarts="0", workers=server.workers())
    gate = HealthCheck(HEALTH, [probe], Host(), deadline=time.monotonic() + 60)
    assert gate.check({"shop.service": {**RUNNING, "MainPID": "0"}}) is False
    gate.deadline = time.monotonic() - 1
    with pytest.raises(HealthCheckError, match="instance 0: systemd does not name its main process"):
        gate.check({"shop.service": {**RUNNING, "MainPID": "0"}})
    assert gate.check({"shop.service": {**RUNNING, "MainPID": str(server.process.pid)}}) is True


@pytest.mark.parametrize(("said", "died"), [("Worker (pid:7) exited with code 1.", True), ("", False)])
def test_of_one_that_had_loaded_the_log_says_whether_it_died(server: Server, said: str, died: bool) -> None:
    commands = simulate().commands
    commands.journal["shop.service"] = said
    probe = Probe(0, "/none", "shop.service", workers=server.workers(fresh=False))
    states = {"MainPID": str(server.process.pid)}
    first = server.tell("fork load")
    server.tell("fork load")
    assert find_worker_fault(commands, probe, states) == ""
    server.tell("kill", first)
    assert bool(find_worker_fault(commands, probe, states)) is died


def test_releases_that_have_passed_are_looked_at_while_others_load(tmp_path: Path) -> None:
    """The first one answers at once and dies while the second one loads."""
    first, second = "3f2a91c-1b9e02d4", "90b1c7e-77aa01f2"
    sim = simulate(tmp_path)
    sim.systemd.apps = {first: App(loads_in=0.1, exits_after=1), second: App(loads_in=2)}
    probes = {}
    for release in (first, second):
        (tmp_path / f"shop@{release}.socket").write_text(f"[Socket]\nListenStream={tmp_path}/{release}.sock\n")
        (tmp_path / f"shop@{release}.service").write_text("[Service]\n")
        for kind in ("socket", "service"):
            sim.systemd.start(f"shop@{release}.{kind}")
        probes[release] = Probe(0, f"{tmp_path}/{release}.sock", f"shop@{release}.service", restarts="0")
    checks = {release: HealthCheck(HEALTH, [probe], sim.host) for release, probe in probes.items()}
    refused = dict(wait_until_healthy(sim.host, checks))
    assert list(refused) == [first]
    assert f"shop@{first}.service ended (exit-code" in str(refused[first])


@pytest.mark.parametrize("hook", ["function", "name"])
def test_the_hook_of_the_settings_is_called_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: str) -> None:
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    called: list[object] = []
    theirs = called.append if hook == "function" else "conf.hook"
    config = types.ModuleType("gunicorn.config")
    config.validate_callable = lambda _arity: lambda _name: called.append  # type: ignore[attr-defined]  # as gunicorn's
    names: dict[str, t.Any] = {"post_worker_init": theirs}
    before = sys.modules.get("gunicorn.config")
    sys.modules["gunicorn.config"] = config
    try:
        exec(with_mark(""), names)
    finally:
        sys.modules.pop("gunicorn.config")
        if before:
            sys.modules["gunicorn.config"] = before
    with (tmp_path / "beat").open("w+b") as beat:
        worker = types.SimpleNamespace(age=3, cfg=types.SimpleNamespace(workers=2), tmp=beat)
        names["post_worker_init"](worker)
        assert called == [worker]
        assert parse_marks(Path("/proc/locks").read_text())[os.getpid()] == Mark(2, 3)


@pytest.mark.parametrize("threads", [False, True])
def test_a_worker_shows_whether_the_application_has_started_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: bool
) -> None:
    names: dict[str, t.Any] = {}
    exec(with_mark(""), names)
    # pytest may have threads of its own.
    monkeypatch.setattr(threading, "active_count", lambda: 1 + threads)
    with (tmp_path / "beat").open("w+b") as beat:
        names["post_worker_init"](types.SimpleNamespace(age=1, cfg=types.SimpleNamespace(workers=1), tmp=beat))
        mark = parse_marks(Path("/proc/locks").read_text())[os.getpid()]
    assert mark == Mark(1, 1, threads)


def test_locks_of_others_are_no_marks() -> None:
    locks = """1: POSIX  ADVISORY  READ 1444 00:89:30 7380380541981491203 7380380541981491203
1: -> POSIX  ADVISORY  READ 1445 00:89:30 7380380541981491203 7380380541981491203
2: OFDLCK ADVISORY  READ -1 00:06:3 0 EOF
3: POSIX  ADVISORY  READ 9 fe:00:7 1073741826 1073742335
4: FLOCK  ADVISORY  WRITE 10 fe:00:7 0 EOF
5: POSIX  ADVISORY  WRITE 11 fe:00:7 7380380541981491203 7380380541981491203
"""
    assert parse_marks(locks) == {1444: Mark(3, 3)}


def test_a_mark_is_recognised_in_the_file() -> None:
    conf = render_gunicorn_conf(parse_settings({}), "/srv/shop/releases/a")
    assert (marks(conf), marks(with_mark(conf))) == (False, True)
