# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what listens on a host, and by which ports SSH comes, from the output of programs. Private to flaskops.stack."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from .openings import Listener

# As OpenSSH's server is called in each version, and smaller ones.
SSH_PROGRAMS = ("sshd", "sshd-session", "dropbear", "tinysshd")
# Answers to these are let in: DHCP for IPv4 and IPv6.
CLIENT_PORTS = (("udp", 68), ("udp", 546))
_PROGRAM = re.compile(r'\("((?:[^"\\]|\\.)*)",pid=')
_STREAM = re.compile(r"(?P<address>\S*?):?(?P<port>\d+) \(Stream\)")


class Socket(t.NamedTuple):
    """A line of ss(8)."""

    protocol: str
    address: str
    port: int
    programs: t.Tuple[str, ...]

    @property
    def is_local(self) -> bool:
        """Tell whether only the host itself reaches it."""
        return is_loopback(self.address)


def is_loopback(address: str) -> bool:
    """Tell whether an address, with its interface or without, is the host's own."""
    host, _sign, interface = address.strip("[]").partition("%")
    if interface.rstrip("]") == "lo":
        return True
    try:
        return ipaddress.ip_address(host.rstrip("]")).is_loopback
    except ValueError:
        return host == "localhost"


def parse_sockets(text: str) -> list[Socket]:
    """Return the sockets that C(ss --no-header --listening --tcp --udp --numeric --processes) lists."""
    found = []
    for line in text.splitlines():
        words = line.split(None, 6)
        address, _colon, port = words[4].rpartition(":") if len(words) > 4 else ("", "", "")
        if port.isdigit() and words[0] in ("tcp", "udp"):
            programs = dict.fromkeys(_PROGRAM.findall(words[6] if len(words) > 6 else ""))
            found.append(Socket(words[0], address, int(port), tuple(programs)))
    return found


def reachable(sockets: t.Iterable[Socket], ephemeral: tuple[int, int]) -> list[Listener]:
    """Return on which ports others reach this host.

    Left out is what needs no opening: UDP sockets of clients, which the kernel has given a port of the range
    C(ephemeral), and containers' ports, which Docker hands on before the rules for the host itself are asked.
    """
    found: dict[tuple[str, int], dict[str, None]] = {}
    for socket in sockets:
        key = (socket.protocol, socket.port)
        is_client = socket.protocol == "udp" and socket.programs and ephemeral[0] <= socket.port <= ephemeral[1]
        is_handed_on = socket.programs == ("docker-proxy",) and "::" not in socket.address and socket.address != "*"
        if not (socket.is_local or is_client or is_handed_on or key in CLIENT_PORTS):
            found.setdefault(key, {}).update(dict.fromkeys(socket.programs))
    return [Listener(protocol, port, tuple(names)) for (protocol, port), names in sorted(found.items())]


def ports_of(sockets: t.Iterable[Socket], programs: t.Collection[str]) -> list[tuple[str, int]]:
    """Return protocol and port of what these programs listen on for others."""
    ours = [socket for socket in sockets if not socket.is_local and set(socket.programs) & set(programs)]
    return sorted({(socket.protocol, socket.port) for socket in ours})


def sshd_ports(text: str) -> set[int]:
    """Return the ports in the output of C(sshd -T); one for the host itself alone is none."""
    settings = [line.split(None, 1) for line in text.splitlines() if " " in line]
    listed = [value.rpartition(":") for key, value in settings if key == "listenaddress"]
    if listed:
        return {int(port) for address, _colon, port in listed if port.isdigit() and not is_loopback(address)}
    return {int(value) for key, value in settings if key == "port" and value.isdigit()}


def socket_unit_ports(text: str) -> set[int]:
    """Return the ports of units in the output of C(systemctl show) that listen, or will at the next boot."""
    found: set[int] = set()
    for block in text.split("\n\n"):
        pairs = [line.partition("=") for line in block.splitlines()]
        state = {key: value for key, _sign, value in pairs}
        if state.get("ActiveState") == "active" or state.get("UnitFileState", "").startswith("enabled"):
            streams = [_STREAM.fullmatch(value) for key, _sign, value in pairs if key == "Listen"]
            found |= {int(each["port"]) for each in streams if each and not is_loopback(each["address"])}
    return found


def connection_port(environ: str) -> int:
    """Return the port of this host by which a process was called over SSH, from its environment; 0 for none."""
    for entry in environ.split("\0"):
        name, _sign, value = entry.partition("=")
        words = value.split()
        if name == "SSH_CONNECTION" and len(words) == 4 and words[3].isdigit():
            return int(words[3])
    return 0
