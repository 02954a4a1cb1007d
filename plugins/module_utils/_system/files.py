# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read and write files: every change is one rename, and durable; locks. Private to flaskops.stack."""

from __future__ import annotations

import errno
import os
import shlex
import stat
import tempfile
import time
import typing as t
from contextlib import suppress

from .planted import open_file, read_open

# Begins the name that a file or link has until it is renamed.
TEMPORARY = ".flaskops-"
# A temporary file that is older was left by a killed run; other runs need only a moment for theirs.
STALE_SECONDS = 600


class NoDirectoryError(OSError):
    """Something else is in the place of a directory."""


_CONTEXT = "security.selinux"


def sync_directory(path: str) -> None:
    """Make the renames and unlinks in a directory durable (fsync(2) of a file does not do that)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_directories(paths: t.Iterable[str]) -> None:
    """Raise NoDirectoryError where something else is in the place of a directory, or of one that it is in."""
    for path in paths:
        if not os.path.isdir(path):
            _check_place(path)


def _check_place(path: str) -> None:
    while not os.path.lexists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    if os.path.isdir(path):
        return
    words = shlex.quote(path)
    if not os.path.islink(path):
        what = "is a file and has to be a directory" if os.path.isfile(path) else "is no directory and has to be one"
        raise NoDirectoryError(f"{path} {what}: move it away, 'mv {words} {words}.old'")
    what = f"{path} is a link to {os.readlink(path)}, "
    try:
        os.stat(path)
    except FileNotFoundError:
        raise NoDirectoryError(
            f"{what}which is not there: make or mount what it leads to, or take the link away, 'rm {words}'"
        ) from None
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            raise NoDirectoryError(f"{what}and leads in a circle: 'rm {words}' takes it away") from None
        if exc.errno != errno.ENOTDIR:
            raise
    raise NoDirectoryError(f"{what}which is no directory: lead it to one, or take the link away, 'rm {words}'")


def read_file(path: str) -> bytes | None:
    """Return the content of a regular file, or None when there is no such file; nothing else is waited for or read."""
    try:
        descriptor = open_file(path)
    except FileNotFoundError:
        return None
    return read_open(descriptor, path)


def read_link(path: str) -> str | None:
    """Return the target of a symbolic link, or None when there is no link at C(path)."""
    try:
        return os.readlink(path)
    except FileNotFoundError:
        return None
    except OSError as exc:
        if exc.errno == errno.EINVAL:
            return None
        raise


def _security_context(path: str | int) -> bytes | None:
    """Return the SELinux context of a file, or None where there is none."""
    try:
        return (
            os.getxattr(path, _CONTEXT) if isinstance(path, int) else os.getxattr(path, _CONTEXT, follow_symlinks=False)
        )
    except OSError:
        return None


def keep_security_context(source: str, path: str | int) -> None:
    """Copy the SELinux context of C(source), where there is one, to a path or to an open file."""
    context = _security_context(source)
    # Containers may show contexts that they cannot set; there, all files of a directory have the same one.
    if context is None or context == _security_context(path):
        return
    if isinstance(path, int):
        os.setxattr(path, _CONTEXT, context)
    else:
        os.setxattr(path, _CONTEXT, context, follow_symlinks=False)


def write_file(path: str, data: bytes, mode: int = 0o644, uid: int = -1, gid: int = -1, sync: bool = True) -> None:
    """Replace C(path) by C(data) in one rename; readers see the old or the new content, never a part.

    The mode and owner are set before the rename, so a secret is never readable by others for an instant; a replaced
    file's SELinux context is kept. Without C(sync) the caller makes many changes durable at once.
    """
    directory = os.path.dirname(path)
    descriptor, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=directory)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            os.fchown(stream.fileno(), uid, gid)
            os.fchmod(stream.fileno(), mode)
            keep_security_context(path, stream.fileno())
            stream.flush()
            if sync:
                os.fsync(stream.fileno())
        os.rename(temporary, path)
    except BaseException as exc:
        os.unlink(temporary)
        if isinstance(exc, OSError) and exc.filename is None:
            # write(2) and fsync(2) know no name, and the way out depends on which disk is full.
            exc.filename = path
        raise
    if sync:
        sync_directory(directory)


def replace_link(target: str, path: str, sync: bool = True) -> None:
    """Point the symbolic link C(path) to C(target) in one rename(2); without C(sync) the caller makes it durable."""
    directory = os.path.dirname(path)
    temporary = os.path.join(directory, f"{TEMPORARY}{os.path.basename(path)}-{os.getpid()}")
    # Only a run that was killed leaves this name; its process is gone.
    remove_file(temporary, sync=False)
    os.symlink(target, temporary)
    try:
        keep_security_context(path, temporary)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    if sync:
        sync_directory(directory)


def remove_file(path: str, sync: bool = True) -> bool:
    """Remove a file or link (not what it points to); return whether there was one."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    if sync:
        sync_directory(os.path.dirname(path))
    return True


def remove_stale_temp_files(directory: str, older_than: float = 0) -> None:
    """Remove stale temporary files of killed runs in a directory.

    Without an age the caller holds a lock that keeps others from having such a file there now.
    """
    try:
        names = [name for name in os.listdir(directory) if name.startswith(TEMPORARY)]
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        path = os.path.join(directory, name)
        with suppress(FileNotFoundError):
            status = os.lstat(path)
            if not stat.S_ISDIR(status.st_mode) and status.st_mtime <= time.time() - older_than:
                os.unlink(path)


def utc_now() -> str:
    """Return the time in UTC to the second, as ISO 8601 has it; such texts sort like the times that they are of."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
