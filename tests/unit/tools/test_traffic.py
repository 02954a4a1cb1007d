# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Visitors of a server that closes, cuts and lies as it is told."""

from __future__ import annotations

import collections
import json
import select
import socket
import subprocess
import sys
import threading
import time
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tools import traffic
from tools.traffic import ANSWERED, CLOSED, CUT, KEPT, LOST, NEW, Site, Visitor

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
BAD = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"
ERROR = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\ngood"
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngo"
# A connection: what is answered to each request on it. After the last answer it stays open for one more request, which
# is cut; CLOSE closes it before that.
CLOSE = b""


@pytest.fixture
def serve() -> t.Iterator[t.Callable[..., Site]]:
    """Return a site whose connections are served one after the other, as they are described."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def work(connections: t.Sequence[t.Sequence[bytes]]) -> None:
            for answers in connections:
                peer, _address = server.accept()
                with peer:
                    for answer in answers:
                        if answer == CLOSE or not peer.recv(65536):
                            break
                        peer.sendall(answer)
                    else:
                        peer.recv(65536)

        def start(*connections: t.Sequence[bytes], **options: t.Any) -> Site:
            threading.Thread(target=work, args=(connections,), daemon=True).start()
            port = server.getsockname()[1]
            return Site("x.test", traffic.one_of((b"good").__eq__), port=port, timeout=30, **options)

        yield start


def asked(site: Site, kind: str, times: int, *, closed: bool) -> Visitor:
    """Return a visitor who has asked so often, the second time on a connection that is closed, where it is said so."""
    visitor = Visitor(site, kind)
    for number in range(times):
        visitor.ask()
        if closed and number == 0:
            assert select.select([visitor._connection.sock], [], [], 30)[0]
    visitor._connection.close()
    return visitor


@pytest.mark.parametrize(
    ("kind", "connections", "times", "counts"),
    [
        (NEW, [[GOOD], [GOOD]], 2, {ANSWERED: 2}),
        (KEPT, [[GOOD, GOOD]], 2, {ANSWERED: 2}),
        (KEPT, [[GOOD, CLOSE], [GOOD]], 2, {ANSWERED: 2, CLOSED: 1}),
        (KEPT, [[GOOD], [GOOD]], 2, {ANSWERED: 2, CUT: 1}),
        # The first request of a connection is not repeated.
        (KEPT, [[]], 1, {LOST: 1}),
        (NEW, [[]], 1, {LOST: 1}),
        # Once the answer has begun it is lost.
        (KEPT, [[GOOD, HALF, CLOSE]], 2, {ANSWERED: 1, LOST: 1}),
        (KEPT, [[GOOD], []], 2, {ANSWERED: 1, CUT: 1, LOST: 1}),
        (NEW, [[BAD], [ERROR]], 2, {"answered wrong, 200": 1, "answered wrong, 502": 1}),
    ],
)
def test_what_becomes_of_requests_is_counted(
    serve: t.Callable[..., Site], kind: str, connections: list[list[bytes]], times: int, counts: dict[str, int]
) -> None:
    report = asked(serve(*connections), kind, times, closed=CLOSED in counts).report
    assert dict(report.counts) == counts
    assert len(report.series) == times
    failed = sum(number for what, number in counts.items() if what not in (ANSWERED, CLOSED, CUT))
    assert sum(report.failures.values()) == failed == sum(seconds < 0 for _began, seconds in report.series)


def test_where_nobody_reloads_a_closed_connection_is_a_failure(serve: t.Callable[..., Site]) -> None:
    report = asked(serve([GOOD, CLOSE], [GOOD], [GOOD], repeat=False), KEPT, 3, closed=True).report
    assert dict(report.counts) == {ANSWERED: 3, CLOSED: 1, CUT: 1}
    assert dict(report.failures) == {CLOSED: 1, CUT: 1}


def test_one_that_was_cut_is_told_of() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    visitor = Visitor(Site("x.test", traffic.one_of(bool), port=port), NEW)
    visitor.ask()
    assert visitor.trouble.startswith("ConnectionRefusedError")


@pytest.mark.parametrize("body", [b"{}", b"3", b"<html>"])
def test_an_answer_without_the_field_is_wrong(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"version|Expecting value"):
        traffic.json_field("version")(body)


class Handler(BaseHTTPRequestHandler):
    """Answers with its method as the version."""

    protocol_version = "HTTP/1.1"
    posts: t.ClassVar[list[str]] = []

    seen: t.ClassVar[collections.Counter[str]] = collections.Counter()

    def do_GET(self) -> None:
        self.seen[self.command] += 1
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.dumps({"version": self.command}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()
        self.posts.append(self.path)

    def log_message(self, *_arguments: object) -> None: ...


def test_the_program_counts_answers_and_ends_when_it_is_told(tmp_path: Path) -> None:
    series, until = tmp_path / "series.json", tmp_path / "until"
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        words = ["--host", "x.test", "--port", str(server.server_port), "--post", "/", "--connections", "4"]
        words += ["--pause", "0.01", "--seconds", "60", "--series", str(series), "--until", str(until)]
        program = subprocess.Popen([sys.executable, traffic.__file__, *words], stdout=subprocess.PIPE, text=True)
        while Handler.seen["POST"] < 4 and program.poll() is None:
            time.sleep(0.1)
        until.touch()
        figures = json.loads(program.communicate(timeout=30)[0])
        server.shutdown()
    assert (figures["failed"], figures["reopened"], figures["repeated"]) == (0, 0, 0)
    assert figures["answers"]["GET"] > figures["answers"]["POST"] > 0
    assert sum(figures["answers"].values()) == figures["requests"] == len(json.loads(series.read_text()))
    assert 0 < figures["p50_ms"] <= figures["p99_ms"] <= figures["max_ms"]


@pytest.mark.parametrize(
    ("kind", "what", "harmless", "lost"),
    [
        ("new", "answered", (), []),
        ("kept", "closed while idle", (), ["3 requests on kept connections: closed while idle"]),
        ("kept", "closed while idle", ("closed while idle",), []),
        ("kept", "lost", ("closed while idle",), ["3 requests on kept connections: lost"]),
        ("new", "closed while idle", ("closed while idle",), ["3 requests on new connections: closed while idle"]),
    ],
)
def test_what_is_harmless_on_a_kept_connection_is_a_loss_on_others(
    kind: str, what: str, harmless: t.Sequence[str], lost: list[str]
) -> None:
    assert traffic.losses({kind: {what: 3}}, harmless) == lost
