# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the applications and their releases. Private to flaskops.stack."""

from __future__ import annotations

import os
import typing as t

from .._input.similar import most_similar
from .._input.values import UnsafeNameError, check_name
from .._system.trees import tree_size
from .model import Layout, Manifest, is_release_id
from .release import current_id, list_releases, own_releases


def list_applications(root: str, names: t.Sequence[str] | None, size: bool) -> list[dict[str, t.Any]]:
    """Return what each application has; without C(names), of all that have releases below C(root)."""
    layouts = [Layout(root, check_name(name)) for name in names] if names is not None else find_applications(root)
    return [_describe(layout, size) for layout in layouts]


def find_applications(root: str) -> list[Layout]:
    """Return the applications that have releases below a directory."""
    try:
        found = [Layout(root, name) for name in sorted(os.listdir(root)) if _is_name(name)]
    except FileNotFoundError:
        return []
    # Another deploy tool may have a directory of this name, too.
    return [layout for layout in found if own_releases(layout)]


def describe_others(root: str, name: str) -> str:
    """Return which applications there are where one of this name is not, and which of them was probably meant."""
    return suggest(name, [found.name for found in find_applications(root)])


def suggest(name: str, known: t.Sequence[str]) -> str:
    """Return the known names in words, and which of them was probably meant."""
    near = most_similar(name, known)
    return f"there are: {', '.join(known) or 'none'}{f' (did you mean {near}?)' if near else ''}"


def _is_name(name: str) -> bool:
    try:
        check_name(name)
    except UnsafeNameError:
        return False
    return True


def _describe(layout: Layout, size: bool) -> dict[str, t.Any]:
    current, complete = current_id(layout) or "", list_releases(layout)
    known = {manifest.id for manifest in complete}
    names = sorted(os.listdir(layout.releases)) if os.path.isdir(layout.releases) else []
    return {
        "name": layout.name,
        "current": current,
        "unfinished": [name for name in names if is_release_id(name) and name not in known],
        "releases": [_row(layout, manifest, current, size) for manifest in complete],
    }


def _row(layout: Layout, manifest: Manifest, current: str, size: bool) -> dict[str, t.Any]:
    path = layout.release(manifest.id)
    row: dict[str, t.Any] = {
        "id": manifest.id,
        "path": path,
        "current": manifest.id == current,
        "built_at": manifest.built_at,
        "source": dict(manifest.source),
        "python": manifest.python,
        "app": manifest.app,
    }
    return {**row, "size": tree_size(path)} if size else row
