# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load generator: visitors who ask a site all the time, and count what becomes of their requests.

Runs on a test host with its Python alone, 3.9 or newer: imported, as fault injection does, or as a program, which ends
after --seconds, or soon after the file --until appears, and prints one JSON document. Each visitor is a process.

One with a connection of its own for each request ("new", or "past" nginx) must lose nothing. One that keeps its
connection ("kept") may find it closed while it was idle, which costs nothing but a new connection; or cut before the
first byte of the answer, which a browser or a proxy answers by asking again, once (RFC 9112, 9.3.1; what is posted here
may be posted twice). Both are counted apart. Where nginx is not reloaded, neither may happen: without --repeat they are
failures, too.
"""

from __future__ import annotations

import argparse
import collections
import http.client
import json
import multiprocessing
import select
import socket
import time
import typing as t
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from pathlib import Path

_OK = 200
_POST_EVERY = 8
NEW, KEPT, PAST = "new", "kept", "past"
ANSWERED, LOST = "answered", "lost"
CLOSED, CUT = "closed while idle", "cut on the way"
# Visitors are forked, and have what they read answers with; Python 3.14 would not.
_FORK = multiprocessing.get_context("fork")


class Reader(t.Protocol):
    """What makes sense of an answer."""

    def __call__(self, body: bytes) -> str:
        """Return what is counted of an answer; raise ValueError for one that is wrong."""


def one_of(accepts: t.Callable[[bytes], object]) -> Reader:
    """Return a reader for pages that are right or wrong."""

    def read(body: bytes) -> str:
        if not accepts(body):
            raise ValueError(f"wrong page {body[:80]!r}")
        return ""

    return read


def json_field(name: str) -> Reader:
    """Return a reader for documents with a field whose values are counted."""

    def read(body: bytes) -> str:
        document = json.loads(body)
        if not isinstance(document, dict) or name not in document:
            raise ValueError(f"no {name} in {body[:80]!r}")
        return str(document[name])

    return read


@dataclass(frozen=True)
class Site:
    """What visitors ask for, and what they may read there."""

    # The value of the header Host.
    host: str
    read: Reader
    path: str = "/"
    # The path of every eighth request, which then is a POST.
    post: str = ""
    address: str = "127.0.0.1"
    port: int = 80
    # Of those who come past nginx.
    socket: str = ""
    # A longer wait than this is a failure.
    timeout: float = 5
    # Whether to a kept connection may happen what a reload of nginx does to it.
    repeat: bool = True


@dataclass
class Report:
    """What a visitor, or several, have seen."""

    # What became of requests, in words.
    counts: collections.Counter[str] = field(default_factory=collections.Counter)
    failures: collections.Counter[str] = field(default_factory=collections.Counter)
    # What readers have found.
    answers: collections.Counter[str] = field(default_factory=collections.Counter)
    # When each request began, and how long it took; negative when it failed.
    series: list[tuple[float, float]] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Take over what another one has seen."""
        self.counts += other.counts
        self.failures += other.failures
        self.answers += other.answers
        self.series += other.series


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
        self.report = Report()
        # What was wrong with the last request.
        self.trouble = ""
        self._site, self._keep, self._number = site, kind == KEPT, 0
        self._connection = (
            _Unix(site.socket, site.timeout)
            if kind == PAST
            else http.client.HTTPConnection(site.address, site.port, timeout=site.timeout)
        )

    def ask(self) -> None:
        """Ask once, and once more after a cut."""
        self._number += 1
        self.trouble = ""
        began, started = time.time(), time.monotonic()
        try:
            what = self._answer()
        except (OSError, http.client.HTTPException) as exc:
            self._connection.close()
            what, self.trouble = LOST, f"{type(exc).__name__}: {exc}"
        seconds = time.monotonic() - started
        self.report.counts[what] += 1
        if self.trouble:
            self.report.failures[self.trouble] += 1
        self.report.series.append((began, -seconds if self.trouble else seconds))

    def _answer(self) -> str:
        """Return what became of a request that was answered."""
        reply = self._reply()
        body = reply.read()
        if not self._keep:
            self._connection.close()
        try:
            if reply.status != _OK:
                raise ValueError(f"status {reply.status}: {body[:80]!r}")
            self.report.answers[self._site.read(body)] += 1
        except ValueError as exc:
            self.trouble = str(exc)
            return f"answered wrong, {reply.status}"
        return ANSWERED

    def _reply(self) -> http.client.HTTPResponse:
        """Return the head of a reply; a connection that was used before may be replaced once."""
        used = self._connection.sock is not None
        if used and self._closed_by_nginx():
            self._notice(CLOSED)
            used = False
        try:
            return self._send()
        except (ConnectionResetError, BrokenPipeError):
            # http.client's RemoteDisconnected is one of the first.
            if not used:
                raise
        self._notice(CUT)
        self._connection.close()
        return self._send()

    def _notice(self, what: str) -> None:
        """Count what became of a connection."""
        self.report.counts[what] += 1
        if not self._site.repeat:
            self.trouble = what

    def _closed_by_nginx(self) -> bool:
        """Tell whether a kept connection was closed while it was idle: then something, the end, can be read."""
        if not select.select([self._connection.sock], [], [], 0)[0]:
            return False
        self._connection.close()
        return True

    def _send(self) -> http.client.HTTPResponse:
        headers = {"Host": self._site.host, **({} if self._keep else {"Connection": "close"})}
        if self._site.post and self._number % _POST_EVERY == 0:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            self._connection.request("POST", self._site.post, body="a=b", headers=headers)
        else:
            self._connection.request("GET", self._site.path, headers=headers)
        return self._connection.getresponse()


class Visitors:
    """Several visitors, each in a process of its own."""

    def __init__(self, site: Site, kinds: t.Sequence[str], pause: float, log: str = "") -> None:
        """Say who asks what and how long each waits before it asks again; C(log) gets a line for each request lost."""
        self._site, self._kinds, self._pause, self._log = site, kinds, pause, log
        self._stop = _FORK.Event()
        self._queue: Queue[tuple[str, Report]] = _FORK.Queue()
        self._answered = _FORK.Value("q", 0)
        self._processes: list[BaseProcess] = []

    def __enter__(self) -> Visitors:
        """Let them begin."""
        for kind in self._kinds:
            process = _FORK.Process(target=self._visit, args=(kind,), daemon=True)
            process.start()
            self._processes.append(process)
        return self

    def _visit(self, kind: str) -> None:
        visitor = Visitor(self._site, kind)
        while not self._stop.is_set():
            visitor.ask()
            with self._answered.get_lock():
                self._answered.value += 1
            if visitor.trouble and self._log:
                with Path(self._log).open("a", encoding="utf-8") as stream:
                    stream.write(f"{time.time():.3f} {kind}: {visitor.trouble}\n")
            time.sleep(self._pause)
        self._queue.put((kind, visitor.report))

    @property
    def answered(self) -> int:
        """Return how many requests have ended, well or not."""
        return int(self._answered.value)

    def __exit__(self, *_exc: object) -> None:
        """Let them end; what is not asked for is not told."""
        self._stop.set()

    def end(self) -> dict[str, Report]:
        """Return what became of all requests, by kind of visitor."""
        self._stop.set()
        reports = {kind: Report() for kind in self._kinds}
        for _process in self._processes:
            # One may have asked at the last moment, and ask again after a cut.
            kind, report = self._queue.get(timeout=3 * self._site.timeout)
            reports[kind].add(report)
        return reports


def counts_of(reports: t.Mapping[str, Report]) -> dict[str, dict[str, int]]:
    """Return the counts of each kind of visitor, as JSON can have them."""
    return {kind: dict(report.counts) for kind, report in reports.items()}


def losses(requests: t.Mapping[str, t.Mapping[str, int]], harmless: t.Collection[str] = ()) -> list[str]:
    """Return what became of requests that were not answered, but for what is harmless on kept connections."""
    return [
        f"{count} requests on {kind} connections: {what}"
        for kind, counts in requests.items()
        for what, count in counts.items()
        if what != ANSWERED and not (kind == KEPT and what in harmless)
    ]


def summarise(reports: t.Iterable[Report], elapsed: float) -> dict[str, t.Any]:
    """Return the figures of all visitors together."""
    total = Report()
    for report in reports:
        total.add(report)
    seconds = sorted(abs(second) for _began, second in total.series)
    return {
        "requests": len(seconds),
        "failed": sum(total.failures.values()),
        "failures": dict(total.failures),
        "answers": dict(total.answers),
        "reopened": total.counts[CLOSED],
        "repeated": total.counts[CUT],
        "seconds": round(elapsed, 1),
        "p50_ms": _percentile(seconds, 0.50),
        "p99_ms": _percentile(seconds, 0.99),
        "max_ms": _percentile(seconds, 1.0),
    }


def _percentile(ordered: t.Sequence[float], share: float) -> float:
    """Return the value below which the share lies, in milliseconds."""
    return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000, 1) if ordered else 0.0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--host", required=True, help="value of the Host header")
    parser.add_argument("--path", default="/whoami", help="what is asked for; answers with JSON")
    parser.add_argument("--post", default="", help="path for every eighth request, a POST; none are sent without it")
    parser.add_argument("--field", default="version", help="the JSON field whose values are counted; none for any page")
    parser.add_argument("--connections", type=int, default=12, help="half of them are kept (%(default)s)")
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between two visits of a connection")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--repeat", action="store_true", help="it is no failure when nginx closes a kept connection")
    parser.add_argument("--series", default="", help="file for the beginning and duration of every request, as JSON")
    parser.add_argument("--until", default="", help="stop when this file exists")
    return parser.parse_args()


def main() -> None:
    """Visit, then print the figures."""
    options = _parse()
    site = Site(
        options.host,
        json_field(options.field) if options.field else one_of(lambda _body: True),
        options.path,
        options.post,
        options.address,
        options.port,
        timeout=20,
        repeat=options.repeat,
    )
    kinds = [KEPT if number % 2 else NEW for number in range(options.connections)]
    started = time.monotonic()
    with Visitors(site, kinds, options.pause) as visitors:
        while time.monotonic() - started < options.seconds and not (options.until and Path(options.until).exists()):
            time.sleep(0.1)
        reports = visitors.end().values()
    if options.series:
        series = sorted(entry for report in reports for entry in report.series)
        Path(options.series).write_text(json.dumps(series), encoding="utf-8")
    print(json.dumps(summarise(reports, time.monotonic() - started)))


if __name__ == "__main__":
    main()
