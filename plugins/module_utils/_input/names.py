# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that are safe as a user, a unit and a path. Private to flaskops.stack."""

from __future__ import annotations

import re

# sockaddr_un.sun_path holds 108 bytes with its terminating NUL (unix(7)).
MAX_SOCKET_PATH = 107

# useradd(8) accepts 32 characters; a unit name and a path take all of these.
_NAME = re.compile(r"[a-z][a-z0-9-]{0,29}[a-z0-9]|[a-z]")


class UnsafeNameError(ValueError):
    """A name or a path that the stack cannot use."""


def check_name(name: str) -> str:
    """Return C(name) when it is safe as a user, a unit and a path; raise UnsafeNameError otherwise."""
    if not _NAME.fullmatch(name):
        raise UnsafeNameError(
            f"name '{name}' must be 1 to 31 lower-case letters, digits or '-', start with a letter "
            "and not end with '-': it becomes a system user, a unit name and a path"
        )
    return name


def check_socket_path(path: str) -> str:
    """Return C(path) when a unix socket can have it; raise UnsafeNameError otherwise."""
    size = len(path.encode("utf-8", "surrogateescape"))
    if size > MAX_SOCKET_PATH:
        raise UnsafeNameError(
            f"socket path '{path}' has {size} bytes; Linux accepts {MAX_SOCKET_PATH}: choose a shorter name or root"
        )
    return path
