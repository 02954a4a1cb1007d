# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stamps and lock files of timers, which all releases of an application share. Private to flaskops.stack."""

from __future__ import annotations

import glob
import os
import typing as t

from .._input.values import InputError
from .._release.model import Layout, Manifest, ReleaseError
from .._release.release import read_manifest
from .._service.process_units import timer_lock, timers_of, workers_of
from .._system.files import remove_file, write_file
from .._system.users import find_group

# systemd.timer(5): when a persistent timer ran last, by the file's time.
_STAMPS = "/var/lib/systemd/timers"


def manifest_of(layout: Layout, release: str) -> Manifest | None:
    """Return the manifest of a release; None when there is none or it is damaged."""
    try:
        found = read_manifest(layout.release(release)) if release else None
        if found:
            workers_of(found), timers_of(found)
        return found
    except (ReleaseError, InputError):
        return None


def make_locks(manifest: Manifest | None) -> None:
    """Create the lock files of jobs, so that one of them runs at a time."""
    if manifest is None:
        return
    group = find_group(manifest.group)
    gid = group.gr_gid if group else 0
    for timer in timers_of(manifest):
        path = timer_lock(manifest.name, timer["name"])
        if not os.path.exists(path):
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            write_file(path, b"", 0o640, 0, gid)
        elif os.stat(path).st_gid != gid:
            # The release before had another group. A job of it may hold the lock, so the file stays the same.
            os.chown(path, -1, gid)


def carry_stamps(layout: Layout, source: str, target: Manifest | None) -> None:
    """Copy the last-run stamps of unchanged timers to the new release, so that systemd catches up on missed runs."""
    before = manifest_of(layout, source)
    if before is None or target is None:
        return
    schedules = {timer["name"]: timer["schedule"] for timer in timers_of(before)}
    for timer in timers_of(target):
        if timer["persistent"] and schedules.get(timer["name"]) == timer["schedule"]:
            _copy_stamp(layout.name, timer["name"], before.id, target.id)


def _copy_stamp(app: str, timer: str, source: str, target: str) -> None:
    paths = [os.path.join(_STAMPS, f"stamp-{app}@{release}.timer-{timer}.timer") for release in (source, target)]
    try:
        ran = os.stat(paths[0]).st_mtime
    except FileNotFoundError:
        return
    if not os.path.exists(paths[1]) or os.stat(paths[1]).st_mtime < ran:
        write_file(paths[1], b"")
        os.utime(paths[1], (ran, ran))


def clear_stamps(units: t.Iterable[str]) -> None:
    """Remove the stamps of timers that are gone."""
    for name in units:
        if name.endswith(".timer"):
            remove_file(os.path.join(_STAMPS, f"stamp-{name}"))


def clear_state(app: str) -> None:
    """Remove the lock files of an application that is gone."""
    for path in glob.glob(timer_lock(app, "*")):
        remove_file(path)
