# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which other files a configuration names: logs that nginx writes, certificates that it loads. Pure.

Private to flaskops.stack.
"""

from __future__ import annotations

import os

from ._nginx_conf import Configuration, Directive, descend

LOGS = ("access_log", "error_log")


def log_paths(config: Configuration, prefix: str) -> set[str]:
    """Return the log files that a configuration opens."""
    found = set()
    for file in config.files:
        if "_log" in config.texts[file]:
            found |= {path for item in descend(config.files[file]) if (path := log_path(item, prefix))}
    return found


def log_path(directive: Directive, prefix: str) -> str:
    """Return the file of a log directive; '' when it opens none or a device."""
    if directive.name not in LOGS or not directive.args:
        return ""
    value = directive.args[0]
    if value in ("off", "stderr") or value.startswith(("syslog:", "memory:", "/dev/", "/proc/")) or "$" in value:
        return ""
    return os.path.normpath(os.path.join(prefix, value))
