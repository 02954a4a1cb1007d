# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Openings as rules of ufw, and the rules that ufw has. Private to flaskops.stack."""

from __future__ import annotations

import re
import shlex
import typing as t
from dataclasses import dataclass
from ipaddress import ip_network

from .openings import Opening

# The comment of our rules.
MARK = "flaskops"
_RULE = re.compile(r"ufw (allow|deny|reject|limit) (.+)")
_OPENS = ("allow", "limit")
# Words by which a rule says that connections are logged; they do not change which connections it matches.
_LOGS = ("log", "log-all")
_PORTS = re.compile(r"([0-9:,]+)(?:/(tcp|udp))?")


@dataclass(frozen=True)
class UfwRule:
    """A rule as C(ufw show added) lists it: what it does, what for, and its comment."""

    action: str
    text: str
    comment: str = ""

    @property
    def is_ours(self) -> bool:
        """Tell whether we have added it."""
        return self.comment == MARK

    @property
    def opens(self) -> bool:
        """Tell whether it lets something in."""
        return self.action in _OPENS and not self.is_outgoing

    @property
    def is_outgoing(self) -> bool:
        """Tell whether it is for connections that this host begins."""
        return self.text.partition(" ")[0] == "out"


def parse_rules(text: str) -> list[UfwRule]:
    """Return the rules in the output of C(ufw show added), but for those of forwarded packets."""
    found = []
    for line in text.splitlines():
        match = _RULE.fullmatch(line.strip())
        if match:
            # A comment may have quotes, which ufw writes as a shell takes them.
            rule, _word, comment = match.group(2).partition(" comment ")
            found.append(UfwRule(match.group(1), rule, _unquote(comment)))
    return found


def _unquote(comment: str) -> str:
    try:
        return " ".join(shlex.split(comment))
    except ValueError:
        return comment


def rule_texts(openings: t.Iterable[Opening]) -> list[str]:
    """Return the openings as ufw shows them, each once."""
    return list(dict.fromkeys(text for opening in openings for text in _texts(opening)))


def _texts(opening: Opening) -> list[str]:
    port = str(opening.first) if opening.first == opening.last else f"{opening.first}:{opening.last}"
    if not opening.networks:
        return [f"{port}/{opening.protocol}"]
    what = f" to any port {port} proto {opening.protocol}" if opening.protocol else ""
    return [f"from {network}{what}" for network in opening.networks]


class UfwPlan(t.NamedTuple):
    """Rules to add and to delete, and those of others that contradict them."""

    add: t.List[str]
    delete: t.List[str]
    contradicted: t.List[UfwRule]


def plan_rules(wanted: t.Sequence[str], rules: t.Sequence[UfwRule], profiles: t.Mapping[str, str]) -> UfwPlan:
    """Return what is missing, and what of ours is not wanted any more.

    A rule of others that says the same is theirs, and is neither added again, which would mark it as ours, nor deleted.
    """
    there = {rule.text: rule for rule in rules}
    stale = [rule.text for rule in rules if rule.is_ours and rule.text not in wanted]
    # The first rule that a connection matches decides, and new ones come last.
    deciding = (there.get(text) or _first_match(text, rules, profiles) for text in wanted)
    contradicted = list(dict.fromkeys(rule for rule in deciding if rule and not rule.opens))
    return UfwPlan([text for text in wanted if text not in there], stale, contradicted)


def _first_match(text: str, rules: t.Iterable[UfwRule], profiles: t.Mapping[str, str]) -> UfwRule | None:
    """Return the first rule that is for all connections which a new rule is for."""
    wanted = _opened(text, {})
    for rule in rules:
        found = [] if rule.is_outgoing else _opened(rule.text, profiles)
        if wanted and all(any(_includes(one, other) for one in found if not one.networks) for other in wanted):
            return rule
    return None


def _includes(one: Opening, other: Opening) -> bool:
    same = one.protocol == other.protocol and one.first <= other.first and other.last <= one.last
    return not one.protocol or same


def opened_ports(rules: t.Iterable[UfwRule], profiles: t.Mapping[str, str]) -> list[Opening]:
    """Return what rules let in, as far as ports go; C(profiles) has the ports of ufw's application profiles."""
    return [opening for rule in rules if rule.opens for opening in _opened(rule.text, profiles)]


def _opened(text: str, profiles: t.Mapping[str, str]) -> list[Opening]:
    words = _words(text)
    sender, receiver = _sides(words)
    port, by_sender = receiver.get("port", ""), bool({"port", "app"} & set(sender))
    proto, name = dict(zip(words, words[1:])).get("proto", ""), profile_of(text)
    if _is_local(sender, receiver) or (by_sender and not (port or name)):
        # Visitors come from another host, and from any port of it: one that is named is for answers.
        return []
    restricted = bool({"from", "on"} & set(sender)) or receiver.get("to", "any") != "any"
    networks = ("some",) if restricted else ()
    if name:
        found = [_PORTS.fullmatch(entry) for entry in profiles.get(name, "").split()]
    elif port:
        found = [_PORTS.fullmatch(port + (f"/{proto}" if proto else ""))]
    elif sender or receiver:
        return [Opening(proto, 1, 65535, networks) if proto else Opening("", 0, 0, networks)]
    else:
        found = [_PORTS.fullmatch(words[0])]
    return [opening for match in found if match for opening in _ranges(match.group(1), match.group(2), networks)]


def _sides(words: t.Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the words of a rule about where connections come from, and those about where they go to, by name."""
    end = words.index("to") if "to" in words[:-1] else len(words)
    sides = (words[:end], words[end:])
    sender, receiver = (
        {word: value for word, value in zip(side, side[1:]) if word in ("on", "from", "to", "port", "app")}
        for side in sides
    )
    return sender, receiver


def _is_local(sender: t.Mapping[str, str], receiver: t.Mapping[str, str]) -> bool:
    """Tell whether a rule is only for connections of the host to itself."""
    return sender.get("on") == "lo" or _is_loopback(sender.get("from", "")) or _is_loopback(receiver.get("to", ""))


def _is_loopback(network: str) -> bool:
    try:
        return ip_network(network, strict=False).is_loopback
    except ValueError:
        return False


def _words(text: str) -> list[str]:
    return [word for word in shlex.split(text) if word not in _LOGS]


def _ranges(ports: str, protocol: str | None, networks: tuple[str, ...]) -> t.Iterator[Opening]:
    for part in ports.split(","):
        first, _colon, last = part.partition(":")
        if first.isdigit():
            for each in [protocol] if protocol else ["tcp", "udp"]:
                yield Opening(each, int(first), int(last or first), networks)


def profile_of(text: str) -> str:
    """Return the application profile of the ports that a rule is for; empty when it names none."""
    words = _words(text)
    sender, receiver = _sides(words)
    plain = sender or receiver or words[0] in ("in", "out", "proto") or _PORTS.fullmatch(words[0])
    return receiver.get("app", "") if plain else words[0]


def parse_profile(text: str) -> str:
    """Return the ports in the output of C(ufw app info), such as V(80,443/tcp 22/tcp)."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.strip() in ("Port:", "Ports:"):
            return " ".join(line.strip() for line in lines if line.strip())
    return ""


def needed_for_ssh(delete: t.Iterable[str], ports: t.Iterable[int], others: t.Iterable[Opening]) -> list[str]:
    """Return which of the rules that are to be deleted are the last ones by which SSH is reached."""
    open_to_all = [one for one in others if not one.networks and one.protocol in ("", "tcp")]
    alone = {f"{port}/tcp" for port in ports if not any(one.first <= port <= one.last for one in open_to_all)}
    return [text for text in delete if text in alone]
