# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the files of an application's configuration into its release. Private to flaskops.stack."""

from __future__ import annotations

import os
import re
import stat
import typing as t
from contextlib import suppress

from .._app.files import ReleaseFile
from .._input.values import length_fault
from .._system.files import write_file
from .._system.planted import open_directory
from .venv import BuildError

# What nginx may send in place of a file.
_COPIES = (".gz", ".br", ".zst")


def write_files(files: t.Sequence[ReleaseFile], code: str, uid: int, gid: int) -> None:
    """Write the files; raise BuildError where the source has a link or a directory in their place.

    C(uid) is the owner, who alone could write to the code now.
    """
    for file in files:
        directory, name = _open(code, file.path, uid, gid)
        try:
            _refuse_taken(directory, name, file.path)
            # A release with the same source may have shared them.
            for copy in (name + suffix for suffix in _COPIES if not length_fault(name + suffix)):
                with suppress(FileNotFoundError):
                    os.unlink(copy, dir_fd=directory)
        finally:
            os.close(directory)
    for file in files:
        directory, name = _open(code, file.path, uid, gid)
        try:
            # Through the open directory, so that no link on the way leads elsewhere. Its release is synced as a whole.
            write_file(f"/proc/self/fd/{directory}/{name}", file.data, file.mode, uid, gid, sync=False)
        finally:
            os.close(directory)


def remove_files(files: t.Sequence[ReleaseFile], code: str) -> None:
    """Remove the files, and what Python has made of them; no link is followed."""
    for file in files:
        inner, _slash, name = file.path.rpartition("/")
        _remove(code, inner, re.escape(name))
        if name.endswith(".py"):
            _remove(code, os.path.join(inner, "__pycache__"), rf"{re.escape(name[:-3])}\..*pyc")


def _remove(code: str, inner: str, pattern: str) -> None:
    try:
        directory = open_directory(code, inner)
    except OSError:
        return
    try:
        for name in os.listdir(directory):
            if re.fullmatch(pattern, name):
                with suppress(OSError):
                    os.unlink(name, dir_fd=directory)
    finally:
        os.close(directory)


def _open(code: str, path: str, uid: int, gid: int) -> tuple[int, str]:
    """Return the open directory of a file, made where it is missing, and the file's name; no link is followed."""
    *parts, name = path.split("/")
    directory = os.open(code, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for number, part in enumerate(parts):
        try:
            inner = _enter(directory, part, uid, gid)
        except OSError:
            place = "/".join(parts[: number + 1])
            raise BuildError(
                f"files '{path}': '{place}' in the source is a link or a file, and no directory: use another path"
            ) from None
        finally:
            os.close(directory)
        directory = inner
    return directory, name


def _enter(directory: int, name: str, uid: int, gid: int) -> int:
    made = False
    with suppress(FileExistsError):
        os.mkdir(name, 0o755, dir_fd=directory)
        made = True
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    if made:
        os.fchown(inner, uid, gid)
    return inner


def _refuse_taken(directory: int, name: str, path: str) -> None:
    try:
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "a link" if stat.S_ISLNK(mode) else "no file"
        raise BuildError(f"files '{path}': the source has {kind} of that name: use another path, or remove it there")
