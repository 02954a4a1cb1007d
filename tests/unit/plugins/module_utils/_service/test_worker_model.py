# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes, requests and kept connections of workers: what is added to gunicorn.conf.py is run."""

from __future__ import annotations

import errno
import math
import os
import socket
import sys
import threading
import time
import types
import typing as t
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._service import worker_model as _worker_model
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import parse_settings
from ansible_collections.flaskops.stack.plugins.module_utils._service.worker_model import with_sizes, with_worker_model

THIS, OTHER = "3f2a91c-1b9e02d4", "abcdef1-16114b43"
Conf = t.Dict[str, t.Any]


class Request:
    def __init__(self, headers: list[tuple[str, str]]) -> None:
        self.headers = list(headers)
        self.closed = False

    def should_close(self) -> bool:
        return ("CONNECTION", "close") in self.headers

    def force_close(self) -> None:
        self.closed = True


class Socket:
    def __init__(self) -> None:
        self.ended = False

    def shutdown(self, _how: int) -> None:
        self.ended = True


class Response:
    """An answer of gunicorn, which writes its head before the first part of the body."""

    def __init__(self, sock: t.Any) -> None:
        self.sock, self.headers_sent = sock, False

    def write(self, arg: object) -> None:
        if not self.headers_sent:
            self.sock.sendall(b"HEAD ")
            self.headers_sent = True
        if not isinstance(arg, bytes):
            raise TypeError(f"{arg!r} is not a byte")
        # An empty chunk would end the answer.
        if arg:
            self.sock.sendall(arg)


class Connection:
    """A connection of gunicorn."""

    def __init__(self, _cfg: object, sock: socket.socket, _client: object, server: object) -> None:
        self.sock, self.server = sock, server
        self.data_ready = False
        self.closed: list[bool] = []
        reader = types.SimpleNamespace(length=0)
        body = types.SimpleNamespace(reader=reader)
        self.parser = types.SimpleNamespace(mesg=types.SimpleNamespace(body=body, headers=[("HOST", "shop.test")]))

    def close(self, graceful: bool = False) -> None:
        self.closed.append(graceful)
        self.sock.close()


class Queue:
    """What threads leave to the main loop, which a test runs itself."""

    def __init__(self) -> None:
        self.calls: list[tuple[t.Callable[..., object], tuple[object, ...]]] = []

    def defer(self, call: t.Callable[..., object], *args: object) -> None:
        self.calls.append((call, args))

    def run(self) -> None:
        wait_for(lambda: self.calls)
        call, args = self.calls.pop(0)
        call(*args)


class Worker:
    """What a worker of gunicorn has that the model uses; tests say what answers a request."""

    def __init__(self, sockets: t.Sequence[socket.socket] = (), threads: int = 4, connections: int = 1000) -> None:
        self.cfg = types.SimpleNamespace(threads=threads, workers=2)
        self.worker_connections, self.sockets = connections, sockets
        self.keepalived_conns, self.pending_conns = deque[Connection](), deque[Connection]()
        self.nr_conns, self.alive, self._accepting = 0, True, False
        self.method_queue = Queue()
        self.warned: list[str] = []
        self.log = types.SimpleNamespace(
            exception=lambda _text: None, warning=lambda text, *words: self.warned.append(text % words)
        )
        self.finished: list[object] = []
        self.asked: list[object] = []
        self.answer: t.Callable[[Connection], object] = lambda _conn: False

    def init_process(self) -> None:
        pass

    def run(self) -> None:
        self.asked = [self.cfg.timeout, self.cfg.post_fork]

    def handle(self, conn: Connection) -> object:
        conn.sock.recv(3)
        return self.answer(conn)

    def set_accept_enabled(self, enabled: bool) -> None:
        raise NotImplementedError

    def enqueue_req(self, conn: Connection) -> None:
        raise NotImplementedError

    def wait_for_and_dispatch_events(self) -> None:
        pass

    def finish_request(self, conn: Connection, fs: Future[object]) -> None:
        self.keepalived_conns.append(conn)
        self.finished.append(fs.result())


def wait_for(done: t.Callable[[], object]) -> None:
    until = time.monotonic() + 10
    while not done():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> t.Callable[..., Conf]:
    """Run what is added, in a gunicorn as 27, or in an older one."""

    def run(names: Conf, *, lingers: bool = True, **chosen: object) -> Conf:
        modules = {
            name: types.ModuleType(name)
            for name in (
                *("gunicorn", "gunicorn.config", "gunicorn.http", "gunicorn.http.wsgi"),
                *("gunicorn.workers", "gunicorn.workers.gthread"),
            )
        }
        modules["gunicorn.http.wsgi"].__dict__["Response"] = Response
        modules["gunicorn.http"].__dict__["wsgi"] = modules["gunicorn.http.wsgi"]
        setting = types.SimpleNamespace(default=lambda *_args: None, validator=lambda hook: hook)
        modules["gunicorn.config"].__dict__.update(PreRequest=setting, PostRequest=setting)
        gthread = modules["gunicorn.workers.gthread"]
        gthread.__dict__.update(ThreadWorker=Worker, TConn=Connection, _DEFER=object())
        gthread.__dict__.update({"STOP_KEEPALIVE_LINGER": 2.0} if lingers else {})
        modules["gunicorn.workers"].__dict__["gthread"] = gthread
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        settings = parse_settings({"workers": 2, **chosen})
        conf: Conf = {"_os": os, "_math": math, "_cpus": lambda: 1.5, "worker_class": settings.worker_class}
        conf.update({"workers": 5, "threads": 4, "keepalive": settings.keepalive, **names})
        exec(with_worker_model(with_sizes("", settings), settings, f"{tmp_path}/releases/{THIS}"), conf)
        return conf

    return run


def asked(conf: Conf, headers: list[tuple[str, str]], worker: Worker | None = None) -> Request:
    request = Request(headers)
    conf["pre_request"](worker or conf["worker_class"](), request)
    return request


@pytest.mark.parametrize(
    ("cpus", "concurrency", "sizes"),
    [(0.5, "", (2, 8)), (1, "", (2, 8)), (1.5, "", (3, 8)), (4, "0", (5, 8)), (64, "", (8, 8)), (4, "10", (5, 4))],
)
def test_there_is_a_worker_for_each_cpu_and_one_more(
    read: t.Callable[..., Conf], monkeypatch: pytest.MonkeyPatch, cpus: float, concurrency: str, sizes: tuple[int, int]
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", concurrency)
    conf = read({"_cpus": lambda: cpus}, workers=0)
    assert (conf["workers"], conf["threads"]) == sizes


@pytest.mark.parametrize("chosen", [{"workers": 5}, {"threads": 4}, {"worker_class": "sync"}])
def test_a_choice_of_sizes_is_left_alone(
    read: t.Callable[..., Conf], monkeypatch: pytest.MonkeyPatch, chosen: dict[str, object]
) -> None:
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    conf = read({}, **{"workers": 0, **chosen})
    assert (conf["workers"], conf["threads"]) == (5, 4)


@pytest.fixture
def listener(tmp_path: Path) -> t.Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "s"))
        one.listen(64)
        yield one


@pytest.fixture
def visit(listener: socket.socket) -> t.Iterator[t.Callable[[], socket.socket]]:
    """Connect and send a request."""
    clients: list[socket.socket] = []

    def connect() -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        clients.append(client)
        client.settimeout(10)
        client.connect(listener.getsockname())
        with suppress(BrokenPipeError):
            # A worker that has no room for it may have closed it already.
            client.send(b"GET")
        return client

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def begin(read: t.Callable[..., Conf], listener: socket.socket) -> t.Iterator[t.Callable[..., t.Any]]:
    """Start a worker that accepts; what it answers is given."""
    workers: list[t.Any] = []

    def start(answer: t.Callable[[Connection], object], **sizes: int) -> t.Any:
        worker = read({})["worker_class"]([listener], **sizes)
        worker.answer = answer
        worker.init_process()
        worker.set_accept_enabled(True)
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.set_accept_enabled(False)


def is_ended(client: socket.socket) -> bool:
    with suppress(ConnectionResetError):
        return client.recv(1) == b""
    return True


def test_each_thread_accepts_answers_and_closes(
    begin: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket]
) -> None:
    seen: list[Connection] = []
    worker = begin(seen.append)
    assert all(is_ended(visit()) for _number in range(9))
    wait_for(lambda: worker.nr_conns == 0)
    assert [conn.closed for conn in seen] == [[False]] * 9
    assert worker.method_queue.calls == []


def test_a_request_that_is_there_is_not_waited_for(
    begin: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket]
) -> None:
    client, seen = visit(), list[bool]()
    begin(lambda conn: seen.append(conn.data_ready))
    assert is_ended(client)
    assert seen == [True]


def test_a_connection_with_tls_is_closed_as_gunicorn_does_it(
    begin: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket]
) -> None:
    class Encrypted:
        """As ssl.SSLSocket, which cannot look at what has arrived."""

        def __init__(self, sock: socket.socket) -> None:
            self._sock = sock

        def __getattr__(self, name: str) -> object:
            return getattr(self._sock, name)

        def recv(self, _size: int, flags: int = 0) -> bytes:
            raise ValueError(flags)

    seen: list[t.Any] = []

    def answer(conn: t.Any) -> None:
        conn.sock = Encrypted(conn.sock)
        seen.append(conn)

    worker = begin(answer)
    assert is_ended(visit())
    wait_for(lambda: worker.nr_conns == 0)
    assert (worker.alive, seen[0].closed) == (True, [True])


@pytest.mark.parametrize(("threads", "connections", "accepted"), [(4, 1000, 4), (1, 1000, 1), (4, 2, 2)])
def test_a_worker_accepts_what_it_has_a_thread_for(
    begin: t.Callable[..., t.Any],
    visit: t.Callable[[], socket.socket],
    threads: int,
    connections: int,
    accepted: int,
) -> None:
    go, seen = threading.Event(), list[Connection]()

    def answer(conn: Connection) -> None:
        seen.append(conn)
        go.wait(10)

    worker = begin(answer, threads=threads, connections=connections)
    clients = [visit() for _number in range(6)]
    wait_for(lambda: len(seen) == accepted)
    time.sleep(0.1)
    assert (len(seen), worker.nr_conns) == (accepted, accepted)
    go.set()
    assert all(is_ended(client) for client in clients)
    assert len(seen) == 6


def test_threads_are_started_when_they_are_needed(
    begin: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket]
) -> None:
    worker = begin(lambda _conn: False)
    assert worker._started == 1
    for _number in range(5):
        assert is_ended(visit())
    wait_for(lambda: worker.nr_conns == 0)
    assert worker._started == 2


def test_a_worker_that_ends_accepts_no_more_and_answers_what_it_has_accepted(
    begin: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket], listener: socket.socket
) -> None:
    go = threading.Event()
    worker = begin(lambda _conn: go.wait(10) and False)
    first = visit()
    wait_for(lambda: worker.nr_conns == 1)
    worker.alive = False
    worker.set_accept_enabled(False)
    late = visit()
    time.sleep(0.05)
    assert worker.nr_conns == 1
    go.set()
    assert is_ended(first)
    # The main loop, which waits for this, is woken.
    worker.method_queue.run()
    assert worker.nr_conns == 0
    # Another worker takes it.
    listener.accept()[0].close()
    assert is_ended(late)


def test_a_worker_stops_to_accept_while_all_its_threads_are_busy(
    begin: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket]
) -> None:
    go = threading.Event()
    worker = begin(lambda _conn: go.wait(10) and False, threads=1)
    visit()
    wait_for(lambda: worker.nr_conns == 1)
    worker.set_accept_enabled(False)
    go.set()


def test_accepting_can_begin_again(begin: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket]) -> None:
    worker = begin(lambda _conn: False)
    for _number in range(3):
        worker.set_accept_enabled(False)
        worker.set_accept_enabled(True)
        assert is_ended(visit())
    assert worker._started <= 2


class Watch:
    """Whether requests wait, as a test says."""

    seconds, moved = 0.0, False

    def has_waited(self, seconds: float) -> bool:
        return self.seconds >= seconds

    def was_moved(self) -> bool:
        return self.moved


@pytest.fixture
def lead(begin: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket]) -> t.Callable[..., t.Any]:
    """Return a worker whose requests wait for so long, and are slow or not; none takes so long that another leads."""

    def start(waited: float = 0.0, *, slow: bool = True, moved: bool = False, threads: int = 4) -> t.Any:
        worker = begin(lambda _conn: time.sleep(0.001 if slow else 0), threads=threads)
        watch = type("Waiting", (Watch,), {"seconds": waited, "moved": moved})
        names = type(worker).set_accept_enabled.__globals__
        names["_Watch"], names["_Lead"].is_long = watch, lambda _lead: False
        return worker

    return start


def answer_one(worker: t.Any, visit: t.Callable[[], socket.socket]) -> None:
    assert is_ended(visit())
    # It leads again, or another does.
    wait_for(lambda: worker.nr_conns == 0 and worker._turn.locked() and worker._next_place.locked())


def test_one_thread_answers_quick_requests(lead: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket]) -> None:
    worker, seen = lead(), list[int]()
    worker.answer = lambda _conn: seen.append(threading.get_ident())
    for _number in range(30):
        answer_one(worker, visit)
    assert len(set(seen)) == 1


@pytest.mark.parametrize("is_asleep", [True, False])
def test_another_thread_leads_when_a_request_takes_long(
    begin: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket], is_asleep: bool
) -> None:
    go, seen = threading.Event(), list[Connection]()

    def answer(conn: Connection) -> None:
        seen.append(conn)
        go.wait(10)

    worker = begin(answer, threads=2)
    # The second thread is there, and has nothing to look at.
    worker._start_thread()
    if is_asleep:
        wait_for(lambda: worker._wants_call)
    first, second = visit(), visit()
    wait_for(lambda: len(seen) == 2)
    go.set()
    assert is_ended(first)
    assert is_ended(second)


@pytest.mark.parametrize(
    ("waited", "slow", "moved", "handovers"),
    [
        (0.001, True, False, 5),
        (0.0, True, False, 0),
        # Others took the processor from it: it may have waited for that alone.
        (0.001, True, True, 0),
        # Nobody was watching.
        (0.001, False, False, 0),
    ],
)
def test_the_lead_is_handed_over_at_once_after_requests_that_wait(
    lead: t.Callable[..., t.Any],
    visit: t.Callable[[], socket.socket],
    waited: float,
    slow: bool,
    moved: bool,
    handovers: int,
) -> None:
    worker = lead(waited, slow=slow, moved=moved)
    worker._was_slow = slow
    answer_one(worker, visit)
    assert worker._handovers == handovers


def test_as_many_are_answered_at_once_then(lead: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket]) -> None:
    worker, go = lead(0.001), threading.Event()
    answer_one(worker, visit)
    worker.answer = lambda _conn: go.wait(10) and False
    clients = [visit() for _number in range(3)]
    wait_for(lambda: worker.nr_conns == 3)
    go.set()
    assert all(is_ended(client) for client in clients)


def test_more_are_handed_over_each_time_that_one_waits_again(
    lead: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket]
) -> None:
    worker, seen = lead(0.001), list[int]()
    for _number in range(7):
        worker._handovers = 0
        answer_one(worker, visit)
        seen.append(worker._handovers)
    assert seen == [5, 10, 20, 40, 80, 160, 160]
    # Quick ones are forgotten by halves.
    worker.answer = lambda _conn: False
    for _number in range(9):
        worker._handovers = 0
        answer_one(worker, visit)
    assert worker._handovers_again <= 20


@pytest.mark.parametrize(("waited", "handovers"), [(1.0, 160), (0.0, 0)])
def test_those_that_come_with_a_request_that_waits_for_long_are_handed_over_before_it_ends(
    begin: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket], waited: float, handovers: int
) -> None:
    """Streams of a hundred visitors begin at once after a deploy, and do not end."""
    go = threading.Event()
    worker = begin(lambda _conn: go.wait(10) and False)
    names = type(worker).set_accept_enabled.__globals__
    names["_Watch"] = type("Waiting", (Watch,), {"seconds": waited})
    wait_for(lambda: worker._lead)
    taken_from = worker._lead
    first = visit()
    wait_for(lambda: worker._lead not in (None, taken_from) and worker._turn.locked())
    assert worker._handovers == handovers
    go.set()
    assert is_ended(first)


@pytest.mark.parametrize("moved", [False, True])
def test_a_long_wait_counts_at_once_whatever_it_waited_for(
    lead: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket], moved: bool
) -> None:
    worker = lead(0.01, moved=moved)
    answer_one(worker, visit)
    assert worker._handovers == 160


@pytest.mark.parametrize(("waited", "handovers"), [(0.01, 2), (0.02, 160)])
def test_a_wait_among_others_counts_when_it_is_sure(
    lead: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket], waited: float, handovers: int
) -> None:
    worker = lead(waited)
    worker._handovers = 3
    answer_one(worker, visit)
    assert worker._handovers == handovers


@pytest.mark.parametrize(
    ("took", "ran", "process_ran", "waited"),
    [(0.02, 0.001, 0.001, True), (0.02, 0.019, 0.019, False), (0.02, 0.001, 0.015, False), (0.0004, 0.0, 0.0, False)],
)
@pytest.mark.parametrize("moved", [0, 1])
def test_a_thread_waits_without_the_processor_while_its_process_does_not_compute(
    read: t.Callable[..., Conf], took: float, ran: float, process_ran: float, waited: bool, moved: int
) -> None:
    conf = read({})
    now = {"monotonic": 0.0, "thread_time": 0.0, "process_time": 0.0}
    conf["_time"] = types.SimpleNamespace(**{name: lambda name=name: now[name] for name in now})
    usage = types.SimpleNamespace(ru_nivcsw=7)
    conf["_resource"] = types.SimpleNamespace(RUSAGE_THREAD=1, getrusage=lambda _who: usage)
    watch = conf["_Watch"]()
    now.update(monotonic=took, thread_time=ran, process_time=process_ran)
    usage.ru_nivcsw += moved
    assert (watch.has_waited(0.0005), watch.was_moved()) == (waited, bool(moved))


@pytest.mark.parametrize(
    ("left", "header", "later", "graceful"),
    [
        (0, "ACCEPT", b"", False),
        (7, "ACCEPT", b"", True),
        (None, "ACCEPT", b"", True),
        # The next request, at the moment of a switch.
        (0, "ACCEPT", b"GET", True),
        # The client of a WebSocket sends until it has seen the last message.
        (0, "UPGRADE", b"", True),
    ],
)
def test_a_connection_is_closed_at_once_when_all_that_its_client_has_sent_was_read(
    begin: t.Callable[..., t.Any],
    visit: t.Callable[[], socket.socket],
    left: int | None,
    header: str,
    later: bytes,
    graceful: bool,
) -> None:
    seen: list[Connection] = []
    go = threading.Event()

    def answer(conn: Connection) -> None:
        seen.append(conn)
        conn.parser.mesg.body.reader.length = left
        conn.parser.mesg.headers.append((header, "websocket"))
        if left is None:
            conn.parser.mesg = None
        go.wait(10)

    worker = begin(answer)
    client = visit()
    client.send(later)
    go.set()
    assert is_ended(client)
    wait_for(lambda: worker.nr_conns == 0)
    assert [conn.closed for conn in seen] == [[graceful]]


def test_a_thread_that_the_application_starts_ends_its_work_before_the_worker_does_as_in_gunicorn(
    begin: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket]
) -> None:
    seen: list[bool] = []
    begin(lambda _conn: seen.append(threading.Thread(target=print).daemon))
    assert is_ended(visit())
    assert seen == [False]


def kept(begin: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket]) -> tuple[t.Any, socket.socket]:
    """Return a worker that has answered once and kept the connection, and its client."""
    again = [True, False]
    worker = begin(lambda _conn: again.pop(0))
    client = visit()
    worker.method_queue.run()
    return worker, client


def ask_again(worker: t.Any, client: socket.socket) -> None:
    """Send another request over a kept connection, which ends then."""
    client.send(b"GET")
    worker.enqueue_req(worker.keepalived_conns.popleft())
    assert is_ended(client)


def test_a_connection_that_is_kept_goes_to_the_main_loop_and_comes_back(
    begin: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket]
) -> None:
    worker, client = kept(begin, visit)
    assert (worker.finished, worker.nr_conns) == ([True], 1)
    ask_again(worker, client)
    wait_for(lambda: worker.nr_conns == 0)


def test_a_kept_connection_is_answered_after_the_worker_has_stopped_to_accept(
    begin: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket]
) -> None:
    worker, client = kept(begin, visit)
    worker.set_accept_enabled(False)
    ask_again(worker, client)


def test_no_listener_and_no_kept_connection_is_preferred(
    read: t.Callable[..., Conf],
    listener: socket.socket,
    visit: t.Callable[[], socket.socket],
    tmp_path: Path,
) -> None:
    """Whoever always has a request would otherwise leave the others without an answer."""
    seen: list[str] = []
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "other"))
        other.listen(64)
        worker = read({})["worker_class"]([listener, other], threads=1)
        # On a busy machine it would leave connections to another worker.
        worker.cfg.workers = 1
        worker.answer = lambda conn: seen.append(conn.server)
        worker.init_process()
        kept, clients = [socket.socketpair() for _number in range(3)], [visit() for _number in range(3)]
        for address in [str(tmp_path / "other")] * 3:
            clients.append(socket.socket(socket.AF_UNIX))
            clients[-1].connect(address)
            clients[-1].send(b"GET")
        for ours, theirs in kept:
            theirs.send(b"GET")
            worker.enqueue_req(Connection(None, ours, None, "kept"))
        worker.set_accept_enabled(True)
        wait_for(lambda: len(seen) == 9)
        worker.set_accept_enabled(False)
    for client in [*clients, *(theirs for _ours, theirs in kept)]:
        client.close()
    three = {"kept", listener.getsockname(), str(tmp_path / "other")}
    assert [set(seen[start : start + 3]) for start in (0, 3, 6)] == [three] * 3


def test_a_thread_survives_what_a_request_raises(
    begin: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket]
) -> None:
    def answer(_conn: Connection) -> None:
        raise SystemExit

    worker = begin(answer, threads=1)
    assert all(is_ended(visit()) for _number in range(3))
    wait_for(lambda: worker.nr_conns == 0)


def test_a_worker_that_cannot_accept_is_replaced(
    begin: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    def accept(_listener: socket.socket) -> t.NoReturn:
        raise OSError(9, "Bad file descriptor")

    worker = begin(lambda _conn: False)
    monkeypatch.setattr(socket.socket, "accept", accept)
    visit()
    worker.method_queue.run()
    assert not worker.alive


class Short:
    """A host, or a worker, that has no descriptor for a connection for so many times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, times: int, *, then_other: bool = False) -> None:
        """With C(then_other) another worker accepts what comes after them."""
        self.tries: list[float] = []
        accept = socket.socket.accept

        def fail(listener: socket.socket) -> tuple[socket.socket, object]:
            self.tries.append(time.monotonic())
            if len(self.tries) <= times:
                raise OSError(number, os.strerror(number))
            found = accept(listener)
            if then_other:
                found[0].close()
                raise BlockingIOError
            return found

        monkeypatch.setattr(socket.socket, "accept", fail)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_a_shortage_of_descriptors_is_waited_for_and_said_once(
    begin: t.Callable[..., t.Any],
    visit: t.Callable[[], socket.socket],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    go, served = threading.Event(), threading.Event()

    def answer(_conn: Connection) -> bool:
        served.set()
        return not go.wait(10)

    worker = begin(answer, threads=2)
    first = visit()
    served.wait(10)
    short = Short(monkeypatch, number, 3)
    second = visit()
    wait_for(lambda: len(short.tries) > 3)
    # It does not spin, and the request in work goes on.
    assert all(later - earlier >= 0.09 for earlier, later in zip(short.tries, short.tries[1:]))
    assert worker.alive
    go.set()
    assert is_ended(first) and is_ended(second)
    assert len(worker.warned) == 1 and os.strerror(number) in worker.warned[0]


@pytest.mark.parametrize(("number", "replaced"), [(errno.EMFILE, True), (errno.ENFILE, False)])
def test_a_worker_whose_application_has_used_up_its_descriptors_is_replaced(
    begin: t.Callable[..., t.Any],
    visit: t.Callable[[], socket.socket],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    replaced: bool,
) -> None:
    monkeypatch.setitem(_worker_model._FIGURES, "short", 0.2)
    worker = begin(lambda _conn: False)
    short = Short(monkeypatch, number, 6)
    visit()
    wait_for(lambda: len(short.tries) > 5 or not worker.alive)
    assert worker.alive is not replaced


def test_two_shortages_of_a_moment_are_not_one_that_lasts(
    begin: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_worker_model._FIGURES, "short", 0.2)
    monkeypatch.setitem(_worker_model._FIGURES, "pause", 0.01)
    worker = begin(lambda _conn: False)
    short = Short(monkeypatch, errno.EMFILE, 2, then_other=True)
    visit()
    wait_for(lambda: len(short.tries) > 2)
    # No client comes for longer than a shortage may last.
    time.sleep(0.3)
    monkeypatch.undo()
    Short(monkeypatch, errno.EMFILE, 1)
    assert is_ended(visit())
    assert worker.alive


def test_a_worker_without_memory_is_replaced(
    begin: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_conn: Connection, _cfg: object, sock: socket.socket, *_addresses: object) -> t.NoReturn:
        sock.close()
        raise MemoryError

    monkeypatch.setattr(Connection, "__init__", fail)
    worker = begin(lambda _conn: False, threads=1)
    visit()
    worker.method_queue.run()
    assert not worker.alive


def test_a_worker_accepts_again_as_soon_as_it_has_room(
    begin: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket]
) -> None:
    go = threading.Event()
    worker = begin(lambda _conn: go.wait(10) and False, connections=2)
    clients = [visit(), visit()]
    wait_for(lambda: worker.nr_conns == 2)
    worker.set_accept_enabled(False)
    go.set()
    assert all(is_ended(client) for client in clients)
    # The main loop, which decides about it, is woken.
    worker.method_queue.run()


def test_a_worker_that_had_room_again_before_it_stopped_to_accept_looks_again(begin: t.Callable[..., t.Any]) -> None:
    worker = begin(lambda _conn: False)
    worker.set_accept_enabled(False)
    worker.method_queue.run()


def test_a_client_sees_the_end_of_an_answer_while_a_process_of_the_application_has_the_connection(
    begin: t.Callable[..., t.Any], visit: t.Callable[[], socket.socket]
) -> None:
    copies: list[socket.socket] = []

    def fork(conn: Connection) -> None:
        copies.append(conn.sock.dup())

    begin(fork)
    assert is_ended(visit())
    copies[0].close()


@pytest.mark.parametrize(("raised", "code"), [(None, 0), (SystemExit(), 0), (SystemExit(3), 3), (ValueError(), 1)])
def test_a_copy_of_the_process_that_comes_back_from_a_request_ends(
    begin: t.Callable[..., t.Any],
    visit: t.Callable[[], socket.socket],
    monkeypatch: pytest.MonkeyPatch,
    raised: BaseException | None,
    code: int,
) -> None:
    codes: list[int] = []
    ended = threading.Event()

    def leave(code: int) -> None:
        codes.append(code)
        ended.wait(10)

    def fork(_conn: Connection) -> None:
        monkeypatch.setattr(os, "getpid", lambda: -1)
        if raised:
            raise raised

    worker = begin(fork, threads=1)
    monkeypatch.setattr(os, "_exit", leave)
    visit()
    wait_for(lambda: codes)
    # The connection is that of the process which goes on answering.
    assert (codes, worker.nr_conns) == ([code], 1)
    ended.set()


@pytest.mark.parametrize(("workers", "times"), [(2, 10), (1, 0)])
def test_a_worker_that_computes_leaves_connections_to_others_for_a_moment(
    begin: t.Callable[..., t.Any],
    visit: t.Callable[[], socket.socket],
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
    times: int,
) -> None:
    go = threading.Event()
    worker = begin(lambda _conn: go.wait(10) and False)
    worker.cfg.workers = workers
    visit()
    wait_for(lambda: worker.nr_conns == 1)
    # Each time that it lets other threads run, they take 3 ms.
    slept: list[float] = []
    sleep = time.sleep

    def take_turns(seconds: float) -> None:
        slept.append(seconds)
        sleep(0.003)

    monkeypatch.setattr(time, "sleep", take_turns)
    visit()
    until = time.monotonic() + 10
    while worker.nr_conns < 2 and time.monotonic() < until:
        sleep(0.001)
    assert (worker.nr_conns, slept) == (2, [0] * times)
    monkeypatch.undo()
    go.set()


@pytest.mark.parametrize("current", [f"releases/{OTHER}", ""])
def test_any_other_release_closes_it_after_the_answer(
    read: t.Callable[..., Conf], tmp_path: Path, current: str
) -> None:
    if current:
        (tmp_path / "current").symlink_to(current)
    assert asked(read({}), [("HOST", "shop.test")]).closed


def test_a_switch_is_seen_with_the_next_request(read: t.Callable[..., Conf], tmp_path: Path) -> None:
    current, conf = tmp_path / "current", read({})
    current.symlink_to(f"releases/{THIS}")
    assert not asked(conf, []).closed
    current.unlink()
    current.symlink_to(f"releases/{OTHER}")
    assert asked(conf, []).closed


@pytest.mark.parametrize("headers", [[], [("CONNECTION", "keep-alive")], [("CONNECTION", "upgrade")]])
def test_the_release_that_serves_keeps_connections_of_clients_that_want_it(
    read: t.Callable[..., Conf], tmp_path: Path, headers: list[tuple[str, str]]
) -> None:
    (tmp_path / "current").symlink_to(f"releases/{THIS}")
    request = asked(read({}), headers)
    assert (request.headers, request.closed) == (headers, False)


@pytest.mark.parametrize(
    ("chosen", "lingers"), [({}, False), ({"worker_class": "sync"}, True), ({"worker_class": "gevent"}, True)]
)
def test_other_workers_are_left_alone(read: t.Callable[..., Conf], chosen: dict[str, object], lingers: bool) -> None:
    conf = read({}, lingers=lingers, **chosen)
    assert "pre_request" not in conf
    assert (conf["worker_class"], conf["keepalive"]) == (chosen.get("worker_class", "gthread"), 2)


def test_hooks_of_the_application_are_called(read: t.Callable[..., Conf]) -> None:
    called: list[tuple[object, ...]] = []
    conf = read({"pre_request": lambda *args: called.append(args), "post_request": lambda *args: called.append(args)})
    request = asked(conf, [])
    conf["post_request"]("worker", request, {}, None)
    assert [one[1:] for one in called] == [(request,), (request, {}, None)]


@pytest.mark.parametrize(
    ("sent", "length", "ended"), [(5, 10, True), (10, 10, False), (7, None, False), (0, 10, False)]
)
def test_an_answer_that_is_too_short_ends_its_connection(
    read: t.Callable[..., Conf], sent: int, length: int | None, ended: bool
) -> None:
    response = types.SimpleNamespace(sent=sent, response_length=length, sock=Socket())
    read({})["post_request"](None, None, {}, response)
    assert response.sock.ended is ended


class Settings:
    """The settings of gunicorn, which are looked up each time; some are properties."""

    address = property(lambda _self: "unix:/run/shop.sock")

    def __init__(self, **values: object) -> None:
        self.settings = {name: types.SimpleNamespace(get=lambda value=value: value) for name, value in values.items()}

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"{name} was looked up")


def test_settings_are_looked_up_once(read: t.Callable[..., Conf]) -> None:
    worker = read({})["worker_class"]()
    worker.cfg = Settings(timeout=30, post_fork=print, address=["none"])
    worker.run()
    assert worker.asked == [30, print]
    assert worker.cfg.address == "unix:/run/shop.sock"


@pytest.fixture
def response(read: t.Callable[..., Conf]) -> t.Callable[[], tuple[t.Any, list[bytes]]]:
    """Return what gunicorn makes answers of, and what one has sent, call by call."""
    read({})

    def make() -> tuple[t.Any, list[bytes]]:
        sent: list[bytes] = []
        sock = types.SimpleNamespace(sendall=sent.append)
        return sys.modules["gunicorn.http.wsgi"].__dict__["Response"](sock), sent

    return make


def test_the_head_of_an_answer_is_sent_with_the_beginning_of_its_body(
    response: t.Callable[[], tuple[t.Any, list[bytes]]],
) -> None:
    answer, sent = response()
    for part in (b"one", b"", b"two"):
        answer.write(part)
    assert sent == [b"HEAD one", b"two"]


@pytest.mark.parametrize(("parts", "calls"), [((b"",), [5]), ((b"x" * 70000,), [5, 70000]), ((b"", b"x"), [5, 1])])
def test_an_answer_without_a_beginning_and_one_that_is_long_are_sent_as_they_come(
    response: t.Callable[[], tuple[t.Any, list[bytes]]], parts: tuple[bytes, ...], calls: list[int]
) -> None:
    answer, sent = response()
    for part in parts:
        answer.write(part)
    assert [len(one) for one in sent] == calls


def test_a_reload_of_the_configuration_puts_nothing_on_top_of_what_answers(
    read: t.Callable[..., Conf], tmp_path: Path
) -> None:
    """The master reads the file at each SIGHUP, and its workers are forked from it."""
    conf = read({})
    for _number in range(3):
        exec(with_worker_model("", parse_settings({}), f"{tmp_path}/releases/{THIS}"), conf)
    made = sys.modules["gunicorn.http.wsgi"].__dict__["Response"]
    assert made is conf["Response"]
    assert made.__bases__ == (Response,)


def test_an_answer_that_is_no_bytes_has_sent_its_head_as_before(
    response: t.Callable[[], tuple[t.Any, list[bytes]]],
) -> None:
    answer, sent = response()
    with pytest.raises(TypeError, match="is not a byte"):
        answer.write("text")
    assert sent == [b"HEAD "]
    assert answer.headers_sent
