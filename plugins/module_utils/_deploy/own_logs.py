# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the log that an application writes itself, where the journal has nothing. Private to flaskops.stack."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from .._system.planted import find_below

# C(HOME), Flask's instance folder, and directories of logs. Others may be large, and have what visitors upload.
_PLACES = ("*.log", "instance/*.log", "log/*.log", "logs/*.log", "*/log/*.log", "*/logs/*.log")
_MOST = 3


def own_logs(shared: str, since: float) -> list[str]:
    """Return the logs below C(shared) that were written C(since) a time, the last one first."""
    found: dict[str, float] = {}
    # The user of the application can change what is there meanwhile.
    with suppress(OSError):
        for directory, name, path in find_below(shared, *_PLACES):
            # An error shows their names.
            if not path.isprintable():
                continue
            with suppress(OSError):
                status = os.stat(name, dir_fd=directory, follow_symlinks=False)
                if stat.S_ISREG(status.st_mode) and status.st_size and status.st_mtime >= since:
                    found[path] = status.st_mtime
    return sorted(found, key=lambda path: (-found[path], path))[:_MOST]
