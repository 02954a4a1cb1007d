# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links by which nginx finds files of a virtualenv, whatever its version of Python is. Private to flaskops.stack."""

from __future__ import annotations

import os
from contextlib import suppress

from .._release.model import Layout
from .._release.release import list_releases
from .._release.shared_files import SITE_PACKAGES
from .._system.files import replace_link
from .._system.planted import find_below


def link_served(path: str) -> None:
    """Link C(site-packages) of the release C(path) to the packages of its virtualenv."""
    for _directory, _name, found in find_below(os.path.join(path, "venv"), "lib/python3*/site-packages"):
        target = os.path.relpath(found, path)
        with suppress(OSError):
            if os.readlink(os.path.join(path, SITE_PACKAGES)) == target:
                return
        replace_link(target, os.path.join(path, SITE_PACKAGES))
        return


def link_all(layout: Layout) -> None:
    """Link those of all releases: static files are no part of one, and a rollback leads to a release from before."""
    for manifest in list_releases(layout):
        link_served(layout.release(manifest.id))
