# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small HTTP client for unix sockets and TCP. Private to flaskops.stack."""

from __future__ import annotations

import http.client
import socket
import typing as t
from dataclasses import dataclass

from .deadline import Deadline, TimedConnection, UnixConnection

# A health answer is small; more would only fill memory and the result.
_MAX_BODY = 64 * 1024


class ProbeError(ConnectionError):
    """No complete HTTP answer came back."""


@dataclass(frozen=True)
class Answer:
    """Status, headers (lower-case names) and the first 64 KiB of the body."""

    status: int
    headers: dict[str, str]
    body: bytes


def http_get(
    address: str, path: str, host: str, timeout: float = 5, headers: t.Mapping[str, str] | None = None
) -> Answer:
    """GET C(path) from C(address), V(unix:/path) or V(host:port), as nginx would ask for C(host).

    Raise ProbeError, with the reason, when nothing listens, the whole answer takes longer than C(timeout), or it is not
    HTTP.
    """
    deadline = Deadline(timeout)
    if address.startswith("unix:"):
        connection: http.client.HTTPConnection = UnixConnection(address[len("unix:") :], deadline)
    else:
        connection = TimedConnection(address, deadline)
    try:
        connection.request("GET", path, headers={"Host": host, "Connection": "close", **(headers or {})})
        response = connection.getresponse()
        body = response.read(_MAX_BODY)
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)
    except (OSError, http.client.HTTPException) as exc:
        reason = (
            f"no complete answer within {round(timeout, 1):g} s"
            if isinstance(exc, socket.timeout)
            else (str(exc) or type(exc).__name__)
        )
        raise ProbeError(f"{address}: {reason}") from exc
    finally:
        connection.close()
