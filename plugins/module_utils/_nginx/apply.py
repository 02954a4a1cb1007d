# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validate, store, record, swap, reload, prove, or go back: what a run does that changes something. Private."""

from __future__ import annotations

import typing as t

from .._system.files import sweep as sweep_files
from .binary import Nginx
from .journal import STATE, Journal, Step, merge, undo
from .links import Former, discard
from .loaded import generation, take
from .loaded_state import Memory
from .log_files import make_logs
from .model import Plan, SiteError
from .policy import NONE, NOTHING, Reload, ReloadError, Running, Verdict
from .request import Debt, Request
from .server import Master, error_logs, find_master, given_directives
from .start import start
from .tree import activate, remove, set_permissions, swap, sweep, touched_directories, write_stores
from .validate import validate


def nginx_of(request: Request) -> Nginx:
    """Return the nginx whose sites are asked for."""
    return Nginx(request.binary, request.config, request.prefix)


def validated(request: Request, nginx: Nginx, plan: Plan, debt: Debt) -> Verdict:
    """Return nginx's and our own verdict on the future configuration; raise SiteError when it must not be."""
    if not plan.swaps and not debt.owed:
        return NOTHING
    if nginx.present:
        master = find_master(request.config, nginx.build, request.service)
        nginx.options = given_directives(master, request.service)
        running = Running(master.pid if master else 0, tuple(debt.unloaded))
        verdict = validate(nginx, plan, request.policy, running)
        _refuse_two_masters(master)
        return verdict
    missing = f"nginx is not installed ('{request.binary}' was not found)"
    if not request.check:
        raise SiteError(f"{missing}: install it first, or name it in 'binary'")
    return Verdict(True, NONE, 0.0, "", (f"{missing}: the configuration was not validated",), missing)


def _refuse_two_masters(master: Master | None) -> None:
    """Raise SiteError while nginx's binary is exchanged: no reload changes what visitors of the other master get."""
    for old, new in master.rivals() if master else ():
        raise SiteError(
            f"nginx's binary is being exchanged (USR2): the master processes {old} (old) and {new} (new) both take "
            "connections, each with the configuration that it has loaded. Nothing was changed. Finish the upgrade with "
            f"'kill -s QUIT {old}', or go back to the old binary with 'kill -s QUIT {new}', then run this again"
        )


def carry_out(request: Request, journal: Journal, plan: Plan, debt: Debt) -> tuple[Verdict, Reload]:
    """Do what the plan says; what nginx reads is changed only after it was validated and recorded."""
    sweep(touched_directories(request.layout, plan))
    # Another nginx of this host, with a lock of its own, may be writing there now.
    sweep_files(STATE, older_than=3600)
    nginx = nginx_of(request)
    verdict = validated(request, nginx, plan, debt)
    write_stores(request.layout, plan.stores)
    set_permissions(request.layout, plan.permissions)
    reload = Reload(False, False, "nginx reads nothing that changed")
    if plan.swaps or debt.owed:
        reload = _switch(request, nginx, journal, merge(debt.steps, plan.swaps), plan, verdict)
    remove(plan.removals)
    return verdict, reload


def _switch(
    request: Request, nginx: Nginx, journal: Journal, steps: list[Step], plan: Plan, verdict: Verdict
) -> Reload:
    """Make the change visible and prove that nginx runs it, or put everything back and raise."""
    memory = Memory(request.config)
    logs = error_logs(verdict.config, nginx.build)
    master = find_master(request.config, nginx.build, request.service, logs)
    make_logs(verdict.config, nginx.build.prefix)
    before = master.workers() if master else set()
    journal.write(steps)
    former: list[Former] = []
    try:
        former += swap(plan.swaps)
        activate(plan.activated)
    except OSError:
        discard([*former, *_put_back(memory, steps)])
        journal.close()
        raise
    # What is replaced from here on, nginx may have loaded or not: it will be seen to differ from this.
    record = take(verdict.config, request.layout, [item.path for item in request.files], memory.read())
    reload = _load(request, nginx, master)
    if reload.performed and not reload.proved:
        told = "\n".join([reload.output, *verdict.warnings]) if "bind()" in reload.output else reload.output
        _go_back(request, journal, steps, former, master, before, reload._replace(output=told))
    memory.write(record, generation(reload.new_workers))
    # The journal goes last: whoever finds it sweeps up.
    discard(former)
    journal.close()
    return reload


def _load(request: Request, nginx: Nginx, master: Master | None) -> Reload:
    """Make nginx load what is on disk: by a reload, or, where that is asked for, by a start."""
    if master:
        return master.reload(request.reload_timeout)
    if request.start:
        return start(request.service, lambda: find_master(request.config, nginx.build, request.service))
    return Reload(False, False, "nginx is not running")


def _put_back(memory: Memory, steps: list[Step]) -> list[Former]:
    former = undo(steps)
    memory.put_back([step.path for step in steps])
    return former


def _go_back(
    request: Request,
    journal: Journal,
    steps: list[Step],
    former: list[Former],
    master: Master | None,
    before: set[int],
    failed: Reload,
) -> t.NoReturn:
    """Put the previous links and files back, make sure that nginx runs them, and raise ReloadError."""
    said = f"; nginx said: {failed.output}" if failed.output else ""
    if not steps:
        now = "nginx goes on with what it has" if master else "nginx does not run"
        raise ReloadError(f"{failed.reason}{said}\n{now}; the next run tries again.")
    former += _put_back(Memory(request.config), steps)
    message = f"{failed.reason}{said}\nThe previous links and files are back in place"
    if master is None:
        discard(former)
        journal.close()
        raise ReloadError(f"{message}; nginx is stopped, as it was before.")
    # nginx goes on with the workers from before the change when it could not load it; when in doubt it is told again.
    certain = (bool(before) and master.runs_only(before)) or master.reload(request.reload_timeout).proved
    discard(former)
    if certain:
        journal.close()
        raise ReloadError(f"{message}, and nginx runs the previous configuration.")
    raise ReloadError(
        f"{message}, but nginx could not be made to load them: the next run tries again; look at its error log "
        f"and at 'systemctl status {request.service}'."
    )
