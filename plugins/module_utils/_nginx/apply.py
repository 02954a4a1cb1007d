# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply a plan: validate, store, write the journal, swap, reload, verify the reload, or revert. Private."""

from __future__ import annotations

import shutil
import typing as t

from .._system.files import remove_stale_temp_files
from .binary import Nginx
from .journal import Journal, JournalStep, merge_steps, undo
from .links import OldDirectory, discard_old
from .loaded import identify_workers, take_snapshot
from .loaded_state import LoadedState
from .log_files import make_logs
from .model import NginxPlan, NginxSiteError
from .policy import NONE, NOTHING_CHANGES, ReloadError, ReloadResult, RunningNginx, ValidationResult
from .request import NginxRequest, PendingReload
from .self_signed import STAND_IN, remove_certificates, write_certificates
from .server import NOT_TAKEN, Master, error_logs, find_master, given_directives
from .start import start
from .tree import (
    activation_times,
    apply_swaps,
    forget_use,
    mark_used,
    remove_leftovers,
    remove_versions,
    set_permissions,
    touched_directories,
    write_stores,
)
from .validate import validate


def nginx_of(request: NginxRequest) -> Nginx:
    """Return the nginx whose sites are asked for."""
    return Nginx(request.binary, request.config, request.prefix, request.host)


def validate_request(
    request: NginxRequest, nginx: Nginx, plan: NginxPlan, pending_reload: PendingReload
) -> ValidationResult:
    """Return the result of validating the staged configuration; raise NginxSiteError when it is rejected."""
    if not plan.is_read and not pending_reload.pending:
        return NOTHING_CHANGES
    if request.check and (fault := _missing_openssl(plan) or _broken_links(plan)):
        return ValidationResult(True, NONE, 0.0, "", (f"{fault}: the configuration was not validated",), fault)
    if nginx.present:
        master = find_master(nginx.host, request.config, nginx.build, request.service)
        nginx.options = given_directives(nginx.host, master, request.service)
        running = RunningNginx(master.pid if master else 0, tuple(pending_reload.unloaded))
        validation = validate(nginx, plan, request.policy, running)
        _reject_binary_upgrade(master)
        _reject_suspended(master)
        return validation
    missing = f"nginx is not installed ('{request.binary}' was not found)"
    if not request.check:
        raise NginxSiteError(f"{missing}: install it first, or name it in 'binary'")
    return ValidationResult(True, NONE, 0.0, "", (f"{missing}: the configuration was not validated",), missing)


def _missing_openssl(plan: NginxPlan) -> str:
    """Return why certificates cannot be made; an empty text when they can, or none is to be."""
    unmade = any(change.target == STAND_IN and not change.files for change in plan.changes)
    return "openssl(1), which makes self-signed certificates, is not installed" if unmade else ""


def _broken_links(plan: NginxPlan) -> str:
    """Name the links to certificates that lead nowhere."""
    paths = ", ".join(change.path for change in plan.changes if change.is_broken)
    return f"{paths} leads nowhere" if paths else ""


def _reject_binary_upgrade(master: Master | None) -> None:
    """Raise NginxSiteError during an upgrade of nginx's binary: a reload would not change the other master."""
    for old, new in master.competing_masters() if master else ():
        raise NginxSiteError(
            f"nginx's binary is being exchanged (USR2): the master processes {old} (old) and {new} (new) both take "
            "connections, each with the configuration that it has loaded. Nothing was changed. Finish the upgrade with "
            f"'kill -s QUIT {old}', or go back to the old binary with 'kill -s QUIT {new}', then run this again"
        )


def _reject_suspended(master: Master | None) -> None:
    """Raise NginxSiteError for a master process that would take no reload."""
    if master and master.suspended:
        raise NginxSiteError(
            f"nginx's master process {master.pid} is suspended, by SIGSTOP or a debugger, and takes no reload. Nothing "
            f"was changed. Let it go on with 'kill -s CONT {master.pid}' (as root on the host), then run this again"
        )


def apply(
    request: NginxRequest, journal: Journal, plan: NginxPlan, pending_reload: PendingReload
) -> tuple[ValidationResult, ReloadResult]:
    """Apply the plan; files that nginx reads change only after validation and the journal entry."""
    remove_leftovers(touched_directories(request.layout, plan))
    # Another nginx of this host, with a lock of its own, may be writing there now.
    remove_stale_temp_files(request.state, older_than=3600)
    nginx = nginx_of(request)
    if fault := _missing_openssl(plan):
        raise NginxSiteError(f"{fault}: install the package openssl first")
    write_certificates(change for change in plan.changes if change.is_broken)
    validation = validate_request(request, nginx, plan, pending_reload)
    new = {store.path for store in plan.stores}
    times = activation_times(path for path in plan.activated if path not in new)
    write_stores(request.layout, plan.stores)
    write_certificates(change for change in plan.changes if not change.is_broken)
    set_permissions(request.layout, plan.permissions)
    reload = ReloadResult(False, False, "nginx reads nothing that changed")
    if plan.is_read or pending_reload.pending:
        steps = merge_steps(pending_reload.steps, plan.swaps)
        try:
            reload = swap_and_reload(request, nginx, journal, steps, plan, validation)
        except (ReloadError, OSError):
            forget_use(plan, times)
            raise
    remove_versions(plan.removals)
    remove_certificates(plan.obsolete)
    for path in plan.unused_answers:
        # A worker of the former configuration may add a file at this moment; the next change removes what is left.
        shutil.rmtree(path, ignore_errors=True)
    return validation, reload


def swap_and_reload(
    request: NginxRequest,
    nginx: Nginx,
    journal: Journal,
    steps: list[JournalStep],
    plan: NginxPlan,
    validation: ValidationResult,
) -> ReloadResult:
    """Swap the links and files, reload and verify that nginx runs them, or revert and raise."""
    loaded_state = LoadedState(request.config, request.state)
    logs = error_logs(validation.config, nginx.build)
    master = find_master(nginx.host, request.config, nginx.build, request.service, logs)
    make_logs(validation.config, nginx.build.prefix)
    before = master.workers() if master else set()
    journal.write(steps)
    former: list[OldDirectory] = []
    try:
        former += apply_swaps(plan.swaps)
        mark_used(plan.activated)
    except OSError:
        discard_old([*former, *_restore(loaded_state, steps)])
        journal.close()
        raise
    # A file replaced from here on may be loaded or not; it will differ from this snapshot.
    record = take_snapshot(
        validation.config, request.layout, [item.path for item in request.files], loaded_state.read()
    )
    reload = _reload_or_start(request, nginx, master)
    if reload.performed and not reload.proved:
        told = "\n".join([reload.output, *validation.warnings]) if "bind()" in reload.output else reload.output
        _revert(request, journal, steps, former, master, before, reload._replace(output=told))
    loaded_state.write(record, identify_workers(nginx.host, reload.new_workers))
    # The journal is removed last: the next run that finds one cleans up.
    discard_old(former)
    journal.close()
    return reload


def _reload_or_start(request: NginxRequest, nginx: Nginx, master: Master | None) -> ReloadResult:
    """Reload nginx, or start it where that is requested."""
    if master:
        return master.reload(request.reload_timeout)
    if request.start:
        host, service = nginx.host, request.service
        return start(host, service, lambda: find_master(host, request.config, nginx.build, service))
    return ReloadResult(False, False, "nginx is not running")


def _runs_the_previous(request: NginxRequest, master: Master, before: set[int], failed: ReloadResult) -> bool:
    """Tell whether nginx certainly runs what is back in place."""
    # It keeps its old workers when it could not load the change.
    if before and master.runs_only(before):
        return True
    # Else it is reloaded again; but a signal that it has not taken yet makes it load what is there when it does.
    return failed.reason != NOT_TAKEN and master.reload(request.reload_timeout, idle_timeout=0).proved


def _restore(loaded_state: LoadedState, steps: list[JournalStep]) -> list[OldDirectory]:
    former = undo(steps)
    loaded_state.record_restored([step.path for step in steps])
    return former


def _revert(
    request: NginxRequest,
    journal: Journal,
    steps: list[JournalStep],
    former: list[OldDirectory],
    master: Master | None,
    before: set[int],
    failed: ReloadResult,
) -> t.NoReturn:
    """Revert to the previous links and files, verify that nginx runs them, and raise ReloadError."""
    said = f"; nginx said: {failed.output}" if failed.output else ""
    if not steps:
        now = "nginx keeps the configuration that it has loaded" if master else "nginx does not run"
        raise ReloadError(f"{failed.reason}{said}\n{now}; the next run tries again.")
    former += _restore(LoadedState(request.config, request.state), steps)
    message = f"{failed.reason}{said}\nThe previous links and files are back in place"
    if master is None:
        discard_old(former)
        journal.close()
        raise ReloadError(f"{message}; nginx is stopped, as it was before.")
    certain = _runs_the_previous(request, master, before, failed)
    discard_old(former)
    if certain:
        journal.close()
        raise ReloadError(f"{message}, and nginx runs the previous configuration.")
    raise ReloadError(
        f"{message}, but nginx could not be made to load them: the next run tries again; look at its error log "
        f"and at 'systemctl status {request.service}'."
    )
