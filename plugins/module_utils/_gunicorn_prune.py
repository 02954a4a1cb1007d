# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove releases that nobody needs any more. Private to flaskops.stack."""

from __future__ import annotations

import os
import shutil
import typing as t

from ._files import remove_file
from ._history import activation_times, failed_releases
from ._release import MANIFEST, Layout, is_release_id, list_releases, plan_prune


def remove_release(path: str) -> None:
    """Remove a release directory; what a kill leaves of it is an unfinished one, which nobody activates."""
    remove_file(os.path.join(path, MANIFEST))
    shutil.rmtree(path)


def prune_releases(
    layout: Layout, keep: int, kept: t.Collection[str], history: t.Sequence[t.Mapping[str, t.Any]]
) -> list[str]:
    """Remove all but the newest C(keep) releases, those C(kept) and those with a process; return what was removed.

    Releases that were refused go first: one that failed is no place to go back to. What a killed run has begun to
    build goes too: the caller holds the application's lock, so nobody builds now.
    """
    releases = [manifest.id for manifest in list_releases(layout, activation_times(history))]
    failed = failed_releases(history)
    surplus = unfinished_releases(layout) + plan_prune(
        sorted(releases, key=lambda release: release not in failed), keep, kept
    )
    used = releases_in_use(layout) if surplus else set()
    removed = [release for release in surplus if release not in used]
    for release in removed:
        remove_release(layout.release(release))
    return removed


def unfinished_releases(layout: Layout) -> list[str]:
    """Return the ids of release directories without a manifest."""
    names = os.listdir(layout.releases) if os.path.isdir(layout.releases) else []
    return sorted(
        name
        for name in names
        if is_release_id(name) and not os.path.exists(os.path.join(layout.release(name), MANIFEST))
    )


def releases_in_use(layout: Layout) -> set[str]:
    """Return the releases that a process runs from: a service, or somebody's shell."""
    found: set[str] = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for text in _places(f"/proc/{pid}"):
            if text.startswith(layout.releases + "/"):
                found.add(text[len(layout.releases) + 1 :].split("/", 1)[0])
    return found


def _places(process: str) -> t.Iterator[str]:
    try:
        yield os.readlink(f"{process}/cwd")
        with open(f"{process}/cmdline", "rb") as stream:
            yield stream.read(4096).split(b"\0", 1)[0].decode("utf-8", "replace")
    except OSError:
        # It has ended, or is a thread of the kernel.
        return
