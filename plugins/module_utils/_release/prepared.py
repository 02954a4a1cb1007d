# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change the owner of shared data that root prepared to the application's user. Private to flaskops.stack."""

from __future__ import annotations

import os
import stat
import typing as t

from .._system.planted import open_directory, walk
from .model import Layout


def adopt_prepared(layout: Layout, paths: t.Sequence[str], uid: int, gid: int) -> None:
    """Give C(shared/) and the shared directories C(paths) to the application where they belong to root alone.

    An administrator who puts a configuration or a database there before the first deploy does so as root, and before
    the application has a user. What belongs to another user or group was given to it on purpose, and stays.
    """
    for path in ["", *paths]:
        try:
            directory = open_directory(layout.shared, path)
        except OSError:
            # It is made next, or refused with a reason.
            continue
        try:
            if _is_roots(os.fstat(directory)):
                _adopt_tree(directory, uid, gid)
        finally:
            os.close(directory)


def _adopt_tree(top: int, uid: int, gid: int) -> None:
    for _path, _directories, files, directory in walk(top):
        for name in files:
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
            # The owner of a hard link to a file elsewhere must not change.
            if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and _is_roots(found):
                os.chown(name, uid, gid, dir_fd=directory, follow_symlinks=False)
        if _is_roots(os.fstat(directory)):
            os.fchown(directory, uid, gid)


def _is_roots(found: os.stat_result) -> bool:
    return found.st_uid == 0 and found.st_gid == 0
