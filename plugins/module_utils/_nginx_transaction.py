# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Heal, read, plan, validate, record, swap, reload, prove: one transaction. Private to flaskops.stack."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ._files import Lock
from ._files import sweep as sweep_files
from ._nginx_binary import NONE, Nginx, Verdict
from ._nginx_journal import STATE, Journal, Step, instance_id, merge, settle, undo
from ._nginx_loaded import Memory, find_unloaded, generation, take
from ._nginx_logs import make_logs
from ._nginx_model import ENABLED, Layout, Plan, SiteError, Wanted, WantedFile, diff_of
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


@dataclass(frozen=True)
class Debt:
    """What an earlier run, or somebody who renewed a certificate, has left for nginx to load."""

    journaled: bool
    unloaded: t.Sequence[str] = ()
    steps: t.Sequence[Step] = ()

    @property
    def owed(self) -> bool:
        """Tell whether nginx may run something else than what is on disk."""
        return self.journaled or bool(self.unloaded)


def manage(request: Request) -> dict[str, t.Any]:
    """Make the sites as wanted and return what the module reports; in check mode only find out what that takes."""
    journal = Journal(request.nginx.config, request.layout.keep)
    if request.check:
        plan = _plan(request)
        debt = Debt(journal.exists, _unloaded(request, plan))
        return _report(request, plan, _validated(request, plan, debt), Reload(False, False, "check mode"), debt)
    with Lock(f"{LOCKS}/nginx-{instance_id(request.nginx.config)}.lock", request.lock_timeout, "sites of nginx"):
        journaled = journal.exists
        steps = settle(journal.read())
        plan = _plan(request)
        debt = Debt(journaled, [] if journaled else _unloaded(request, plan), steps)
        if not plan.changed and not debt.owed:
            return _report(request, plan, _UNCHANGED, Reload(False, False, "nothing changes"), debt)
        return _carry_out(request, journal, plan, debt)


def _unloaded(request: Request, plan: Plan) -> list[str]:
    """Return what nginx has not loaded since it changed on disk; nobody asks when it is told to load anyway."""
    if plan.swaps:
        return []
    links = [request.layout.link(site.name) for site in request.sites if site.state == ENABLED]
    files = [item.path for item in request.files if item.content is not None]
    return find_unloaded(request.nginx, request.layout, request.service, links, files, remember=not request.check)


def _plan(request: Request) -> Plan:
    current = read_current(request.layout, request.sites, request.files, request.purge)
    return make_plan(request.layout, current, request.sites, request.files, request.purge)


def _validated(request: Request, plan: Plan, debt: Debt) -> Verdict:
    """Return nginx's and our own verdict on the future configuration; raise SiteError when it must not be."""
    if not plan.swaps and not debt.owed:
        return _UNCHANGED
    if request.nginx.present:
        return validate(request.nginx, plan, request.policy, debt.unloaded)
    missing = f"nginx is not installed ('{request.nginx.binary}' was not found)"
    if not request.check:
        raise SiteError(f"{missing}: install it first, or name it in 'binary'")
    return Verdict(True, NONE, 0.0, "", (f"{missing}: the configuration was not validated",), missing)


def _carry_out(request: Request, journal: Journal, plan: Plan, debt: Debt) -> dict[str, t.Any]:
    """Do what the plan says; what nginx reads is changed only after it was validated and recorded."""
    sweep(touched_directories(request.layout, plan))
    # Another nginx of this host, with a lock of its own, may be writing there now.
    sweep_files(STATE, older_than=3600)
    verdict = _validated(request, plan, debt)
    write_stores(request.layout, plan.stores)
    set_permissions(request.layout, plan.permissions)
    reload = Reload(False, False, "nginx reads nothing that changed")
    if plan.swaps or debt.owed:
        reload = _switch(request, journal, merge(debt.steps, plan.swaps), plan, verdict)
    remove(plan.removals)
    return _report(request, plan, verdict, reload, debt)


def _switch(request: Request, journal: Journal, steps: list[Step], plan: Plan, verdict: Verdict) -> Reload:
    """Make the change visible and prove that nginx runs it, or put everything back and raise."""
    nginx, memory = request.nginx, Memory(request.nginx.config)
    logs = error_logs(verdict.config, nginx.build)
    master = find_master(nginx.config, nginx.build, request.service, logs)
    make_logs(verdict.config, nginx.build.prefix)
    journal.write(steps)
    try:
        swap(plan.swaps)
        activate(plan.activated)
    except OSError:
        _put_back(memory, steps)
        journal.close()
        raise
    # What is replaced from here on, nginx may have loaded or not: it will be seen to differ from this.
    record = take(verdict.config, request.layout, [item.path for item in request.files], memory.read())
    reload = master.reload(request.reload_timeout) if master else Reload(False, False, "nginx is not running")
    if master and not reload.proved:
        _go_back(request, journal, steps, master, reload)
    memory.write(record, generation(reload.new_workers))
    journal.close()
    return reload


def _put_back(memory: Memory, steps: list[Step]) -> None:
    undo(steps)
    memory.put_back([step.path for step in steps])


def _go_back(request: Request, journal: Journal, steps: list[Step], master: Master, failed: Reload) -> t.NoReturn:
    """Put the previous links and files back, make sure that nginx runs them, and raise ReloadError."""
    said = f"; nginx said: {failed.output}" if failed.output else ""
    if not steps:
        raise ReloadError(f"{failed.reason}{said}\nnginx goes on with what it has; the next run tries again.")
    _put_back(Memory(request.nginx.config), steps)
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
