# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications that sleep while there are no requests. Private to flaskops.stack.

gunicorn ends after so many seconds without a request. systemd keeps the listening socket all the time: a connection
waits in its queue and has gunicorn started again. What gunicorn has accepted before it ends, it answers.
"""

from __future__ import annotations

import re
import typing as t

from .._input.values import InputError, as_line

# A health check, and the watch after the switch, are over by then.
LEAST = 10
_TIME = re.compile(r"([0-9]+)([smhd]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
# systemd starts it again after a crash, and not when it has ended by itself.
RESTART = "Restart=on-failure"

# Appended to the configuration of such an application. The master ends itself as for SIGTERM: workers stop to accept
# connections, answer what they have accepted, and end.
_TEXT = '''

def _called_before(name):
    """Return the hook of the settings; one that does nothing when there is none."""
    hook = globals().get(name)
    if isinstance(hook, str):
        from gunicorn.config import validate_callable

        hook = validate_callable(1)(hook)
    return hook or (lambda _argument: None)


_sleeps = worker_class != "gthread" or int(_VERSION.split(".")[0]) >= 24
_ready_before, _loaded_before = _called_before("when_ready"), _called_before("post_worker_init")


def _last_used():
    """Return eight bytes that all processes share: when a worker was at work last, 0 before one has loaded."""
    import mmap

    return mmap.mmap(-1, 8)


_used = _last_used()


def when_ready(server):
    """Have the master end when no worker has been at work for some time."""
    import struct
    import time

    _ready_before(server)
    if not _sleeps:
        server.log.warning("idle is off: gthread of gunicorn %s loses requests when it ends, 24 does not", _VERSION)
        return
    each_second = server.murder_workers

    def murder_workers():
        each_second()
        last = struct.unpack("d", _used[:])[0]
        if last and time.monotonic() - last > {seconds}:
            server.log.info("asleep: no request for {seconds} seconds, the next one starts it again")
            raise StopIteration

    server.murder_workers = murder_workers


def post_worker_init(worker):
    """Note when this worker is at work."""
    import struct
    import threading
    import time

    _loaded_before(worker)
    lock, running = threading.Lock(), set()
    handle, notify = worker.handle_request, worker.notify

    def note():
        _used[:] = struct.pack("d", time.monotonic())

    def handle_request(*args, **kwargs):
        one = object()
        with lock:
            running.add(one)
        note()
        try:
            return handle(*args, **kwargs)
        finally:
            with lock:
                running.discard(one)
            note()

    def notify_and_note():
        if running:
            note()
        notify()

    worker.handle_request, worker.notify = handle_request, notify_and_note
    note()
'''


def as_idle(key: str, value: object) -> str:
    """Return for how long an application may be idle; empty for ever."""
    text = as_line(key, value).strip()
    if not text or text == "0":
        return ""
    if not _TIME.fullmatch(text) or idle_seconds(text) < LEAST:
        raise InputError(f"{key} '{text}' must be a time of {LEAST} seconds or more, such as 15m, 2h or 90s, or empty")
    return text


def idle_seconds(idle: str) -> int:
    """Return the seconds of such a time; 0 for none."""
    found = _TIME.fullmatch(idle)
    return int(found[1]) * _UNITS[found[2]] if found else 0


def check_idle(idle: str, worker_class: str, timeout: int) -> None:
    """Raise InputError for an application that cannot sleep without losing requests."""
    if not idle:
        return
    if worker_class == "tornado":
        raise InputError(
            f"idle '{idle}' needs a worker_class that answers what it has accepted before it ends: tornado does not, "
            "choose gthread, gevent or sync, or leave idle empty"
        )
    if worker_class == "sync" and not 0 < timeout < idle_seconds(idle):
        raise InputError(
            f"idle '{idle}' must be longer than timeout {timeout} s with worker_class sync, whose workers show no sign "
            "of life during a request: raise idle, or set timeout between 1 and less than that"
        )


def with_idle(conf: str, idle: str) -> str:
    """Return the text of gunicorn.conf.py with what ends gunicorn when no requests come."""
    return conf + _TEXT.format(seconds=idle_seconds(idle)) if idle else conf


def is_asleep(state: t.Mapping[str, str]) -> bool:
    """Tell from the properties of the service of such an application whether it has ended, or ends, without a fault.

    What has ended it is not known, and makes no difference while its socket listens: the next request starts it.
    """
    there = state.get("LoadState", "loaded") == "loaded"
    return there and state.get("ActiveState") in ("inactive", "deactivating") and state.get("Result") == "success"
