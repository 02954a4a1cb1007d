# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what a firewall has to become, and refuse what would close a port unasked. Private to flaskops.stack."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, replace

from .._system.command import CommandError
from .._system.files import read_file
from .._system.host import Host
from .._system.paths import FIREWALL_RULES, UNITS
from .nft import UNIT_NAME, drop_in, render, unit
from .observe import Observed, observe
from .openings import (
    Listener,
    Opening,
    closed_by,
    not_named,
    parse_allowed,
    parse_closes,
    web_openings,
)
from .record import NFTABLES, NONE, UFW, Record, read_record
from .tools import NFT, FirewallError, Nft, Ufw
from .ufw_rules import UfwPlan, UfwRule, needed_for_ssh, plan_rules, rule_texts

NO_RULES = UfwPlan([], [], [])
UNIT, DROP_IN = f"{UNITS}/{UNIT_NAME}", f"{UNITS}/nftables.service.d/flaskops.conf"
UNIT_FILES = {UNIT: unit(FIREWALL_RULES, NFT), DROP_IN: drop_in(FIREWALL_RULES, NFT)}


@dataclass(frozen=True)
class FirewallRequest:
    """What a task asks for; the options are those of module nginx_firewall."""

    backend: str
    web: t.Sequence[Opening]
    allow: t.Sequence[Opening]
    # None for all.
    close: t.Optional[t.Set[t.Tuple[int, str]]]
    revert_after: int

    @classmethod
    def from_params(cls, params: t.Mapping[str, t.Any]) -> FirewallRequest:
        """Read the parameters of the module; raise InputError for what is impossible."""
        return cls(
            backend=params["backend"],
            web=web_openings(params["ports"]),
            allow=parse_allowed(params["allow"], "allow"),
            close=parse_closes(params["close"], "close"),
            revert_after=params["revert_after"],
        )


@dataclass(frozen=True)
class FirewallPlan:
    """What is to be done, and what the result says of it."""

    record: Record
    before: Record
    # The file of nftables; empty when our table is to go.
    rules: str = ""
    changes_nft: bool = False
    ufw: UfwPlan = NO_RULES
    # What becomes of ufw itself.
    enables_ufw: bool = False
    disables_ufw: bool = False
    shown_before: str = ""
    shown_after: str = ""
    ssh: t.Tuple[int, ...] = ()
    closed: t.Tuple[Listener, ...] = ()
    warnings: t.Tuple[str, ...] = ()

    @property
    def changes_ufw(self) -> bool:
        """Tell whether ufw or its rules change."""
        return bool(self.ufw.add or self.ufw.delete or self.enables_ufw or self.disables_ufw)

    @property
    def changed(self) -> bool:
        """Tell whether anything is to be done."""
        return self.changes_nft or self.changes_ufw or self.record != self.before


class Tools(t.NamedTuple):
    """The firewalls of a host, and what is known of them."""

    host: Host
    nft: Nft
    ufw: Ufw
    listing: str
    ufw_active: bool
    ufw_rules: t.List[UfwRule]


def look(host: Host) -> Tools:
    """Look at the firewalls of a host."""
    nft, ufw = Nft(host), Ufw(host)
    return Tools(host, nft, ufw, nft.listing(), ufw.is_active(), ufw.rules())


def make_plan(host: Host, request: FirewallRequest, check: bool) -> FirewallPlan:
    """Return what is to be done; raise FirewallError for what must not be."""
    before, tools = read_record(), look(host)
    if request.backend == NONE:
        # Without rules of ours in ufw no connection depends on them.
        seen = observe(host) if _has_own(tools) else Observed([], [], [])
        return _with_removed_ufw(tools, _without_nft(tools, FirewallPlan(Record(), before)), seen)
    refuse_others(tools, before, request.backend)
    seen = _observe(host, check)
    if request.backend == NFTABLES:
        plan = _with_removed_ufw(tools, _nft_plan(tools, request, before, seen, check), seen)
    else:
        plan = _without_nft(tools, _ufw_plan(tools, request, before, seen))
    if plan.changed and not seen.ssh:
        return _warned(plan, "no server for SSH was found on this host: no port is opened for one")
    return plan


def _observe(host: Host, check: bool) -> Observed:
    try:
        return observe(host)
    except CommandError:
        if not check:
            raise
        # The role installs ss together with the firewall.
        return Observed([], [], [])


def refuse_others(tools: Tools, before: Record, backend: str) -> None:
    """Raise FirewallError when another firewall is at work on the host."""
    state = tools.host.systemd.show(["firewalld.service"], ["ActiveState"])
    if state.get("firewalld.service", {}).get("ActiveState") in ("active", "activating", "reloading"):
        raise FirewallError(
            f"firewalld is active on this host, and would drop what {backend} lets in: open the ports there "
            "(firewall-cmd --permanent --add-service http --add-service https) with nginx_firewall: none, or remove it "
            "(systemctl disable --now firewalld)"
        )
    if backend == NFTABLES and tools.ufw_active and not (before.enabled_ufw and not _foreign(tools)):
        raise FirewallError(
            "ufw is active on this host, and would drop what nftables lets in: set nginx_firewall: ufw, or end it with "
            "'ufw disable', which opens what it has closed"
        )


def _foreign(tools: Tools) -> list[UfwRule]:
    return [rule for rule in tools.ufw_rules if not rule.is_ours]


def _has_own(tools: Tools) -> bool:
    return any(rule.is_ours for rule in tools.ufw_rules)


def _warned(plan: FirewallPlan, *warnings: str) -> FirewallPlan:
    return replace(plan, warnings=(*plan.warnings, *warnings))


# nftables


def _nft_plan(tools: Tools, request: FirewallRequest, before: Record, seen: Observed, check: bool) -> FirewallPlan:
    if not tools.nft.exists() and not check:
        raise FirewallError(f"{NFT} is not there: install the package nftables")
    groups = _groups(request, seen)
    openings = tuple(opening for group in groups.values() for opening in group)
    closed = closed_by(seen.listeners, openings)
    rules, was = render(groups), _text(FIREWALL_RULES)
    intact = bool(tools.listing) and tools.listing == before.listing
    record = replace(before, backend=NFTABLES, openings=openings)
    plan = FirewallPlan(
        record=record,
        before=before,
        rules=rules,
        changes_nft=not (intact and rules == was and _is_loaded_at_boot(tools.host)),
        shown_before=was if intact else tools.listing,
        shown_after=rules,
        ssh=tuple(seen.ssh),
        closed=tuple(closed),
    )
    plan = _judged(plan, request, closed, is_new=before.backend == NONE)
    # Those of ufw are gone when ours are loaded.
    asks = plan.changes_nft and tools.nft.exists() and before.backend != UFW
    dropping = tools.nft.other_dropping_tables() if asks else []
    if dropping:
        plan = _warned(
            plan,
            f"tables of others drop what they do not let in themselves ({', '.join(dropping)}): what nginx_firewall "
            "opens has to be open there as well",
        )
    return plan


def _text(path: str) -> str:
    # Somebody may have edited it in another encoding.
    return (read_file(path) or b"").decode("utf-8", "replace")


def _is_loaded_at_boot(host: Host) -> bool:
    if any(_text(path) != text for path, text in UNIT_FILES.items()):
        return False
    state = host.systemd.show([UNIT_NAME], ["ActiveState", "UnitFileState"]).get(UNIT_NAME, {})
    return state.get("ActiveState") == "active" and state.get("UnitFileState") == "enabled"


def _without_nft(tools: Tools, plan: FirewallPlan) -> FirewallPlan:
    """Return the plan with our table gone, if it is there."""
    if not tools.listing and not os.path.exists(UNIT) and not os.path.exists(FIREWALL_RULES):
        return plan
    was = _text(FIREWALL_RULES) or tools.listing
    plan = replace(plan, changes_nft=True, rules="", shown_before=was + plan.shown_before)
    if tools.nft.exists():
        return plan
    return _warned(plan, "nft is not there any more: rules that are loaded stay until the host restarts")


def _groups(request: FirewallRequest, seen: Observed) -> dict[str, list[Opening]]:
    web = [*request.web, *(Opening(protocol, port, port) for protocol, port in seen.nginx)]
    return {
        "SSH": [Opening("tcp", port, port) for port in seen.ssh],
        "Sites": sorted(set(web), key=lambda one: (one.protocol, one.first)),
        "nginx_firewall_allow": list(request.allow),
    }


def _judged(plan: FirewallPlan, request: FirewallRequest, closed: t.Sequence[Listener], is_new: bool) -> FirewallPlan:
    """Refuse to close what is open today and was not named; one that is there only says what it closes."""
    unnamed = not_named(closed, request.close)
    if is_new and unnamed:
        first = unnamed[0]
        raise FirewallError(
            f"others reach these ports of this host today, and the firewall would close them: "
            f"{', '.join(map(str, unnamed))}. List in nginx_firewall_allow what has to stay open, such as {{port: "
            f"{first.port}, protocol: {first.protocol}, from: [10.0.0.0/8]}}, and in nginx_firewall_close what may be "
            f"closed, such as {first.port}/{first.protocol}, or all"
        )
    already = closed_by(closed, plan.before.openings)
    newly = [str(one) for one in unnamed if one not in already]
    return _warned(plan, f"these ports are closed now: {', '.join(newly)}") if newly and not is_new else plan


# ufw


def _ufw_plan(tools: Tools, request: FirewallRequest, before: Record, seen: Observed) -> FirewallPlan:
    if not tools.ufw.exists():
        return _unknown_ufw(request, before, seen)
    groups = _groups(request, seen)
    openings = tuple(opening for group in groups.values() for opening in group)
    changes = plan_rules(rule_texts(openings), tools.ufw_rules, tools.ufw.profiles(tools.ufw_rules))
    if changes.contradicted:
        listed = ", ".join(f"'ufw {rule.action} {rule.text}'" for rule in changes.contradicted)
        raise FirewallError(
            f"ufw has rules that close what is to be opened: {listed}. Delete them (ufw delete ...) first"
        )
    closed = closed_by(seen.listeners, [*openings, *tools.ufw.opened(_foreign(tools))])
    policy = tools.ufw.setting("DEFAULT_INPUT_POLICY")
    enables = not tools.ufw_active
    # Only what we switch on ourselves gets another default.
    changes_default = enables and policy not in ("drop", "reject")
    record = Record(
        UFW,
        openings,
        enabled_ufw=enables or before.enabled_ufw,
        ufw_default=policy if changes_default else before.ufw_default,
    )
    plan = FirewallPlan(
        record=record,
        before=before,
        ufw=changes,
        enables_ufw=enables,
        shown_before=_shown(tools.ufw_active, [rule.text for rule in tools.ufw_rules if rule.is_ours]),
        shown_after=_shown(True, _after(tools, changes)),
        ssh=tuple(seen.ssh),
        closed=tuple(closed),
    )
    if enables:
        _refuse_flushing(tools)
        return _judged(plan, request, closed, is_new=before.backend == NONE)
    if policy == "accept":
        return _warned(plan, "ufw lets in what no rule is for (its default for incoming is allow): it closes nothing")
    # What was closed before our first rule is not closed by it.
    return _judged(plan, request, closed if before.backend != NONE else [], is_new=False)


def _unknown_ufw(request: FirewallRequest, before: Record, seen: Observed) -> FirewallPlan:
    """Return the plan for a host on which ufw is not installed yet."""
    openings = tuple(opening for group in _groups(request, seen).values() for opening in group)
    closed = closed_by(seen.listeners, openings)
    texts = rule_texts(openings)
    plan = FirewallPlan(
        record=Record(UFW, openings, enabled_ufw=True),
        before=before,
        ufw=UfwPlan(texts, [], []),
        enables_ufw=True,
        shown_after=_shown(True, texts),
        ssh=tuple(seen.ssh),
        closed=tuple(closed),
    )
    return _judged(plan, request, closed, is_new=before.backend == NONE)


def _refuse_flushing(tools: Tools) -> None:
    if tools.ufw.setting("MANAGE_BUILTINS") == "yes":
        raise FirewallError(
            "MANAGE_BUILTINS=yes in /etc/default/ufw makes ufw remove the rules of others (Docker's, too) when it is "
            "enabled: set it to no, or enable ufw yourself"
        )


def _after(tools: Tools, changes: UfwPlan) -> list[str]:
    ours = [rule.text for rule in tools.ufw_rules if rule.is_ours]
    return [text for text in ours if text not in changes.delete] + changes.add


def _shown(active: bool, texts: t.Iterable[str]) -> str:
    lines = [f"ufw {'enable' if active else 'disable'}", *(f"ufw allow {text}" for text in texts)]
    return "".join(f"{line}\n" for line in lines)


def _with_removed_ufw(tools: Tools, plan: FirewallPlan, seen: Observed) -> FirewallPlan:
    """Return the plan with our rules gone from ufw; it is disabled when it was inactive before, and has no others."""
    ours = [rule.text for rule in tools.ufw_rules if rule.is_ours]
    disables = plan.before.enabled_ufw and not _foreign(tools) and tools.ufw_active
    record = replace(plan.record, enabled_ufw=False, ufw_default="")
    if not ours and not disables:
        return replace(plan, record=record)
    delete, warnings = ours, []
    if tools.ufw_active and not disables and tools.ufw.setting("DEFAULT_INPUT_POLICY") != "accept":
        kept = needed_for_ssh(ours, seen.ssh, tools.ufw.opened(_foreign(tools)))
        delete = [text for text in ours if text not in kept]
        if kept:
            warnings.append(
                f"ufw stays active, and no other rule lets in SSH: {', '.join(kept)} stays open. Once a rule of yours "
                f"does, delete it with 'ufw delete allow {kept[0]}'"
            )
    if not delete and not disables:
        # Only what SSH needs is left of ours.
        return _warned(replace(plan, record=record), *(warnings if plan.changed else []))
    left = [text for text in ours if text not in delete]
    plan = replace(
        plan,
        record=record,
        ufw=UfwPlan([], delete, []),
        disables_ufw=disables,
        shown_before=plan.shown_before + _shown(tools.ufw_active, ours),
        shown_after=plan.shown_after + _shown(tools.ufw_active and not disables, left),
    )
    return _warned(plan, *warnings)
