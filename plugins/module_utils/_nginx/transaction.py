# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Heal, read, plan, and change what differs: one transaction. Private to flaskops.stack.

Most runs find everything in place. What only the others need is imported where it is used, because Ansible compiles
every module that is imported anew in each task.
"""

from __future__ import annotations

import typing as t

from .._system.files import Lock
from .._system.paths import LOCKS
from .journal import Journal, Step, instance_id, settle
from .loaded_state import Memory
from .model import ENABLED, Plan, diff_of
from .plan import make_plan
from .policy import NOTHING, Reload, Verdict
from .request import Debt, Request
from .tree import read_current


def manage(request: Request) -> dict[str, t.Any]:
    """Make the sites as wanted and return what the module reports; in check mode only find out what that takes."""
    journal = Journal(request.config, request.layout.keep)
    if request.check:
        return _preview(request, journal)
    with Lock(f"{LOCKS}/nginx-{instance_id(request.config)}.lock", request.lock_timeout, "sites of nginx"):
        journaled = journal.exists
        steps = settle(journal.read())
        plan = _plan(request)
        debt = Debt(journaled, _unloaded(request, plan, steps), steps)
        if not plan.changed and not debt.owed:
            return _report(request, plan, NOTHING, Reload(False, False, "nothing changes"), debt)
        from .apply import carry_out

        return _report(request, plan, *carry_out(request, journal, plan, debt), debt)


def _preview(request: Request, journal: Journal) -> dict[str, t.Any]:
    """Return what a run would report, as far as that can be known without changing anything."""
    plan = _plan(request)
    debt = Debt(journal.exists, _unloaded(request, plan, journal.read()))
    verdict = NOTHING
    if plan.swaps or debt.owed:
        from .apply import nginx_of, validated

        verdict = validated(request, nginx_of(request), plan, debt)
    return _report(request, plan, verdict, Reload(False, False, "check mode"), debt)


def _unloaded(request: Request, plan: Plan, steps: t.Sequence[Step]) -> list[str]:
    """Return what nginx has not loaded since it changed on disk, but for what this run, or one before it, changes."""
    changing = {item.path for item in plan.swaps} | {step.path for step in steps}
    record = Memory(request.config).read()
    links = [request.layout.link(site.name) for site in request.sites if site.state == ENABLED]
    files = [item.path for item in request.files if item.content is not None]
    # What is to be loaded anyway matters only where its content has to be checked: when it is not what was loaded.
    if not set(record.differing()) - changing if changing else record.is_current((*links, *files)):
        return []
    from .apply import nginx_of
    from .loaded import find_unloaded

    return find_unloaded(nginx_of(request), request.layout, request.service, links, files, not request.check, changing)


def _plan(request: Request) -> Plan:
    current = read_current(request.layout, request.sites, request.files, request.purge)
    return make_plan(request.layout, current, request.sites, request.files, request.purge)


def _report(request: Request, plan: Plan, verdict: Verdict, reload: Reload, debt: Debt) -> dict[str, t.Any]:
    """Return the module's result, with the same keys in every mode."""
    return {
        "changed": plan.changed or debt.owed,
        "in_place": not plan.changed and not debt.owed,
        "sites": plan.sites,
        "files": plan.files,
        "validation": {
            "method": verdict.method,
            "seconds": verdict.seconds,
            "output": verdict.output,
            "reason": verdict.reason,
        },
        "reload": reload.result(),
        "pending": debt.owed,
        "unloaded": list(debt.unloaded),
        "warnings": [*plan.warnings, *verdict.warnings],
        "diff": diff_of(plan) if request.diff else [],
    }
