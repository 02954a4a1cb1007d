# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.flaskops.stack.plugins.module_utils._firewall.nft import (
    drop_in,
    dropping_chains,
    render,
    unit,
)
from ansible_collections.flaskops.stack.plugins.module_utils._firewall.openings import Opening


def test_the_table_is_declared_deleted_and_defined_in_one_file() -> None:
    text = render({"SSH": [Opening("tcp", 2222, 2222), Opening("tcp", 22, 22)], "Nothing": []})
    head, _brace, rest = text.partition("{\n")
    assert head.splitlines()[1:] == ["add table inet flaskops", "delete table inet flaskops", "table inet flaskops "]
    assert "type filter hook input priority filter; policy drop;" in rest
    assert "        # SSH\n        tcp dport { 22, 2222 } accept\n    }\n}\n" in rest
    assert "Nothing" not in text


def test_networks_are_a_rule_for_each_version_and_ranges_stand_alone() -> None:
    text = render(
        {
            "x": [
                Opening("tcp", 80, 80),
                Opening("tcp", 80, 80),
                Opening("udp", 443, 443),
                Opening("tcp", 80, 90),
                Opening("tcp", 5432, 5432, ("10.0.0.0/8", "192.0.2.4", "2001:db8::/32")),
                Opening("udp", 6000, 6010, ("2001:db8::1",)),
                Opening("", 0, 0, ("10.2.0.0/16",)),
            ]
        }
    )
    assert text.partition("# x\n")[2].split("\n    }")[0].split("\n        ") == [
        "        tcp dport { 80 } accept",
        "udp dport { 443 } accept",
        "tcp dport 80-90 accept",
        "ip saddr { 10.0.0.0/8, 192.0.2.4 } tcp dport 5432 accept",
        "ip6 saddr { 2001:db8::/32 } tcp dport 5432 accept",
        "ip6 saddr { 2001:db8::1 } udp dport 6000-6010 accept",
        "ip saddr { 10.2.0.0/16 } accept",
    ]


def test_what_keeps_a_host_reachable_comes_before_ports() -> None:
    text = render({"SSH": [Opening("tcp", 22, 22)]})
    for line in (
        'iifname "lo" accept',
        "ct state established,related accept",
        "tcp flags & (syn|rst|ack) == ack accept",
        "meta l4proto != { tcp, udp } accept",
        "ip6 saddr fe80::/10 udp dport 546 accept",
    ):
        assert text.index(line) < text.index("# SSH")


def test_the_rules_are_loaded_before_the_network_and_after_those_of_the_host() -> None:
    text = unit("/x/firewall.nft", "/usr/sbin/nft")
    assert "Before=network-pre.target" in text
    assert "After=nftables.service" in text
    assert "ExecStart=/usr/sbin/nft -f /x/firewall.nft\n" in text
    assert "ExecStop=-/usr/sbin/nft delete table inet flaskops\n" in text
    assert drop_in("/x", "/nft").splitlines()[-2:] == ["ExecStartPost=-/nft -f /x", "ExecReload=-/nft -f /x"]


def test_tables_of_others_that_drop_are_found() -> None:
    chains = """\
table ip filter {
    chain INPUT {
        type filter hook input priority filter; policy drop;
    }
    chain ufw-before-input {
    }
}
table inet filter {
    chain input {
        type filter hook input priority filter; policy accept;
    }
    chain forward {
        type filter hook forward priority filter; policy drop;
    }
}
table inet flaskops {
    chain input {
        type filter hook input priority filter; policy drop;
    }
}
"""
    assert dropping_chains(chains) == ["ip filter"]
