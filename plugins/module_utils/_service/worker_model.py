# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the workers of a release share requests and connections. Private to flaskops.stack.

**Sizes.** Without a choice there is one worker per CPU and one more, with eight threads each: about as many threads as
up to version 1.0, in half the processes.

**Requests.** In gunicorn's gthread one thread accepts connections, up to a thousand, hands each to another thread and
gets it back: a request changes threads three times, and waits in one worker while others are idle. Here one thread, the
leader, accepts, answers and closes by itself, and goes on with the next connection: threads that run at once take turns
with Python's lock, which costs a quick request more than the application takes for it. Another thread leads when a
request takes long, and with each request while they wait for something: a database, or the processor of a busy host. So
a worker accepts only what it has a thread for. While its threads compute, it leaves connections to other workers for a
moment: they would take turns on one processor. It does the same while it, or the host, has no descriptor for one.

**Answers.** gunicorn sends the head of an answer and its body one after the other, and nginx wakes for each. Here both
go together when the body is short. The settings that each request asks for are looked up once.

**Connections.** nginx connects anew for each request, so that the next one goes to whichever worker is free, and after
the switch to the new release. That costs less than to hand kept connections from thread to thread. Other clients'
connections are kept as long as C(current) leads to the release, by gunicorn's own main loop.
"""

from __future__ import annotations

import posixpath

from .._input.defaults import Settings
from .gunicorn_conf import render_gunicorn_conf, with_request_id, with_root_quota, with_shared_imports
from .idle import with_idle
from .worker_mark import with_mark
from .worker_room import with_room

_THREADS, _MOST_WORKERS = 8, 8
_FIGURES = {
    # Seconds of a request after which another thread leads, and after how many the next one looks whether that is so:
    # to look more often takes the processor from those who answer. When it has seen no request so often, it waits to be
    # called, and looks all the same after so many seconds.
    "long": 0.006,
    "look": 0.01,
    "calm": 5,
    "asleep": 1,
    # Seconds without the processor after which a request counts as one that waits, and after which it does so for sure
    # while it takes turns with others. The lead is handed over at once with so many of the next requests then, at least
    # and at most.
    "waits": 0.0005,
    "surely_waits": 0.02,
    "least": 5,
    "most": 160,
    # After so many seconds without its turn a thread counts as one of a process that computes. Python lets threads take
    # turns each 5 ms, so that connections are left to other workers for 0.05 s at most.
    "busy": 0.002,
    "patience": 10,
    # Seconds for which no connection is accepted when there is no descriptor for one, and after how many of them a
    # worker that has used up its own is replaced: its application does not close what it opens. It is said again after
    # so many.
    "pause": 0.1,
    "short": 5,
    "quiet": 60,
    # Bytes of a body up to which they are sent with the head of the answer: to copy more takes longer than to send it.
    "together": 65536,
}

# Appended to the configuration after the release's id was made: a release that was built without it stays what it is.
_SIZES = """
# About as many threads as two workers per CPU with four each, in half the processes; unless $WEB_CONCURRENCY decides.
if not _os.environ.get("WEB_CONCURRENCY", "").strip("0").isdigit():
    workers, threads = min({most}, max(1, _math.ceil(_cpus())) + 1), {threads}
"""
_MODEL = '''
# Each thread of a worker accepts connections, answers and closes by itself.
def _is_known():
    """Tell whether this gunicorn has all that is used here, as 27.0.1 has."""
    from gunicorn.workers import gthread

    own = ("enqueue_req", "finish_request", "handle", "set_accept_enabled", "wait_for_and_dispatch_events")
    there = all(hasattr(gthread, name) for name in ("STOP_KEEPALIVE_LINGER", "TConn", "_DEFER"))
    return there and all(hasattr(gthread.ThreadWorker, name) for name in own)


if _is_known():
    import errno as _errno
    import resource as _resource
    import select as _select
    import socket as _socket
    import threading as _threading
    import time as _time
    from collections import deque as _deque
    from concurrent.futures import Future as _Future

    from gunicorn.config import PostRequest as _PostRequest
    from gunicorn.config import PreRequest as _PreRequest
    from gunicorn.http import wsgi as _wsgi
    from gunicorn.workers.gthread import TConn as _Connection
    from gunicorn.workers.gthread import ThreadWorker as _ThreadWorker

    _before = _PreRequest.validator(globals().get("pre_request", _PreRequest.default))
    _after = _PostRequest.validator(globals().get("post_request", _PostRequest.default))

    # What passes when something is closed, by this process or by others.
    _SHORTAGES = (_errno.EMFILE, _errno.ENFILE, _errno.ENOBUFS, _errno.ENOMEM)

    def _is_over(conn):
        """Tell whether all that the client has sent was read: to close is a reset otherwise, and cuts off the answer.

        The client of a WebSocket may send until it has seen the last message, which it would lose.
        """
        try:
            upgrades = any(name == "UPGRADE" for name, _value in conn.parser.mesg.headers)
            if upgrades or conn.parser.mesg.body.reader.length:
                return False
            # It may have sent the next request already.
            return not conn.sock.recv(1, _socket.MSG_PEEK | _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except (AttributeError, ValueError):
            # Nothing of a request, or TLS, of which nobody can tell what has arrived.
            return False

    def _close(conn):
        """Close a connection so that its client sees the end, also when a process of the application has it still."""
        try:
            if _is_over(conn):
                conn.sock.shutdown(_socket.SHUT_RDWR)
                conn.close()
            else:
                conn.close(graceful=True)
        except OSError:
            conn.close()

    class _Parts(list):
        """What is written to it, in the place of a socket."""

        sendall = list.append

    # The master reads this file again when it is told to reload.
    class Response(getattr(_wsgi.Response, "of_gunicorn", _wsgi.Response)):
        """An answer whose head is sent with the beginning of its body, so that nginx wakes once and not twice."""

        __module__ = _wsgi.Response.__module__
        of_gunicorn = getattr(_wsgi.Response, "of_gunicorn", _wsgi.Response)

        def write(self, arg):
            if self.headers_sent or not isinstance(arg, bytes) or len(arg) > {together}:
                super().write(arg)
                return
            sock, self.sock = self.sock, _Parts()
            try:
                super().write(arg)
            finally:
                parts, self.sock = self.sock, sock
                if parts:
                    sock.sendall(b"".join(parts))

    _wsgi.Response = Response

    class _Lead:
        """The state of the thread that leads."""

        # When it took the request that it answers now, 0 while it waits for one.
        since = 0.0

        def is_long(self):
            """Tell whether others should not wait for its request any longer."""
            return self.since and _time.monotonic() - self.since >= {long}

    class _Watch:
        """Measures the processor time of this thread and its process from now on."""

        def __init__(self):
            self._began, self._process_ran = _time.monotonic(), _time.process_time()
            self._ran, self._moved = _time.thread_time(), self._count_moves()

        def _count_moves(self):
            # How often others took the processor from it.
            return _resource.getrusage(_resource.RUSAGE_THREAD).ru_nivcsw

        def has_waited(self, seconds):
            """Tell whether the thread did not run for so long, while its process did not compute.

            With a worker more than there are processors, those are busy when each worker computes in two thirds of the
            time.
            """
            took = _time.monotonic() - self._began
            waited = took - (_time.thread_time() - self._ran)
            return waited >= seconds and _time.process_time() - self._process_ran < took * 2 / 3

        def was_moved(self):
            """Tell whether others took the processor from it."""
            return self._count_moves() != self._moved

    class _Thread(_threading.Thread):
        """A thread that ends with the process; those that the application starts in it end before, as in gunicorn.

        Each takes after the thread that starts it.
        """

        serves = False

        @property
        def daemon(self):
            """Tell whether the process ends without it: Python asks that, and then each thread that it starts."""
            return not self.serves

        def run(self):
            self.serves = True
            super().run()

    class ThreadWorker(_ThreadWorker):
        """A worker whose threads accept by themselves; it is called what it is."""

        __module__ = _ThreadWorker.__module__

        def __init__(self, *args, **kwargs):
            # Connections that are answered now, and those that were kept or waited for and have a request.
            self._served, self._ready = set(), _deque()
            # Held by the thread that waits for a connection, by the one that leads next, and until that is called.
            self._turn, self._next_place, self._call = _threading.Lock(), _threading.Lock(), _threading.Lock()
            self._call.acquire()
            self._lead, self._wants_call = None, False
            # With how many requests the lead is handed over at once, and with how many when one waits again.
            self._handovers, self._handovers_again, self._was_slow = 0, {least}, True
            self._listeners, self._names, self._events, self._is_open = {{}}, {{}}, iter(()), False
            self._started = self._left = 0
            # Since when there is no descriptor for a client, 0 when there is one; when that was seen last, and said.
            self._short_since = self._short_last = 0.0
            self._said = float("-inf")
            super().__init__(*args, **kwargs)

        @property
        def nr_conns(self):
            """Return how many connections it has."""
            return len(self._served) + len(self.keepalived_conns) + len(self.pending_conns)

        @nr_conns.setter
        def nr_conns(self, value):
            """Keep no number beside what is counted."""

        def init_process(self):
            self._process, self._wakers = _os.getpid(), _os.pipe()
            for descriptor in self._wakers:
                _os.set_blocking(descriptor, False)
            self._poll = _select.poll()
            self._poll.register(self._wakers[0], _select.POLLIN)
            super().init_process()

        def run(self):
            """Have the settings, which nothing changes any more, as attributes: a request asks for thirty of them."""
            vars(self.cfg).update({{name: setting.get() for name, setting in self.cfg.settings.items()}})
            super().run()

        def set_accept_enabled(self, enabled):
            """Begin to accept, or return when no thread accepts any more."""
            if enabled == self._accepting:
                return
            self._accepting = self._is_open = enabled
            if enabled:
                for listener in self.sockets:
                    listener.setblocking(False)
                    self._poll.register(listener, _select.POLLIN)
                    self._listeners[listener.fileno()] = listener
                    self._names[listener.fileno()] = listener.getsockname()
                if not self._started:
                    self._start_thread()
                self._wake()
                return
            self._wake()
            while self._listeners:
                # There is no leader while all threads are busy.
                if self._turn.acquire(timeout=0.05):
                    self._leave_listeners()
                    self._turn.release()
            if self.alive and self.nr_conns < self.worker_connections:
                # There was room again meanwhile.
                self._wake_main_loop()

        def _leave_listeners(self):
            for descriptor in list(self._listeners):
                self._poll.unregister(descriptor)
                del self._listeners[descriptor]

        def _wake(self):
            try:
                _os.write(self._wakers[1], b".")
            except OSError:
                # It is full: the leader wakes anyway.
                pass

        def _start_thread(self):
            _Thread(target=self._serve, name=f"serve-{{self._started}}").start()
            self._started += 1

        def _serve(self):
            lead = None
            while True:
                try:
                    lead = self._wait_for_lead()
                    while self._lead is lead:
                        self._answer_next(lead)
                except BaseException:
                    # No memory, no descriptor: without threads a worker would answer nothing, and not be missed.
                    self._hand_over(lead)
                    self._end()
                    self.log.exception("this worker cannot accept connections and is replaced")
                    _time.sleep(0.1)

        def _wait_for_lead(self):
            """Return when no thread leads, or the one that does has a request that takes long."""
            with self._next_place:
                calm, watch = {calm}, None
                while (lead := self._lead) is not None and not lead.is_long():
                    calm = {calm} if lead.since else calm - 1
                    # From here on the leader calls when it takes a request: so look once more before.
                    self._wants_call = calm < 0
                    watch = _Watch()
                    self._call.acquire(timeout={asleep} if self._wants_call and not lead.since else {look})
                    self._wants_call = False
                if lead and watch and watch.has_waited({long}):
                    # Others may have come with it that take as long, and none of them has ended yet.
                    self._handovers = self._handovers_again = {most}
                self._lead = _Lead()
                return self._lead

        def _hand_over(self, lead):
            if self._lead is lead:
                self._lead = None
                self._call_next()

        def _call_next(self):
            try:
                self._call.release()
            except RuntimeError:
                # It was called already.
                pass

        def _answer_next(self, lead):
            """Answer the next request: as the leader, until another thread takes the lead, or after a handover."""
            conn = self._take_turn()
            if self._handovers > 0:
                self._handovers -= 1
                self._hand_over(lead)
                self._answer_among_others(conn)
            else:
                self._answer_as_leader(conn, lead)

        def _answer_as_leader(self, conn, lead):
            # Measuring costs a few microseconds: done only when the request before was slow.
            watch = _Watch() if self._was_slow else None
            lead.since = began = _time.monotonic()
            if self._wants_call:
                self._call_next()
            self._answer(conn)
            took, lead.since = _time.monotonic() - began, 0.0
            self._was_slow = took >= {waits}
            if not self._was_slow:
                self._handovers_again = max({least}, self._handovers_again // 2)
            elif watch and watch.has_waited({long}):
                # Or the host has more to do than it can: then a thread alone gets less of the processor than several.
                self._handovers = self._handovers_again = {most}
            elif watch and watch.has_waited({waits}) and not watch.was_moved():
                self._handovers = self._handovers_again
                self._handovers_again = min({most}, 2 * self._handovers_again)

        def _answer_among_others(self, conn):
            watch = _Watch()
            self._answer(conn)
            if watch.has_waited({surely_waits}):
                self._handovers = {most}

        def _take_turn(self):
            """Return the next connection with a request."""
            with self._turn:
                conn = self._next()
                # Those that have answered wait for their turn.
                if len(self._served) >= self._started < min(self.cfg.threads, self.worker_connections):
                    self._start_another()
            return conn

        def _start_another(self):
            try:
                self._start_thread()
            except RuntimeError:
                # The host, or the unit, has no room for one more; those that there are go on.
                pass

        def _next(self):
            """Return the next connection with a request; called by the leader."""
            while True:
                # Those that are left from the last time are first: clients of one listener, or with kept connections,
                # may always have a request, and others would never be answered.
                for descriptor, _event in self._events:
                    conn = self._accept(descriptor) if descriptor in self._listeners else self._take_ready(descriptor)
                    if conn:
                        return conn
                if not self._is_open:
                    self._leave_listeners()
                self._events = iter(self._poll.poll())

        def _take_ready(self, descriptor):
            if descriptor == self._wakers[0]:
                try:
                    _os.read(descriptor, 1)
                except OSError:
                    pass
            return self._ready.popleft() if self._ready else None

        def _accept(self, descriptor):
            listener = self._listeners[descriptor]
            if not self._is_open or self._computes():
                return None
            try:
                client, address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                # Another worker was faster, or the client has gone.
                return None
            except OSError as exc:
                if exc.errno not in _SHORTAGES or self._is_used_up(exc):
                    raise
                _time.sleep({pause})
                return None
            self._short_since = 0.0
            conn = _Connection(self.cfg, client, address, self._names[descriptor])
            self._served.add(conn)
            return conn

        def _is_used_up(self, exc):
            """Say that there is no descriptor, and tell whether this process alone has had none for long."""
            now = _time.monotonic()
            # When no client came for a while, it is not known whether there was one meanwhile.
            if not self._short_since or now - self._short_last > 10 * {pause}:
                self._short_since = now
            self._short_last = now
            if now - self._said >= {quiet}:
                self._said = now
                self.log.warning("no connection can be accepted for lack of descriptors or memory: %s", exc)
            return exc.errno == _errno.EMFILE and now - self._short_since >= {short}

        def _computes(self):
            """Tell whether other threads compute: it takes a while then until Python lets this one continue.

            The only worker has no other that it could leave connections to.
            """
            if self.cfg.workers > 1 and self._served and self._left < {patience}:
                began = _time.monotonic()
                _time.sleep(0)
                if _time.monotonic() - began > {busy}:
                    self._left += 1
                    return True
            self._left = 0
            return False

        def _answer(self, conn):
            """Answer a request and close its connection, or leave it to the main loop."""
            again, code = False, 0
            try:
                # When data has arrived already, gunicorn need not poll for it.
                conn.data_ready = conn.data_ready or bool(conn.sock.recv(1, _socket.MSG_PEEK | _socket.MSG_DONTWAIT))
            except OSError:
                pass
            try:
                again = self.handle(conn)
            except BaseException as exc:
                code = exc.code or 0 if isinstance(exc, SystemExit) else 1
                if self._is_itself():
                    self.log.exception("Error handling request")
            if not self._is_itself():
                # The application has forked, and the copy came back: it must neither end the answer nor accept.
                _os._exit(code & 255 if isinstance(code, int) else 1)
            if again:
                done = _Future()
                done.set_result(again)
                self.method_queue.defer(self.finish_request, conn, done)
                return
            _close(conn)
            self._served.discard(conn)
            if not (self.alive and self._is_open):
                self._wake_main_loop()

        def _is_itself(self):
            return _os.getpid() == self._process

        def _wake_main_loop(self):
            self.method_queue.defer(lambda: None)

        def _end(self):
            self.alive = False
            self._wake_main_loop()

        def enqueue_req(self, conn):
            """Leave a connection that has a request to the threads; called by the main loop."""
            self._served.add(conn)
            self._ready.append(conn)
            self._wake()

        def finish_request(self, conn, fs):
            """Keep a connection, or wait for its request; called by the main loop."""
            self._served.discard(conn)
            super().finish_request(conn, fs)

    worker_class = ThreadWorker

    def pre_request(worker, req):
        """Keep the connection of a client that wants that, as long as this release is the one that serves."""
        _before(worker, req)
        if not req.should_close():
            try:
                serves = _os.readlink({current!r}).rpartition("/")[2] == {release!r}
            except OSError:
                serves = False
            if not serves:
                req.force_close()

    def post_request(worker, req, environ, resp):
        """End the connection of an answer that is shorter than its Content-Length: its client would wait for more."""
        _after(worker, req, environ, resp)
        if resp is not None and 0 < resp.sent < (resp.response_length or 0):
            try:
                resp.sock.shutdown(_socket.SHUT_RDWR)
            except OSError:
                pass
'''


def with_sizes(conf: str, settings: Settings) -> str:
    """Return the text of gunicorn.conf.py with the number of workers and threads where neither is chosen."""
    if settings.worker_class != "gthread" or settings.workers or settings.threads:
        return conf
    return conf + _SIZES.format(most=_MOST_WORKERS, threads=_THREADS)


def with_worker_model(conf: str, settings: Settings, release_path: str) -> str:
    """Return the text of gunicorn.conf.py with how the workers of the release at this path share their work."""
    if settings.worker_class != "gthread":
        return conf
    # /srv/<name>/releases/<id>
    current = posixpath.join(posixpath.dirname(posixpath.dirname(release_path)), "current")
    release = posixpath.basename(release_path)
    return conf + _MODEL.format(current=current, release=release, **_FIGURES)


def complete_conf(settings: Settings, release_path: str) -> str:
    """Return the gunicorn.conf.py of the release at this path; the id is made of C(render_gunicorn_conf) alone."""
    conf = with_root_quota(with_request_id(render_gunicorn_conf(settings, release_path)))
    conf = with_shared_imports(conf)
    # The memory of the host has the last word on the number of workers.
    conf = with_room(with_sizes(conf, settings), settings.workers)
    conf = with_mark(with_idle(conf, settings.idle))
    return with_worker_model(conf, settings, release_path)
