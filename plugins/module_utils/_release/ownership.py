# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The owner of an application's data, and when it may change. Private to flaskops.stack."""

from __future__ import annotations

import grp
import os
import posixpath
import pwd
import stat
import typing as t

from .._system.account import UserError
from .._system.files import check_directories
from .._system.paths import DIRECTORIES
from .._system.planted import walk
from .._system.users import find_user
from .history import history_path
from .model import Layout
from .shared import Owner


def check_owner(layout: Layout, user: str, uses_data: bool) -> None:
    """Raise UserError when the data belongs to another user, and the application runs as that user now.

    The old and the new release run side by side, and as two users they could not both write to it.
    """
    status = _status(layout.shared)
    owner = find_user(user)
    if status is None or status.st_uid == 0 or (owner is not None and owner.pw_uid == status.st_uid):
        return
    if os.path.lexists(layout.current) and (uses_data or os.listdir(layout.shared)):
        name = _name(status.st_uid)
        raise UserError(
            f"user '{user}' cannot be set while the application runs: the data in {layout.shared} belongs to '{name}', "
            f"and the old and the new release could not both write to it. Set user: {name}; or run the playbook "
            f"remove with -e app={layout.name} (the data stays) and then this one, which hands the data over"
        )


def check_place(layout: Layout) -> None:
    """Raise UserError when another user than root could exchange the releases, which root reads, starts and removes.

    Such a directory was made by hand before, for an application of the same name. A NoDirectoryError names what is in
    the place of one that a deploy needs.
    """
    check_directories_of(layout)
    for path in _places(layout):
        writer = _writer(path)
        if writer:
            raise UserError(
                f"{path} can be written to by {writer}, who could exchange what root starts from {layout.base}: "
                f"'chown root:root {path} && chmod 755 {path}' (what is in it stays), or, where something else has to "
                "write to it, set flask_root (gunicorn_root for gunicorn_services) to another directory"
            )


def _places(layout: Layout) -> t.List[str]:
    """Return the directories in which what leads to the releases can be renamed, those behind links, too."""
    found: t.List[str] = []
    for place in (layout.root, layout.base, os.path.realpath(layout.root), os.path.realpath(layout.base)):
        path = place
        while path not in found:
            found.append(path)
            path = posixpath.dirname(path)
    return found


def check_directories_of(layout: Layout) -> None:
    """Raise NoDirectoryError where something else is in the place of a directory that a deploy makes or writes into."""
    state = os.path.dirname(history_path(layout.name))
    check_directories((layout.releases, layout.shared, layout.cache, state, *DIRECTORIES))


def _writer(path: str) -> str:
    """Return who else may rename what is in a directory; an empty text for nobody, and where there is none."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return ""
    if status.st_uid not in (0, os.geteuid()):
        return f"user '{_name(status.st_uid)}'"
    # In a directory like /tmp everybody renames his own only.
    if status.st_mode & stat.S_ISVTX:
        return ""
    if status.st_mode & stat.S_IWOTH:
        return "all users"
    if status.st_mode & stat.S_IWGRP and status.st_gid not in (0, os.getegid()):
        name = _group_name(status.st_gid)
        # Debian lets this group install software below /usr/local and /var/local.
        return "" if name == "staff" else f"group '{name}'"
    return ""


def owner_ids(layout: Layout) -> t.Optional[t.Tuple[int, int]]:
    """Return the ids of the user and the group that the data belongs to; None where there is none yet."""
    status = _status(layout.shared)
    return None if status is None else (status.st_uid, status.st_gid)


def transfer_ownership(layout: Layout, owner: Owner) -> None:
    """Change the owner of the data from the previous to the application's user and group, following no link."""
    status = _status(layout.shared)
    if status is None or status.st_uid == 0 or (status.st_uid, status.st_gid) == (owner.uid, owner.gid):
        return
    for _path, directories, others, descriptor in walk(layout.shared):
        for name in [*directories, *others]:
            _give(name, descriptor, status, owner)
    # Last, because its owner tells the run after a killed one that the transfer is incomplete.
    os.chown(layout.shared, owner.uid, owner.gid, follow_symlinks=False)


def _give(name: str, directory: int, was: os.stat_result, owner: Owner) -> None:
    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if found.st_uid == was.st_uid:
        gid = owner.gid if found.st_gid == was.st_gid else -1
        os.chown(name, owner.uid, gid, dir_fd=directory, follow_symlinks=False)


def _status(path: str) -> t.Optional[os.stat_result]:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
