# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry point of module nginx_firewall. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

from .._firewall.change import RevertError, apply, confirm, result_of, revert_pending, try_rules
from .._firewall.plan import FirewallPlan, FirewallRequest, make_plan
from .._firewall.tools import FirewallError
from .._input.printable import printable_result
from .._input.values import InputError
from .._system.command import CommandError
from .._system.host import Host
from .._system.lock import Lock
from .._system.paths import LOCKS

_LOCK_SECONDS = 60


def run(params: t.Mapping[str, t.Any], check: bool, _diff: bool = False) -> dict[str, t.Any]:
    """Return the module's result; one that has failed says why."""
    try:
        result = _run(Host(), params, check)
    except RevertError as exc:
        result = {"failed": True, "msg": f"The firewall could not be changed: {exc}"}
    except (FirewallError, InputError, CommandError, OSError) as exc:
        result = {"failed": True, "msg": f"The firewall is as it was: {exc}"}
    found: dict[str, t.Any] = printable_result(result)
    return found


def look_ahead(host: Host, params: t.Mapping[str, t.Any]) -> FirewallPlan:
    """Return what a run would do, and change nothing; raise FirewallError for what it would refuse."""
    plan = make_plan(host, FirewallRequest.from_params(params), True)
    try_rules(host, plan)
    return plan


def _run(host: Host, params: t.Mapping[str, t.Any], check: bool) -> dict[str, t.Any]:
    if check:
        return result_of(look_ahead(host, params), [])
    with Lock(f"{LOCKS}/firewall", _LOCK_SECONDS, "nginx_firewall"):
        if params["confirm"]:
            confirm(host, params["confirm"])
            return {"changed": True}
        request = FirewallRequest.from_params(params)
        warnings = ["the last change was never confirmed, and was reverted"] if revert_pending(host) else []
        plan = make_plan(host, request, False)
        token = apply(host, plan, request.revert_after) if plan.changed else ""
        return {**result_of(plan, warnings), "confirm": token}
