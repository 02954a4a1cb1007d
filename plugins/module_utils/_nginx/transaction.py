# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The transaction of nginx_site: resolve an interrupted run, read, plan, apply. Private to flaskops.stack.

Most runs find everything in place. What only the others need is imported where it is used, because Ansible compiles
every module that is imported anew in each task.
"""

from __future__ import annotations

import os
import typing as t

from .._system.files import check_directories
from .._system.lock import Lock
from .journal import Journal, JournalStep, instance_id, resolve_interrupted
from .loaded_state import LoadedState
from .model import ABSENT, ENABLED, CurrentTree, NginxPlan, diff_of
from .plan import make_plan
from .policy import NOTHING_CHANGES, ReloadResult, ValidationResult
from .request import NginxRequest, PendingReload
from .tree import keep_linked, read_current, unused_answers

if t.TYPE_CHECKING:
    from .published import Paths


def manage(request: NginxRequest) -> dict[str, t.Any]:
    """Apply the wanted sites and return the module result; in check mode only plan and validate."""
    journal = Journal(request.config, request.layout.keep, request.state)
    _check_places(request)
    if request.check:
        return _preview(request, journal)
    with Lock(f"{request.locks}/nginx-{instance_id(request.config)}.lock", request.lock_timeout, "sites of nginx"):
        journaled = journal.exists
        steps = resolve_interrupted(journal.read())
        plan = _plan(request)
        pending_reload = PendingReload(journaled, _unloaded(request, plan, steps), steps)
        if not plan.changed and not pending_reload.pending:
            return _report(
                request, plan, NOTHING_CHANGES, ReloadResult(False, False, "nothing changes"), pending_reload
            )
        from .apply import apply

        return _report(request, plan, *apply(request, journal, plan, pending_reload), pending_reload)


def _preview(request: NginxRequest, journal: Journal) -> dict[str, t.Any]:
    """Return the result of check mode."""
    plan = _plan(request)
    pending_reload = PendingReload(journal.exists, _unloaded(request, plan, journal.read()))
    validation = NOTHING_CHANGES
    if plan.is_read or pending_reload.pending:
        from .apply import nginx_of, validate_request

        validation = validate_request(request, nginx_of(request), plan, pending_reload)
    return _report(request, plan, validation, ReloadResult(False, False, "check mode"), pending_reload)


def _unloaded(request: NginxRequest, plan: NginxPlan, steps: t.Sequence[JournalStep]) -> list[str]:
    """Return files that changed on disk since nginx loaded them, except those of this and of an interrupted run."""
    changing = {item.path for item in plan.swaps} | {step.path for step in steps}
    loaded_state = LoadedState(request.config, request.state)
    record = loaded_state.read()
    links = [request.layout.link(site.name) for site in request.sites if site.state == ENABLED]
    files = [item.path for item in request.files if item.content is not None]
    # What is to be loaded anyway matters only where its content has to be checked: when it is not what was loaded.
    if not set(record.differing()) - changing if changing else record.is_current((*links, *files)):
        return []
    from .apply import nginx_of
    from .loaded import find_unloaded

    nginx = nginx_of(request)
    remember = not request.check
    return find_unloaded(nginx, loaded_state, request.layout, request.service, links, files, remember, changing)


def _check_places(request: NginxRequest) -> None:
    """Raise NoDirectoryError where something else is in the place of a directory that is written into."""
    wanted = [site for site in request.sites if site.state != ABSENT]
    places = {request.state, *(os.path.dirname(item.path) for item in request.files if item.content is not None)}
    places |= {os.path.join(request.tls, site.name) for site in wanted if site.self_signed}
    if any(site.passwords or site.further_passwords for site in wanted):
        places.add(request.layout.passwords)
    check_directories(sorted(places))


def _plan(request: NginxRequest) -> NginxPlan:
    current = read_current(request.layout, request.sites, request.files, request.purge)
    plan = make_plan(request.layout, current, request.sites, request.files, request.purge)
    if any(site.self_signed for site in request.sites) or os.path.isdir(request.tls):
        from .host import NginxHost
        from .self_signed import plan_certificates, without_certificate

        published = _published(request, current)
        plan_certificates(request.host or NginxHost(), request.tls, request.sites, published, plan)
        _plan_removals(request, current, plan, without_certificate(request.tls, request.sites))
    if plan.removals:
        keep_linked(request.layout, plan)
    gone = [str(site["name"]) for site in plan.sites if site["state"] == ABSENT]
    plan.unused_answers = unused_answers(request.answers, request.sites, gone, request.purge)
    if plan.changed:
        from .._system.read_only import refuse_read_only

        changing = [*(store.path for store in plan.stores), *(swap.path for swap in plan.swaps)]
        refuse_read_only(map(os.path.dirname, changing))
    return plan


def _plan_removals(request: NginxRequest, current: CurrentTree, plan: NginxPlan, unwanted: t.Sequence[str]) -> None:
    """Plan to remove certificates that sites have no longer; raise NginxSiteError where another one uses that."""
    if not plan.obsolete and not unwanted:
        return
    from .certificate_use import refuse_used, superfluous

    if plan.obsolete:
        refuse_used(request.config, plan)
    plan.obsolete += superfluous(request.config, request.layout, current, request.sites, plan, unwanted)


def _published(request: NginxRequest, current: CurrentTree) -> dict[str, list[Paths]]:
    """Return the files of certificates that sites have now, under this or their former name, and are to have no longer.

    Only sites that wait for one of a CA keep it.
    """
    links: dict[str, str] = {}
    for site in request.sites:
        for name in (site.name, site.rename_from) if site.until_issued else ():
            node = current.nodes.get(name + request.layout.suffix)
            if node and node.content is not None and node.content != site.content:
                links[request.layout.link(name)] = site.name
    if not links:
        return {}
    from .published import find_named

    return find_named(request.config, links)


def _report(
    request: NginxRequest,
    plan: NginxPlan,
    validation: ValidationResult,
    reload: ReloadResult,
    pending_reload: PendingReload,
) -> dict[str, t.Any]:
    """Return the module's result, with the same keys in every mode."""
    return {
        "changed": plan.changed or pending_reload.pending,
        "in_place": not plan.changed and not pending_reload.pending,
        "sites": plan.sites,
        "files": plan.files,
        "certificates": plan.certificates,
        "left_certificates": plan.left_certificates,
        "validation": {
            "method": validation.method,
            "seconds": validation.seconds,
            "output": validation.output,
            "reason": validation.reason,
        },
        "reload": reload.result(),
        "pending": pending_reload.pending,
        "unloaded": list(pending_reload.unloaded),
        "warnings": [*plan.warnings, *_left(request, plan), *validation.warnings],
        "diff": diff_of(plan) if request.diff else [],
    }


def _left(request: NginxRequest, plan: NginxPlan) -> list[str]:
    """Return a warning of certificates that certbot goes on renewing; a run for a single site looks for none."""
    if not plan.left_certificates or not request.whole:
        return []
    words = " and ".join(f"'certbot delete --cert-name {name}'" for name in plan.left_certificates)
    text = (
        f"{', '.join(plan.left_certificates)}: the site is gone, and its certificate stays with certbot, which goes on "
        f"renewing it. Unless something else uses it, run {words} on the host"
    )
    return [text]
