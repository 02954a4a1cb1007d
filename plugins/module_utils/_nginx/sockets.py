# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the sockets that nginx opens for C(http), C(stream) and C(mail), and which of them conflict.

C(nginx -t) tolerates EADDRINUSE, so that only a start or a reload would tell. Private to flaskops.stack.
"""

from __future__ import annotations

import itertools
import os
import re
import socket as network
import typing as t

from .checks import Problem
from .conf import Configuration, Placed
from .policy import CLASH

TCP, UDP, UNIX = "tcp", "udp", "unix"
CONTEXTS = ("http", "stream", "mail")
# Options that give an address a socket of its own beside a wildcard (ngx_http_core_listen: lsopt.bind = 1).
_BINDS = (
    *("accept_filter", "backlog", "bind", "deferred", "fastopen", "ipv6only"),
    *("multipath", "rcvbuf", "reuseport", "setfib", "sndbuf", "so_keepalive"),
)
# So many places of one socket are named: all sites of a host may listen on it.
_NAMED = 4
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")
_MAPPED = bytes(10) + b"\xff\xff"
# The addresses, IPv4 or IPv6, of a name.
Resolver = t.Callable[[str], t.Sequence[str]]


class ConfigLine(t.NamedTuple):
    """The file and line of a C(listen) directive, or of a server without one, that opens a socket."""

    file: str
    line: int
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return file and line."""
        return f"{self.file}:{self.line}"


class Address(t.NamedTuple):
    """Where a socket listens; C(host) is the packed address, or the path of a unix socket."""

    kind: str
    host: bytes
    port: int = 0

    @property
    def wildcard(self) -> bool:
        """Tell whether it stands for all addresses of its family."""
        return self.kind != UNIX and not any(self.host)

    @property
    def is_v6(self) -> bool:
        """Tell whether it is one of IPv6."""
        return self.kind != UNIX and len(self.host) == 16

    def __str__(self) -> str:
        """Return it as nginx writes it."""
        if self.kind == UNIX:
            return f"unix:{os.fsdecode(self.host)}"
        family = network.AF_INET6 if self.is_v6 else network.AF_INET
        text = network.inet_ntop(family, self.host)
        return f"{f'[{text}]' if self.is_v6 else text}:{self.port}{'/udp' if self.kind == UDP else ''}"


class Socket(t.NamedTuple):
    """One socket that nginx opens."""

    context: str
    address: Address
    places: tuple[ConfigLine, ...]
    # Only for a wildcard of IPv6 it matters whether IPv4 is covered, too.
    both_families: bool = False
    reuseport: bool = False

    @property
    def place(self) -> ConfigLine:
        """Return the directive that makes the socket what it is: one with options, else the first."""
        return next((place for place in self.places if place.options), self.places[0])

    def __str__(self) -> str:
        """Return address, context and places, the one that matters first."""
        both = " with ipv6only=off" if self.both_families and self.address.wildcard else ""
        places = [*dict.fromkeys(map(str, (self.place, *self.places)))]
        more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
        return f"{self.address}{both} ({self.context}, {', '.join(places[:_NAMED])}{more})"


def _ports(text: str) -> range:
    match = _RANGE.fullmatch(text)
    if match is None:
        return range(0)
    first = int(match.group(1))
    return range(first, min(int(match.group(2) or first), 65535) + 1)


def _split(value: str) -> tuple[str, range]:
    """Return host and ports of a C(listen) directive; no ports where nginx would complain."""
    if value.startswith("["):
        host, _bracket, rest = value[1:].partition("]")
        return host, _ports(rest[1:] if rest else "80")
    host, colon, port = value.partition(":")
    if not colon and _RANGE.fullmatch(value):
        return "*", _ports(value)
    return host, _ports(port if colon else "80")


def _packed(text: str) -> bytes | None:
    for family in (network.AF_INET, network.AF_INET6):
        try:
            return network.inet_pton(family, text)
        except (OSError, ValueError):
            continue
    return None


def addresses(args: t.Sequence[str], resolve: Resolver) -> list[Address]:
    """Return what a C(listen) directive stands for: a range has several ports, a name several addresses."""
    value, options = args[0], args[1:]
    if value.startswith("unix:"):
        return [Address(UNIX, os.fsencode(value[len("unix:") :]))]
    host, ports = _split(value)
    literal = _packed("0.0.0.0" if host == "*" else host)
    hosts = [literal] if literal is not None else [_packed(text) for text in resolve(host)]
    kind = UDP if {"udp", "quic"} & set(options) else TCP
    return [Address(kind, packed, port) for packed in hosts if packed is not None for port in ports]


def bind_options(options: t.Iterable[str]) -> tuple[str, ...]:
    """Return those options of a C(listen) directive that are of its socket."""
    return tuple(option for option in options if option.partition("=")[0] in _BINDS)


def _listens(config: Configuration, context: str, server: Placed) -> t.Iterator[tuple[Placed, tuple[str, ...]]]:
    """Yield the C(listen) directives of a server; one of C(http) listens without them, too."""
    found = [
        (item, item.directive.args)
        for item in config.inside(server)
        if item.directive.name == "listen" and item.directive.args
    ]
    yield from found or ([(server, ("80",))] if context == "http" else [])


def find_sockets(config: Configuration, resolve: Resolver) -> list[Socket]:
    """Return the sockets that nginx opens: an address beside a wildcard has one of its own only by its options."""
    found: dict[tuple[str, Address], Socket] = {}
    for block in config.top():
        context = block.directive.name
        if context not in CONTEXTS:
            continue
        for server in config.inside(block):
            if server.directive.name != "server":
                continue
            for item, args in _listens(config, context, server):
                place = ConfigLine(item.file, config.line(item), bind_options(args[1:]))
                both, reuse = "ipv6only=off" in args, "reuseport" in args
                for address in addresses(args, resolve):
                    former = found.get((context, address), Socket(context, address, ()))
                    found[context, address] = Socket(
                        context,
                        address,
                        (*former.places, place),
                        former.both_families or (both and address.is_v6),
                        former.reuseport or reuse,
                    )
    return [item for item in found.values() if not _is_covered(item, found)]


def _is_covered(item: Socket, found: t.Mapping[tuple[str, Address], Socket]) -> bool:
    """Tell whether nginx serves an address by the wildcard of its family, context and port."""
    address = item.address
    wildcard = address._replace(host=bytes(len(address.host)))
    return (
        address.kind != UNIX
        and not address.wildcard
        and (item.context, wildcard) in found
        and not any(place.options for place in item.places)
    )


def overlap(one: Address, other: Address, one_both: bool, other_both: bool) -> bool:
    """Tell whether two addresses have a connection in common; C(_both): a socket of IPv6 takes IPv4 as well."""
    if (one.kind, one.port) != (other.kind, other.port):
        return False
    if one.kind == UNIX:
        return os.path.normpath(one.host) == os.path.normpath(other.host)
    if one.is_v6 == other.is_v6:
        return one.host == other.host or one.wildcard or other.wildcard
    six, four, both = (one, other, one_both) if one.is_v6 else (other, one, other_both)
    if six.wildcard:
        return both
    return six.host.startswith(_MAPPED) and (four.wildcard or six.host[len(_MAPPED) :] == four.host)


def _clash(one: Socket, other: Socket) -> bool:
    """Tell whether two sockets of one nginx cannot be, or would share their connections by chance."""
    if not overlap(one.address, other.address, one.both_families, other.both_families):
        return False
    # Linux lets several sockets have one UDP address (nginx sets SO_REUSEADDR), or one TCP address with SO_REUSEPORT.
    divided = one.address.kind == UDP or (one.reuseport and other.reuseport)
    return one.address == other.address or one.address.kind == UNIX or not divided


def clashing(sockets: t.Sequence[Socket]) -> list[tuple[Socket, Socket]]:
    """Return the pairs of sockets that nginx, started anew, could not open beside each other."""
    by_port: dict[tuple[str, int], list[Socket]] = {}
    for item in sockets:
        by_port.setdefault((item.address.kind, item.address.port), []).append(item)
    pairs = (pair for group in by_port.values() for pair in itertools.combinations(group, 2))
    return [(one, other) for one, other in pairs if _clash(one, other)]


def find_clashes(sockets: t.Sequence[Socket]) -> list[Problem]:
    """Find sockets that exclude each other; two ranges of ports are told of once."""
    problems: dict[tuple[ConfigLine, ConfigLine], Problem] = {}
    for one, other in clashing(sockets):
        problems.setdefault((one.place, other.place), _problem(one, other))
    return list(problems.values())


def _problem(one: Socket, other: Socket) -> Problem:
    subject = " and ".join(sorted(f"{item.context} {item.address}" for item in (one, other)))
    return Problem(CLASH, subject, (), f"nginx cannot open both {one} and {other}: {_remedy(one, other)}")


def _remedy(one: Socket, other: Socket) -> str:
    """Return the way out of a clash."""
    other_port = "give one of them another port (of a site of role nginx: http_port or https_port)"
    if one.address == other.address:
        return other_port
    for six, four in ((one, other), (other, one)):
        if six.both_families and not four.address.is_v6:
            return (
                f"take 'ipv6only=off' out of {six.place}, add 'listen {four.address.port};' beside it and restart "
                f"nginx (a reload keeps the socket as it is), or {other_port}"
            )
    if one.context == other.context:
        special = one if other.address.wildcard else other
        options = " ".join(special.place.options) or "its options"
        return f"take '{options}' out of {special.place}, or {other_port}"
    return other_port
