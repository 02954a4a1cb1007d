# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._firewall.openings import (
    Listener,
    Opening,
    closed_by,
    firewall_faults,
    not_named,
    parse_allowed,
    parse_closes,
    web_openings,
)
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError

POSTGRES = Listener("tcp", 5432, ("postgres",))


def test_visitors_come_by_the_usual_ports_and_those_of_sites() -> None:
    assert web_openings(["8443/tcp", "443/udp", "80/tcp"]) == [
        Opening("tcp", 80, 80),
        Opening("tcp", 443, 443),
        Opening("tcp", 8443, 8443),
        Opening("udp", 443, 443),
    ]


def test_what_is_allowed_is_a_port_a_range_or_all_from_networks() -> None:
    entries: list[dict[str, t.Any]] = [
        {"port": 5432, "from": ["10.1.2.3/16", "10.0.0.0/8", "192.0.2.4", "2001:DB8::1"]},
        {"port": "6000-6010", "protocol": "udp"},
        {"port": None, "protocol": "tcp", "from": ["192.0.2.0/24"]},
    ]
    assert parse_allowed(entries, "allow") == [
        # A network inside another one would be refused by nft.
        Opening("tcp", 5432, 5432, ("10.0.0.0/8", "192.0.2.4", "2001:db8::1")),
        Opening("udp", 6000, 6010),
        Opening("", 0, 0, ("192.0.2.0/24",)),
    ]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "an entry needs port, from, or both"),
        ({"port": "http"}, 'port "http" must be a port or a range'),
        ({"port": 0}, "port 0 must be"),
        ({"port": 65536}, "port 65536 must be"),
        ({"port": "90-80"}, "must be a port or a range"),
        ({"port": True}, "port true must be"),
        ({"port": 80, "from": ["office"]}, 'from "office" must be an address or a network'),
        ({"port": 80, "from": ["0.0.0.0/0"]}, "from '0.0.0.0/0' means all addresses: leave from out"),
        ({"port": 80, "from": ["::/0"]}, "means all addresses"),
        ({"port": 80, "protocol": "icmp"}, 'protocol "icmp" must be tcp or udp'),
    ],
)
def test_what_cannot_be_allowed_is_named(entry: dict[str, t.Any], said: str) -> None:
    with pytest.raises(InputError, match=r"^nginx_firewall_allow: ") as caught:
        parse_allowed([entry], "nginx_firewall_allow")
    assert said in str(caught.value)


def test_faults_of_both_variables_are_said_at_once() -> None:
    assert firewall_faults([{"port": 22}], ["5432/tcp", "all"]) == []
    assert firewall_faults(None, None) == []
    found = firewall_faults([{"port": "x"}], ["postgres"])
    assert [fault.partition(":")[0] for fault in found] == ["nginx_firewall_allow", "nginx_firewall_close"]
    assert "must be a port such as 5432 or 5432/tcp, or the word all" in found[1]


@pytest.mark.parametrize("close", ["all", "5432, 111/udp", 5432, ["all"]])
def test_variables_may_be_written_as_ansible_takes_lists(close: object) -> None:
    # The types of a role's variables are checked, not converted, before a filter reads them.
    assert firewall_faults([{"port": 5432, "from": "10.0.0.0/8, 192.0.2.1"}, {"from": "10.0.0.1"}], close) == []
    assert "192.0.2" in firewall_faults([{"port": 5432, "from": "192.0.2"}], close)[0]


def test_a_listener_that_some_reach_is_not_closed() -> None:
    mdns = Listener("udp", 5353, ("avahi-daemon",))
    listeners = [POSTGRES, mdns]
    assert closed_by(listeners, [Opening("tcp", 5000, 6000)]) == [mdns]
    assert closed_by(listeners, [Opening("udp", 5432, 5432)]) == listeners
    assert closed_by(listeners, [Opening("", 0, 0, ("10.0.0.0/8",))]) == []


def test_only_what_is_named_may_be_closed() -> None:
    mdns, kernel = Listener("udp", 5353, ("avahi-daemon",)), Listener("udp", 51820)
    closed = [POSTGRES, mdns, kernel]
    assert not_named(closed, parse_closes(["5432", "5353/tcp", 51820], "close")) == [mdns]
    assert not_named(closed, parse_closes(["all"], "close")) == []
    assert not_named(closed, parse_closes([], "close")) == closed
    assert [str(one) for one in closed] == ["5432/tcp (postgres)", "5353/udp (avahi-daemon)", "51820/udp (the kernel)"]


def test_an_opening_survives_the_record() -> None:
    for opening in (Opening("tcp", 1, 2, ("10.0.0.0/8",)), Opening("", 0, 0, ("::1",))):
        assert Opening.from_json(opening.to_json()) == opening
