# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees of a release: quick copies by hard links, and owners that nobody can change. Private to flaskops.stack."""

from __future__ import annotations

import errno
import glob
import os
import shutil
import stat
from contextlib import suppress

from ._files import write_file

# Beside scripts, what installers write absolute paths into.
_WITH_PATHS = ("*.pth", "__editable__*.py", "_*_editable*.py", "*.dist-info/direct_url.json")

# Scripts are small; a binary among them has no path of ours in it.
_LARGEST_SCRIPT = 256 * 1024


def link_tree(source: str, destination: str) -> None:
    """Copy a directory by hard links: what is never written again may be in two releases at once."""
    os.mkdir(destination, 0o755)
    with os.scandir(source) as found:
        for entry in found:
            target = os.path.join(destination, entry.name)
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), target)
            elif entry.is_dir(follow_symlinks=False):
                link_tree(entry.path, target)
            else:
                _link(entry.path, target)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError as exc:
        # The file system has no hard links, or this file has as many as it can (65,000 on ext4).
        if exc.errno not in (errno.EMLINK, errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP):
            raise
        shutil.copy2(source, target)


def move_paths(venv: str, old: str, new: str) -> None:
    """Replace the directory C(old) by C(new) in those files of a virtualenv that hold absolute paths.

    Each is replaced as a whole, because its old content is also the content of the release that it was linked from.
    """
    scripts = [path for path in glob.glob(os.path.join(venv, "bin", "*")) if _is_script(path)]
    libraries = [
        path
        for pattern in _WITH_PATHS
        for path in glob.glob(os.path.join(venv, "lib", "python*", "site-packages", pattern))
    ]
    for path in [*scripts, *libraries, os.path.join(venv, "pyvenv.cfg")]:
        with open(path, "rb") as stream:
            data = stream.read()
        if old.encode() in data:
            mode = stat.S_IMODE(os.stat(path).st_mode)
            # The whole release is brought to the disk before it is complete.
            write_file(path, data.replace(old.encode(), new.encode()), mode, sync=False)


def _is_script(path: str) -> bool:
    status = os.lstat(path)
    return stat.S_ISREG(status.st_mode) and status.st_size < _LARGEST_SCRIPT


def own_tree(top: str, uid: int, gid: int) -> None:
    """Give a tree to a user, with modes 0755 and 0644 (0755 for what was executable).

    Works on open directories, so that a process of the previous owner cannot lead it elsewhere by a link.
    """
    for _path, directories, files, descriptor in os.fwalk(top, follow_symlinks=False):
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, 0o755)
        for name in [*directories, *files]:
            _own(name, descriptor, uid, gid)


def _own(name: str, directory: int, uid: int, gid: int) -> None:
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if (status.st_uid, status.st_gid) != (uid, gid):
        os.chown(name, uid, gid, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        return
    wanted = 0o755 if status.st_mode & 0o111 else 0o644
    if stat.S_IMODE(status.st_mode) != wanted:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
        try:
            os.fchmod(descriptor, wanted)
        finally:
            os.close(descriptor)


def remove_tree(path: str) -> None:
    """Remove a tree if there is one, also while somebody else removes parts of it."""
    while os.path.lexists(path):
        with suppress(FileNotFoundError):
            shutil.rmtree(path)


def tree_size(top: str) -> int:
    """Return the bytes on disk of a tree; what is also in another release counts there, too."""
    total = 0
    for _path, directories, files, descriptor in os.fwalk(top, follow_symlinks=False):
        for name in [*directories, *files]:
            total += os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_blocks * 512
    return total
