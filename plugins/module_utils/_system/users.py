# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The system user of an application. Private to flaskops.stack."""

from __future__ import annotations

import glob
import grp
import os
import pwd

from .account import Account, Claim, check_claim
from .command import run_checked
from .user_processes import end_processes, free_number, list_processes, login_defs

# Marks the users that we made: only these are removed.
COMMENT = "flaskops application"


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


def check_accounts(claim: Claim) -> None:
    """Raise UserError when an application must not run as the user or the group that it asks for."""
    user, group = find_user(claim.user), find_group(claim.group)
    check_claim(
        claim,
        None if user is None else _account(user, claim),
        None if group is None else Account(group.gr_name, group.gr_gid),
    )


def _account(user: pwd.struct_passwd, claim: Claim) -> Account:
    is_ours = user.pw_gecos == COMMENT
    # The processes of the host are listed only for accounts that the collection did not create.
    return Account(user.pw_name, user.pw_uid, is_ours, not is_ours and claim.names_user and _runs_nginx(user.pw_uid))


def _runs_nginx(uid: int) -> bool:
    """Tell whether a process of this user is called nginx, as the workers of the web server are."""
    return any(_name_of(path) == "nginx" and _uid_of(path) == uid for path in glob.glob("/proc/[0-9]*"))


def _name_of(process: str) -> str:
    try:
        with open(os.path.join(process, "comm"), encoding="utf-8", errors="replace") as stream:
            return stream.read(64).rstrip("\n")
    except OSError:
        return ""


def _uid_of(process: str) -> int:
    try:
        return os.stat(process).st_uid
    except OSError:
        return -1


def exist(user: str, group: str) -> bool:
    """Tell whether both the user and the group exist."""
    return find_user(user) is not None and find_group(group) is not None


def ensure_user(name: str, group: str, home: str) -> bool:
    """Create the system group and user when they are missing; return whether anything was created.

    Existing ones are used as they are: C(check_accounts) has said that they may be.
    """
    if exist(name, group):
        return False
    running, defs = list_processes(), login_defs()
    if find_group(group) is None:
        busy = {gid for process in running for gid in process.gids}
        number = free_number("GID", {entry.gr_gid for entry in grp.getgrall()}, busy, defs)
        run_checked(["groupadd", "--system", *_numbered("--gid", number), "--", group])
    if find_user(name) is None:
        busy = {uid for process in running for uid in process.uids}
        number = free_number("UID", {entry.pw_uid for entry in pwd.getpwall()}, busy, defs)
        options = ["--system", "--gid", group, "--home-dir", home, "--no-create-home", "--shell", "/usr/sbin/nologin"]
        run_checked(["useradd", *options, *_numbered("--uid", number), "--comment", COMMENT, "--", name])
    return True


def _numbered(option: str, number: int | None) -> list[str]:
    return [] if number is None else [option, str(number)]


def end_user(name: str) -> list[str]:
    """Kill the processes of a user that C(ensure_user) made, and return their names."""
    user = find_user(name)
    return end_processes(user.pw_uid) if user and user.pw_gecos == COMMENT else []


def remove_user(name: str) -> bool:
    """Remove a user that C(ensure_user) made (and its group, if it has no other member); return whether it did so."""
    user = find_user(name)
    if user is None or user.pw_gecos != COMMENT:
        return False
    # Its id may be reused for another account.
    end_processes(user.pw_uid)
    run_checked(["userdel", "--", name])
    return True
