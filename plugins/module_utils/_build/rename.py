# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give an application another name: its data moves, while the old name serves. Private to flaskops.stack.

The data and a link to its new place change places in one rename, so that every path works at every instant under both
names. The old name keeps serving until the new one is published; then it is removed like any application.
"""

from __future__ import annotations

import os
import stat
import typing as t

from .._release.model import Layout
from .._system.files import read_link, sync_directory
from .._system.swap import exchange


class RenameError(ValueError):
    """An application that cannot get another name."""


def has_data_to_move(former: Layout) -> bool:
    """Tell whether something of the application is on the host under its former name."""
    return any(os.path.lexists(path) for path in (former.current, former.releases, former.shared))


def check_rename(layout: Layout, former: Layout, published: bool) -> None:
    """Raise RenameError when the data cannot move, or when the playbook does not publish the new name."""
    if not published and has_data_to_move(former):
        raise RenameError(
            f"'{former.name}' is still on this host: run site.yml, which publishes {layout.name} and removes "
            f"{former.name}; deploy.yml leaves nginx as it is"
        )
    if not _has_data(former.shared):
        return
    if _has_data(layout.shared):
        raise RenameError(
            f"both {former.shared} and {layout.shared} have data: look which is wanted, move the other one away, and "
            f"run again (or leave out rename_from, and remove {former.name} with the playbook remove)"
        )
    for path in (former.shared, layout.shared):
        if os.path.ismount(path):
            raise RenameError(
                f"{path} is a mount point, which cannot be moved: stop {former.name} (playbook remove, the data "
                f"stays), mount it at {layout.shared}, set user: {former.name}, and leave out rename_from"
            )


def _has_data(path: str) -> bool:
    """Tell whether there is a directory of that name, and no link, with something in it."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode) and bool(os.listdir(path))
    except FileNotFoundError:
        return False


def move_data(layout: Layout, former: Layout, swap: t.Callable[[str, str], bool] = exchange) -> bool:
    """Move the data to the new name, and leave a link where it was; return whether there was any.

    The caller holds the locks of both; C(swap) exchanges two paths, or tells that it cannot. After a kill at any
    instant the next run goes on where this one was.
    """
    status = _status(former.shared)
    if status is None or not stat.S_ISDIR(status.st_mode):
        return False
    os.makedirs(layout.base, mode=0o755, exist_ok=True)
    _remove_empty(layout.shared)
    # Owned by the data's owner: some programs follow only links of the owner of the target.
    os.symlink(layout.shared, layout.shared)
    os.chown(layout.shared, status.st_uid, status.st_gid, follow_symlinks=False)
    if not swap(former.shared, layout.shared):
        # A file system without that operation: for an instant there is no data.
        os.unlink(layout.shared)
        os.rename(former.shared, layout.shared)
        os.symlink(layout.shared, former.shared)
        os.chown(former.shared, status.st_uid, status.st_gid, follow_symlinks=False)
    for directory in (layout.base, former.base):
        sync_directory(directory)
    return True


def _remove_empty(path: str) -> None:
    """Remove the leftovers of an earlier try: a dangling link, or an empty directory."""
    if read_link(path) is not None:
        os.unlink(path)
    elif os.path.isdir(path):
        os.rmdir(path)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None
