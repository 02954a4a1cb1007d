# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out how a host is reached now: what listens, and by which ports SSH comes. Private to flaskops.stack."""

from __future__ import annotations

import os
import typing as t

from .._system.command import CommandError
from .._system.host import Host
from .openings import Listener
from .sockets import (
    SSH_PROGRAMS,
    Socket,
    connection_port,
    parse_sockets,
    ports_of,
    reachable,
    socket_unit_ports,
    sshd_ports,
)

_SSHD = "/usr/sbin/sshd"
# A Match block asks who comes from where; the answer changes no port.
_ANYBODY = "user=root,host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22"
_SOCKET_UNITS = ("ssh.socket", "sshd.socket", "dropbear.socket", "*ssh*.socket")
_RANGE = "/proc/sys/net/ipv4/ip_local_port_range"
_EPHEMERAL = (32768, 60999)


class Observed(t.NamedTuple):
    """How a host is reached."""

    ssh: t.List[int]
    # Protocol and port on which nginx listens for others.
    nginx: t.List[t.Tuple[str, int]]
    listeners: t.List[Listener]


def observe(host: Host) -> Observed:
    """Look at the host; raise CommandError when its sockets cannot be listed."""
    listed = host.commands.run_checked(["ss", "-H", "-l", "-t", "-u", "-n", "-p"])
    sockets = parse_sockets(listed.out)
    return Observed(ssh_ports(host, sockets), ports_of(sockets, ("nginx",)), reachable(sockets, _ephemeral_range(host)))


def ssh_ports(host: Host, sockets: t.Sequence[Socket]) -> list[int]:
    """Return the ports of SSH: those that are configured, those that it listens on, and that of this connection.

    They differ while a new configuration was not loaded yet, and where systemd listens for it.
    """
    found = {port for protocol, port in ports_of(sockets, SSH_PROGRAMS) if protocol == "tcp"}
    found |= sshd_ports(_output(host, [_SSHD, "-T", "-C", _ANYBODY]) or _output(host, [_SSHD, "-T"]))
    shown = ["systemctl", "show", "--property", "Id,ActiveState,UnitFileState,Listen", "--", *_SOCKET_UNITS]
    found |= socket_unit_ports(_output(host, shown))
    return sorted(found | ({_connection_port(host)} - {0}))


def _output(host: Host, argv: t.Sequence[str]) -> str:
    """Return what a command prints; nothing when it fails or is not there."""
    try:
        result = host.commands.run(argv)
    except (CommandError, OSError):
        return ""
    return result.out if result.rc == 0 else ""


def _connection_port(host: Host) -> int:
    """Return the port by which this run has come; sudo(8) keeps it from the module, not from its callers."""
    pid = os.getpid()
    while pid > 1:
        port = connection_port(host.kernel.read(f"/proc/{pid}/environ", 2**20) or "")
        if port:
            return port
        pid = _parent(host.kernel.read(f"/proc/{pid}/status") or "")
    return 0


def _parent(status: str) -> int:
    found = [line.split()[1] for line in status.splitlines() if line.startswith("PPid:")]
    return int(found[0]) if found else 0


def _ephemeral_range(host: Host) -> tuple[int, int]:
    words = (host.kernel.read(_RANGE) or "").split()
    return (int(words[0]), int(words[1])) if len(words) == 2 else _EPHEMERAL
