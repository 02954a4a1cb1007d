# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Visitors of a site who count what becomes of their requests. Runs inside a test host.

A visitor with a connection of its own for each request must lose nothing. One that keeps its connection may find it
closed while it was idle, which costs nothing but a new connection; or cut with its request on the way, which a browser
or a proxy answers by asking again.
"""

from __future__ import annotations

import collections
import http.client
import multiprocessing
import select
import socket
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

# Until the last visitor has told what it has seen.
_PATIENCE = 15
_OK = 200


@dataclass(frozen=True)
class Site:
    """What visitors ask for, and what they may read there."""

    host: str
    accepts: t.Callable[[bytes], bool]
    # Of those who come past nginx.
    socket: str = ""


class _Unix(http.client.HTTPConnection):
    """A connection to a unix socket, whose path is looked up each time."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Visitor:
    """Asks again and again, on one connection or on a new one for each request."""

    def __init__(self, site: Site, kind: str) -> None:
        """Say what is asked for, and how: "new", "kept", or "past" nginx."""
        self.counts: collections.Counter[str] = collections.Counter()
        # What was wrong last.
        self.trouble = ""
        self._site, self._keep = site, kind == "kept"
        self._connection = (
            _Unix(site.socket, 5) if kind == "past" else http.client.HTTPConnection("127.0.0.1", 80, timeout=5)
        )

    def ask(self) -> None:
        """Ask once, and once more after a cut."""
        used = self._connection.sock is not None
        if used and self._closed_by_nginx():
            self.counts["closed while idle"] += 1
            used = False
        if self._once():
            return
        if not used:
            self.counts["lost"] += 1
            return
        self.counts["cut on the way"] += 1
        if not self._once():
            self.counts["lost"] += 1

    def _closed_by_nginx(self) -> bool:
        """Tell whether a kept connection was closed while nobody used it: then something, the end, can be read."""
        if not select.select([self._connection.sock], [], [], 0)[0]:
            return False
        self._connection.close()
        return True

    def _once(self) -> bool:
        header = {} if self._keep else {"Connection": "close"}
        try:
            self._connection.request("GET", "/", headers={"Host": self._site.host, **header})
            answer = self._connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as exc:
            self.trouble = f"{type(exc).__name__}: {exc}"
            self._connection.close()
            return False
        right = answer.status == _OK and self._site.accepts(body)
        self.counts["answered" if right else f"answered wrong, {answer.status}"] += 1
        if not right:
            self.trouble = f"{answer.status} {body[:80]!r}"
        return True


class Visitors:
    """Several visitors, each in a process of its own."""

    def __init__(self, site: Site, kinds: t.Sequence[str], pause: float, log: str = "") -> None:
        """Say who asks what and how long each waits before it asks again; C(log) gets a line for each request lost."""
        self._site, self._kinds, self._pause, self._log = site, kinds, pause, log
        self._stop = multiprocessing.Event()
        self._queue: multiprocessing.Queue[tuple[str, dict[str, int]]] = multiprocessing.Queue()
        self._answered = multiprocessing.Value("q", 0)
        self._processes: list[multiprocessing.Process] = []

    def __enter__(self) -> Visitors:
        """Let them begin."""
        for kind in self._kinds:
            process = multiprocessing.Process(target=self._visit, args=(kind,), daemon=True)
            process.start()
            self._processes.append(process)
        return self

    def _visit(self, kind: str) -> None:
        visitor = Visitor(self._site, kind)
        while not self._stop.is_set():
            visitor.trouble = ""
            visitor.ask()
            with self._answered.get_lock():
                self._answered.value += 1
            if visitor.trouble and self._log:
                with Path(self._log).open("a", encoding="utf-8") as stream:
                    stream.write(f"{time.time():.3f} {kind}: {visitor.trouble}\n")
            time.sleep(self._pause)
        self._queue.put((kind, dict(visitor.counts)))

    @property
    def answered(self) -> int:
        """Return how many requests have ended, well or not."""
        return int(self._answered.value)

    def __exit__(self, *_exc: object) -> None:
        """Let them end; what is not asked for is not told."""
        self._stop.set()

    def end(self) -> dict[str, dict[str, int]]:
        """Return what became of all requests, by kind of visitor."""
        self._stop.set()
        told: dict[str, collections.Counter[str]] = {kind: collections.Counter() for kind in self._kinds}
        for _process in self._processes:
            kind, counts = self._queue.get(timeout=_PATIENCE)
            told[kind].update(counts)
        return {kind: dict(counts) for kind, counts in told.items()}


def losses(requests: t.Mapping[str, t.Mapping[str, int]], harmless: t.Collection[str] = ()) -> list[str]:
    """Return what became of requests that were not answered, but for what is harmless on kept connections."""
    return [
        f"{count} requests on {kind} connections: {what}"
        for kind, counts in requests.items()
        for what, count in counts.items()
        if what != "answered" and not (kind == "kept" and what in harmless)
    ]
