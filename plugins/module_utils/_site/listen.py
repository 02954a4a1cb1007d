# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports on which sites are reached from outside. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t

from .syntax import descend, parse

# ngx_parse_url(): an address, a port or a range of ports, or both; without a port, 80.
_ADDRESS = re.compile(r"(?:(?P<host>\[[^]]*\]|[^:]*):)?(?P<port>\d{1,5})(?:-(?P<last>\d{1,5}))?")
_HIGHEST = 65535
_DEFAULT = 80
_LOOPBACK = re.compile(r"127\.\d+\.\d+\.\d+|\[::1\]|localhost")


def listen_ports(configs: t.Iterable[t.Mapping[str, t.Any]]) -> list[str]:
    """Return ports such as V(443/udp) of what module nginx_site is to publish, without those of templates."""
    found: set[tuple[int, str]] = set()
    for config in configs:
        if config.get("state", "enabled") == "enabled":
            for directive in descend(parse(str(config.get("content") or ""))):
                if directive.name == "listen" and directive.args:
                    found |= _ports(directive.args[0], "udp" if "quic" in directive.args[1:] else "tcp")
    return [f"{port}/{protocol}" for port, protocol in sorted(found)]


def _ports(address: str, protocol: str) -> set[tuple[int, str]]:
    match = _ADDRESS.fullmatch(address)
    host, first = (match["host"] or "", int(match["port"])) if match else (address, _DEFAULT)
    last = min(int(match["last"]), _HIGHEST) if match and match["last"] else first
    is_inside = host.startswith("unix") or _LOOPBACK.fullmatch(host)
    return set() if is_inside else {(port, protocol) for port in range(first, last + 1)}
