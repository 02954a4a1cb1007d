# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A package index of a company: TLS by its own authority, a token, and the files of one directory."""

from __future__ import annotations

import base64
import re
import ssl
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

WHEELS, TOKEN = Path("/var/lib/wheels"), Path(sys.argv[1]).read_text(encoding="utf-8")


class Index(SimpleHTTPRequestHandler):
    """Answers /simple/NAME/ and /files/FILE; what was asked for is in the journal."""

    def do_GET(self) -> None:
        """Answer a request that has the token."""
        wanted = "Basic " + base64.b64encode(f"reader:{TOKEN}".encode()).decode()
        if self.headers.get("Authorization") != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic")
            self.end_headers()
            return
        name = self.path.strip("/").split("/")[-1]
        body = (WHEELS / name).read_bytes() if self.path.startswith("/files/") else self.links(name)
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @staticmethod
    def links(name: str) -> bytes:
        """Return the page of a distribution."""
        files = [path.name for path in WHEELS.iterdir() if normal(path.name.split("-")[0]) == normal(name)]
        return "".join(f'<a href="/files/{file}">{file}</a>\n' for file in files).encode()


def normal(name: str) -> str:
    """Return a name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 8443), Index)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("/etc/ssl/own/index.crt", "/etc/ssl/own/index.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()
