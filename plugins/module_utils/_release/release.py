# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read, write and list the releases of an application. Private to flaskops.stack."""

from __future__ import annotations

import errno
import os
import typing as t

from .._system.files import read_file, read_link, remove_file, write_file
from .._system.planted import PlantedError
from .model import MANIFEST, DamagedError, Layout, Manifest, ReleaseError, is_release_id


def read_manifest(path: str) -> Manifest | None:
    """Return the manifest in the release directory C(path), or None when that is unfinished or not there.

    One that is damaged or cannot be read counts as unfinished. Raise ReleaseError for one of a newer version.
    """
    try:
        return load_manifest(path)
    except (DamagedError, OSError):
        return None


def load_manifest(path: str) -> Manifest | None:
    """Return the manifest in the release directory C(path), None when there is none; raise an error when damaged."""
    file = os.path.join(path, MANIFEST)
    try:
        data = read_file(file)
    except NotADirectoryError:
        return None
    if data is None:
        return None
    found = Manifest.from_json(data.decode("utf-8", "replace"), file)
    # A manifest in the directory of another release does not describe it; /srv/<name>/releases/<id>.
    name = os.path.basename(path.rstrip("/"))
    if is_release_id(name) and found.id != name:
        raise DamagedError(f"{file} is of release {found.id}: a release cannot be moved or copied")
    return found


def damage(path: str) -> str:
    """Return why the manifest in the release directory C(path) cannot be used; an empty text when it can."""
    try:
        load_manifest(path)
    except (ReleaseError, OSError) as exc:
        return str(exc)
    return ""


def is_unfinished(path: str) -> bool:
    """Tell whether the release directory C(path) has no manifest, or a damaged one.

    One that a newer version wrote, or that the disk does not give away now, is left to others.
    """
    try:
        return load_manifest(path) is None
    except (DamagedError, IsADirectoryError, PlantedError):
        return True
    except (ReleaseError, OSError):
        return False


def write_manifest(path: str, manifest: Manifest) -> None:
    """Complete the release directory C(path): the last write of a build."""
    write_file(os.path.join(path, MANIFEST), manifest.to_json().encode())


def forget_manifest(path: str) -> None:
    """Make the release C(path) an unfinished one, which is never started and is removed."""
    remove_file(os.path.join(path, MANIFEST))


def list_releases(layout: Layout, activated: t.Mapping[str, str] | None = None) -> list[Manifest]:
    """Return the complete releases, the one built (or activated, by id, in C(activated)) last at the end."""
    names = [name for name in _names_of(layout) if is_release_id(name)]
    found = [manifest for manifest in (_listed(layout.release(name)) for name in names) if manifest]
    times = activated or {}
    return sorted(found, key=lambda manifest: (max(manifest.built_at, times.get(manifest.id, "")), manifest.id))


def _names_of(layout: Layout) -> list[str]:
    """Return what is in the directory of releases; nothing where something else is in its place."""
    try:
        return os.listdir(layout.releases)
    except OSError as exc:
        if exc.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return []
        raise


def _listed(path: str) -> Manifest | None:
    try:
        return read_manifest(path)
    except ReleaseError:
        return None


def is_foreign_link(layout: Layout) -> bool:
    """Tell whether something else than this collection has made the link C(current), such as another deploy tool."""
    current = current_id(layout)
    return current is not None and not is_release_id(current)


def own_releases(layout: Layout) -> list[str]:
    """Return the paths of all releases, complete or not, and leftovers; the directory itself if it has nothing else."""
    names = _names_of(layout)
    if not names and not os.path.isdir(layout.releases):
        return []
    own = [name for name in names if is_release_id(name) or name.startswith(".")]
    return [layout.release(name) for name in own] if len(own) < len(names) else [layout.releases]


def current_id(layout: Layout) -> str | None:
    """Return the id that the link C(current) names, or None when there is no such link."""
    target = read_link(layout.current)
    return os.path.basename(target.rstrip("/")) if target else None
