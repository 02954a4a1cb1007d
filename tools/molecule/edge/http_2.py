# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests in HTTP/2 that no browser sends: what they become in HTTP/1.1 must be one request, or none."""

from __future__ import annotations

import typing as t

from tools.molecule.edge.http_1 import Row, Seen
from tools.molecule.edge.send import DATA, END_STREAM, HEADERS, PREFACE

HOST = "recorder.test"
SETTINGS, END_HEADERS = 4, 4
Field = tuple[str, str]
USUAL: tuple[Field, ...] = ((":method", "POST"), (":scheme", "https"), (":path", "/raw"), (":authority", HOST))
# In HTTP/1.1 it would begin with the next request.
HIDDEN = "GET /hidden HTTP/1.1\r\nHost: recorder.test\r\n\r\n"
BAD = ("400",)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a frame."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name: str, value: str) -> bytes:
    """Return a header as HPACK has it that no table is used for (RFC 7541, 6.2.2)."""
    return b"\0" + b"".join(integer(len(text)) + text.encode("latin-1") for text in (name, value))


def integer(number: int) -> bytes:
    """Return a length in seven bits and as many bytes as it takes more (RFC 7541, 5.1)."""
    if number < 127:
        return bytes([number])
    rest, found = number - 127, b"\x7f"
    while rest >= 128:
        found += bytes([rest % 128 | 128])
        rest //= 128
    return found + bytes([rest])


def request(fields: t.Sequence[Field], body: str | None = None, stream: int = 1) -> bytes:
    """Return the frames of a request; without a body it ends with its headers."""
    block = b"".join(literal(*field) for field in fields)
    ends = END_STREAM if body is None else 0
    begun = frame(HEADERS, END_HEADERS | ends, stream, block)
    return begun + (frame(DATA, END_STREAM, stream, body.encode("latin-1")) if body is not None else b"")


def connection(*requests: bytes) -> bytes:
    """Return what a client sends on a new connection."""
    return PREFACE + frame(SETTINGS, 0, 0, b"") + b"".join(requests)


def usual(*more: Field, **instead: str) -> tuple[Field, ...]:
    """Return the headers of a request, some pseudo-headers with another value."""
    return (*((name, instead.get(name[1:], value)) for name, value in USUAL), *more)


def row(name: str, fields: t.Sequence[Field], answers: tuple[str, ...], *seen: Seen, body: str | None = "hello") -> Row:
    """Return a row with one request."""
    older = ("reset 1",) if answers == BAD else ()
    return Row(f"h2: {name}", connection(request(fields, body)), answers, seen, older=older)


POSTED = Seen("/raw", "POST", "hello")
ANSWERED = ("200",)


def bodies() -> t.Iterator[Row]:
    """Return rows that say the length of their body."""
    yield row("a body", usual(), ANSWERED, POSTED)
    yield row("a length", usual(("content-length", "5")), ANSWERED, POSTED)
    yield row("a length that is too small", usual(("content-length", "0")), BAD, body=HIDDEN)
    yield row("a length that is too large", usual(("content-length", "50")), BAD)
    yield row("two lengths", usual(("content-length", "5"), ("content-length", "50")), BAD)
    body = f"0\r\n\r\n{HIDDEN}"
    yield row("chunked", usual(("transfer-encoding", "chunked")), ANSWERED, Seen("/raw", "POST", body), body=body)
    yield row("no body, and a length", usual(("content-length", "5")), BAD, body=None)


def fields() -> t.Iterator[Row]:
    """Return rows with headers that would become several lines, or other ones."""
    for name, value in (
        ("x-value", "a\r\nX-Other: b"),
        ("x-value", f"a\r\n\r\n{HIDDEN}"),
        ("x-value", "a\nx-other: b"),
        ("x-value", "a\x00b"),
        ("x-val\r\nue", "a"),
        ("x-value: a", "b"),
        ("x value", "a"),
        ("X-Value", "a"),
        ("x\x00", "a"),
    ):
        yield row(f"header {name!r}: {value[:20]!r}", usual((name, value)), BAD)
    yield row("header without a name", usual(("", "a")), ("goaway 1",))
    yield row("header that is too long", usual(("x-value", "a" * 16000)), ("goaway 11",))
    # nginx leaves out what belongs to a connection, and writes its own.
    for name, value in (
        ("connection", "close"),
        ("keep-alive", "1"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("proxy-connection", "close"),
    ):
        yield row(f"header {name!r} of HTTP/1.1", usual((name, value)), ANSWERED, POSTED)


def pseudo() -> t.Iterator[Row]:
    """Return rows whose method, path or host is strange."""
    yield row("no characters in the path", usual(path=""), ("400", "goaway 1"))
    yield row("no characters in the method", usual(method=""), ("400", "goaway 1"))
    yield row("method 'CONNECT'", usual(method="CONNECT"), ("405",))
    yield row("host of no site", usual(authority="unknown.test"), ("reset 1",))
    yield row("host of another site", usual(authority="shop.test"), ("204",))
    for path in (
        "raw",
        "/a b",
        "/raw HTTP/1.1\r\nX-Value: b",
        "/a\x00b",
        "*",
        "https://recorder.test/raw",
        "/%00",
        "/../raw",
    ):
        yield row(f"path {path[:30]!r}", usual(path=path), BAD)
    for method in ("get", "GET /hidden HTTP/1.1\r\n", "GE T"):
        yield row(f"method {method[:20]!r}", usual(method=method), BAD)
    for host in ("", "a b", "recorder.test\r\nx: y", "recorder.test/x"):
        yield row(f"host {host!r}", usual(authority=host), BAD)
    yield row("host besides", usual(("host", "unknown.test")), BAD)
    yield row("scheme http", usual(scheme="http"), ANSWERED, POSTED)
    yield row("scheme with more", usual(scheme="https://forged.test/?"), BAD)
    yield row("two paths", usual((":path", "/hidden")), BAD)
    yield row("no path", [field for field in USUAL if field[0] != ":path"], BAD)
    yield row("path after headers", (*USUAL[:2], ("x-value", "a"), *USUAL[2:]), ANSWERED, POSTED)
    yield row("pseudo-header unknown", usual((":value", "a")), BAD)
    yield Row(
        "h2: two requests",
        connection(request(usual(path="/1"), "hello"), request(usual(path="/2"), "again", 3)),
        ("200", "200"),
        (Seen("/1", "POST", "hello"), Seen("/2", "POST", "again")),
    )


ROWS = (*bodies(), *fields(), *pseudo())
