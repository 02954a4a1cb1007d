# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let a new tree share the files that it has in common with an older one. Private to flaskops.stack.

Files of releases are never written again, so that one copy is enough for all releases that have it.
"""

from __future__ import annotations

import errno
import os
import stat
import typing as t
from contextlib import contextmanager, suppress

from .files import TEMPORARY
from .planted import Place, open_directory, open_file, walk

_CHUNK = 2**20
_COMPILED = "__pycache__"
# The file has as many names as it can (65,000 on ext4), or the file system has no hard links.
_NO_LINK = (errno.EMLINK, errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP)


def share_installed(new: str, old: str) -> None:
    """Share the equal files of two virtualenvs, and what Python has compiled of those; other users may write to C(new).

    Compiled files name the time of their source, so that those of the old tree are right for what is shared.
    """
    for place, before in _places(new, old):
        shared = [name for name in place.others if _share(name, place.descriptor, before)]
        modules = {name[: -len(".py")] for name in shared if name.endswith(".py")}
        if modules:
            with suppress(FileNotFoundError, NotADirectoryError):
                _share_compiled(place.descriptor, before, modules)


def share_data(new: str, old: str) -> None:
    """Share the equal files of two trees of code, but not the modules, which are compiled already."""
    for place, before in _places(new, old):
        for name in place.others:
            if not name.endswith(".py"):
                _share(name, place.descriptor, before)


def _places(new: str, old: str) -> t.Iterator[tuple[Place, int]]:
    """Yield the directories that both trees have, the older one open as long as it is looked at."""
    for place in walk(new):
        try:
            before = open_directory(old, place.path[len(new) :])
        except OSError:
            # It is new, or was something else.
            continue
        try:
            yield place, before
        finally:
            os.close(before)


def _share(name: str, directory: int, before: int) -> bool:
    """Replace a file by the one of that name in the older directory, if they are equal; return whether it is shared."""
    try:
        status = os.stat(name, dir_fd=before, follow_symlinks=False)
    except FileNotFoundError:
        return False
    ours = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if (ours.st_dev, ours.st_ino) == (status.st_dev, status.st_ino):
        return True
    if not _are_alike(ours, status, os.fstat(before)) or not _are_equal(name, directory, before):
        return False
    return _link(name, before, directory)


def _are_alike(ours: os.stat_result, status: os.stat_result, before: os.stat_result) -> bool:
    """Tell whether two names are regular files of one size, with the rights that a release gives to both.

    A file that not all users may read is a secret one, and is never shared.
    """
    wanted = 0o755 if ours.st_mode & 0o111 else 0o644
    return (
        stat.S_ISREG(ours.st_mode)
        and bool(ours.st_mode & stat.S_IROTH)
        and status.st_mode == stat.S_IFREG | wanted
        and ours.st_size == status.st_size
        and (status.st_uid, status.st_gid) == (before.st_uid, before.st_gid)
    )


def _are_equal(name: str, directory: int, before: int) -> bool:
    with _reading(name, directory) as one, _reading(name, before) as other:
        while True:
            data = one.read(_CHUNK)
            if data != other.read(_CHUNK):
                return False
            if not data:
                return True


def _reading(name: str, directory: int) -> t.BinaryIO:
    return os.fdopen(open_file(name, directory), "rb")


def _link(name: str, before: int, directory: int) -> bool:
    temporary = f"{TEMPORARY}same-{os.getpid()}"
    try:
        os.link(name, temporary, src_dir_fd=before, dst_dir_fd=directory, follow_symlinks=False)
    except OSError as exc:
        if exc.errno not in _NO_LINK:
            raise
        return False
    os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    return True


def _share_compiled(directory: int, before: int, modules: t.Collection[str]) -> None:
    """Share what is compiled of some modules, in a directory of the owner of the new tree, who compiles the others."""
    with _opened(before) as old:
        with suppress(FileExistsError):
            os.mkdir(_COMPILED, 0o755, dir_fd=directory)
        with _opened(directory) as new:
            owner = os.fstat(directory)
            os.fchown(new, owner.st_uid, owner.st_gid)
            present = set(os.listdir(new))
            for name in os.listdir(old):
                if name.split(".")[0] in modules and name not in present:
                    _link(name, old, new)


@contextmanager
def _opened(directory: int) -> t.Iterator[int]:
    descriptor = os.open(_COMPILED, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
