# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fence in which an application is built. Private to flaskops.stack."""

from __future__ import annotations

import os
import typing as t

from .._app.application import App
from .._release.model import Layout
from .._service.sandbox import build_lines
from .._system.command import Commands
from .._system.fence import Fence, build_unit, check_unit, end_units
from .._system.homes import is_in_home

_COMMANDS = Commands()

# Directories that are hidden from a unit, which has its own.
_TEMPORARY = ("/tmp/", "/var/tmp/")


def build_fence(
    app: App, layout: Layout, path: str, cache: str, needed: t.Sequence[str], with_data: bool = False
) -> Fence:
    """Return where an application is built in the directory C(path), with a cache beside it.

    C(needed) are files that it reads elsewhere, its interpreter first; C(with_data) lets it write to shared data.
    """
    settings = app.settings
    data = [layout.shared, *settings.sandbox_paths] if with_data else []
    writable = [path, cache, *(f"-{place}" for place in data)]
    hidden = [place for place in needed if place.startswith(_TEMPORARY)]
    lines = [
        f"User={app.user}",
        f"Group={app.group}",
        f"WorkingDirectory={path}",
        "UMask=0022",
        *build_lines(settings.sandbox, writable, hidden, is_in_home(*needed)),
    ]
    return Fence(build_unit(app.name), lines, needed[0], f"Build of {app.name}")


def end_leftovers(
    name: str, units: t.Sequence[str] = (), commands: Commands = _COMMANDS, systemd: str = "/run/systemd/system"
) -> None:
    """Stop the units that killed builds of an application have left, and further units."""
    # Without systemd there can be no leftover units.
    if os.path.isdir(systemd):
        end_units([build_unit(name), check_unit(name), *units], commands)
