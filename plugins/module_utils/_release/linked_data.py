# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Data of an application that is elsewhere, behind links. Private to flaskops.stack."""

from __future__ import annotations

import os
import posixpath

from .._system.files import read_link
from .._system.planted import walk
from .model import Layout

# More would only make an error long.
_MOST = 10


def is_link_of_rename(layout: Layout) -> bool:
    """Tell whether C(shared) is the link that a rename has left, which leads to the data of another application."""
    target = read_link(layout.shared)
    if target is None:
        return False
    base, shared = posixpath.split(posixpath.normpath(target))
    return (posixpath.dirname(base), shared) == (layout.root, posixpath.basename(layout.shared))


def linked_data(layout: Layout) -> list[str]:
    """Return the places outside of C(shared) to which it, or a link in it, leads with data of the application.

    A link that the application has made to a file of the system, such as the Python of a virtualenv, has none.
    """
    target = read_link(layout.shared)
    if target is not None:
        return [] if is_link_of_rename(layout) else [posixpath.normpath(posixpath.join(layout.base, target))]
    if not os.path.isdir(layout.shared):
        return []
    found: list[str] = []
    for path, _directories, others, descriptor in walk(layout.shared, complete=False):
        for name in others:
            place = _outside(layout.shared, path, name, descriptor)
            if place and place not in found:
                found.append(place)
        if len(found) >= _MOST:
            break
    return sorted(found[:_MOST])


def _outside(top: str, path: str, name: str, directory: int) -> str:
    """Return the place outside of C(top) to which a link leads; an empty text where it has none of the data."""
    try:
        target = os.readlink(name, dir_fd=directory)
        place = posixpath.normpath(posixpath.join(path, target))
        # One of root's that leads to nothing may lead to a disk that is not mounted.
        made_by = os.stat(name, dir_fd=directory, follow_symlinks=False).st_uid
        is_data = made_by == 0 or os.stat(place).st_uid != 0
    except OSError:
        # No link, one of the application's that leads to nothing, or a name that is gone meanwhile.
        return ""
    return place if is_data and not f"{place}/".startswith(f"{top}/") else ""
