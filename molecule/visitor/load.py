# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Visit a site from several connections for a bounded time and count every failure. Runs on a test host.

Half of the connections are kept alive, half are opened for each request; every eighth request is a POST.
The run ends after --seconds, or soon after the file --until appears. The result is one JSON document.

A failure is never asked again, but for --repeat: when nginx is reloaded it closes the connections that are idle, also
one on which a request is just coming. With it a kept connection that has been closed while it was idle is not used
again, and one that is closed before the first byte of the answer is replaced once (RFC 9112, 9.3.1; what is posted here
may be posted twice). Both are counted apart.
"""

from __future__ import annotations

import argparse
import collections
import http.client
import json
import select
import threading
import time
import typing as t
from pathlib import Path

# A reply's time belongs to the figures; a longer wait than this is a failure.
TIMEOUT = 20.0
POST_EVERY = 8


class Visitor(threading.Thread):
    """One connection's worth of visits, with its own figures."""

    def __init__(self, options: argparse.Namespace, stop: threading.Event, *, keep_alive: bool) -> None:
        super().__init__(daemon=True)
        self.options, self.stop, self.keep_alive = options, stop, keep_alive
        self.seconds: list[float] = []
        # When each began, and how long it took; negative when it failed.
        self.series: list[tuple[float, float]] = []
        self.failures: collections.Counter[str] = collections.Counter()
        self.answers: collections.Counter[str] = collections.Counter()
        self.connection: http.client.HTTPConnection | None = None
        self.reopened = self.repeated = 0

    def run(self) -> None:
        """Visit until told to stop."""
        number = 0
        while not self.stop.is_set():
            number += 1
            self.visit(number)
            self.stop.wait(self.options.pause)
        self.close()

    def visit(self, number: int) -> None:
        """Send one request and keep its figures; a failure is counted once and never repeated."""
        started = time.monotonic()
        try:
            answer = self.ask(number)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            self.failures[f"{type(exc).__name__}: {exc}"] += 1
            self.close()
            sign = -1
        else:
            self.answers[answer] += 1
            sign = 1
        self.seconds.append(time.monotonic() - started)
        self.series.append((time.time() - self.seconds[-1], sign * self.seconds[-1]))

    def ask(self, number: int) -> str:
        """Return the value of the field in the reply; raise ValueError for what a visitor would call broken."""
        used = self.options.repeat and self.connection is not None and not self.closed_while_idle()
        try:
            reply = self.send(number)
        except (ConnectionResetError, BrokenPipeError):
            # http.client's RemoteDisconnected is one of the first.
            if not used:
                raise
            self.repeated += 1
            self.close()
            reply = self.send(number)
        content = reply.read()
        if not self.keep_alive or reply.will_close:
            self.close()
        if reply.status != http.HTTPStatus.OK:
            raise ValueError(f"status {reply.status}")
        return str(json.loads(content)[self.options.field])

    def closed_while_idle(self) -> bool:
        """Tell whether the connection has been closed since the last answer; then it is forgotten."""
        if self.connection is None or not select.select([self.connection.sock], [], [], 0)[0]:
            return False
        self.reopened += 1
        self.close()
        return True

    def send(self, number: int) -> http.client.HTTPResponse:
        """Send a request, on the connection that is there or a new one, and return the head of its reply."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.options.address, self.options.port, timeout=TIMEOUT)
        post = number % POST_EVERY == 0 and self.options.post
        headers = {"Host": self.options.host, "Connection": "keep-alive" if self.keep_alive else "close"}
        method, path, body = ("POST", self.options.post, "a=b") if post else ("GET", self.options.path, None)
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self.connection.request(method, path, body=body, headers=headers)
        return self.connection.getresponse()

    def close(self) -> None:
        """Close the connection; the next visit opens one."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def summarise(visitors: t.Sequence[Visitor], elapsed: float) -> dict[str, t.Any]:
    """Return the figures of all visitors together."""
    seconds = sorted(second for visitor in visitors for second in visitor.seconds)
    failures: collections.Counter[str] = sum((visitor.failures for visitor in visitors), collections.Counter())
    answers: collections.Counter[str] = sum((visitor.answers for visitor in visitors), collections.Counter())
    return {
        "requests": len(seconds),
        "failed": sum(failures.values()),
        "failures": dict(failures),
        "answers": dict(answers),
        "reopened": sum(visitor.reopened for visitor in visitors),
        "repeated": sum(visitor.repeated for visitor in visitors),
        "seconds": round(elapsed, 1),
        "p50_ms": percentile(seconds, 0.50),
        "p99_ms": percentile(seconds, 0.99),
        "max_ms": percentile(seconds, 1.0),
    }


def percentile(ordered: t.Sequence[float], share: float) -> float:
    """Return the value below which the share lies, in milliseconds."""
    return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000, 1) if ordered else 0.0


def parse_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--host", required=True, help="value of the Host header")
    parser.add_argument("--path", default="/whoami", help="what is asked for; answers with JSON")
    parser.add_argument("--post", default="", help="path for the POST requests; none are sent without it")
    parser.add_argument("--field", default="version", help="the JSON field whose values are counted")
    parser.add_argument("--connections", type=int, default=12)
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between two visits of a connection")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--repeat", action="store_true", help="ask again when a kept connection was closed")
    parser.add_argument("--series", default="", help="file for the beginning and duration of every request, as JSON")
    parser.add_argument("--until", default="", help="stop when this file exists")
    return parser.parse_args()


def main() -> None:
    """Visit, then print the figures."""
    options = parse_options()
    stop = threading.Event()
    visitors = [Visitor(options, stop, keep_alive=bool(index % 2)) for index in range(options.connections)]
    started = time.monotonic()
    for visitor in visitors:
        visitor.start()
    while time.monotonic() - started < options.seconds and not (options.until and Path(options.until).exists()):
        time.sleep(0.1)
    stop.set()
    for visitor in visitors:
        visitor.join(TIMEOUT + 1)
    if options.series:
        series = sorted(entry for visitor in visitors for entry in visitor.series)
        Path(options.series).write_text(json.dumps(series), encoding="utf-8")
    print(json.dumps(summarise(visitors, time.monotonic() - started)))


if __name__ == "__main__":
    main()
