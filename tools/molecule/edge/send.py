# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send bytes over TLS as they are, and print what came back and what nginx and the application saw meanwhile.

Runs on a test host, with its Python alone; reads from its input:
{"name": "recorder.test", "port": 443, "logs": {"nginx": PATH, "flask": PATH}, "rows": [{"sent": HEX, "answers": 1}, …]}
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import struct
import sys
import time
import typing as t
from pathlib import Path

# Seconds for all answers that are expected, and for one more that is not.
PATIENCE, SURPLUS = 8.0, 0.15
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, GOAWAY = 0, 1, 3, 7
END_STREAM = 1
# Statuses in the static table of HPACK (RFC 7541, appendix A).
INDEXED = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}


def frames(received: bytes) -> t.Iterator[tuple[int, int, bytes]]:
    """Return type, flags and payload of each whole frame."""
    place = 0
    while len(received) >= place + 9:
        size = int.from_bytes(received[place : place + 3], "big")
        if len(received) < place + 9 + size:
            return
        yield received[place + 3], received[place + 4], received[place + 9 : place + 9 + size]
        place += 9 + size


def answers_2(received: bytes) -> list[str]:
    """Return the statuses of whole answers in HTTP/2, and how streams and the connection were given up."""
    found: list[str] = []
    for kind, _flags, payload in frames(received):
        if kind == HEADERS:
            head = payload
            # A change of the table's size may come first (RFC 7541, 6.3).
            while head[0] & 0xE0 == 0x20:
                head = head[1:]
            found.append(str(INDEXED.get(head[0]) or head[2:5].decode("latin-1")))
        elif kind == RST_STREAM and any(payload):
            # With NO_ERROR it says that an answer is complete, and that the rest of the request is not wanted.
            found.append(f"reset {struct.unpack('>I', payload)[0]}")
        elif kind == GOAWAY:
            found.append(f"goaway {struct.unpack('>I', payload[4:8])[0]}")
    return found


def answers_1(received: bytes) -> list[str]:
    """Return the statuses of whole answers in HTTP/1.1; what has no head is an answer of HTTP/0.9."""
    found: list[str] = []
    while received:
        head = re.match(rb"HTTP/1\.[01] (\d{3}).*?\r\n\r\n", received, re.DOTALL)
        if not head:
            return [*found, "bare" if not received.startswith(b"HTTP/") else "part"]
        status, rest = head[1].decode(), received[head.end() :]
        body, whole = body_of(head[0].lower(), rest)
        found.append(status if whole else "part")
        received = rest[body:]
    return found


def body_of(head: bytes, rest: bytes) -> tuple[int, bool]:
    """Return how long a body is, and whether all of it is there."""
    if b"transfer-encoding: chunked" in head:
        end = re.search(rb"(?:^|\r\n)0\r\n\r\n", rest)
        return (end.end(), True) if end else (len(rest), False)
    length = re.search(rb"\r\ncontent-length: (\d+)", head)
    size = int(length[1]) if length else 0
    return size, len(rest) >= size


def exchange(place: tuple[str, int, str], row: dict[str, t.Any]) -> dict[str, t.Any]:
    """Send one row and return the answers."""
    address, port, name = place
    context = ssl.create_default_context()
    # Who the host is, others ask.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sent = bytes.fromhex(row["sent"])
    is_2 = sent.startswith(PREFACE)
    context.set_alpn_protocols(["h2" if is_2 else "http/1.1"])
    count = answers_2 if is_2 else answers_1
    with (
        socket.create_connection((address, port), timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname=name, suppress_ragged_eofs=True) as peer,
    ):
        # nginx may have refused it before it has all of it.
        with contextlib.suppress(OSError):
            peer.sendall(sent)
        received, closed = receive(
            peer, lambda found: len(count(found)) >= row["answers"] and "part" not in count(found)
        )
    answers = count(received) or (["closed"] if closed else [])
    return {"answers": answers, "received": received[:3000].decode("latin-1")}


def receive(peer: ssl.SSLSocket, is_enough: t.Callable[[bytes], bool]) -> tuple[bytes, bool]:
    """Return what comes until it is enough and a moment longer, and whether the connection was closed."""
    received, deadline = b"", time.monotonic() + PATIENCE
    while True:
        peer.settimeout(SURPLUS if is_enough(received) else max(0.01, deadline - time.monotonic()))
        try:
            part = peer.recv(65536)
        except TimeoutError:
            return received, False
        except OSError:
            part = b""
        if not part:
            return received, True
        received += part


def main() -> None:
    """Print a line of JSON for each row."""
    wanted = json.load(sys.stdin)
    for row in wanted["rows"]:
        logs = {which: Path(path) for which, path in wanted["logs"].items()}
        before = {which: log.stat().st_size if log.exists() else 0 for which, log in logs.items()}
        result = exchange(("127.0.0.1", wanted["port"], wanted["name"]), row)
        # nginx writes its line when an answer is complete or its connection is gone.
        time.sleep(0.05)
        for which, log in logs.items():
            result[which] = lines_after(log, before[which])
        print(json.dumps(result), flush=True)


def lines_after(log: Path, size: int) -> list[t.Any]:
    """Return what has been written to a log since it had this size."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(size)
        return [json.loads(line) for line in file]


if __name__ == "__main__":
    main()
