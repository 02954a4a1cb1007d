# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that no browser sends, with what has to become of them, in HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

HOST = "recorder.test"
# What must never reach the application: it stands where a part of a request could be read as another request.
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: recorder.test\r\n\r\n"
LARGE = "a" * 65536


@dataclass(frozen=True)
class Seen:
    """A request as the application has to see it."""

    target: str
    method: str = "GET"
    body: str = ""


@dataclass(frozen=True)
class Row:
    """What is sent, the answers, and the requests that the application sees."""

    name: str
    sent: bytes
    answers: tuple[str, ...]
    seen: tuple[Seen, ...] = ()
    host: str = HOST
    # Other answers that mean the same: before 1.25 nginx gives up a stream that it answers with 400 today.
    older: tuple[str, ...] = ()


def head(*lines: str, first: str = "POST /raw HTTP/1.1", host: str | None = HOST) -> bytes:
    """Return the head of a request; none of the lines is made to be right."""
    named = [f"Host: {host}"] if host is not None else []
    return "\r\n".join([first, *named, *lines, "", ""]).encode("latin-1")


def get(target: str = "/raw", *lines: str, version: str = "HTTP/1.1") -> bytes:
    """Return a request without a body."""
    return head(*lines, first=f"GET {target} {version}")


def chunks(*lines: str) -> bytes:
    """Return a chunked body of these lines, each with its end."""
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")


BAD = ("400",)
# nginx has no site of this name, and says nothing.
CLOSED = ("closed",)
# Flask has no such route, or no such file.
ABSENT = ("404",)
RAW = Seen("/raw")
POSTED = Seen("/raw", "POST", "hello")
CHUNKED = "Transfer-Encoding: chunked"
WHOLE = chunks("5", "hello", "0", "")
AFTER = get("/after")
BOTH = ("200", "200")


def lengths() -> t.Iterator[Row]:
    """Return rows in which the length of a body is said twice, or in a strange way."""
    yield Row("length and chunked, the length hides", head("Content-Length: 5", CHUNKED) + WHOLE + HIDDEN, BAD)
    yield Row("chunked and length, chunked hides", head(CHUNKED, "Content-Length: 49") + chunks("0", "") + HIDDEN, BAD)
    yield Row("two lengths that differ", head("Content-Length: 5", "Content-Length: 50") + b"hello" + HIDDEN, BAD)
    yield Row("two lengths that agree", head("Content-Length: 5", "Content-Length: 5") + b"hello", BAD)
    for value in ("5, 5", "5,50", "+5", "-5", "0x5", "5 5", "5;", "1e1", "", "five", "5\x00", "\u00b2"):
        yield Row(f"length {value!r}", head(f"Content-Length: {value}") + b"hello" + HIDDEN, BAD)
    yield Row("length 99999999999999999999", head("Content-Length: 99999999999999999999") + b"hello", BAD)
    yield Row("length 05", head("Content-Length: 05") + b"hello" + AFTER, BOTH, (POSTED, Seen("/after")))
    yield Row("length above the limit", head("Content-Length: 999999999") + b"hello", ("413",))
    yield Row(
        "length of a GET",
        head("Content-Length: 5", first="GET /raw HTTP/1.1") + b"hello" + AFTER,
        BOTH,
        (Seen("/raw", "GET", "hello"), Seen("/after")),
    )
    yield Row("length with space before the colon", head("Content-Length : 49") + HIDDEN, BAD)
    yield Row("length in a header of two lines", head("X-Fold: a", " Content-Length: 49") + HIDDEN, BAD)
    yield Row(
        "length with an underscore", head("Content_Length: 49") + AFTER, BOTH, (Seen("/raw", "POST"), Seen("/after"))
    )


def chunked() -> t.Iterator[Row]:
    """Return rows with chunks, and with other encodings of the transfer."""
    yield Row("chunked", head(CHUNKED) + WHOLE + AFTER, BOTH, (POSTED, Seen("/after")))
    yield Row(
        "chunked in capital letters", head("TRANSFER-ENCODING: CHUNKED") + WHOLE + AFTER, BOTH, (POSTED, Seen("/after"))
    )
    for value in (
        "xchunked",
        "chunked, identity",
        "identity, chunked",
        "identity",
        "gzip, chunked",
        "chunked;q=1",
        "chunked, chunked",
        "\x0bchunked",
        "",
        '"chunked"',
    ):
        yield Row(f"transfer encoding {value!r}", head(f"Transfer-Encoding: {value}") + WHOLE + HIDDEN, ("501",))
    yield Row("transfer encoding with NUL", head(f"{CHUNKED}\x00") + WHOLE + HIDDEN, BAD)
    yield Row("two transfer encodings", head(CHUNKED, "Transfer-Encoding: identity") + WHOLE + HIDDEN, BAD)
    yield Row("transfer encoding, space before the colon", head("Transfer-Encoding : chunked") + WHOLE + HIDDEN, BAD)
    yield Row("transfer encoding in two lines", head("Transfer-Encoding:", " chunked") + WHOLE + HIDDEN, BAD)
    yield Row(
        "transfer encoding with an underscore",
        head("Transfer_Encoding: chunked", "Content-Length: 5") + b"hello" + AFTER,
        BOTH,
        (POSTED, Seen("/after")),
    )
    yield Row("transfer encoding after a bare CR", head("X: a\rTransfer-Encoding: chunked") + WHOLE + HIDDEN, BAD)
    yield Row("chunked in HTTP/1.0", head(CHUNKED, first="POST /raw HTTP/1.0") + WHOLE + HIDDEN, BAD)
    yield Row(
        "extension of a chunk",
        head(CHUNKED) + chunks("5;a=b", "hello", "0;c", "") + AFTER,
        BOTH,
        (POSTED, Seen("/after")),
    )
    yield Row("extension of a chunk with a bare LF", head(CHUNKED) + b"5;\nx\r\nhello\r\n0\r\n\r\n" + AFTER, BAD)
    yield Row(
        "trailers",
        head(CHUNKED, "Trailer: X-Late") + chunks("5", "hello", "0", "X-Late: yes", "Host: forged", "") + AFTER,
        BOTH,
        (POSTED, Seen("/after")),
    )
    for size in ("0x5", "-5", "+5", "5g", "", " 5", "ffffffffffffffffff", "5\x00"):
        yield Row(f"chunk of size {size!r}", head(CHUNKED) + chunks(size, "hello", "0", "") + HIDDEN, BAD)
    yield Row("chunk that is longer than it says", head(CHUNKED) + chunks("3", "hello", "0", "") + HIDDEN, BAD)
    yield Row("chunk without CRLF after it", head(CHUNKED) + b"5\r\nhello0\r\n\r\n" + HIDDEN, BAD)
    yield Row("chunks with bare LF", head(CHUNKED) + b"5\nhello\n0\n\n" + AFTER, BOTH, (POSTED, Seen("/after")))
    yield Row("chunks that do not end", head(CHUNKED) + chunks("5", "hello"), ())


def lines() -> t.Iterator[Row]:
    """Return rows whose lines end, begin or are put together in strange ways."""
    yield Row("bare LF", b"GET /raw HTTP/1.1\nHost: recorder.test\n\n" + AFTER, BOTH, (RAW, Seen("/after")))
    yield Row("bare CR in the first line", b"GET /raw\r HTTP/1.1\r\nHost: recorder.test\r\n\r\n", BAD)
    yield Row("bare CR in a value", get("/raw", "X-Value: a\rX-Other: b"), BAD)
    yield Row("CR before CRLF", b"GET /raw HTTP/1.1\r\r\nHost: recorder.test\r\n\r\n", BAD)
    yield Row("header of two lines", get("/raw", "X-Value: a", " b"), BAD)
    yield Row("header of two lines, by a tab", get("/raw", "X-Value: a", "\tb"), BAD)
    yield Row("space before the first header", b"GET /raw HTTP/1.1\r\n Host: recorder.test\r\n\r\n", BAD)
    yield Row("space before the colon", get("/raw", "X-Value : a"), BAD)
    yield Row("header without a colon", get("/raw", "X-Value"), ("200",), (RAW,))
    yield Row("header without a name", get("/raw", ": value"), BAD)
    yield Row("NUL in a value", get("/raw", "X-Value: a\x00b"), BAD)
    yield Row("NUL in a name", get("/raw", "X-Va\x00lue: a"), BAD)
    yield Row("control characters in a value", get("/raw", "X-Value: a\x01\x7fb"), BAD)
    yield Row("bytes that are not UTF-8 in a value", get("/raw", "X-Value: \xff\xfe"), ("200",), (RAW,))
    yield Row("header of 64 KiB", get("/raw", f"X-Value: {LARGE}"), BAD)
    yield Row("a thousand headers", get("/raw", *[f"X-{number}: a" for number in range(1000)]), BAD)
    yield Row("empty lines before the request", b"\r\n\r\n" + get(), ("200",), (RAW,))
    yield Row(
        "three requests at once",
        get("/1") + head("Content-Length: 5") + b"hello" + get("/3"),
        ("200",) * 3,
        (Seen("/1"), POSTED, Seen("/3")),
    )
    yield Row(
        "expect 100-continue",
        head("Content-Length: 5", "Expect: 100-continue") + b"hello" + AFTER,
        ("100", *BOTH),
        (POSTED, Seen("/after")),
    )
    yield Row(
        "expect something else",
        head("Content-Length: 5", "Expect: tea") + b"hello" + AFTER,
        BOTH,
        (POSTED, Seen("/after")),
    )
    yield Row(
        "connection names the length",
        head("Content-Length: 5", "Connection: Content-Length") + b"hello" + AFTER,
        BOTH,
        (POSTED, Seen("/after")),
    )
    yield Row("connection names the host", get("/raw", "Connection: Host, X-Forwarded-For"), ("200",), (RAW,))
    yield Row(
        "upgrade to h2c",
        get("/raw", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")
        + AFTER,
        BOTH,
        (RAW, Seen("/after")),
    )
    yield Row(
        "upgrade to a websocket, then a request",
        get(
            "/raw",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 777",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        )
        + AFTER,
        BOTH,
        (RAW, Seen("/after")),
    )


def first_lines() -> t.Iterator[Row]:
    """Return rows with strange methods, targets and versions."""
    yield Row("HTTP/0.9", b"GET /raw\r\n", CLOSED)
    yield Row("HTTP/0.9 with headers", b"GET /raw\r\nHost: recorder.test\r\n\r\n" + AFTER, CLOSED)
    yield Row("HTTP/1.0", get(version="HTTP/1.0"), ("200",), (RAW,))
    yield Row("HTTP/1.0 without a host", head(first="GET /raw HTTP/1.0", host=None), CLOSED)
    for version in ("HTTP/1.2", "HTTP/1.9"):
        yield Row(f"version {version!r}", get(version=version), ("200",), (RAW,))
    for version in ("HTTP/2.0", "HTTP/9.9"):
        yield Row(f"version {version!r}", get(version=version), ("505",))
    for version in (
        "HTTP/0.9",
        "HTTP/1",
        "HTTP/1.1.1",
        "HTTP/1.1x",
        "http/1.1",
        "HTTP/ 1.1",
        "HTTP/-1.1",
        "HTTPS/1.1",
        "HTTP/1.10000",
    ):
        yield Row(f"version {version!r}", get(version=version), BAD)
    yield Row("method in small letters", head(first="get /raw HTTP/1.1"), BAD)
    yield Row("method with a strange character", head(first="GE!T /raw HTTP/1.1"), BAD)
    yield Row("method TRACE", head(first="TRACE /raw HTTP/1.1"), ("405",))
    yield Row("method CONNECT", head(first="CONNECT recorder.test:443 HTTP/1.1"), BAD)
    yield Row("method unknown", head(first="BREW /raw HTTP/1.1"), ("405",), (Seen("/raw", "BREW"),))
    yield Row("space before the method", b" " + get(), BAD)
    yield Row("two spaces", head(first="GET  /raw  HTTP/1.1"), ("200",), (RAW,))
    yield Row("tab instead of space", head(first="GET\t/raw\tHTTP/1.1"), BAD)
    yield Row("space in the target", get("/a b"), BAD)
    yield Row("64 KiB of target", get(f"/{LARGE}"), ("414",))
    yield Row("NUL in the target", get("/a\x00b"), BAD)
    yield Row("%00 in the target", get("/a%00b"), BAD)
    yield Row("control character in the target", get("/a\x01b"), BAD)
    yield Row("bytes that are not UTF-8", get("/\xff\xfe"), BAD)
    yield Row("%ff%fe", get("/%ff%fe"), ("200",), (Seen("/%ff%fe"),))
    yield Row("overlong UTF-8", get("/%c0%af"), ("200",), (Seen("/%c0%af"),))
    yield Row("half an escape", get("/a%2"), BAD)
    yield Row("escape of no number", get("/a%zz"), BAD)
    yield Row("escaped CRLF", get("/a%0d%0aX-Value:%20b"), ABSENT, (Seen("/a%0d%0aX-Value:%20b"),))
    yield Row(
        "escaped CRLF in the query", get("/raw?a=%0d%0aSet-Cookie:b"), ("200",), (Seen("/raw?a=%0d%0aSet-Cookie:b"),)
    )
    yield Row("fragment", get("/raw#part"), ("200",), (Seen("/raw#part"),))
    yield Row("no slash", get("raw"), BAD)
    yield Row("asterisk", head(first="OPTIONS * HTTP/1.1"), BAD)
    yield Row(".. above the root", get("/../raw"), BAD)
    yield Row("..", get("/a/../raw"), ("200",), (Seen("/a/../raw"),))
    yield Row("%2e%2e above the root", get("/%2e%2e/raw"), BAD)
    yield Row("..%2f", get("/a/..%2fraw"), ("200",), (Seen("/a/..%2fraw"),))
    yield Row("..%2f above the root", get("/..%2fraw"), BAD)
    yield Row("backslash", get("/a\\..\\raw"), ("200",), (Seen("/a\\..\\raw"),))
    yield Row("slashes", get("//raw"), ("200",), (Seen("//raw"),))
    yield Row("..;", get("/a/..;/raw"), ("200",), (Seen("/a/..;/raw"),))
    yield Row("static file and ..", get("/static/../raw"), ABSENT, (Seen("/static/../raw"),))
    yield Row("static file by %2e", get("/static/%2e%2e/recorder.py"), ABSENT, (Seen("/static/%2e%2e/recorder.py"),))
    yield Row(
        "beyond the directory of static files",
        get("/static/..%2frecorder.py"),
        ABSENT,
        (Seen("/static/..%2frecorder.py"),),
    )
    yield Row("static without its slash", get("/static../recorder.py"), ("200",), (Seen("/static../recorder.py"),))


def hosts() -> t.Iterator[Row]:
    """Return rows that name the host twice, not at all, or another one."""
    yield Row("no host", head(first="GET /raw HTTP/1.1", host=None), BAD)
    yield Row("two hosts", get("/raw", "Host: recorder.test"), BAD)
    yield Row("two hosts that differ", get("/raw", "Host: shop.test"), BAD)
    for host in ("", "a b", "recorder.test/x", "a\x00b"):
        yield Row(f"host {host!r}", head(first="GET /raw HTTP/1.1", host=host), BAD)
    for host in ("recorder.test@shop.test", "recorder.test\\@x", "re\xffcorder.test", "unknown.test"):
        yield Row(f"host {host!r}", head(first="GET /raw HTTP/1.1", host=host), CLOSED)
    yield Row("host of another site", head(first="GET /raw HTTP/1.1", host="shop.test"), ("204",))
    yield Row(
        "host in capital letters",
        head(first="GET /raw HTTP/1.1", host="RECORDER.TEST"),
        ("200",),
        (RAW,),
        "RECORDER.TEST",
    )
    yield Row(
        "host with an impossible port", head(first="GET /raw HTTP/1.1", host="recorder.test:99999999"), ("200",), (RAW,)
    )
    yield Row("host with a dot at its end", head(first="GET /raw HTTP/1.1", host="recorder.test."), ("200",), (RAW,))
    yield Row("host with a port", head(first="GET /raw HTTP/1.1", host="recorder.test:443"), ("200",), (RAW,))
    yield Row("absolute target", get("https://recorder.test/raw"), ("200",), (RAW,))
    yield Row(
        "absolute target and another host",
        head(first="GET https://recorder.test/raw HTTP/1.1", host="forged.test"),
        ("200",),
        (RAW,),
    )
    yield Row("absolute target of an unknown host", get("https://unknown.test/raw"), CLOSED)
    yield Row("absolute target of http", get("http://recorder.test/raw"), ("200",), (RAW,))
    yield Row("absolute target with a user", get("https://a:b@recorder.test/raw"), BAD)
    yield Row("target of another scheme", get("file:///etc/passwd"), BAD)
    yield Row("target without a scheme", get("//unknown.test/raw"), ("200",), (Seen("//unknown.test/raw"),))


ROWS = (*lengths(), *chunked(), *lines(), *first_lines(), *hosts())
