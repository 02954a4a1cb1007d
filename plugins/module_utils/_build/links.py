# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that no link in a release leads out of it: nginx would follow it to any file. Private to flaskops.stack."""

from __future__ import annotations

import os
import typing as t

from .._release.model import Layout
from .venv import BuildError


def check_links(layout: Layout, path: str, trees: t.Sequence[str], shared: t.Sequence[str]) -> None:
    """Raise BuildError for a link in C(trees) of the release C(path) that leads out of it.

    The rule is that of sources and archives. What belongs to root by now stays as it is seen here.
    """
    ours = {os.path.join(path, "app", name): os.path.join(layout.shared, name) for name in shared}
    instance, release = os.path.join(layout.shared, "instance"), os.path.realpath(path)
    # Programs of the virtualenv are links to the Python of the host, and nginx serves none of them.
    for place, target in _links(trees, skipped={f"{path}/venv/bin"}):
        if target == ours.get(place) or (target == instance and place.startswith(f"{path}/venv/var/")):
            continue
        if os.path.commonpath([os.path.realpath(place), release]) != release:
            raise BuildError(
                f"'{os.path.relpath(place, path)}' is a link to '{target}', outside of the release, and nginx would "
                "follow it: let the build (a package, or a command of hooks.build) make a file of it or a link that "
                "stays inside; a directory that outlives releases belongs into shared"
            )


def _links(tops: t.Sequence[str], skipped: t.Collection[str]) -> t.Iterator[tuple[str, str]]:
    """Yield each link below some directories and its target, without following any."""
    pending = list(tops)
    while pending:
        with os.scandir(pending.pop()) as found:
            for entry in found:
                if entry.is_symlink():
                    yield entry.path, os.readlink(entry.path)
                elif entry.is_dir(follow_symlinks=False) and entry.path not in skipped:
                    pending.append(entry.path)
