# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a gunicorn worker shows that it has loaded the application. Private to flaskops.stack.

A worker that has loaded locks one byte of its own heartbeat file, far behind the end of that file. The place of the
byte holds the number of the worker, how many workers there are to be, and whether the application has started threads
of its own. The kernel lists the lock in
C(/proc/locks) until the worker ends. So a worker needs nothing that it could write to, and root needs no right to look
into the process.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

FILE = "gunicorn.conf.py"
# The place: this, then 24 bits for the number of the worker, one for threads, then 15 bits for the number of workers.
_MAGIC = 0x666C61
_BITS, _SHIFT = 40, 16
_THREADS = 1 << (_SHIFT - 1)
_MOST_NUMBER, _MOST_WORKERS = (1 << (_BITS - _SHIFT)) - 1, _THREADS - 1
_TITLE = "# How the health check knows that a worker has loaded the application."
# Order, kind, mandatory or not, access, process, file, first and last byte.
_LOCK = re.compile(r"^\d+: POSIX +\S+ +READ +(\d+) \S+ (\d+) \d+$", re.MULTILINE)

# Appended to the configuration after the release's id was made: a release that was built without it stays what it is.
_TEXT = '''
{title}
_after_load = globals().get("post_worker_init")
if isinstance(_after_load, str):
    from gunicorn.config import validate_callable as _validate_callable

    _after_load = _validate_callable(1)(_after_load)


def post_worker_init(worker):
    """Call the hook of the settings, then hold a lock until the worker ends; /proc/locks shows it."""
    import fcntl
    import threading

    if _after_load is not None:
        _after_load(worker)
    place = {magic:#x} + (min(worker.age, {numbers}) << {shift}) + min(worker.cfg.workers, {workers})
    # gunicorn starts its own threads with the first requests.
    place += {threads} if threading.active_count() > 1 else 0
    fcntl.lockf(worker.tmp.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB, 1, place)
'''


@dataclass(frozen=True)
class Mark:
    """The mark of a worker that has loaded the application."""

    # How many workers there are to be.
    workers: int
    # Which one it is, counted from the start of the service: more than there are to be when one was replaced.
    number: int
    # Whether it has threads that the application has started.
    threads: bool = False


def with_mark(conf: str) -> str:
    """Return the text of gunicorn.conf.py with what marks workers that have loaded the application."""
    sizes = {"shift": _SHIFT, "numbers": _MOST_NUMBER, "workers": _MOST_WORKERS, "threads": _THREADS}
    return conf + _TEXT.format(title=_TITLE, magic=_MAGIC << _BITS, **sizes)


def marks(conf: str) -> bool:
    """Tell whether a release with this gunicorn.conf.py marks its workers."""
    return f"\n{_TITLE}\n" in conf


def parse_marks(locks: str) -> dict[int, Mark]:
    """Return the marks in the text of C(/proc/locks), by process."""
    found = ((int(pid), int(place)) for pid, place in _LOCK.findall(locks))
    return {
        pid: Mark(place & _MOST_WORKERS, place >> _SHIFT & _MOST_NUMBER, bool(place & _THREADS))
        for pid, place in found
        if place >> _BITS == _MAGIC
    }


def count_of(seen: t.Iterable[Mark]) -> int:
    """Return how many workers there are to be, by what those say that have loaded; 0 when none has."""
    return max((mark.workers for mark in seen), default=0)
