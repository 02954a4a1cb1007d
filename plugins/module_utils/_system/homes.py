# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directories that ProtectHome=yes hides from a service (systemd.exec(5)). Private to flaskops.stack."""

from __future__ import annotations

import os

HOMES = ("/home/", "/root/", "/run/user/")


def uses_home(code: str, virtualenv: str) -> bool:
    """Tell whether code or interpreter lie where ProtectHome=yes hides everything."""
    return is_in_home(code, virtualenv, os.path.join(virtualenv, "bin", "python"))


def is_in_home(*paths: str) -> bool:
    """Tell whether one of the paths lies where ProtectHome=yes hides everything."""
    return any(os.path.realpath(path).startswith(HOMES) for path in paths)
