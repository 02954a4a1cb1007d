# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._firewall.openings import Listener
from ansible_collections.flaskops.stack.plugins.module_utils._firewall.sockets import (
    connection_port,
    is_loopback,
    parse_sockets,
    ports_of,
    reachable,
    socket_unit_ports,
    sshd_ports,
)

# As ss of Debian 12 and 13 prints it.
SS = """\
udp   UNCONN 0      0            127.0.0.53%lo:53        0.0.0.0:*    users:(("systemd-resolve",pid=96,fd=16))
udp   UNCONN 0      0             0.0.0.0%eth0:68        0.0.0.0:*    users:(("systemd-network",pid=80,fd=20))
udp   UNCONN 0      0      [fe80::1]%eth0:546            [::]:*       users:(("systemd-network",pid=80,fd=21))
udp   UNCONN 0      0                  0.0.0.0:5353      0.0.0.0:*    users:(("avahi-daemon",pid=90,fd=12))
udp   UNCONN 0      0                  0.0.0.0:41234     0.0.0.0:*    users:(("avahi-daemon",pid=90,fd=14))
udp   UNCONN 0      0                  0.0.0.0:51820     0.0.0.0:*
udp   UNCONN 0      0                  0.0.0.0:443       0.0.0.0:*    users:(("nginx",pid=9,fd=5),("nginx",pid=8,fd=5))
tcp   LISTEN 0      511                0.0.0.0:80        0.0.0.0:*    users:(("nginx",pid=9,fd=6))
tcp   LISTEN 0      511              127.0.0.1:8181      0.0.0.0:*    users:(("nginx",pid=9,fd=7))
tcp   LISTEN 0      128                   [::]:2222      [::]:*    users:(("sshd",pid=746,fd=7),("systemd",pid=1,fd=4))
tcp   LISTEN 0      4096                     *:9090            *:*    users:(("prometheus",pid=77,fd=7))
tcp   LISTEN 0      4096               0.0.0.0:8080      0.0.0.0:*    users:(("docker-proxy",pid=50,fd=4))
tcp   LISTEN 0      4096                  [::]:8081         [::]:*    users:(("docker-proxy",pid=51,fd=4))
tcp   LISTEN 0      128          [::1]:631             [::]:*
"""


def test_what_others_reach_is_told_from_what_only_the_host_and_clients_use() -> None:
    assert reachable(parse_sockets(SS), (32768, 60999)) == [
        Listener("tcp", 80, ("nginx",)),
        Listener("tcp", 2222, ("sshd", "systemd")),
        # Packets to an IPv4 port of a container never reach the rules for the host; those to an IPv6 one may.
        Listener("tcp", 8081, ("docker-proxy",)),
        Listener("tcp", 9090, ("prometheus",)),
        Listener("udp", 443, ("nginx",)),
        Listener("udp", 5353, ("avahi-daemon",)),
        # WireGuard has no process, and a port of that range.
        Listener("udp", 51820),
    ]


def test_ports_are_found_by_their_programs() -> None:
    sockets = parse_sockets(SS)
    assert ports_of(sockets, ("nginx",)) == [("tcp", 80), ("udp", 443)]
    assert ports_of(sockets, ("sshd", "dropbear")) == [("tcp", 2222)]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.53%lo", "[::1]", "localhost", "0.0.0.0%lo"])
def test_addresses_of_the_host_itself(address: str) -> None:
    assert is_loopback(address)
    assert not any(map(is_loopback, ["0.0.0.0", "[::]", "*", "10.0.0.1", "[fe80::1]%eth0", "0.0.0.0%eth0"]))


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("port 22\nlistenaddress [::]:22\nlistenaddress 0.0.0.0:22\n", {22}),
        ("port 22\nport 2222\nlistenaddress [::]:22\nlistenaddress [::]:2222\n", {22, 2222}),
        # A port of an address replaces Port, which nothing listens on then.
        ("port 22\nlistenaddress 10.0.0.1:2200\n", {2200}),
        ("port 22\nlistenaddress 127.0.0.1:22\nlistenaddress 10.0.0.1:2200\n", {2200}),
        ("port 2022\n", {2022}),
        ("", set()),
    ],
)
def test_ports_of_the_configuration_of_sshd(text: str, ports: set[int]) -> None:
    assert sshd_ports(text) == ports


def test_sockets_of_systemd_that_listen_now_or_at_boot() -> None:
    shown = """\
Id=ssh.socket
Listen=0.0.0.0:22 (Stream)
Listen=[::]:2222 (Stream)
ActiveState=active
UnitFileState=enabled

Id=sshd-alt.socket
Listen=[::]:2022 (Stream)
ActiveState=inactive
UnitFileState=enabled

Id=old-ssh.socket
Listen=[::]:2023 (Stream)
ActiveState=inactive
UnitFileState=disabled

Id=sshd-unix-local.socket
Listen=/run/ssh-unix-local/socket (Stream)
Listen=127.0.0.1:2024 (Stream)
Listen=[::]:2025 (Datagram)
ActiveState=active
UnitFileState=generated
"""
    assert socket_unit_ports(shown) == {22, 2222, 2022}


@pytest.mark.parametrize(
    ("environ", "port"),
    [
        ("PATH=/bin\0SSH_CONNECTION=192.0.2.1 40000 10.0.0.5 2222\0X=1\0", 2222),
        ("SSH_CONNECTION=fe80::1%eth0 40000 fe80::2%eth0 22\0", 22),
        ("SSH_CONNECTION=UNKNOWN\0", 0),
        ("OLD_SSH_CONNECTION=1 2 3 4\0", 0),
        ("", 0),
    ],
)
def test_the_port_of_this_connection(environ: str, port: int) -> None:
    assert connection_port(environ) == port
