# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directory trees: copy by hard links, change owners, rewrite prefixes, remove. Private to flaskops.stack."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import suppress

from .command import run_checked
from .files import TEMPORARY, write_file
from .planted import DEEPEST, PlantedError, find_below, kind_of, open_file, read_at, walk

# Files besides scripts into which installers write absolute paths.
_WITH_PATHS = tuple(
    f"lib/python*/site-packages/{name}"
    for name in ("*.pth", "__editable__*.py", "_*_editable*.py", "*.dist-info/direct_url.json")
)
# Scripts are small; a larger file is a binary without such paths.
_LARGEST_SCRIPT = 256 * 1024
_LARGEST_LIBRARY = 8 * 2**20


def hardlink_tree(source: str, destination: str, deepest: int = DEEPEST) -> None:
    """Copy a directory by hard links: files that are never written again may be shared by releases."""
    if deepest < 0:
        raise PlantedError(f"{source[:200]}… has directories more than {DEEPEST} levels deep: remove them")
    os.mkdir(destination, 0o755)
    with os.scandir(source) as found:
        for entry in found:
            target = os.path.join(destination, entry.name)
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), target)
            elif entry.is_dir(follow_symlinks=False):
                hardlink_tree(entry.path, target, deepest - 1)
            else:
                _link(entry.path, target)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError as exc:
        # The file system has no hard links, or this file has as many as it can (65,000 on ext4).
        if exc.errno not in (errno.EMLINK, errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP):
            raise
        _copy(source, target)


def _copy(source: str, target: str) -> None:
    descriptor = open_file(source)
    status = os.fstat(descriptor)
    with os.fdopen(descriptor, "rb") as content, open(target, "xb") as stream:
        shutil.copyfileobj(content, stream, 1024 * 1024)
        os.fchmod(stream.fileno(), stat.S_IMODE(status.st_mode))
        os.utime(stream.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))


def rewrite_prefix(venv: str, old: str, new: str) -> None:
    """Replace the directory C(old) by C(new) in those files of a virtualenv that hold absolute paths.

    Each is replaced as a whole, because its old content is also the content of the release that it was linked from.
    A link has no such path in it.
    """
    for directory, name, path in find_below(venv, "bin/*", *_WITH_PATHS, "pyvenv.cfg"):
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        is_script = os.path.dirname(path) == os.path.join(venv, "bin")
        if stat.S_ISLNK(status.st_mode) or (is_script and not _is_script(status)):
            continue
        data = read_at(directory, name, path, _LARGEST_LIBRARY)
        if old.encode() in data:
            # The whole release is brought to the disk before it is complete.
            write_file(path, data.replace(old.encode(), new.encode()), stat.S_IMODE(status.st_mode), sync=False)


def _is_script(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_size < _LARGEST_SCRIPT


def chown_tree(top: str, uid: int, gid: int, writer: int = -1) -> None:
    """Change the owner of a tree, with modes 0755 and 0644 (0755 for executable files).

    Works on open directories, so that a process of the previous owner cannot lead it elsewhere by a link. Raise
    PlantedError for what is neither file, directory nor link, and for a file that C(writer), who has written the tree,
    does not own: it is another user's file, under a second name. A tree of root's (-1) may have such names from before.
    """
    for path, _directories, others, descriptor in walk(top):
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, 0o755)
        for name in others:
            _own(name, path, descriptor, (uid, gid), writer)


def _own(name: str, path: str, directory: int, owner: tuple[int, int], writer: int) -> None:
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        os.chown(name, *owner, dir_fd=directory, follow_symlinks=False)
    elif stat.S_ISSOCK(status.st_mode):
        # The process that listened there has ended with the build.
        os.unlink(name, dir_fd=directory)
    elif not stat.S_ISREG(status.st_mode):
        raise PlantedError(
            f"{path}/{name} is {kind_of(status.st_mode)}: a release holds files, directories and links only; let the "
            "build remove it"
        )
    else:
        _own_file(name, os.path.join(path, name), directory, owner, writer)


def _own_file(name: str, path: str, directory: int, owner: tuple[int, int], writer: int) -> None:
    descriptor = open_file(name, directory, path)
    try:
        status = os.fstat(descriptor)
        wanted = 0o755 if status.st_mode & 0o111 else 0o644
        if (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (*owner, wanted):
            return
        if writer not in (-1, status.st_uid):
            raise PlantedError(
                f"{path} is a file of another user (uid {status.st_uid}) and stays as it is: the build has put it "
                "there by a hard link or moved it there; let it copy the file"
            )
        if writer == -1 and status.st_nlink > 1:
            _replace_by_copy(name, directory, descriptor, owner, wanted)
            return
        os.fchown(descriptor, *owner)
        os.fchmod(descriptor, wanted)
    finally:
        os.close(descriptor)


def _replace_by_copy(name: str, directory: int, source: int, owner: tuple[int, int], mode: int) -> None:
    """Replace a name by a copy, so that a file with other hard links elsewhere does not change its owner."""
    temporary = f"{TEMPORARY}copy-{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    status = os.fstat(source)
    target = os.open(temporary, flags, 0o600, dir_fd=directory)
    with os.fdopen(os.dup(source), "rb") as content, os.fdopen(target, "wb") as stream:
        shutil.copyfileobj(content, stream, 1024 * 1024)
        stream.flush()
        os.fchown(target, *owner)
        os.fchmod(target, mode)
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)


def remove_tree(path: str) -> None:
    """Remove a tree if there is one, however deep, also while another process removes parts of it.

    A file in its place is removed, and so is a link, without what it leads to.
    """
    while os.path.lexists(path):
        with suppress(FileNotFoundError):
            try:
                if os.path.islink(path) or not os.path.isdir(path):
                    os.unlink(path)
                else:
                    shutil.rmtree(path)
            except (RecursionError, OSError) as exc:
                if isinstance(exc, OSError) and exc.errno not in (errno.EMFILE, errno.ENFILE, errno.ENAMETOOLONG):
                    raise
                # Deeper than Python goes, with a descriptor for each level.
                run_checked(["rm", "-rf", "--", path], timeout=600)


def tree_size(top: str) -> int:
    """Return the bytes on disk of a tree; files that releases share count in each of them."""
    total = 0
    for _path, directories, others, descriptor in walk(top):
        for name in [*directories, *others]:
            total += os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_blocks * 512
    return total
