# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the rollback hook (down-migration) of the release being rolled back. Private to flaskops.stack.

A down-migration needs the code of the release that migrated up, and that release must not run any
more. So the hook runs after the switch, when the release has stopped, and in a fleet on the last host rolled back.
"""

from __future__ import annotations

import os
import typing as t

from .._build.hook_programs import find_program
from .._input.hooks import HookError, rollback_stage
from .._input.printable import short_reason
from .._release.history import Entry, try_record
from .._release.migration import forget_migration
from .._release.model import Layout, Manifest
from .._release.release import current_id, read_manifest
from .._service.units import parse_unit_name
from .._system.command import CommandError
from .._system.files import utc_now
from .._system.host import Host
from .._system.lock import caller
from .deployment import Deployment
from .hook_run import HookResult, hooks_of, run_hooks
from .migrate import key_of
from .observe import wait_until_stopped
from .processes import longest_stop
from .request import ServiceRequest


def rolled_back_from(entries: t.Sequence[Entry], current: str, target: str) -> str:
    """Return the release that is rolled back from, or was before when there is nothing to switch any more."""
    if current != target:
        return current
    backs = [entry for entry in entries if entry.get("what") == "rollback" and entry.get("result") == "activated"]
    return next((str(entry.get("from", "")) for entry in reversed(backs) if entry.get("release") == target), "")


def check_rollback_hook(layout: Layout, release: str, hook: str) -> Manifest:
    """Return the manifest of a release whose hook can be run; raise HookError, which lists the existing hooks."""
    manifest = read_manifest(layout.release(release)) if release else None
    if manifest is None:
        which = f"release {release}, which was rolled back, is gone" if release else "no release was rolled back"
        raise HookError(f"hook '{hook}' of {layout.name} cannot be run: {which}. Roll back without it")
    hooks = hooks_of(manifest)
    if hook not in hooks.rollback:
        there = ", ".join(hooks.rollback)
        has = f"it has {there}" if there else "it has none (hooks.rollback of the application lists them)"
        raise HookError(f"release {release} of {layout.name} has no hook '{hook}' for a rollback: {has}")
    for words in hooks.commands(rollback_stage(hook)):
        find_program(rollback_stage(hook), words, layout.release(release))
    return manifest


def due_rollback_hook(deployment: Deployment, request: ServiceRequest) -> dict[str, t.Any] | None:
    """Return the rollback hook that is due, once the release it belongs to has stopped; None when there is none."""
    if not request.hook or deployment.error or deployment.post_switch_error:
        return None
    try:
        return _due(deployment, request)
    except (HookError, CommandError, OSError) as exc:
        serves = deployment.service.wanted.release
        deployment.post_switch_error = (
            f"release {serves} is live, but hook '{request.hook}' was not run: {exc}. Ask for it again, with the "
            f"release by its name: -e release={serves} -e hook={request.hook}"
        )
        return None


def _due(deployment: Deployment, request: ServiceRequest) -> dict[str, t.Any]:
    # Whether or not the hook succeeds, the next deploy has to migrate again.
    forget_migration(request.name)
    working = _wait_for_stop(deployment, request.rolled_back_from)
    if working:
        raise HookError(f"{', '.join(working)} still runs the release that was rolled back, and has to stop first")
    manifest = check_rollback_hook(request.layout, request.rolled_back_from, request.hook)
    each = hooks_of(manifest).migrate_each_host
    return {"name": request.name, "left": request.rolled_back_from, "key": key_of(manifest), "each_host": each}


def _wait_for_stop(deployment: Deployment, release: str) -> list[str]:
    """Wait until the release that was rolled back has stopped; return the units that still run."""
    seen = deployment.observed
    known = {
        *deployment.plan.remove,
        *deployment.plan.stop_workers,
        *deployment.finishing,
        *seen.workers_stopping,
        *seen.units_stopping,
    }
    parsed = {name: parse_unit_name(name) for name in known}
    units = sorted(name for name, unit in parsed.items() if unit and unit.release == release and unit.kind == "service")
    if not units:
        return []
    seconds = max(deployment.stop_timeout(), longest_stop(deployment.service.layout, units))
    return wait_until_stopped(deployment.host, units, seconds)


def run_rollback_hook(
    host: Host, layout: Layout, release: str, hook: str, by: str, served: str = ""
) -> list[HookResult]:
    """Run the rollback hook of a release and record it; raise HookError. The caller holds the lock.

    C(served) is the target of the rollback: another run may have deployed since.
    """
    manifest = check_rollback_hook(layout, release, hook)
    current = current_id(layout) or ""
    if current == release:
        raise HookError(f"hook '{hook}' was not run: release {release} is live again")
    if served and current != served:
        raise HookError(f"hook '{hook}' was not run: the rollback went to {served}, and {current} is live by now")
    entry: dict[str, object] = {"when": utc_now(), "what": f"hook {hook}", "release": release, "from": current}
    entry["by"] = caller(by, os.environ)
    # A deploy in the meantime may have recorded the migration again.
    forget_migration(layout.name)
    try:
        ran = run_hooks(host, rollback_stage(hook), layout, manifest, current)
    except HookError as exc:
        try_record(layout.name, {**entry, "result": "unsuccessful", "reason": short_reason(str(exc))})
        raise HookError(f"release {current} is live, but {exc}") from None
    # Failing here would make the user repeat the hook, which would migrate down twice.
    try_record(layout.name, {**entry, "result": "done", "seconds": round(sum(one.seconds for one in ran), 3)})
    return ran
