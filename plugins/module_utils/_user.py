# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The system user of an application. Private to flaskops.stack."""

from __future__ import annotations

import grp
import pwd

from ._command import run_checked

# Marks the users that we made: only these are removed.
COMMENT = "flaskops application"


class UserError(ValueError):
    """A user or group that an application cannot have."""


def find_user(name: str) -> pwd.struct_passwd | None:
    """Return the entry of a user, or None when there is no such user."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def find_group(name: str) -> grp.struct_group | None:
    """Return the entry of a group, or None when there is no such group."""
    try:
        return grp.getgrnam(name)
    except KeyError:
        return None


def check_user(name: str, group: str) -> bool:
    """Tell whether user and group exist; raise UserError for root, whose rights no application gets."""
    user, found = find_user(name), find_group(group)
    if name == "root" or (user is not None and user.pw_uid == 0):
        raise UserError(f"user '{name}' is root: an application runs as a user of its own, leave 'user' out")
    if group == "root" or (found is not None and found.gr_gid == 0):
        raise UserError(f"group '{group}' is root's: an application has a group of its own, leave 'group' out")
    return user is not None and found is not None


def ensure_user(name: str, group: str, home: str) -> bool:
    """Create the system group and user when they are missing; return whether anything was created.

    Existing ones are used as they are: they may belong to somebody else.
    """
    if check_user(name, group):
        return False
    if find_group(group) is None:
        run_checked(["groupadd", "--system", "--", group])
    if find_user(name) is None:
        options = ["--system", "--gid", group, "--home-dir", home, "--no-create-home", "--shell", "/usr/sbin/nologin"]
        run_checked(["useradd", *options, "--comment", COMMENT, "--", name])
    return True


def remove_user(name: str) -> bool:
    """Remove a user (and its group, when nobody else is in it) that C(ensure_user) made; return whether it was one."""
    user = find_user(name)
    if user is None or user.pw_gecos != COMMENT:
        return False
    run_checked(["userdel", "--", name])
    return True
