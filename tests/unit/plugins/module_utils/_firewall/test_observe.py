# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._firewall.observe import observe
from ansible_collections.flaskops.stack.plugins.module_utils._firewall.openings import Listener
from ansible_collections.flaskops.stack.plugins.module_utils._system.command import CommandError
from ansible_collections.flaskops.stack.plugins.module_utils._system.host import Host, Kernel
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils._firewall.fake_firewall import (
    POSTGRES,
    FakeFirewall,
)


class SudoKernel(Kernel):
    """This process was called by sudo, which was called over SSH."""

    def read(self, path: str, most: int = 65536) -> str | None:
        return {
            f"/proc/{os.getpid()}/environ": "PATH=/bin\0",
            f"/proc/{os.getpid()}/status": "Name:\tpython3\nPPid:\t70\n",
            "/proc/70/environ": "SUDO_USER=deploy\0",
            "/proc/70/status": "Name:\tsudo\nPPid:\t60\n",
            "/proc/60/environ": "SSH_CONNECTION=192.0.2.1 40000 10.0.0.5 2200\0",
            "/proc/sys/net/ipv4/ip_local_port_range": "10000\t20000\n",
        }.get(path, "")[:most]


def test_each_way_of_ssh_into_the_host_is_found(fake: FakeFirewall) -> None:
    # sshd was told another port and not restarted, systemd listens on a third one, this connection came by a fourth.
    fake.sshd = "port 22\nlistenaddress [::]:2222\n"
    fake.socket_units = "Id=ssh.socket\nListen=[::]:2022 (Stream)\nActiveState=active\nUnitFileState=enabled\n"
    fake.sockets["postgres"] = POSTGRES
    seen = observe(Host(commands=fake, kernel=SudoKernel()))
    assert seen.ssh == [22, 2022, 2200, 2222]
    assert seen.nginx == [("tcp", 80)]
    assert Listener("tcp", 5432, ("postgres",)) in seen.listeners


def test_a_match_block_is_asked_for_anybody(fake: FakeFirewall) -> None:
    observe(fake.host)
    assert any(line.startswith("sshd -T -C user=root,") for line in fake.ran)
    fake.failing = {"sshd -T -C"}
    fake.sockets.clear()
    assert observe(fake.host).ssh == [22]


def test_a_host_without_sshd_has_no_ports_of_it(fake: FakeFirewall) -> None:
    fake.failing, fake.sockets = {"sshd"}, {}
    assert observe(fake.host) == ([], [], [])


def test_sockets_that_cannot_be_listed_are_no_reason_to_close_them(fake: FakeFirewall) -> None:
    fake.failing = {"ss"}
    with pytest.raises(CommandError, match="ss -H -l -t -u -n -p"):
        observe(fake.host)
