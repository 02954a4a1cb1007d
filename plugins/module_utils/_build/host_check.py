# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that the groups and paths of a service's settings exist, before anything changes. Private to flaskops.stack."""

from __future__ import annotations

import os

from .._input.defaults import Settings
from .._input.values import InputError
from .._release.model import Layout
from .._release.release import is_foreign_link
from .._service.sandbox import needed_paths
from .._system.users import find_group


def check_switch(layout: Layout) -> None:
    """Raise InputError when something else stands where the link to the current release belongs."""
    if os.path.lexists(layout.current) and not os.path.islink(layout.current):
        raise InputError(
            f"{layout.current} is not a symbolic link: move it away, it has to lead to the current release"
        )
    if is_foreign_link(layout):
        raise InputError(
            f"{layout.current} leads to {os.readlink(layout.current)}, which is no release of this collection: remove "
            f"the link when nothing needs it any more ('rm {layout.current}'; what it leads to stays), or choose "
            "another name for the application, or another directory for all (flask_root)"
        )


def check_service_host(settings: Settings) -> None:
    """Raise InputError for a group that this host does not have."""
    group = settings.socket_group
    if find_group(group) is None:
        raise InputError(f"socket_group '{group}' does not exist on this host: name the group that nginx runs as")


def check_paths(settings: Settings, below: str = "/dev/null") -> None:
    """Raise InputError for a path that the sandbox needs and this host has not; those C(below) may be made yet."""
    for key, path in needed_paths(settings.sandbox, settings.sandbox_paths):
        if not os.path.exists(path) and not f"{path}/".startswith(f"{below}/"):
            raise InputError(
                f"{key} '{path}' does not exist on this host, and the service could not start: make it before "
                "(writable by the application's user where it is to write), correct it, or leave it out"
            )
