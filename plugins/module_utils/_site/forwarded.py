# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client address, scheme and host that the application must see behind nginx. Private to flaskops.stack."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass

# From the networks that are for documentation (RFC 5737), and a name that cannot exist (RFC 6761).
_FORGED_ADDRESS, _VISITOR, _PROXY = "192.0.2.66", "198.51.100.7", "203.0.113.9"
_FORGED_HOST = "forged.invalid"
_FORGED_PREFIX = "/forged"
# Where the probe comes from, as nginx sees it.
OWN_ADDRESS = "127.0.0.1"
# Those that nginx may take for the visitor's of a probe, by what it says and which proxies are trusted.
PROBE_ADDRESSES = (OWN_ADDRESS, _FORGED_ADDRESS, _VISITOR, _PROXY)


@dataclass(frozen=True)
class ForwardedChain:
    """How visitors reach an application through nginx on this host."""

    # The link to the live release.
    current: str
    host: str
    port: int = 80
    tls: bool = False
    # Whether there is another proxy in front of nginx, and whether nginx trusts only some addresses.
    behind_proxy: bool = False
    chosen_proxies: bool = False
    proxy_protocol: bool = False
    # What the check asks for; empty where any path will do.
    path: str = ""
    # Below which path of the site the application is.
    prefix: str = ""

    @property
    def authority(self) -> str:
        """Return the host as a browser sends it."""
        return self.host if self.port == (443 if self.tls else 80) else f"{self.host}:{self.port}"

    def to_json(self) -> dict[str, t.Any]:
        """Return it in JSON's types."""
        found = asdict(self)
        return {key: value for key, value in found.items() if value or key not in ("path", "prefix")}


def forged_headers(chain: ForwardedChain, hops: int) -> dict[str, str]:
    """Return forged headers as a client sends them to nginx, or as a proxy in front passes them on."""
    prefix = {"X-Forwarded-Prefix": _FORGED_PREFIX} if chain.prefix else {}
    if hops > 1:
        proxies = [_PROXY] * (hops - 2)
        return {
            **prefix,
            "X-Forwarded-For": ", ".join([_FORGED_ADDRESS, _VISITOR, *proxies]),
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": chain.authority,
        }
    return {
        **prefix,
        "X-Forwarded-For": _FORGED_ADDRESS,
        "X-Forwarded-Proto": "http" if chain.tls else "https",
        "X-Forwarded-Host": _FORGED_HOST,
        "Forwarded": f"for={_FORGED_ADDRESS};host={_FORGED_HOST}",
    }


def proxy_greeting(chain: ForwardedChain) -> bytes:
    """Return what a connection begins with: with the PROXY protocol, the address that nginx sees without it as well."""
    line = f"PROXY TCP4 {OWN_ADDRESS} {OWN_ADDRESS} {chain.port} {chain.port}\r\n"
    return line.encode() if chain.proxy_protocol else b""


def expected_headers(chain: ForwardedChain, hops: int) -> dict[str, str]:
    """Return the address, scheme and host that the application must see."""
    prefix = {"prefix": chain.prefix} if chain.prefix else {}
    if hops > 1:
        return {**prefix, "address": _VISITOR, "scheme": "https", "host": chain.authority}
    return {**prefix, "address": OWN_ADDRESS, "scheme": "https" if chain.tls else "http", "host": chain.authority}


_NAMES = {
    "address": "the visitor's address (REMOTE_ADDR)",
    "scheme": "the scheme",
    "host": "the host",
    "prefix": "its path (SCRIPT_NAME)",
}


def find_wrong_headers(chain: ForwardedChain, hops: int, believed: t.Mapping[str, str]) -> str:
    """Return the difference to what the application must see, and the way out; an empty text when there is none."""
    wanted = expected_headers(chain, hops)
    if not hops:
        # The application reads these headers itself, and is free in what it makes of them.
        return ""
    if chain.chosen_proxies and hops > 1:
        # The probe comes from no trusted proxy, so only a forged address can be detected.
        wrong = ["address"] if believed.get("address") == _FORGED_ADDRESS else []
    else:
        wrong = [key for key, value in wanted.items() if believed.get(key) != value]
    if not wrong:
        return ""
    seen = "; ".join(f"{_NAMES[key]} was '{believed.get(key, '')}' and should be '{wanted[key]}'" for key in wrong)
    return f"through nginx, with forged X-Forwarded headers, the application believed: {seen}. {_remedy(chain, hops)}"


def _remedy(chain: ForwardedChain, hops: int) -> str:
    if hops > 1 and not chain.behind_proxy:
        return (
            f"trusted_hops is {hops}, but the site of nginx is not told of the proxy before it: leave "
            "nginx.behind_proxy as it is derived, or set trusted_hops: 1 where visitors reach nginx directly"
        )
    if hops == 1 and chain.behind_proxy:
        return (
            "nginx is told that another proxy stands before it, but trusted_hops is 1, which is nginx alone: set "
            "trusted_hops to the number of proxies, nginx included"
        )
    names = ", -Proto, -Host and -Prefix" if chain.prefix else ", -Proto and -Host"
    return (
        f"trusted_hops is {hops}: nginx has to set X-Forwarded-For{names} itself, as the generated site does; see a "
        "template, content, config or proxy_headers of this site, or a change by hand, which site.yml undoes"
    )
