# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open and walk files of another user safely: by descriptor, regular files only, bounded. Private to flaskops.stack.

A build may leave a FIFO, whose open(2) never ends, a link to a device or to a file of root's, a file of any size, and
directories deeper than a process has descriptors, wherever root looks for a file later.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import stat
import typing as t

# As deep as no package goes; each level holds a descriptor open while a tree is walked.
DEEPEST = 200
# Requirements, lock files and metadata are smaller by far.
LARGEST = 64 * 2**20
# As many as Linux follows in one path.
_MOST_LINKS = 40
_NULL = os.makedev(1, 3)

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a link",
}


class PlantedError(OSError):
    """A file that root refuses to touch, because no build has a reason to leave it."""


def kind_of(mode: int) -> str:
    """Return the kind of a special file, for an error message."""
    return _KINDS.get(stat.S_IFMT(mode), "a special file")


def open_file(name: str, directory: int | None = None, where: str = "") -> int:
    """Open a regular file for reading; raise PlantedError for anything else, without waiting for it.

    Below an open C(directory) no link is followed. C(where) is the path in the error, if C(name) does not say it.
    """
    follow = 0 if directory is None else os.O_NOFOLLOW
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | follow, dir_fd=directory)
    except OSError as exc:
        if exc.errno not in (errno.ELOOP, errno.ENXIO):
            raise
        kind = "a link" if exc.errno == errno.ELOOP else "a socket"
        raise PlantedError(f"{where or name} is {kind} and not a file: it was not opened") from None
    status = os.fstat(descriptor)
    mode = status.st_mode
    # A link to /dev/null is how administrators switch a file off; it has an end.
    if stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and status.st_rdev == _NULL):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), where or name)
    raise PlantedError(f"{where or name} is {kind_of(mode)} and not a file: it was not opened")


def read_open(descriptor: int, where: str, largest: int = LARGEST) -> bytes:
    """Return the content of an open file and close it; raise PlantedError when there is more than C(largest) of it."""
    with os.fdopen(descriptor, "rb") as stream:
        data = stream.read(largest + 1)
    if len(data) > largest:
        raise PlantedError(f"{where} is larger than {largest // 2**20 or 1} MiB: it was not read")
    return data


def read_at(directory: int, name: str, where: str, largest: int = LARGEST) -> bytes:
    """Return the content of a regular file in an open directory; no link is followed."""
    return read_open(open_file(name, directory, where), where, largest)


def read_below(top: str, path: str, largest: int = LARGEST) -> bytes | None:
    """Return the content of a regular file below C(top), or None when there is none; links inside of it are followed.

    Raise PlantedError for a link that leads out, for what is no file, and for what is too large.
    """
    try:
        directory, name = open_parent(top, path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return read_at(directory, name, os.path.join(top, path), largest)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    finally:
        os.close(directory)


def open_parent(top: str, path: str, make: bool = False) -> tuple[int, str]:
    """Return the open directory of a path below C(top), and its name there, with all links inside of C(top) followed.

    With C(make) directories that are missing are made, and the last part may be a link, which is not followed. Raise
    PlantedError for a link that leads out.
    """
    opened = [os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
    waiting, links = _parts(path), 0
    try:
        while True:
            name = waiting.pop()
            if name == "..":
                _leave(opened, top, path)
                name = ""
            target = "" if make and not waiting else _link_at(opened[-1], name)
            if target:
                links += 1
                waiting += _parts(_inside(target, top, path, links))
            elif not waiting:
                return opened.pop(), name or "."
            elif name:
                opened.append(_enter(opened[-1], name, make))
    finally:
        for descriptor in opened:
            os.close(descriptor)


def open_directory(top: str, path: str = "") -> int:
    """Return an open directory below C(top); no link on the way is followed, wherever it leads."""
    directory = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    for part in [part for part in path.split("/") if part]:
        try:
            inner = _enter(directory, part, False)
        finally:
            os.close(directory)
        directory = inner
    return directory


def _parts(path: str) -> list[str]:
    """Return the parts of a path, the first one at the end."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")] or [""]


def _leave(opened: list[int], top: str, path: str) -> None:
    if len(opened) == 1:
        raise PlantedError(f"{os.path.join(top, path)} leads out of {top}: it was not opened")
    os.close(opened.pop())


def _link_at(directory: int, name: str) -> str:
    """Return where a link leads, an empty text when it is none."""
    if not name:
        return ""
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError as exc:
        if exc.errno in (errno.EINVAL, errno.ENOENT):
            return ""
        raise


def _inside(target: str, top: str, path: str, links: int) -> str:
    if target.startswith("/") or links > _MOST_LINKS:
        raise PlantedError(f"{os.path.join(top, path)} leads out of {top} by a link to {target}: it was not opened")
    return target


def _enter(directory: int, name: str, make: bool) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=directory)
    except FileNotFoundError:
        if not make:
            raise
    os.mkdir(name, 0o755, dir_fd=directory)
    return os.open(name, flags, dir_fd=directory)


class Place(t.NamedTuple):
    """A directory in a tree: its path, the names in it, and the open directory, for as long as it is looked at."""

    path: str
    directories: list[str]
    others: list[str]
    descriptor: int


def walk(top: str | int, deepest: int = DEEPEST, complete: bool = True) -> t.Iterator[Place]:
    """Yield C(top), a path or an open directory, and all directories below it.

    os.fwalk does that, too, but needs a descriptor and a call for each level.
    Raise PlantedError for a tree of more than C(deepest) levels; unless it is to be C(complete), they are left out. A
    directory that is gone meanwhile is left out.
    """
    waiting: list[tuple[int, str, list[str]]] = []
    # O_NOFOLLOW is for what is found on the way: C(top) is the caller's word.
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    first = os.open(top, flags) if isinstance(top, str) else os.open(".", flags, dir_fd=top)
    place: Place | None = _look(first, top if isinstance(top, str) else ".")
    try:
        while place or waiting:
            if place:
                waiting.append((place.descriptor, place.path, [*place.directories]))
                yield place
            descriptor, path, names = waiting[-1]
            place = None
            if not names:
                waiting.pop()
                os.close(descriptor)
                continue
            if len(waiting) > deepest:
                if not complete:
                    names.clear()
                    continue
                raise PlantedError(f"{path[:200]}… has directories more than {deepest} levels deep: remove them")
            place = _descend(descriptor, names.pop(), path)
    finally:
        for descriptor, _path, _names in waiting:
            os.close(descriptor)


def _descend(directory: int, name: str, path: str) -> Place | None:
    try:
        inner = _enter(directory, name, False)
    except (FileNotFoundError, NotADirectoryError):
        # Another process has removed it, or put something else there.
        return None
    return _look(inner, os.path.join(path, name))


def _look(descriptor: int, path: str) -> Place:
    directories: list[str] = []
    others: list[str] = []
    with os.scandir(descriptor) as found:
        for entry in found:
            (directories if entry.is_dir(follow_symlinks=False) else others).append(entry.name)
    return Place(path, sorted(directories, reverse=True), sorted(others), descriptor)


def find_below(top: str, *patterns: str) -> t.Iterator[tuple[int, str, str]]:
    """Yield what the patterns name below C(top), as open directory, name and path; no link is followed on the way.

    Only the last part of a pattern may be a link, which the function that opens it refuses.
    """
    for pattern in patterns:
        yield from _find(top, pattern.split("/"))


def _find(top: str, parts: t.Sequence[str]) -> t.Iterator[tuple[int, str, str]]:
    try:
        descriptor = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        yield from _match(descriptor, top, parts)
    finally:
        os.close(descriptor)


def _match(directory: int, path: str, parts: t.Sequence[str]) -> t.Iterator[tuple[int, str, str]]:
    for name in sorted(fnmatch.filter(os.listdir(directory), parts[0])):
        here = os.path.join(path, name)
        if len(parts) == 1:
            yield directory, name, here
            continue
        try:
            inner = _enter(directory, name, False)
        except OSError:
            # A file or a link, where a directory was to be.
            continue
        try:
            yield from _match(inner, here, parts[1:])
        finally:
            os.close(inner)
