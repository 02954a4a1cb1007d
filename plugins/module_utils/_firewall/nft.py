# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the rules of nftables, and the unit that loads them at boot. Private to flaskops.stack."""

from __future__ import annotations

import ipaddress
import typing as t

from .openings import Opening

TABLE = "inet flaskops"
UNIT_NAME = "flaskops-firewall.service"
# One transaction of the kernel: there is no instant without rules.
RENEW = f"add table {TABLE}\ndelete table {TABLE}\n"

_HEAD = f"""\
# Managed by flaskops.stack (nginx_firewall): changes made here are lost with the next run.
{RENEW}table {TABLE} {{
    chain input {{
        type filter hook input priority filter; policy drop;
        iifname "lo" accept
        ct state established,related accept
        # Connections that are older than these rules; a new one begins without an acknowledgement.
        tcp flags & (syn|rst|ack) == ack accept
        # ICMP, neighbour discovery, VRRP, IPsec: only TCP and UDP are filtered.
        meta l4proto != {{ tcp, udp }} accept
        # Answers to DHCP clients.
        udp sport 67 udp dport 68 accept
        ip6 saddr fe80::/10 udp dport 546 accept
"""
_TAIL = "    }\n}\n"


def render(groups: t.Mapping[str, t.Sequence[Opening]]) -> str:
    """Return the file of the rules; C(groups) says what openings are for."""
    lines = []
    for title, openings in groups.items():
        rules = _rules(openings)
        lines += [f"# {title}", *rules] if rules else []
    return _HEAD + "".join(f"        {line}\n" for line in lines) + _TAIL


def _rules(openings: t.Sequence[Opening]) -> list[str]:
    found = []
    for protocol in ("tcp", "udp"):
        # Sets take no port twice.
        ports = {one.first for one in openings if one == Opening(protocol, one.first, one.first)}
        found += [f"{protocol} dport {_set(sorted(ports))} accept"] if ports else []
    for one in openings:
        port = f"{one.protocol} dport {_port(one)} " if one.protocol else ""
        sources = [f"{source} " for source in _sources(one.networks)] if one.networks else [""]
        if one.networks or one.first != one.last:
            found += [f"{source}{port}accept" for source in sources]
    return found


def _port(opening: Opening) -> str:
    return str(opening.first) if opening.first == opening.last else f"{opening.first}-{opening.last}"


def _sources(networks: t.Iterable[str]) -> list[str]:
    versions: dict[int, list[str]] = {}
    for network in networks:
        versions.setdefault(ipaddress.ip_network(network).version, []).append(network)
    return [f"{'ip' if version == 4 else 'ip6'} saddr {_set(found)}" for version, found in versions.items()]


def _set(values: t.Iterable[object]) -> str:
    return f"{{ {', '.join(map(str, values))} }}"


def unit(rules: str, program: str) -> str:
    """Return the unit file that loads the file C(rules) before there is a network."""
    return f"""\
# Managed by flaskops.stack (nginx_firewall): changes made here are lost with the next run.
[Unit]
Description=Firewall of flaskops.stack
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target
After=nftables.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={program} -f {rules}
ExecReload={program} -f {rules}
ExecStop=-{program} delete table {TABLE}
ProtectSystem=full
ProtectHome=true

[Install]
WantedBy=sysinit.target
"""


def drop_in(rules: str, program: str) -> str:
    """Return what is added to nftables.service, which removes all tables before it loads those of the host."""
    return f"""\
# Managed by flaskops.stack (nginx_firewall): changes made here are lost with the next run.
[Service]
ExecStartPost=-{program} -f {rules}
ExecReload=-{program} -f {rules}
"""


def dropping_chains(text: str) -> list[str]:
    """Return the tables of others, in the output of C(nft list chains), that drop what they do not let in."""
    table = ""
    found: dict[str, None] = {}
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["table"]:
            table = " ".join(words[1:3])
        elif words[:2] == ["type", "filter"] and "hook input" in line and "policy drop" in line and table != TABLE:
            found[table] = None
    return list(found)
