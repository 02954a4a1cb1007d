# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a firewall lets in: read from the input, and compared with what listens. Private to flaskops.stack."""

from __future__ import annotations

import ipaddress
import re
import typing as t
from dataclasses import dataclass

from .._input.values import InputError, shown, split_text

ALL = "all"
PROTOCOLS = ("tcp", "udp")
# Visitors come by these, with or without a site that has TLS already.
WEB_PORTS = (80, 443)
_HIGHEST = 65535
_RANGE = re.compile(r"(\d{1,5})(?:[-:](\d{1,5}))?")
_CLOSED = re.compile(r"(\d{1,5})(?:/(tcp|udp))?")


@dataclass(frozen=True)
class Opening:
    """New connections that are let in; no protocol means all of them, no networks mean all addresses."""

    protocol: str
    first: int
    last: int
    networks: t.Tuple[str, ...] = ()

    def covers(self, listener: Listener) -> bool:
        """Tell whether connections to a listener are let in, at least from the networks that the user has chosen."""
        return not self.protocol or (self.protocol == listener.protocol and self.first <= listener.port <= self.last)

    def to_json(self) -> list[t.Any]:
        """Return what C(from_json) reads."""
        return [self.protocol, self.first, self.last, list(self.networks)]

    @classmethod
    def from_json(cls, values: t.Sequence[t.Any]) -> Opening:
        """Return what C(to_json) has made a list of."""
        protocol, first, last, networks = values
        return cls(str(protocol), int(first), int(last), tuple(map(str, networks)))


@dataclass(frozen=True)
class Listener:
    """A port on which programs of the host answer to others than the host itself."""

    protocol: str
    port: int
    programs: t.Tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it as errors name it."""
        return f"{self.port}/{self.protocol} ({', '.join(self.programs) or 'the kernel'})"


def web_openings(ports: t.Iterable[str]) -> list[Opening]:
    """Return what visitors need: ports such as V(8080/tcp), beside the usual ones."""
    wanted = {("tcp", port) for port in WEB_PORTS}
    for text in ports:
        number, protocol = parse_closed(text, "ports")
        wanted.add((protocol or "tcp", number))
    return [Opening(protocol, port, port) for protocol, port in sorted(wanted)]


def parse_allowed(entries: t.Iterable[t.Mapping[str, t.Any]], what: str) -> list[Opening]:
    """Return what entries of C(nginx_firewall_allow) let in; raise InputError for what is impossible."""
    return [_parse_allowed(entry, what) for entry in entries]


def _parse_allowed(entry: t.Mapping[str, t.Any], what: str) -> Opening:
    port, networks = entry.get("port"), _parse_networks(_listed(entry.get("from")), what)
    if port in (None, ""):
        if not networks:
            raise InputError(f"{what}: an entry needs port, from, or both, such as {{port: 5432, from: [10.0.0.0/8]}}")
        return Opening("", 0, 0, networks)
    first, last = _parse_range(port, what)
    protocol = entry.get("protocol") or "tcp"
    if protocol not in PROTOCOLS:
        raise InputError(f"{what}: protocol {shown(protocol)} must be tcp or udp")
    return Opening(protocol, first, last, networks)


def _parse_range(value: object, what: str) -> tuple[int, int]:
    found = _RANGE.fullmatch(str(value).strip())
    first = int(found.group(1)) if found else 0
    last = int(found.group(2) or first) if found else 0
    if not 1 <= first <= last <= _HIGHEST:
        raise InputError(f"{what}: port {shown(value)} must be a port or a range of ports, such as 5432 or 6000-6010")
    return first, last


def _parse_networks(values: t.Iterable[object], what: str) -> tuple[str, ...]:
    found: list[t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]] = []
    for value in values:
        try:
            network = ipaddress.ip_network(str(value).strip(), strict=False)
        except ValueError as exc:
            raise InputError(f"{what}: from {shown(value)} must be an address or a network such as 10.0.0.0/8") from exc
        if not network.prefixlen:
            raise InputError(f"{what}: from '{value}' means all addresses: leave from out, which opens the port to all")
        found.append(network)
    # Sets of nftables take no network that lies in another one.
    old = ipaddress.collapse_addresses(net for net in found if isinstance(net, ipaddress.IPv4Network))
    new = ipaddress.collapse_addresses(net for net in found if isinstance(net, ipaddress.IPv6Network))
    return (*map(_plain, old), *map(_plain, new))


def _plain(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    """Return a network as firewalls show it: a single address has no length."""
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)


def parse_closed(text: object, what: str) -> tuple[int, str]:
    """Return port and protocol of V(5432) or V(5432/tcp); the protocol is empty when there is none."""
    found = _CLOSED.fullmatch(str(text).strip())
    number = int(found.group(1)) if found else 0
    if not found or not 1 <= number <= _HIGHEST:
        raise InputError(f"{what}: {shown(text)} must be a port such as 5432 or 5432/tcp, or the word {ALL}")
    return number, found.group(2) or ""


def parse_closes(values: t.Sequence[object], what: str) -> set[tuple[int, str]] | None:
    """Return the ports that may be closed, with an empty protocol for both; None when all may."""
    if ALL in values:
        return None
    return {parse_closed(value, what) for value in values}


def _listed(value: object) -> list[t.Any]:
    """Return a list as Ansible takes it: a text may be several elements between commas, or none."""
    if isinstance(value, (list, tuple)):
        return list(value)
    return [] if value is None or value == "" else split_text(str(value))


def firewall_faults(allow: object, close: object) -> list[str]:
    """Return what is wrong with the variables of the roles; their types were checked before, but not converted."""
    faults: list[str] = []
    for read in (
        lambda: parse_allowed(_listed(allow), "nginx_firewall_allow"),
        lambda: parse_closes(_listed(close), "nginx_firewall_close"),
    ):
        try:
            read()
        except InputError as exc:
            faults.append(str(exc))
    return faults


def closed_by(listeners: t.Iterable[Listener], openings: t.Sequence[Opening]) -> list[Listener]:
    """Return the listeners that cannot be reached any more."""
    return [listener for listener in listeners if not any(opening.covers(listener) for opening in openings)]


def not_named(closed: t.Iterable[Listener], close: set[tuple[int, str]] | None) -> list[Listener]:
    """Return those of which the user has not said that they may be closed."""
    if close is None:
        return []
    return [one for one in closed if not {(one.port, ""), (one.port, one.protocol)} & close]
