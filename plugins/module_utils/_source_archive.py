# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read archives and write what they hold. Private to flaskops.stack."""

from __future__ import annotations

import lzma
import os
import shutil
import stat
import tarfile
import typing as t
import zipfile
import zlib

from ._source_spec import SourceError
from ._source_tree import DIRECTORY, FILE, HARDLINK, LINK, OTHER, Entry, plan_tree

_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    UnicodeError,
    NotImplementedError,
)


class Archive(t.Protocol):
    """What tar and zip files have in common."""

    def entries(self) -> list[Entry]:
        """Return all members."""

    def open(self, entry: Entry) -> t.IO[bytes]:
        """Open the content of a file among them."""


class _Tar:
    def __init__(self, file: tarfile.TarFile) -> None:
        self._file = file

    def entries(self) -> list[Entry]:
        return [_tar_entry(member) for member in self._file.getmembers()]

    def open(self, entry: Entry) -> t.IO[bytes]:
        content = self._file.extractfile(t.cast("tarfile.TarInfo", entry.member))
        if content is None:
            raise tarfile.ReadError(f"'{entry.path}' has no content")
        return content


def _tar_entry(member: tarfile.TarInfo) -> Entry:
    kind = OTHER
    if member.isdir():
        kind = DIRECTORY
    elif member.issym():
        kind = LINK
    elif member.islnk():
        kind = HARDLINK
    elif member.isreg():
        kind = FILE
    return Entry(member.name, kind, member.linkname, bool(member.mode & 0o111), member.mtime, member)


class _Zip:
    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file

    def entries(self) -> list[Entry]:
        return [self._entry(info) for info in self._file.infolist()]

    def _entry(self, info: zipfile.ZipInfo) -> Entry:
        mode = info.external_attr >> 16
        kind = FILE
        if info.is_dir():
            kind = DIRECTORY
        elif stat.S_ISLNK(mode):
            kind = LINK
        elif stat.S_IFMT(mode) and not stat.S_ISREG(mode):
            kind = OTHER
        # A link's content is its target; a long one is no path.
        target = os.fsdecode(self._file.read(info)) if kind == LINK and info.file_size < 4096 else ""
        return Entry(info.filename, kind, target, bool(mode & 0o111), 0, info)

    def open(self, entry: Entry) -> t.IO[bytes]:
        return self._file.open(t.cast("zipfile.ZipInfo", entry.member))


def extract(path: str, destination: str, source: str, strip: bool, subdirectory: str) -> None:
    """Write the members of the archive C(path) into the empty directory C(destination).

    C(source) is the name of the archive in errors; for C(strip) and C(subdirectory) see C(plan_tree).
    """
    try:
        if zipfile.is_zipfile(path) and not tarfile.is_tarfile(path):
            with zipfile.ZipFile(path) as zipped:
                _write_tree(_Zip(zipped), destination, source, strip, subdirectory)
        else:
            with tarfile.open(path) as tarred:
                _write_tree(_Tar(tarred), destination, source, strip, subdirectory)
    except _BROKEN as exc:
        raise SourceError(
            f"{source} cannot be read as an archive (tar, plain or packed by gzip, bzip2 or xz; zip): {exc}"
        ) from exc


def _write_tree(archive: Archive, destination: str, source: str, strip: bool, subdirectory: str) -> None:
    for entry in plan_tree(archive.entries(), source, strip, subdirectory):
        path = os.path.join(destination, entry.path)
        if entry.kind == DIRECTORY:
            os.makedirs(path, exist_ok=True)
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if entry.kind == LINK:
            os.symlink(entry.target, path)
        elif entry.kind == HARDLINK:
            shutil.copy2(os.path.join(destination, entry.target), path)
        else:
            _write_file(archive, entry, path)


def _write_file(archive: Archive, entry: Entry, path: str) -> None:
    # "x" refuses an existing name, so nothing is ever written through a link.
    with archive.open(entry) as content, open(path, "xb") as stream:
        shutil.copyfileobj(content, stream, 1024 * 1024)
        os.fchmod(stream.fileno(), 0o755 if entry.executable else 0o644)
    # Zero means that the sender left times out; a visitor's browser would take 1970 for the time of every version.
    if entry.mtime > 0:
        os.utime(path, (entry.mtime, entry.mtime))
