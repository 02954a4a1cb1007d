# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forwarded-header check: request an application through nginx with forged headers. Private to flaskops.stack.

Each release has a token, which only root and the application can read; to a request with it, wsgi.py returns the client
address, scheme and host that the application would have seen.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import ssl
import typing as t
from dataclasses import dataclass

from .._site.forwarded import ForwardedChain, find_wrong_headers, forged_headers, proxy_greeting
from .._system.command import CommandError, Commands
from .._system.deadline import Deadline, TimedConnection, TimedTlsConnection
from .._system.host import Host
from .contents import FILE, read_token

_HEADER = "X-Flaskops-Probe"
_TIMEOUT = 5.0
# nginx has just been told, or a worker of the application is being replaced.
_ATTEMPTS, _AGAIN = 1 + 3, 0.1


@dataclass(frozen=True)
class HeaderCheckResult:
    """The result of a check: both empty when it passed; C(unknown) when it could not be made."""

    wrong: str = ""
    unknown: str = ""


def check_forwarded_headers(host: Host, chain: ForwardedChain, path: str = "/") -> HeaderCheckResult:
    """Check that the live application sees the right client address, scheme and host behind nginx."""
    known = read_token(chain.current)
    if known is None:
        return HeaderCheckResult(unknown="the release was built before there was such a probe")
    token, hops = known
    headers = {**forged_headers(chain, hops), _HEADER: token}
    status, body = _ask(chain, chain.path or path, headers)
    for attempt in range(1, _ATTEMPTS):
        if not status or _seen(body) is not None or (status in (502, 504) and attempt > 1):
            break
        host.clock.sleep(_AGAIN)
        status, body = _ask(chain, chain.path or path, headers)
    return _evaluate(host.commands, chain, hops, status, body)


def _seen(body: bytes) -> dict[str, t.Any] | None:
    """Return what the application says that it sees, or None when something else has answered."""
    try:
        return dict(json.loads(body)["believed"])
    except (ValueError, KeyError, TypeError):
        return None


def probe_sites(host: Host, items: t.Iterable[t.Mapping[str, t.Any]]) -> tuple[list[str], list[str]]:
    """Return the faults of the nginx sites of our applications, and the checks that were skipped."""
    wrong, unknown = [], []
    for item in items:
        for given in filter(None, [item.get("chain"), *(item.get("chains") or [])]):
            chain = ForwardedChain(**given)
            # The first release of an application may come after its site.
            if not os.path.exists(os.path.join(chain.current, FILE)):
                continue
            verdict = check_forwarded_headers(host, chain)
            if verdict.wrong:
                wrong.append(f"site '{item['name']}' is published, but {verdict.wrong}")
            if verdict.unknown:
                unknown.append(f"site '{item['name']}': forwarded-header check skipped: {verdict.unknown}")
    return wrong, unknown


def _evaluate(commands: Commands, chain: ForwardedChain, hops: int, status: int, body: bytes) -> HeaderCheckResult:
    where = f"{'https' if chain.tls else 'http'}://{chain.authority}"
    # The server for unknown names answers nothing at all.
    if status in (0, 502, 504) and not _is_published(commands, chain):
        answers = f"answers {status} for {where}" if status else f"does not answer for {where}: {body.decode()}"
        return HeaderCheckResult(
            unknown=f"nginx has no site that leads from {chain.host} to the application yet, and {answers}"
        )
    if not status:
        return HeaderCheckResult(unknown=f"nginx does not answer for {where}: {body.decode()}")
    if status in (502, 504):
        return HeaderCheckResult(
            wrong=f"nginx answers {status} for {where}: it does not reach the application; see its error log, and "
            "socket_group, which has to be the group that nginx runs as. Where nginx has another user than when the "
            "application was deployed, its next release gets sockets of the new group"
        )
    believed = _seen(body)
    if believed is None:
        return HeaderCheckResult(
            unknown=f"for {where} something else than the application answers, with status {status}"
        )
    return HeaderCheckResult(wrong=find_wrong_headers(chain, hops, believed))


def _is_published(commands: Commands, chain: ForwardedChain) -> bool:
    """Tell whether nginx leads the host to the application: another server answers for names that no site has."""
    try:
        config = commands.run(["nginx", "-T", "-q"])
    except CommandError:
        return True
    names = re.compile(rf"\bserver_name\s[^;]*(?<![\w.-]){re.escape(chain.host)}(?![\w.-])")
    return config.rc != 0 or (f"unix:{chain.current}/run/" in config.out and bool(names.search(config.out)))


def _ask(chain: ForwardedChain, path: str, headers: t.Mapping[str, str]) -> tuple[int, bytes]:
    try:
        with contextlib.closing(_connect(chain)) as connection:
            connection.request("GET", path, headers={"Host": chain.authority, "Connection": "close", **headers})
            response = connection.getresponse()
            return response.status, response.read(4096)
    except (OSError, http.client.HTTPException) as exc:
        return 0, (str(exc) or type(exc).__name__).encode()


def _connect(chain: ForwardedChain) -> http.client.HTTPConnection:
    deadline = Deadline(_TIMEOUT)
    if not chain.tls:
        return TimedConnection("127.0.0.1", deadline, chain.port, proxy_greeting(chain))
    # SNI is the name of the site; the certificate is not verified here.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return TimedTlsConnection("127.0.0.1", deadline, context, chain.port, chain.host, proxy_greeting(chain))
