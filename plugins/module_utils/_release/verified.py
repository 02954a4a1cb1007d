# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mark of releases whose import check is deferred to their first start. Private to flaskops.stack.

A run killed before the start leaves a release that may be broken: no build reuses its files.
"""

from __future__ import annotations

import os
import typing as t
from contextlib import suppress

from .._system.files import read_file, remove_file, write_file
from .model import Layout, Manifest
from .release import current_id, list_releases

_MARK = "unloaded"
# Content of the mark of a release for which no package was installed.
_BARE = b"no requirements\n"


def mark_unverified(path: str, with_dependencies: bool) -> None:
    """Mark the release in C(path), before it is complete, as not import-checked."""
    write_file(os.path.join(path, _MARK), b"" if with_dependencies else _BARE, sync=False)


def has_dependencies(path: str) -> bool:
    """Tell whether anything was installed for the release in C(path), as far as its mark says."""
    return read_file(os.path.join(path, _MARK)) != _BARE


def mark_verified(path: str) -> None:
    """Remove the mark: the release in C(path) was imported."""
    # A mark that stays, or that a power cut brings back, costs one more import check.
    with suppress(OSError):
        remove_file(os.path.join(path, _MARK), sync=False)


def is_verified(layout: Layout, release: str) -> bool:
    """Tell whether a complete release was imported; the live one was, even if a killed run left its mark."""
    return not os.path.exists(os.path.join(layout.release(release), _MARK)) or current_id(layout) == release


def verified_releases(layout: Layout) -> t.Iterator[Manifest]:
    """Yield the releases whose files a build may reuse, the newest first."""
    return (found for found in reversed(list_releases(layout)) if is_verified(layout, found.id))
