# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the group that may connect to an application's sockets: that of nginx. Private to flaskops.stack.

The choice is the host's and no part of a release, whose id is the same on all hosts.
"""

from __future__ import annotations

import typing as t

from .._input.defaults import DEFAULTS
from .._system.files import read_file
from .._system.users import find_group, find_user
from .layout import account_of

_CONFIG = "/etc/nginx/nginx.conf"


def _members(group: str) -> t.Sequence[str]:
    entry = find_group(group)
    return entry.gr_mem if entry else ()


def socket_group(wanted: str, config: str = _CONFIG) -> str:
    """Return the wanted group; in place of the default one that of nginx's user, where that is another."""
    account = account_of((read_file(config) or b"").decode("utf-8", "replace"))
    if wanted != DEFAULTS["socket_group"] or account is None:
        return wanted
    user, group = account
    if group == wanted or user in _members(wanted) or find_user(user) is None or find_group(group) is None:
        return wanted
    return group
