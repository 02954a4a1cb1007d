# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create the log files of new sites with the mode that logrotate gives them. Private to flaskops.stack.

nginx itself makes them world-readable, and addresses and URLs of visitors are private.
"""

from __future__ import annotations

import contextlib
import os

from .._system.users import find_group, find_user
from .conf import Configuration
from .references import log_paths

_MODE = 0o640
# Who may read logs on Debian and Ubuntu.
_READERS = "adm"


def make_logs(config: Configuration | None, prefix: str) -> None:
    """Make the log files that a configuration opens and that are not there; what cannot be made is left to nginx."""
    missing = [path for path in log_paths(config, prefix) if not os.path.lexists(path)] if config else []
    if config is None or not missing:
        return
    users = [item.directive.args for item in config.top() if item.directive.name == "user" and item.directive.args]
    user = find_user(users[-1][0]) if users else None
    group = find_group(_READERS)
    for path in missing:
        with contextlib.suppress(OSError):
            _make(path, user.pw_uid if user else -1, group.gr_gid if group else -1)


def _make(path: str, uid: int, gid: int) -> None:
    # Never through a link that another user has put there meanwhile.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, _MODE)
    finally:
        os.close(descriptor)
