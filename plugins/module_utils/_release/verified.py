# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which complete releases were not loaded, because that is left to their start. Private to flaskops.stack.

A run that is killed before the start leaves a release that may be broken: no other one is made of it.
"""

from __future__ import annotations

import os
import typing as t
from contextlib import suppress

from .._system.files import read_file, remove_file, write_file
from .model import Layout, Manifest
from .release import current_id, list_releases

_MARK = "unloaded"
# What the mark says of a release for which nothing was installed.
_BARE = b"no requirements\n"


def mark_unverified(path: str, with_dependencies: bool) -> None:
    """Note, before the release in C(path) is complete, that its start has to prove it."""
    write_file(os.path.join(path, _MARK), b"" if with_dependencies else _BARE, sync=False)


def has_dependencies(path: str) -> bool:
    """Tell whether anything was installed for the release in C(path), as far as its mark says."""
    return read_file(os.path.join(path, _MARK)) != _BARE


def mark_verified(path: str) -> None:
    """Note that the release in C(path) was loaded."""
    # A note that stays, or that a power cut brings back, costs one more proof.
    with suppress(OSError):
        remove_file(os.path.join(path, _MARK), sync=False)


def is_verified(layout: Layout, release: str) -> bool:
    """Tell whether a complete release was loaded; one that serves was, though a killed run may not have noted it."""
    return not os.path.exists(os.path.join(layout.release(release), _MARK)) or current_id(layout) == release


def verified_releases(layout: Layout) -> t.Iterator[Manifest]:
    """Yield the releases that others can be made of, the newest first."""
    return (found for found in reversed(list_releases(layout)) if is_verified(layout, found.id))
