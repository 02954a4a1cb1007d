# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Swap many links of a directory in one rename. Private to flaskops.stack.

A second directory is made with hard links to everything that stays and with the new links, and the two change places by
renameat2(RENAME_EXCHANGE). nginx, and a host that boots after a crash, finds the old set or the new one. The former
directory keeps its entries for a while: who has opened it to list it, as any nginx does for an include, must not find
it half empty.
"""

from __future__ import annotations

import itertools
import os
import shutil
import time
import typing as t

from .._system.files import keep_security_context, sync_directory
from .._system.swap import exchange

# Link targets by name; None stands for no link.
Links = t.Mapping[str, t.Optional[str]]
# A reload and its proof take nearly as long.
_GRACE = 0.2
_counter = itertools.count()


class OldDirectory(t.NamedTuple):
    """The old directory after a swap, and the time of the swap."""

    path: str
    since: float


def leftover_name(directory: str) -> str:
    """Return the path of the second directory; a killed run leaves it, and it does no harm."""
    parent, base = os.path.split(directory)
    return os.path.join(parent, f".flaskops-{base}-{os.getpid()}-{next(_counter)}")


def _inodes(directory: str) -> dict[str, int]:
    with os.scandir(directory) as entries:
        return {entry.name: entry.inode() for entry in entries}


def _make_second(directory: str, second: str, links: Links) -> dict[str, int]:
    """Make the directory to be, and return what was taken over from the present one."""
    info = os.stat(directory)
    os.mkdir(second, 0o700)
    # At once: what is made in it takes its SELinux context from it.
    keep_security_context(directory, second)
    taken = {name: inode for name, inode in _inodes(directory).items() if name not in links}
    for name in taken:
        os.link(os.path.join(directory, name), os.path.join(second, name), follow_symlinks=False)
    for name, target in links.items():
        if target is not None:
            os.symlink(target, os.path.join(second, name))
            keep_security_context(os.path.join(directory, name), os.path.join(second, name))
    os.chown(second, info.st_uid, info.st_gid)
    shutil.copystat(directory, second)
    sync_directory(second)
    return taken


def _copy_concurrent_changes(directory: str, former: str, taken: t.Mapping[str, int], links: Links) -> None:
    """Copy changes that others made in the old directory while the new one was prepared."""
    now = _inodes(former)
    for name, inode in now.items():
        if name not in links and taken.get(name) != inode:
            path = os.path.join(directory, name)
            # By one rename, so that the name is always there.
            os.rename(os.path.join(former, name), path)
    for name in taken:
        if name not in now:
            os.unlink(os.path.join(directory, name))


def swap_links(directory: str, links: Links) -> OldDirectory | None:
    """Make all links of a directory as given at once; return None, with nothing changed, where that is not possible.

    It is not where the directory holds directories (they have no hard links), is a mount point, or lies on a file
    system without this operation. The caller discards the former directory.
    """
    real = os.path.realpath(directory)
    second = leftover_name(real)
    shutil.rmtree(second, ignore_errors=True)
    try:
        taken = _make_second(real, second, links)
        exchanged = exchange(second, real)
        if exchanged:
            _copy_concurrent_changes(real, second, taken, links)
    except OSError:
        shutil.rmtree(second, ignore_errors=True)
        return None
    if not exchanged:
        shutil.rmtree(second)
        return None
    sync_directory(os.path.dirname(real))
    return OldDirectory(second, time.monotonic())


def discard_old(directories: t.Iterable[OldDirectory]) -> None:
    """Remove old directories once no process can still be reading them."""
    for former in directories:
        time.sleep(max(0.0, former.since + _GRACE - time.monotonic()))
        shutil.rmtree(former.path)
