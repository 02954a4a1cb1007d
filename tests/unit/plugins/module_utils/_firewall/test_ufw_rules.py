# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._firewall.openings import Opening
from ansible_collections.flaskops.stack.plugins.module_utils._firewall.ufw_rules import (
    UfwRule,
    needed_for_ssh,
    opened_ports,
    parse_profile,
    parse_rules,
    plan_rules,
    profile_of,
    rule_texts,
)

# As ufw of Debian 13 lists them.
ADDED = """\
Added user rules (see 'ufw status' for running firewall):
ufw allow 80/tcp comment 'flaskops'
ufw allow OpenSSH
ufw limit 2222/tcp
ufw deny 23
ufw allow from 192.0.2.9 to any app OpenSSH
ufw allow 90,91/tcp
ufw allow 'Nginx Full'
ufw route allow in on eth0 out on eth1
ufw allow from 10.0.0.0/8 to any port 5432 proto tcp comment 'flaskops'
ufw allow in on eth0 to any port 53 comment 'it'"'"'s'
ufw allow from 192.0.2.7
"""


def test_rules_are_read_with_their_comments() -> None:
    rules = parse_rules(ADDED)
    assert [rule.text for rule in rules if rule.is_ours] == ["80/tcp", "from 10.0.0.0/8 to any port 5432 proto tcp"]
    assert [rule.text for rule in rules if not rule.opens] == ["23"]
    assert UfwRule("allow", "in on eth0 to any port 53", "it's") in rules
    assert len(rules) == 10


def test_openings_are_written_as_ufw_shows_them() -> None:
    openings = [
        Opening("tcp", 22, 22),
        Opening("tcp", 22, 22),
        Opening("udp", 6000, 6010),
        Opening("tcp", 5432, 5432, ("10.0.0.0/8", "2001:db8::1")),
        Opening("", 0, 0, ("192.0.2.4",)),
    ]
    assert rule_texts(openings) == [
        "22/tcp",
        "6000:6010/udp",
        "from 10.0.0.0/8 to any port 5432 proto tcp",
        "from 2001:db8::1 to any port 5432 proto tcp",
        "from 192.0.2.4",
    ]


def test_rules_of_others_are_neither_marked_nor_deleted() -> None:
    rules = [*parse_rules(ADDED), UfwRule("allow", "22/tcp"), UfwRule("deny", "443/tcp")]
    plan = plan_rules(["22/tcp", "2222/tcp", "80/tcp", "443/tcp", "8080/tcp"], rules, {})
    assert plan.add == ["8080/tcp"]
    assert plan.delete == ["from 10.0.0.0/8 to any port 5432 proto tcp"]
    assert plan.contradicted == [UfwRule("deny", "443/tcp")]


@pytest.mark.parametrize(
    ("rules", "contradicted"),
    [
        ("ufw deny 443", ["443"]),
        ("ufw reject 400:500/tcp", ["400:500/tcp"]),
        ("ufw deny log 80,443/tcp", ["log 80,443/tcp"]),
        ("ufw deny 'Nginx Full'", ["'Nginx Full'"]),
        ("ufw deny to any", ["to any"]),
        ("ufw deny to any proto tcp", ["to any proto tcp"]),
        ("ufw deny 443/udp", []),
        ("ufw deny from 192.0.2.0/24 to any port 443", []),
        ("ufw deny in on eth1 to any port 443", []),
        ("ufw deny to 192.0.2.1 port 443", []),
        ("ufw deny out 443", []),
        ("ufw deny out to any", []),
        ("ufw deny from any port 443", []),
        ("ufw deny from any port 443 proto tcp", []),
        ("ufw deny from any app 'Nginx Full'", []),
        ("ufw deny from any port 53 to any port 443", []),
        ("ufw deny from any app 'Nginx Full' to any app 'Nginx Full'", []),
        # The first one decides.
        ("ufw allow 443\nufw deny to any", []),
        ("ufw allow 80,443/tcp\nufw deny 443", []),
    ],
)
def test_a_new_rule_comes_after_those_that_close_its_port(rules: str, contradicted: list[str]) -> None:
    profiles = {"Nginx Full": "80,443/tcp"}
    for wanted in ("443/tcp", "from 10.0.0.0/8 to any port 443 proto tcp"):
        assert [rule.text for rule in plan_rules([wanted], parse_rules(rules), profiles).contradicted] == contradicted


@pytest.mark.parametrize("wanted", ["from 127.0.0.1", "from ::1 to any port 9090 proto tcp"])
def test_a_new_rule_that_lets_nobody_in_is_contradicted_by_none(wanted: str) -> None:
    assert plan_rules([wanted], parse_rules("ufw deny 23"), {}).contradicted == []


@pytest.mark.parametrize(
    "text",
    ["out 22/tcp", "out to 192.0.2.1 port 22", "out on eth0", "out from 192.0.2.1", "out on eth0 to any port 22"],
)
def test_rules_for_what_the_host_itself_asks_for_let_nothing_in(text: str) -> None:
    assert opened_ports(parse_rules(f"ufw allow {text}\n"), {}) == []


@pytest.mark.parametrize(
    ("text", "opening"),
    [
        ("log 22/tcp", Opening("tcp", 22, 22)),
        ("log-all OpenSSH", Opening("tcp", 22, 22)),
        ("in on eth0 log to any port 22 proto tcp", Opening("tcp", 22, 22, ("some",))),
        ("to 192.0.2.1 port 22 proto tcp", Opening("tcp", 22, 22, ("some",))),
        ("to any", Opening("", 0, 0)),
        ("to any proto tcp", Opening("tcp", 1, 65535)),
        ("from 10.0.0.0/8 proto udp", Opening("udp", 1, 65535, ("some",))),
        ("from any port 1024:65535 to any port 22 proto tcp", Opening("tcp", 22, 22, ("some",))),
        ("from any app DNS to any app OpenSSH", Opening("tcp", 22, 22, ("some",))),
    ],
)
def test_rules_that_log_or_are_for_an_address_let_in_what_they_are_for(text: str, opening: Opening) -> None:
    assert opened_ports(parse_rules(f"ufw allow {text}\n"), {"OpenSSH": "22/tcp", "DNS": "53"}) == [opening]


@pytest.mark.parametrize(
    "text",
    ["from any port 22", "from any port 22 proto tcp", "from 192.0.2.1 port 22 proto tcp", "from any app OpenSSH"],
)
def test_rules_by_the_port_of_the_sender_are_for_answers_and_let_no_visitor_in(text: str) -> None:
    assert opened_ports(parse_rules(f"ufw allow {text}\n"), {"OpenSSH": "22/tcp"}) == []


@pytest.mark.parametrize(
    "text",
    [
        *("in on lo", "in on lo to any port 22", "from 127.0.0.1", "from 127.0.0.0/8 to any port 22", "from ::1"),
        *("to 127.0.0.1", "to 127.0.0.1 port 22 proto tcp", "to ::1 app OpenSSH"),
    ],
)
def test_rules_for_the_host_itself_let_nobody_else_in(text: str) -> None:
    assert opened_ports(parse_rules(f"ufw allow {text}\n"), {"OpenSSH": "22/tcp"}) == []


def test_what_rules_of_others_let_in_is_known_by_port() -> None:
    profiles = {"OpenSSH": "22/tcp", "Nginx Full": "80,443/tcp"}
    found = opened_ports(parse_rules(ADDED), profiles)
    assert Opening("tcp", 22, 22) in found
    assert Opening("tcp", 22, 22, ("some",)) in found
    assert Opening("tcp", 443, 443) in found
    assert Opening("tcp", 91, 91) in found
    assert Opening("udp", 53, 53, ("some",)) in found
    assert Opening("", 0, 0, ("some",)) in found
    assert not [one for one in found if one.first == 23]


def test_profiles_are_told_from_ports() -> None:
    named = {rule.text: profile_of(rule.text) for rule in parse_rules(ADDED)}
    assert {text: name for text, name in named.items() if name} == {
        "OpenSSH": "OpenSSH",
        "from 192.0.2.9 to any app OpenSSH": "OpenSSH",
        "'Nginx Full'": "Nginx Full",
    }
    assert profile_of("from any app DNS to any app 'Nginx Full'") == "Nginx Full"
    assert profile_of("from any app DNS") == ""
    assert parse_profile("Profile: X\nTitle: Y\n\nPorts:\n  80,443/tcp\n  53\n") == "80,443/tcp 53"
    assert parse_profile("ERROR: Could not find profile") == ""


def test_the_last_rule_that_lets_in_ssh_is_needed() -> None:
    delete = ["22/tcp", "80/tcp", "2222/tcp"]
    assert needed_for_ssh(delete, [22, 2222], []) == ["22/tcp", "2222/tcp"]
    assert needed_for_ssh(delete, [22, 2222], [Opening("tcp", 22, 22)]) == ["2222/tcp"]
    # Some reach it by a rule of others, and the controller need not be among them.
    assert needed_for_ssh(delete, [22], [Opening("tcp", 22, 22, ("10.0.0.0/8",)), Opening("udp", 22, 22)]) == ["22/tcp"]
