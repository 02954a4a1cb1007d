# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prune old releases. Private to flaskops.stack."""

from __future__ import annotations

import errno
import os
import re
import typing as t
from contextlib import suppress

from .._system.command import CommandError, spawn_detached
from .._system.trees import remove_tree
from .assets import kept_assets
from .history import activation_times
from .kept_venv import keep_virtualenv
from .model import Layout, is_release_id, plan_prune
from .release import current_id, forget_manifest, is_unfinished, list_releases
from .rollback import previous_healthy, rejected_releases

# Begins the name of a release that is being removed.
_REMOVED = ".removed-"


def remove_releases(layout: Layout, releases: t.Sequence[str]) -> None:
    """Remove releases by one rename each; a background process deletes their files, and those of killed runs.

    Deleting the thousands of files of a virtualenv would take the run too long.
    """
    for release in releases:
        _set_aside(layout.release(release), os.path.join(layout.releases, f"{_REMOVED}{release}-{os.getpid()}"))
    names = os.listdir(layout.releases) if os.path.isdir(layout.releases) else []
    gone = [os.path.join(layout.releases, name) for name in names if name.startswith(_REMOVED)]
    if gone:
        spawn_detached(["nice", "rm", "-rf", "--", *gone])


def _set_aside(path: str, target: str) -> None:
    """Give a release the name of one that is being removed; remove it where the file system cannot rename it."""
    try:
        os.rename(path, target)
    except OSError as exc:
        # Overlayfs renames no directory that comes with an image (redirect_dir).
        if exc.errno != errno.EXDEV:
            raise
        # A run that is killed now leaves an unfinished release, which the next one removes.
        forget_manifest(path)
        remove_tree(path)


def prune_releases(
    layout: Layout, keep: int, kept: t.Collection[str], history: t.Sequence[t.Mapping[str, t.Any]]
) -> list[str]:
    """Remove all but the newest C(keep) releases, those C(kept) and those with a process; return the removed ones.

    The target of a rollback stays. Rejected releases are removed first. Unfinished builds of
    killed runs and releases that cannot be loaded go too, but for the virtualenv, which makes the next build quick: the
    caller holds the application's lock, so no build is running.
    """
    releases = [manifest.id for manifest in list_releases(layout, activation_times(history))]
    bad = rejected_releases(history)
    current = current_id(layout) or ""
    stay = {*kept, current, kept_assets(layout), previous_healthy(history, releases, current)}
    unfinished = [release for release in unfinished_releases(layout) if release not in stay]
    surplus = unfinished + plan_prune(sorted(releases, key=lambda release: release not in bad), keep, stay)
    used = releases_in_use(layout) if surplus else set()
    removed = [release for release in surplus if release not in used]
    for release in set(removed) & set(unfinished):
        with suppress(OSError, CommandError):
            keep_virtualenv(layout.release(release), layout.cache, durable=True)
    remove_releases(layout, removed)
    return removed


def unfinished_releases(layout: Layout) -> list[str]:
    """Return the ids of release directories without a manifest that can be used."""
    names = os.listdir(layout.releases) if os.path.isdir(layout.releases) else []
    return sorted(name for name in names if is_release_id(name) and is_unfinished(layout.release(name)))


def releases_in_use(layout: Layout) -> set[str]:
    """Return the releases that a process runs from: a service or a shell."""
    found: set[str] = set()
    # The service of a release, or one of its workers and timers.
    unit = re.compile(rf"/{layout.name}[^/@]*@([0-9a-f-]{{16}})[^/]*\.service")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        found.update(unit.findall(_text(f"/proc/{pid}/cgroup")))
        for place in _places(f"/proc/{pid}"):
            if place.startswith(layout.releases + "/"):
                found.add(place[len(layout.releases) + 1 :].split("/", 1)[0])
    return {release for release in found if os.path.isdir(layout.release(release))}


def _places(process: str) -> list[str]:
    """Return where a process works, and the words it was started with."""
    words = _text(f"{process}/cmdline").split("\0")
    try:
        return [*words, os.readlink(f"{process}/cwd")]
    except OSError:
        return words


def _text(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            return stream.read(4096).decode("utf-8", "replace")
    except OSError:
        # The process has ended.
        return ""
