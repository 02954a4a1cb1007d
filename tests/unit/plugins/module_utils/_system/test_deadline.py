# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that sends a byte now and then holds up no run for longer than the deadline of the whole answer."""

from __future__ import annotations

import hashlib
import ipaddress
import socket
import ssl
import threading
import time
import typing as t
from contextlib import suppress
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.source import SourceError
from ansible_collections.flaskops.stack.plugins.module_utils._build import download as _download
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.health import Health, Probe, run_probe
from ansible_collections.flaskops.stack.plugins.module_utils._release import proxy_probe as _proxy_probe
from ansible_collections.flaskops.stack.plugins.module_utils._site.forwarded import ForwardedChain
from ansible_collections.flaskops.stack.plugins.module_utils._system.deadline import Deadline, timed
from ansible_collections.flaskops.stack.plugins.module_utils._system.host import Host
from ansible_collections.flaskops.stack.plugins.module_utils._system.http import ProbeError, http_get
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.made_certificates import (
    key_text,
    named,
    new_key,
    signed,
)
from cryptography import x509

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


class Drip:
    """A server that sends its answer byte by byte."""

    def __init__(self, listener: socket.socket, first: bytes = b"", context: ssl.SSLContext | None = None) -> None:
        self.listener, self.first, self.context = listener, first, context
        self.over = threading.Event()
        listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        with suppress(OSError):
            while not self.over.is_set():
                connection, _address = self.listener.accept()
                threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            one = self.context.wrap_socket(connection, server_side=True) if self.context else connection
            with one:
                one.recv(4096)
                one.sendall(self.first)
                # It never ends.
                for byte in HEAD * 100 if not self.first else b"x" * 10000:
                    if self.over.wait(0.05):
                        return
                    one.sendall(bytes([byte]))


@pytest.fixture(params=["head", "body"])
def first(request: pytest.FixtureRequest) -> bytes:
    return HEAD.replace(b": 5", b": 10000") if request.param == "body" else b""


@pytest.fixture
def drip(first: bytes) -> t.Iterator[t.Callable[..., Drip]]:
    made: list[Drip] = []

    def start(listener: socket.socket, context: ssl.SSLContext | None = None) -> Drip:
        made.append(Drip(listener, first, context))
        return made[-1]

    yield start
    for one in made:
        one.over.set()
        one.listener.shutdown(socket.SHUT_RDWR)
        one.listener.close()


def tcp() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def on_unix(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path / "0.sock"))
    return listener


@pytest.fixture
def certificate(tmp_path: Path) -> ssl.SSLContext:
    key, names = new_key("rsa"), [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    (tmp_path / "k").write_bytes(key_text(key))
    (tmp_path / "c").write_bytes(signed(named("localhost"), key, names=names))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c", tmp_path / "k")
    return context


def took(work: t.Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_probe_ends_with_its_deadline(drip: t.Callable[..., Drip], tmp_path: Path, kind: str) -> None:
    listener = on_unix(tmp_path) if kind == "unix" else tcp()
    drip(listener)
    address = f"unix:{tmp_path}/0.sock" if kind == "unix" else f"127.0.0.1:{listener.getsockname()[1]}"

    def ask() -> None:
        with pytest.raises(ProbeError, match=r"no complete answer within 0\.4 s"):
            http_get(address, "/", "localhost", 0.4)

    assert took(ask) < 2


def test_status_ends_with_its_deadline(drip: t.Callable[..., Drip], tmp_path: Path) -> None:
    drip(on_unix(tmp_path))
    probe = Probe(0, str(tmp_path / "0.sock"), "shop.service")
    health = Health("/", (), "localhost", 60, 1)
    assert took(lambda: run_probe(Host(), probe, health, time.monotonic() + 0.4, True)) < 2
    assert not probe.passed
    assert "no complete answer" in probe.problem


@pytest.mark.parametrize("tls", [False, True])
def test_the_question_through_nginx_ends_with_its_deadline(
    drip: t.Callable[..., Drip], certificate: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, tls: bool
) -> None:
    monkeypatch.setattr(_proxy_probe, "_TIMEOUT", 0.4)
    listener = tcp()
    drip(listener, certificate if tls else None)
    chain = ForwardedChain("/srv/shop/current", "shop.test", listener.getsockname()[1], tls)
    answers: list[tuple[int, bytes]] = []
    assert took(lambda: answers.append(_proxy_probe._ask(chain, "/", {}))) < 2
    assert answers[0][0] == 0
    assert b"no complete answer" in answers[0][1]


@pytest.mark.parametrize("tls", [False, True])
def test_a_download_ends_with_its_deadline(
    drip: t.Callable[..., Drip], certificate: ssl.SSLContext, tmp_path: Path, tls: bool
) -> None:
    listener = tcp()
    drip(listener, certificate if tls else None)
    url = f"{'https' if tls else 'http'}://localhost:{listener.getsockname()[1]}/app.tar.gz"
    bundle = str(tmp_path / "c") if tls else ""

    def fetch() -> None:
        with pytest.raises(SourceError, match=r"no complete answer within 0\.4 s"):
            _download.download(url, hashlib.sha256(b"").hexdigest(), str(tmp_path / "a"), bundle, 0.4)

    assert took(fetch) < 2


def test_a_single_read_may_take_a_step_and_all_of_them_the_deadline() -> None:
    deadline = Deadline(60, step=2)
    assert deadline.left() == 2
    assert str(deadline.missed()) == "nothing came for 2 s"
    over = Deadline(0)
    with pytest.raises(socket.timeout, match="no complete answer within 0 s"):
        over.left()


def test_an_open_socket_that_says_nothing_is_left_when_its_time_is_over() -> None:
    ours, theirs = socket.socketpair()
    with theirs, timed(ours, Deadline(0.05)) as sock:
        theirs.sendall(b"x")
        received = bytearray(5)
        assert (sock.recv_into(received), ours.fileno()) == (1, -1)
        with pytest.raises(socket.timeout, match=r"no complete answer within 0\.1 s|no complete answer within 0 s"):
            sock.recv_into(received)
