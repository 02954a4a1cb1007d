# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections with a deadline for the whole answer. Private to flaskops.stack.

The timeout of a socket holds for each read: a server that sends a byte a second never reaches it.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
import typing as t


class Deadline:
    """A moment after which nothing is read any more; each single read may take C(step) seconds at most."""

    def __init__(self, seconds: float, step: float = 0.0) -> None:
        """Begin now."""
        self.seconds = seconds
        self._end = time.monotonic() + seconds
        self._step = step or seconds

    def left(self) -> float:
        """Return how long the next read may take; raise socket.timeout when the time is over."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.missed()
        return min(left, self._step)

    def missed(self) -> socket.timeout:
        """Return the error for a read that took too long, alone or together with those before it."""
        if time.monotonic() < self._end:
            return socket.timeout(f"nothing came for {self._step:g} s")
        return socket.timeout(f"no complete answer within {round(self.seconds, 1):g} s")


class TimedSocket(socket.socket):
    """A socket whose reads end with a deadline."""

    deadline: Deadline | None = None

    def recv_into(self, *arguments: t.Any, **options: t.Any) -> int:
        """Read available data, within the time that is left."""
        if self.deadline is None:
            return super().recv_into(*arguments, **options)
        self.settimeout(self.deadline.left())
        try:
            return super().recv_into(*arguments, **options)
        except socket.timeout:
            raise self.deadline.missed() from None


class _TimedTls(TimedSocket, ssl.SSLSocket):
    """The same over TLS: each read goes on to that of SSLSocket."""


def timed(sock: socket.socket, deadline: Deadline) -> TimedSocket:
    """Return an open socket as one whose reads end with the deadline; the given one is closed."""
    made = TimedSocket(sock.family, sock.type, sock.proto, fileno=sock.detach())
    made.deadline = deadline
    made.settimeout(deadline.left())
    return made


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket, until a deadline."""

    def __init__(self, path: str, deadline: Deadline) -> None:
        """Name the socket; it is connected to with the first request."""
        super().__init__("localhost", timeout=deadline.seconds)
        self._path = path
        self._deadline = deadline

    def connect(self) -> None:
        """Connect, within the time that is left."""
        self.sock = timed(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), self._deadline)
        self.sock.connect(self._path)


class TimedConnection(http.client.HTTPConnection):
    """HTTP over TCP, until a deadline."""

    def __init__(self, host: str, deadline: Deadline, port: int | None = None, greeting: bytes = b"") -> None:
        """Name the server, and what it is sent before all else; it is connected to with the first request."""
        super().__init__(host, port, timeout=deadline.seconds)
        self._deadline = deadline
        self._greeting = greeting

    def connect(self) -> None:
        """Connect, within the time that is left."""
        self.timeout = self._deadline.left()
        super().connect()
        self.sock.sendall(self._greeting)
        self.sock = timed(self.sock, self._deadline)


class TimedTlsConnection(http.client.HTTPSConnection):
    """HTTP over TLS, until a deadline."""

    def __init__(
        self,
        host: str,
        deadline: Deadline,
        context: ssl.SSLContext,
        port: int | None = None,
        named: str = "",
        greeting: bytes = b"",
    ) -> None:
        """Take the server, and its name for TLS where that differs; such a one may be greeted before TLS begins."""
        context.sslsocket_class = _TimedTls
        super().__init__(host, port, timeout=deadline.seconds, context=context)
        self._deadline = deadline
        self._tls = context
        self._named = named
        self._greeting = greeting

    def connect(self) -> None:
        """Connect, within the time that is left."""
        self.timeout = self._deadline.left()
        if self._named:
            http.client.HTTPConnection.connect(self)
            self.sock.settimeout(self._deadline.left())
            self.sock.sendall(self._greeting)
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._named)
        else:
            super().connect()
        t.cast(_TimedTls, self.sock).deadline = self._deadline
