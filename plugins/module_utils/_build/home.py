# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an application finds a home directory that it may use. Private to flaskops.stack."""

from __future__ import annotations

import os
import pwd
import typing as t

from .._input.defaults import Settings
from .._release.model import Layout
from .._system.homes import HOMES, uses_home

# What Debian gives to users that have no home directory.
_NONE = ("/", "/nonexistent", "/var/empty", "/dev/null")


def home_variable(layout: Layout, user: str, settings: Settings, code: str, virtualenv: str) -> dict[str, str]:
    """Return C(HOME) for an application whose user has no home directory that the sandbox shows; nothing otherwise.

    Users that this collection makes have C(shared/) as their home. Other users have one below /home, which the
    sandbox hides, and libraries that keep a cache or a configuration there would fail.
    """
    home = pwd.getpwnam(user).pw_dir
    if home.rstrip("/") in _NONE or not home:
        return {"HOME": layout.shared}
    if home != layout.shared and home == Layout(layout.root, os.path.basename(os.path.dirname(home))).shared:
        # Of another application, or of this one under its former name.
        return {"HOME": layout.shared}
    if f"{home}/".startswith(HOMES) and _hides_home(settings.sandbox) and not uses_home(code, virtualenv):
        return {"HOME": layout.shared}
    return {}


def _hides_home(sandbox: bool | t.Mapping[str, object]) -> bool:
    if isinstance(sandbox, t.Mapping):
        return "ProtectHome" not in sandbox
    return sandbox
