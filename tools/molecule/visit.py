# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send one HTTP request exactly as described and print the reply as JSON. Runs on a test host, with its Python alone.

usage: visit.py '{"address": "127.0.0.1", "port": 80, "target": "/", "headers": [["Host", "hello.test"]], …}'
"""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import ssl
import sys
import time
import typing as t


class Connection(http.client.HTTPConnection):
    """A connection to an address, with a line of the PROXY protocol and TLS for the certificate of a name if wanted."""

    def __init__(self, wanted: dict[str, t.Any]) -> None:
        source = (wanted["source"], 0) if wanted.get("source") else None
        timeout = wanted.get("timeout", 30)
        super().__init__(wanted["address"], wanted["port"], timeout=timeout, source_address=source)
        self._greeting, self._name = wanted.get("greeting", "").encode(), wanted.get("server_name")
        self._context = ssl.create_default_context(cafile=wanted["ca_file"]) if wanted.get("ca_file") else None

    def connect(self) -> None:
        """Connect, greet, shake hands and verify the certificate."""
        super().connect()
        if self._greeting:
            self.sock.sendall(self._greeting)
        if self._context:
            self.sock = self._context.wrap_socket(self.sock, server_hostname=self._name)


def body_of(wanted: dict[str, t.Any]) -> tuple[bytes, list[list[str]]]:
    """Return the body to send and the headers that belong to it."""
    if wanted.get("upload"):
        content = b"0123456789abcdef" * (int(wanted["upload"]) // 16)
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="sent.bin"\r\n\r\n'
        body = head + content + b"\r\n--b--\r\n"
        return body, [["Content-Type", "multipart/form-data; boundary=b"], ["Content-Length", str(len(body))]]
    body = wanted.get("body", "").encode()
    return body, [["Content-Length", str(len(body))]] if body else []


def visit(wanted: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return what came back, or the error that came instead."""
    body, body_headers = body_of(wanted)
    connection = Connection(wanted)
    started = time.monotonic()
    try:
        connection.putrequest(wanted.get("method", "GET"), wanted["target"], skip_host=True, skip_accept_encoding=True)
        for name, value in wanted["headers"] + body_headers:
            connection.putheader(name, value)
        connection.endheaders(body or None)
        reply = connection.getresponse()
        content = reply.read()
    except (OSError, http.client.HTTPException) as exc:
        return {"error": f"{type(exc).__name__}: {exc}"}
    finally:
        connection.close()
    return {
        "status": reply.status,
        "headers": [[name.lower(), value] for name, value in reply.getheaders()],
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "text": content[:200_000].decode("utf-8", "replace"),
        "seconds": round(time.monotonic() - started, 3),
    }


def upgrade(wanted: dict[str, t.Any]) -> dict[str, t.Any]:
    """Open a websocket, send one short text, return the first frame's text."""
    with socket.create_connection((wanted["address"], wanted["port"]), timeout=10) as peer:
        lines = [f"GET {wanted['target']} HTTP/1.1", *(f"{name}: {value}" for name, value in wanted["headers"])]
        lines += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
        lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        peer.sendall("\r\n".join([*lines, "", ""]).encode())
        stream = peer.makefile("rb")
        status = int(stream.readline().split()[1])
        while stream.readline().strip():
            pass
        if status != http.HTTPStatus.SWITCHING_PROTOCOLS:
            return {"status": status, "headers": [], "size": 0, "sha256": "", "text": "", "seconds": 0}
        text = wanted["websocket"].encode()
        # A client masks what it sends (RFC 6455, 5.3); a mask of zeros leaves it as it is.
        peer.sendall(bytes([0x81, 0x80 | len(text)]) + b"\0\0\0\0" + text)
        size = stream.read(2)[1]
        return {
            "status": status,
            "headers": [],
            "size": size,
            "sha256": "",
            "text": stream.read(size).decode(),
            "seconds": 0,
        }


def main() -> None:
    """Print the reply to the one request in the argument."""
    wanted = json.loads(sys.argv[1])
    print(json.dumps(upgrade(wanted) if wanted.get("websocket") else visit(wanted)))


if __name__ == "__main__":
    main()
