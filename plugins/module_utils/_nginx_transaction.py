# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Heal, read, plan, validate, record, swap, reload, prove: one transaction. Private to flaskops.stack."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ._files import Lock
from ._nginx_binary import NONE, Nginx, Verdict
from ._nginx_journal import Journal, Step, instance_id, merge, settle, undo
from ._nginx_model import Layout, Plan, SiteError, Wanted, WantedFile, diff_of
from ._nginx_plan import make_plan
from ._nginx_server import Master, Reload, ReloadError, error_logs, find_master
from ._nginx_tree import (
    activate,
    read_current,
    remove,
    set_permissions,
    swap,
    sweep,
    touched_directories,
    write_stores,
)
from ._nginx_verdict import Policy, validate

LOCKS = "/run/flaskops/_locks"
_UNCHANGED = Verdict(True, NONE, 0.0, "", (), "nothing changes")


@dataclass(frozen=True)
class Request:
    """Everything that one call of the module asks for."""

    layout: Layout
    nginx: Nginx
    sites: t.Sequence[Wanted] = ()
    files: t.Sequence[WantedFile] = ()
    purge: bool = False
    service: str = "nginx"
    policy: Policy = field(default_factory=Policy)
    lock_timeout: float = 60
    reload_timeout: float = 30
    check: bool = False
    diff: bool = False


def manage(request: Request) -> dict[str, t.Any]:
    """Make the sites as wanted and return what the module reports; in check mode only find out what that takes."""
    journal = Journal(request.nginx.config, request.layout.keep)
    if request.check:
        plan = _plan(request)
        verdict = _validated(request, plan, journal.exists)
        return _report(request, plan, verdict, Reload(False, False, "check mode"), journal.exists)
    with Lock(f"{LOCKS}/nginx-{instance_id(request.nginx.config)}.lock", request.lock_timeout, "sites of nginx"):
        owed = journal.exists
        steps = settle(journal.read())
        plan = _plan(request)
        if not plan.changed and not owed:
            return _report(request, plan, _UNCHANGED, Reload(False, False, "nothing changes"), False)
        return _carry_out(request, journal, steps, plan, owed)


def _plan(request: Request) -> Plan:
    current = read_current(request.layout, request.sites, request.files, request.purge)
    return make_plan(request.layout, current, request.sites, request.files, request.purge)


def _validated(request: Request, plan: Plan, owed: bool) -> Verdict:
    """Return nginx's and our own verdict on the future configuration; raise SiteError when it must not be."""
    if not plan.swaps and not owed:
        return _UNCHANGED
    if request.nginx.present:
        return validate(request.nginx, plan, request.policy)
    missing = f"nginx is not installed ('{request.nginx.binary}' was not found)"
    if not request.check:
        raise SiteError(f"{missing}: install it first, or name it in 'binary'")
    return Verdict(True, NONE, 0.0, "", (f"{missing}: the configuration was not validated",), missing)


def _carry_out(request: Request, journal: Journal, owed_steps: list[Step], plan: Plan, owed: bool) -> dict[str, t.Any]:
    """Do what the plan says; what nginx reads is changed only after it was validated and recorded."""
    sweep(touched_directories(request.layout, plan))
    verdict = _validated(request, plan, owed)
    write_stores(request.layout, plan.stores)
    set_permissions(request.layout, plan.permissions)
    reload = Reload(False, False, "nginx reads nothing that changed")
    if plan.swaps or owed:
        reload = _switch(request, journal, merge(owed_steps, plan.swaps), plan, verdict)
    remove(plan.removals)
    return _report(request, plan, verdict, reload, owed)


def _switch(request: Request, journal: Journal, steps: list[Step], plan: Plan, verdict: Verdict) -> Reload:
    """Make the change visible and prove that nginx runs it, or put everything back and raise."""
    nginx = request.nginx
    logs = error_logs(verdict.config, nginx.build)
    master = find_master(nginx.config, nginx.build, request.service, logs)
    journal.write(steps)
    try:
        swap(plan.swaps)
        activate(plan.activated)
    except OSError:
        undo(steps)
        journal.close()
        raise
    if master is None:
        journal.close()
        return Reload(False, False, "nginx is not running")
    reload = master.reload(request.reload_timeout)
    if not reload.proved:
        _go_back(request, journal, steps, master, reload)
    journal.close()
    return reload


def _go_back(request: Request, journal: Journal, steps: list[Step], master: Master, failed: Reload) -> t.NoReturn:
    """Put the previous links and files back, make sure that nginx runs them, and raise ReloadError."""
    undo(steps)
    said = f"; nginx said: {failed.output}" if failed.output else ""
    message = f"{failed.reason}{said}\nThe previous links and files are back in place"
    # nginx goes on with the old workers when it could not load; when in doubt it is told again.
    certain = bool(failed.output) and master.still_runs(failed.old_workers)
    if certain or master.reload(request.reload_timeout).proved:
        journal.close()
        raise ReloadError(f"{message}, and nginx runs the previous configuration.")
    raise ReloadError(
        f"{message}, but nginx could not be made to load them: the next run tries again; look at its error log "
        f"and at 'systemctl status {request.service}'."
    )


def _report(request: Request, plan: Plan, verdict: Verdict, reload: Reload, owed: bool) -> dict[str, t.Any]:
    """Return the module's result, with the same keys in every mode."""
    return {
        "changed": plan.changed or owed,
        "in_place": not plan.changed and not owed,
        "sites": plan.sites,
        "files": plan.files,
        "validation": {
            "method": verdict.method,
            "seconds": verdict.seconds,
            "output": verdict.output,
            "reason": verdict.reason,
        },
        "reload": reload.result(),
        "pending": owed,
        "warnings": [*plan.warnings, *verdict.warnings],
        "diff": diff_of(plan) if request.diff else [],
    }
