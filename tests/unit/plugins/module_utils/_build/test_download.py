# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import hashlib
import http.server
import ssl
import threading
import typing as t
from pathlib import Path
from urllib.error import URLError

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.source import SourceError
from ansible_collections.flaskops.stack.plugins.module_utils._build.download import _explained, download
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.made_certificates import (
    key_text,
    named,
    new_key,
    signed,
)
from cryptography import x509

DATA = b"an archive"
MUCH = b"x" * ((1 << 20) + 1)
SUM = hashlib.sha256(DATA).hexdigest()
ME = f"Basic {base64.b64encode(b'me:se/cret').decode()}"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serve an archive to requests that may have it, and lead to another server."""

    asked: t.ClassVar[list[tuple[str, str]]] = []
    elsewhere: t.ClassVar[str] = ""

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization", "")))
        status = {
            "/app.tar.gz": 200,
            "/much": 200,
            "/cut": 200,
            "/away": 302,
            "/latest": 302,
            "/private": 200 if self.asked[-1][1] == ME else 401,
        }.get(self.path, 404)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", self.elsewhere if self.path == "/away" else "/private")
        data = MUCH if self.path == "/much" else DATA
        promised = len(data) + (self.path == "/cut")
        self.send_header("Content-Length", str(promised if status == 200 else 0))
        self.end_headers()
        if status == 200:
            self.wfile.write(data)

    def log_message(self, *_words: object) -> None:
        pass


def start(context: ssl.SSLContext | None = None) -> http.server.ThreadingHTTPServer:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


@pytest.fixture
def port() -> t.Iterator[int]:
    Handler.asked.clear()
    server, other = start(), start()
    Handler.elsewhere = f"http://localhost:{other.server_port}/app.tar.gz"
    yield server.server_port
    for one in (server, other):
        one.shutdown()
        one.server_close()


def test_what_has_the_checksum_is_written(port: int, tmp_path: Path) -> None:
    download(f"http://127.0.0.1:{port}/app.tar.gz", SUM, str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == DATA


def test_what_a_server_sends_is_bounded(port: int, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"sends more than 1 MiB.*set 'source_max_mib' higher"):
        download(f"http://127.0.0.1:{port}/much", SUM, str(tmp_path / "a"), max_mib=1)


def test_what_ends_too_early_is_not_taken_for_another_file(port: int, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="/cut cannot be reached from this host: it ended 1 bytes too early"):
        download(f"http://localhost:{port}/cut", SUM, str(tmp_path / "x"))


def test_what_has_another_checksum_is_not_kept(port: int, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"has the checksum sha256:{SUM}, not sha256:00"):
        download(f"http://127.0.0.1:{port}/app.tar.gz", "00", str(tmp_path / "a"))
    assert not (tmp_path / "a").exists()


def test_credentials_are_sent_and_shown_to_nobody_else(port: int, tmp_path: Path) -> None:
    download(f"http://me:se%2Fcret@127.0.0.1:{port}/private", SUM, str(tmp_path / "a"))
    download(f"http://me:se%2Fcret@127.0.0.1:{port}/away", SUM, str(tmp_path / "b"))
    assert Handler.asked == [("/private", ME), ("/away", ME), ("/app.tar.gz", "")]
    Handler.asked.clear()
    download(f"http://me:se%2Fcret@127.0.0.1:{port}/latest", SUM, str(tmp_path / "c"))
    assert Handler.asked == [("/latest", ME), ("/private", ME)]


@pytest.mark.parametrize(
    ("place", "says"),
    [("/none", "/none answers 404 Not Found: correct 'source'"), ("/private", "/private answers 401 Unauthorized")],
)
def test_an_address_that_delivers_nothing_is_named_without_its_credentials(
    port: int, tmp_path: Path, place: str, says: str
) -> None:
    with pytest.raises(SourceError, match=says) as caught:
        download(f"http://me:wrong@127.0.0.1:{port}{place}", SUM, str(tmp_path / "a"))
    assert "wrong" not in str(caught.value)


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"http://127\.0\.0\.1:9/x cannot be reached from this host: .*refused"):
        download("http://127.0.0.1:9/x", SUM, str(tmp_path / "a"))


@pytest.mark.parametrize(
    ("code", "helps"), [(92, "issued anew.* controller"), (85, "RFC 5280"), (20, "set 'ca_bundle'$"), (10, "ca_bundle")]
)
def test_a_certificate_that_python_does_not_accept_has_a_way_out_that_helps(code: int, helps: str) -> None:
    fault = ssl.SSLCertVerificationError()
    fault.verify_code, fault.verify_message = code, "why"
    with pytest.raises(SourceError, match=rf"is not trusted on this host \(why\): .*{helps}"), _explained("https://x"):
        raise URLError(fault)


def test_only_the_given_authority_is_trusted(tmp_path: Path) -> None:
    key, certificate = str(tmp_path / "key"), str(tmp_path / "certificate")
    made = new_key("rsa")
    Path(key).write_bytes(key_text(made))
    Path(certificate).write_bytes(signed(named("localhost"), made, names=[x509.DNSName("localhost")]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = start(context)
    url = f"https://localhost:{server.server_port}/app.tar.gz"
    try:
        download(url, SUM, str(tmp_path / "a"), certificate)
        Handler.elsewhere = f"http://localhost:{server.server_port}/app.tar.gz"
        with pytest.raises(SourceError, match="its credentials are not sent without TLS"):
            download(
                url.replace("//", "//me:secret@").replace("app.tar.gz", "away"), SUM, str(tmp_path / "c"), certificate
            )
        with pytest.raises(SourceError, match=r"is not trusted on this host .*: set 'ca_bundle'"):
            download(url, SUM, str(tmp_path / "b"))
    finally:
        server.shutdown()
        server.server_close()
    assert (tmp_path / "a").read_bytes() == DATA
