# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migrate databases before any host of a fleet starts the code that needs it. Private to flaskops.stack.

In a fleet the action plugin runs it on one host while the others wait; a single host runs it during the deploy.
"""

from __future__ import annotations

import typing as t

from .._input.hooks import MIGRATE, HookError
from .._release.migration import migrated_key, migrated_release, record_migration
from .._release.model import Layout, Manifest
from .._release.release import current_id
from .._system.host import Host
from .hook_run import HookResult, hooks_of, run_hooks


def key_of(manifest: Manifest) -> str:
    """Return the key of a release's migrations: equal on all hosts that share a database."""
    return str(manifest.extra.get("migration") or manifest.id)


def is_due(layout: Layout, manifest: Manifest | None) -> bool:
    """Tell whether the release is to be deployed here and its migrations are not recorded as done."""
    if manifest is None or not hooks_of(manifest).migrate:
        return False
    return manifest.id != current_id(layout) and key_of(manifest) != migrated_key(layout.name)


def is_due_in_fleet(layout: Layout, manifest: Manifest | None) -> bool:
    """Tell whether one host has to run the migrations for all."""
    return is_due(layout, manifest) and not hooks_of(manifest).migrate_each_host


def explain_migrated_meanwhile(layout: Layout, manifest: Manifest, seen: str) -> str:
    """Return why a due migration must not run: another one has, since C(seen) was the last; empty when none has.

    The other run holds no lock between its migration and its deploy.
    """
    if not is_due(layout, manifest) or migrated_key(layout.name) == seen:
        return ""
    release = migrated_release(layout.name)
    # These forget the migration.
    other = (
        f"migrated the database for release {release}"
        if release
        else "run a rollback hook, or removed the application,"
    )
    return (
        f"another run has {other} since this one began, and may not have ended. No hook was run here, and no release "
        "was started. Wait until that run has ended, see with status.yml what the hosts serve, and run again"
    )


def migrate(host: Host, layout: Layout, manifest: Manifest) -> list[HookResult]:
    """Run the migrations of a release when they are due, and record them; raise HookError."""
    if not is_due(layout, manifest):
        return []
    serving = current_id(layout) or ""
    try:
        ran = run_hooks(host, MIGRATE, layout, manifest, serving)
    except HookError as exc:
        rest = f"release {serving} still serves" if serving else "nothing was started"
        raise HookError(f"{exc}\nRelease {manifest.id} was not started on any host; {rest}.") from None
    record_migration(layout.name, manifest.id, key_of(manifest), here=True)
    return ran


def note_migration(layout: Layout, manifest: Manifest | None) -> None:
    """Record that another host of the fleet has run the migrations of a release, when they were due."""
    if manifest and is_due(layout, manifest):
        record_migration(layout.name, manifest.id, key_of(manifest), here=False)


def describe_hooks(ran: t.Sequence[HookResult]) -> list[dict[str, t.Any]]:
    """Return the hook results as a module returns them."""
    return [
        {"hook": one.hook, "command": one.command, "seconds": one.seconds, "output": one.output.splitlines()[-20:]}
        for one in ran
    ]
