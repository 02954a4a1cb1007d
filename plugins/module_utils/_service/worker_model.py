# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the workers of a release share requests and connections. Private to flaskops.stack.

**Sizes.** Without a choice there is one worker per CPU and one more, with eight threads each: about as many threads as
up to version 1.0, in half the processes.

**Requests.** gthread accepts up to a thousand connections, however few threads it has: they wait in one worker while
others are idle. Here a worker accepts only what it has a thread for. The rest waits in the queue of the socket, for
whichever worker is free first.

**Kept connections.** nginx asks each release to close its connections (C(Connection: close)), which those of earlier
versions do. It also says that it would keep them (C(Keep-Alive: flaskops)). A release takes the offer as long as
C(current) leads to it: it looks at the link with each request. So after the switch a kept connection carries at most
one more request to the old release, which is answered with C(Connection: close). nginx lets go of a connection that it
does not use (C(KEPT_IDLE)) long before gunicorn would close it: no request can meet a connection that is being closed,
so that one which must not be sent twice (POST) is not lost either. A worker that has more requests than threads keeps
none, so that nginx does not stay with a busy worker.
"""

from __future__ import annotations

import posixpath

from .._input.defaults import Settings
from .._site.forwarded import KEPT_OFFER
from .gunicorn_conf import render_gunicorn_conf, with_request_id, with_shared_imports
from .idle import with_idle
from .worker_mark import with_mark
from .worker_room import with_room

# The least seconds after which gunicorn closes a kept connection: nginx may be held up by a disk for a while.
_LEAST = 10
_THREADS, _MOST_WORKERS = 8, 8

# Appended to the configuration after the release's id was made: a release that was built without it stays what it is.
_SIZES = """
# About as many threads as two workers per CPU with four each, in half the processes; unless $WEB_CONCURRENCY decides.
if not _os.environ.get("WEB_CONCURRENCY", "").strip("0").isdigit():
    workers, threads = min({most}, max(1, _math.ceil(_cpus())) + 1), {threads}
"""
_MODEL = '''
# A worker accepts what it has a thread for, and keeps connections of nginx while this release serves.
def _is_known():
    """Tell whether this gunicorn answers on its kept connections before a worker ends, as it does from 27 on."""
    from gunicorn.workers import gthread

    return hasattr(gthread, "STOP_KEEPALIVE_LINGER")


if _is_known():
    import socket as _socket

    from gunicorn.config import PostRequest as _PostRequest
    from gunicorn.config import PreRequest as _PreRequest
    from gunicorn.workers.gthread import ThreadWorker as _ThreadWorker

    keepalive = keepalive and max(keepalive, {least})
    _before = _PreRequest.validator(globals().get("pre_request", _PreRequest.default))
    _after = _PostRequest.validator(globals().get("post_request", _PostRequest.default))

    def _waiting(worker):
        """Return how many connections of a worker wait for a request, and need no thread."""
        return len(worker.keepalived_conns) + len(worker.pending_conns)

    class ThreadWorker(_ThreadWorker):
        """A worker with threads that leaves to others what it has no thread for; it is called what it is."""

        __module__ = _ThreadWorker.__module__

        @property
        def worker_connections(self):
            """Return how many connections it may have before it stops to accept; those that wait do not count."""
            return min(self._most_connections, self.cfg.threads) + _waiting(self)

        @worker_connections.setter
        def worker_connections(self, value):
            self._most_connections = value

    worker_class = ThreadWorker

    def pre_request(worker, req):
        """Keep a connection of nginx as long as this release is the one that serves, and the worker is not too busy."""
        _before(worker, req)
        try:
            serves = _os.readlink({current!r}).rpartition("/")[2] == {release!r}
        except OSError:
            serves = False
        if not serves or worker.nr_conns - _waiting(worker) > threads:
            req.force_close()
        elif ("KEEP-ALIVE", {offer!r}) in req.headers:
            taken = (("KEEP-ALIVE", {offer!r}), ("CONNECTION", "close"))
            req.headers = [header for header in req.headers if header not in taken]

    def post_request(worker, req, environ, resp):
        """End the connection of an answer that is shorter than its Content-Length: nginx would wait for the rest."""
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
    return conf + _MODEL.format(least=_LEAST, current=current, release=release, offer=KEPT_OFFER)


def complete_conf(settings: Settings, release_path: str) -> str:
    """Return the gunicorn.conf.py of the release at this path; the id is made of C(render_gunicorn_conf) alone."""
    conf = with_shared_imports(with_request_id(render_gunicorn_conf(settings, release_path)))
    # The memory of the host has the last word on the number of workers.
    conf = with_room(with_sizes(conf, settings), settings.workers)
    conf = with_mark(with_idle(conf, settings.idle))
    return with_worker_model(conf, settings, release_path)
