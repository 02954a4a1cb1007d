# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out whether a host name leads to this host, before a CA is asked to. Private to flaskops.stack.

A CA counts each attempt that fails, and lets a host wait for an hour or a week after some.
"""

from __future__ import annotations

import http.client
import os
import secrets
import socket
import ssl
import typing as t
from urllib.parse import urljoin, urlsplit

from .._system.deadline import Deadline, TimedConnection, TimedTlsConnection
from .._system.files import remove_file, write_file

_PATH = "/.well-known/acme-challenge/"
_SECONDS = 8
_MOST_HOPS = 10
_MOST = 4096
_WAY_OUT = (
    "Correct its DNS record, or open port 80 for it; where this host cannot reach its own public address, set"
    " check_names: false (nginx_acme_check_names)"
)

Resolve = t.Callable[[str], t.List[str]]
# Status, Location and body of GET path from an address, as for a host.
Fetch = t.Callable[[str, str], t.Tuple[int, str, bytes]]


class Network:
    """The network; tests hand in one of their own."""

    def resolve(self, name: str) -> list[str]:
        """Return the addresses of a name; raise OSError when it has none."""
        found = socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(item[4][0]) for item in found))

    def fetch(self, url: str, address: str = "") -> tuple[int, str, bytes]:
        """Return status, C(Location) and the beginning of the answer to GET; raise OSError or HTTPException.

        With an address its host is asked, and not the one that the name in the URL leads to.
        """
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        deadline = Deadline(_SECONDS)
        connection: http.client.HTTPConnection = TimedConnection(address or host, deadline, port)
        if parts.scheme == "https":
            # As a CA does: what it follows a redirection to need not have a certificate yet.
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = TimedTlsConnection(address or host, deadline, context, port, host)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target, headers={"Host": parts.netloc, "Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.getheader("Location") or "", answer.read(_MOST)
        finally:
            connection.close()


def leads_elsewhere(network: Network, challenges: str, names: t.Iterable[str]) -> dict[str, str]:
    """Return, by name, why names do not lead to this host; it is asked for a token through each of their addresses."""
    directory = os.path.join(challenges, _PATH.strip("/"))
    os.makedirs(directory, mode=0o755, exist_ok=True)
    token = f"flaskops-{secrets.token_urlsafe(24)}"
    content = secrets.token_urlsafe(24)
    path = os.path.join(directory, token)
    write_file(path, content.encode(), 0o644, sync=False)
    try:
        found = {name: _problem(network, name, token, content) for name in names}
        return {name: problem for name, problem in found.items() if problem}
    finally:
        remove_file(path, sync=False)


def _problem(network: Network, name: str, token: str, content: str) -> str:
    """Return why a name does not lead to this host, and the way out; empty when it does."""
    try:
        addresses = network.resolve(name)
    except (OSError, UnicodeError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        return f"{name} has no address ({reason}): give it a DNS record that leads to this host"
    for address in addresses:
        said = _ask(network, name, address, token, content)
        if said:
            return f"{name} leads to {address}, which {said} when it is asked for a file of this host. {_WAY_OUT}"
    return ""


def _ask(network: Network, name: str, address: str, token: str, content: str) -> str:
    """Return what is wrong with the answer of one address; empty for the content of the token."""
    url = f"http://{name}{_PATH}{token}"
    try:
        status, location, body = network.fetch(url, address)
        for _hop in range(_MOST_HOPS):
            if status not in (301, 302, 303, 307, 308) or not location:
                break
            url = urljoin(url, location)
            if urlsplit(url).scheme not in ("http", "https"):
                return f"redirects to {url}"
            same = urlsplit(url).hostname == name
            status, location, body = network.fetch(url, address if same else "")
    except (OSError, http.client.HTTPException, ValueError) as exc:
        return f"does not answer ({getattr(exc, 'strerror', None) or str(exc) or type(exc).__name__})"
    if body.strip() == content.encode():
        return ""
    return f"answers with status {status}" if status != 200 else "answers with something else"
