# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find listening sockets that are in use by another process, and name the process. Private to flaskops.stack."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import socket as network
import sys
import typing as t

from .._system.files import read_file
from .checks import Problem
from .policy import IN_USE
from .sockets import TCP, UDP, UNIX, Address, Socket, overlap

# Tables of /proc/net, and the state of a socket that takes connections or packets there.
_TABLES = (("tcp", TCP, "0A"), ("tcp6", TCP, "0A"), ("udp", UDP, "07"), ("udp6", UDP, "07"))
# The flag __SO_ACCEPTCON in /proc/net/unix.
_ACCEPTS = 0x10000
_SO_REUSEPORT = 15


class ListeningSocket(t.NamedTuple):
    """A socket that a process of this host listens on."""

    address: Address
    inode: str


def resolve(host: str) -> list[str]:
    """Return the addresses of a name as nginx finds them."""
    try:
        found = network.getaddrinfo(host, None, 0, network.SOCK_STREAM, 0, network.AI_ADDRCONFIG)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def parse_table(text: str, kind: str, state: str) -> list[ListeningSocket]:
    """Return the sockets of a table of /proc/net for TCP or UDP that are in a state."""
    found = []
    for fields in (line.split() for line in text.splitlines()[1:]):
        if len(fields) > 9 and fields[3] == state:
            host, _colon, port = fields[1].partition(":")
            raw = bytes.fromhex(host)
            # The kernel prints words of 32 bits in its own order of bytes.
            words = [raw[start : start + 4] for start in range(0, len(raw), 4)]
            packed = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
            found.append(ListeningSocket(Address(kind, packed, int(port, 16)), fields[9]))
    return found


def parse_unix(text: str) -> list[ListeningSocket]:
    """Return the unix sockets in /proc/net/unix that take connections and have a path."""
    return [
        ListeningSocket(Address(UNIX, os.fsencode(fields[7])), fields[6])
        for fields in (line.split(None, 7) for line in text.splitlines()[1:])
        if len(fields) == 8 and int(fields[3], 16) & _ACCEPTS and fields[7].startswith("/")
    ]


def _table(name: str) -> str:
    try:
        return (read_file(f"/proc/net/{name}") or b"").decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def listening() -> list[ListeningSocket]:
    """Return all sockets of this network namespace that a process listens on."""
    found = parse_unix(_table("unix"))
    for name, kind, state in _TABLES:
        found += parse_table(_table(name), kind, state)
    return found


def _inodes(pid: int) -> set[str]:
    """Return the sockets that a process has open."""
    found = set()
    with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                kind, _bracket, inode = os.readlink(entry.path).partition(":[")
                if kind == "socket":
                    found.add(inode.rstrip("]"))
    return found


def _is_taken(item: Socket) -> bool:
    """Tell whether nginx could not open a socket: try it, with the options that nginx would set."""
    address = item.address
    if address.kind == UNIX:
        return os.path.lexists(address.host)
    family = network.AF_INET6 if address.is_v6 else network.AF_INET
    kind = network.SOCK_DGRAM if address.kind == UDP else network.SOCK_STREAM
    host = network.inet_ntop(family, address.host)
    try:
        with network.socket(family, kind) as tried:
            tried.setsockopt(network.SOL_SOCKET, network.SO_REUSEADDR, 1)
            if item.reuseport:
                tried.setsockopt(network.SOL_SOCKET, _SO_REUSEPORT, 1)
            if address.is_v6:
                tried.setsockopt(network.IPPROTO_IPV6, network.IPV6_V6ONLY, not item.both_families)
            tried.bind((host, address.port))
    except OSError as exc:
        return exc.errno == errno.EADDRINUSE
    return False


def _likely_holders(item: Socket, held: t.Sequence[ListeningSocket]) -> list[ListeningSocket]:
    """Return the sockets that may conflict with one of nginx, the likeliest first."""
    # /proc does not tell whether a socket of IPv6 takes IPv4 as well.
    found = [one for one in held if overlap(item.address, one.address, item.both_families, True)]
    return sorted(found, key=lambda one: (one.address != item.address, one.address.is_v6 != item.address.is_v6))


def _process(inode: str) -> tuple[int, str]:
    """Return process id and name of the process that has a socket; 0 when none is found."""
    for path in sorted(glob.glob("/proc/[0-9]*"), key=lambda path: int(path[len("/proc/") :])):
        pid = int(path[len("/proc/") :])
        if inode in _inodes(pid):
            with contextlib.suppress(OSError):
                return pid, (read_file(f"{path}/comm") or b"").decode("utf-8", "replace").strip()
    return 0, ""


def _unit(pid: int) -> str:
    """Return the systemd unit of a process; '' when it has none."""
    try:
        group = (read_file(f"/proc/{pid}/cgroup") or b"").decode("utf-8", "replace").strip()
    except OSError:
        return ""
    return next((part for part in group.split("/")[::-1] if part.endswith((".service", ".scope"))), "")


def find_sockets_in_use(sockets: t.Iterable[Socket], master: int = 0) -> list[Problem]:
    """Find sockets that nginx could not open now; the ones that its running master process has it keeps."""
    held = listening()
    own = _inodes(master) if master else set()
    kept = {one.address for one in held if one.inode in own}
    problems: dict[tuple[str, ...], Problem] = {}
    for item in sockets:
        if item.address not in kept and _is_taken(item):
            problem = _problem(item, held, own)
            problems.setdefault((item.context, *map(str, item.places)), problem)
    return list(problems.values())


def _problem(item: Socket, held: t.Sequence[ListeningSocket], own: t.Container[str]) -> Problem:
    holder = next(iter(_likely_holders(item, held)), None)
    files = tuple(sorted({place.file for place in item.places}))
    return Problem(
        IN_USE, f"{item.context} {item.address}", files, f"nginx cannot open {item}: {_why(item, holder, own)}"
    )


def _why(item: Socket, holder: ListeningSocket | None, own: t.Container[str]) -> str:
    """Return which process has the socket, and the way out."""
    other_port = "give the site another port (of a site of role nginx: http_port or https_port)"
    if holder is None and item.address.kind == UNIX:
        return f"{os.fsdecode(item.address.host)} is there already and no process listens on it: remove that file"
    if holder is None:
        return f"the address is in use, and no process of this host has it: {other_port}"
    if holder.inode in own:
        opened = f"the running nginx has {holder.address}"
        if holder.address.is_v6 and not item.address.is_v6:
            return f"{opened} for IPv4 as well, and a reload keeps that: restart nginx and run this again"
        return (
            f"{opened}, and a reload opens new sockets before it closes old ones: go on listening on "
            f"{holder.address}, or stop nginx and run this again"
        )
    pid, name = _process(holder.inode)
    unit = _unit(pid) if pid else ""
    who = f"process {pid} ({name}{f', {unit}' if unit else ''})" if pid else "a process that cannot be seen from here"
    return f"{who} listens on {holder.address}: stop it, or {other_port}"
