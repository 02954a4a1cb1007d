# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Request headers that say of a visitor what only a proxy can know. Private to flaskops.stack.

Proxies, content delivery networks and frameworks have names of their own for what X-Forwarded-For, -Proto and -Host
say. Where nothing sets them, a visitor can, and applications and libraries that look for them believe him.
"""

from __future__ import annotations

import re
import typing as t

from .._input.similar import most_similar
from .._input.values import InputError

# The visitor's address.
_ADDRESS = (
    "Ali-CDN-Real-IP",
    "Cdn-Src-Ip",
    "CF-Connecting-IP",
    "CF-Connecting-IPv6",
    "CF-Pseudo-IPv4",
    "Client-IP",
    "CloudFront-Viewer-Address",
    "DO-Connecting-IP",
    "Fastly-Client-IP",
    "Fly-Client-IP",
    "Forwarded",
    "Forwarded-For",
    "Proxy-Client-IP",
    "Remote-Addr",
    "True-Client-IP",
    "WL-Proxy-Client-IP",
    "X-Appengine-User-IP",
    "X-Azure-ClientIP",
    "X-Azure-SocketIP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "X-Envoy-External-Address",
    "X-Forward-For",
    "X-Forwarded",
    "X-Forwarded-By",
    "X-Nf-Client-Connection-Ip",
    "X-Original-For",
    "X-Original-Forwarded-For",
    "X-Originating-IP",
    "X-ProxyUser-Ip",
    "X-Real-Port",
    "X-Remote-Addr",
    "X-Remote-IP",
    "X-Vercel-Forwarded-For",
)
# The scheme, host, port and path that the visitor asked for.
_TARGET = (
    "CF-Visitor",
    "CloudFront-Forwarded-Proto",
    "Forwarded-Host",
    "Forwarded-Proto",
    "Front-End-Https",
    "WL-Proxy-SSL",
    "X-Appengine-Https",
    "X-ARR-SSL",
    "X-Forwarded-Context",
    "X-Forwarded-Host-Override",
    "X-Forwarded-Https",
    "X-Forwarded-Method",
    "X-Forwarded-Path",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Protocol",
    "X-Forwarded-Scheme",
    "X-Forwarded-Server",
    "X-Forwarded-Ssl",
    "X-Forwarded-Uri",
    "X-Forwarded-Url",
    "X-Host",
    "X-Original-Host",
    "X-Original-Method",
    "X-Original-Proto",
    "X-Original-Scheme",
    "X-Original-URI",
    "X-Script-Name",
    "X-Url-Scheme",
)
# Who the visitor is, as proxies that ask for a login say it.
_IDENTITY = (
    "Remote-Email",
    "Remote-Groups",
    "Remote-Name",
    "Remote-User",
    "X-Auth-Request-Email",
    "X-Auth-Request-Groups",
    "X-Auth-Request-User",
    "X-Forwarded-Access-Token",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-User",
    "X-Remote-User",
    "X-SSL-Client-Cert",
    "X-SSL-Client-DN",
    "X-SSL-Client-S-DN",
    "X-SSL-Client-Verify",
)
# Another path, host or method than that of the request, past the rules of nginx and of proxies before it.
OVERRIDE = (
    "X-HTTP-DestinationURL",
    "X-HTTP-Host-Override",
    "X-HTTP-Method",
    "X-HTTP-Method-Override",
    "X-HTTP-Path-Override",
    "X-Method-Override",
    "X-Original-URL",
    "X-Rewrite-URL",
)
_SAID = (*_ADDRESS, *_TARGET, *_IDENTITY)
FAMILY = (*_SAID, *OVERRIDE)
# The variable with what a trusted proxy says in each of these headers; without a value for all others.
CLAIMS = {name: f"$flaskops_p{number}" for number, name in enumerate(_SAID)}
_BY_NAME = {name.lower(): name for name in FAMILY}
# Headers that nginx sets from the connection itself, and those that frame a request.
_OWN = (
    *("Connection", "Content-Length", "Host", "Proxy", "Transfer-Encoding", "Upgrade", "X-Forwarded-For"),
    *("X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "X-Request-ID", "X-Scheme"),
)
_NAMES_OF_OWN = frozenset(name.lower() for name in _OWN)
# nginx has a variable for each header of such a name, and drops all others.
_NAME = re.compile(r"[A-Za-z0-9-]+")


def check_passed(names: t.Iterable[str]) -> tuple[str, ...]:
    """Return the headers that are passed on nevertheless; raise InputError for one that is never taken out."""
    for name in names:
        if name.lower() not in _BY_NAME:
            near = most_similar(name, FAMILY)
            hint = f"did you mean '{near}'?" if near else "proxy_headers sets headers of your own"
            raise InputError(f"pass_headers: '{name}' is none of the headers that are taken out; {hint}")
    return tuple(names)


def is_for_proxies(name: str) -> bool:
    """Tell whether a header may be one that only another proxy sets: those of nginx itself are not."""
    return bool(_NAME.fullmatch(name)) and name.lower() not in _NAMES_OF_OWN


def check_trusted(names: t.Iterable[str]) -> tuple[str, ...]:
    """Return further headers that only another proxy may set; raise InputError for one that cannot be that."""
    found: dict[str, str] = {}
    for name in names:
        if not _NAME.fullmatch(name):
            raise InputError(f"trusted_headers: '{name}' must consist of letters, digits and '-'")
        if not is_for_proxies(name):
            raise InputError(
                f"trusted_headers: '{name}' is set by nginx, with what trusted_proxies say where it can come from "
                "them: leave it out"
            )
        if name.lower() in found:
            raise InputError(f"trusted_headers: '{name}' is listed twice: remove one")
        found[name.lower()] = name
    return tuple(found.values())


def claims(further: t.Iterable[str]) -> dict[str, str]:
    """Return the variables with what a trusted proxy says in each of these headers, and in further ones."""
    known = {name.lower() for name in CLAIMS}
    names = [name for name in further if name.lower() not in known]
    return {**CLAIMS, **{name: f"$flaskops_p{number}" for number, name in enumerate(names, len(CLAIMS))}}


def visitor_headers(
    passed: t.Collection[str], further: t.Collection[str], trusts_proxies: bool, trusts_all: bool
) -> dict[str, str]:
    """Return these headers, and further ones, with what the application is sent as each.

    That is nothing, but where proxies are trusted: these have set, or taken out, those that say something of the
    visitor. C(trusts_all) is for a site that believes them of all who connect to it.
    """
    trusted = {name.lower() for name in further}
    # Headers that only proxies may set are not passed on from visitors.
    kept = {name.lower() for name in passed}
    kept = kept | trusted if trusts_all else kept - trusted
    said = {} if trusts_all else claims(further)
    believed = {name.lower() for name in said}
    wanted = said if trusts_proxies else dict.fromkeys(said, "")
    wanted = {**wanted, **{name: "" for name in OVERRIDE if name.lower() not in believed}}
    return {name: value for name, value in wanted.items() if name.lower() not in kept}
