# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Extract archives, within bounds. Private to flaskops.stack."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import stat
import struct
import tarfile
import typing as t
import zipfile
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from .._app.source import SourceError
from .._app.source_tree import DIRECTORY, FILE, HARDLINK, LINK, OTHER, ArchiveEntry, plan_tree, without_litter

# Bytes that any file takes on a disk, also an empty one.
_BLOCK = 4096
# A header that is larger is none: it would be read into memory.
_LARGEST_READ = 16 << 20
# git-lfs(1) leaves such a text in the place of a file that it was not asked for.
_POINTER = b"version https://git-lfs.github.com/spec/"
_LARGEST_POINTER = 1024

# Of the flags of a member of a zip file.
_ENCRYPTED = 1

_PACKED: tuple[tuple[bytes, t.Callable[..., t.Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
    (b"\x5d\x00\x00", lzma.open),
)

# How a file begins that has the name of an archive, and is none, or none that can be read here.
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"<", "it is a page (HTML or XML), such as that of a login or an error: see what its address shows in a browser"),
    (b"{", "it is JSON, such as the error of an API: see what its address shows in a browser"),
    (b"\x28\xb5\x2f\xfd", "it is packed by zstd: pack it as .tar.gz or .zip"),
    (b"7z\xbc\xaf\x27\x1c", "it is packed by 7-Zip: pack it as .tar.gz or .zip"),
    (b"Rar!", "it is packed by RAR: pack it as .tar.gz or .zip"),
    (b"\x1f\x9d", "it is packed by compress: pack it as .tar.gz or .zip"),
    (b"version https://git-lfs", "it is a pointer of Git LFS: run 'git lfs pull' where it is kept"),
)

# The last three come from fields that make no sense, whose values Python uses as they are.
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    ValueError,
    ArithmeticError,
    struct.error,
)


class Archive(t.Protocol):
    """The common interface of tar and zip files."""

    def entries(self) -> list[ArchiveEntry]:
        """Return all members."""

    def open(self, entry: ArchiveEntry) -> t.IO[bytes]:
        """Open the content of a file among them."""


class Budget:
    """How much may be unpacked; C(source) is the name of the archive in the error."""

    def __init__(self, source: str, mebibytes: int) -> None:
        """Begin with nothing spent."""
        self._source = source
        self._mebibytes = mebibytes
        self._left = mebibytes << 20

    def spend(self, size: int) -> None:
        """Count a member of so many bytes; raise SourceError when that is more than is left."""
        self._left -= max(size, _BLOCK)
        if self._left < 0:
            raise SourceError(
                f"{self._source} unpacks to more than {self._mebibytes} MiB, with 4 KiB for the smallest file: make "
                "sure that it is what you mean, and set 'source_max_mib' higher (flask_source_max_mib for all "
                "applications)"
            )


@contextmanager
def _unpacking() -> t.Iterator[None]:
    """Tell errors of the packed data, which have no number, from those of the disk."""
    try:
        yield
    except OSError as exc:
        if exc.errno is not None:
            raise
        raise tarfile.ReadError(str(exc)) from exc


class _LimitedStream:
    """A stream that returns a bounded number of bytes at once."""

    def __init__(self, stream: t.IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LARGEST_READ:
            raise tarfile.ReadError(f"it has a header of more than {_LARGEST_READ >> 20} MiB")
        with _unpacking():
            return self._stream.read(size)

    def seek(self, position: int, whence: int = 0) -> int:
        with _unpacking():
            return self._stream.seek(position, whence)

    def tell(self) -> int:
        return self._stream.tell()


class _Tar:
    def __init__(self, file: tarfile.TarFile, budget: Budget) -> None:
        self._file = file
        self._budget = budget

    def entries(self) -> list[ArchiveEntry]:
        found = []
        # One by one: to find the next one all of this one is unpacked.
        for member in self._file:
            self._budget.spend(member.size)
            found.append(_tar_entry(member))
        return found

    def open(self, entry: ArchiveEntry) -> t.IO[bytes]:
        content = self._file.extractfile(t.cast("tarfile.TarInfo", entry.member))
        if content is None:
            raise tarfile.ReadError(f"'{entry.path}' has no content")
        return content


def _tar_entry(member: tarfile.TarInfo) -> ArchiveEntry:
    kind = OTHER
    if member.isdir():
        kind = DIRECTORY
    elif member.issym():
        kind = LINK
    elif member.islnk():
        kind = HARDLINK
    elif member.isreg():
        kind = FILE
    return ArchiveEntry(member.name, kind, member.linkname, bool(member.mode & 0o111), member.mtime, member)


class _Zip:
    def __init__(self, file: zipfile.ZipFile, budget: Budget) -> None:
        self._file = file
        self._budget = budget

    def entries(self) -> list[ArchiveEntry]:
        members = self._file.infolist()
        # Not every program for Windows writes the fields that the format requires.
        is_windows = not any("/" in info.filename for info in members)
        return [self._entry(info, is_windows or info.create_system == 0) for info in members]

    def _entry(self, info: zipfile.ZipInfo, is_windows: bool) -> ArchiveEntry:
        self._budget.spend(info.file_size)
        name = _zip_name(info)
        if info.flag_bits & _ENCRYPTED:
            raise zipfile.BadZipFile(f"'{name}' is encrypted: pack it without a password")
        path = name.replace("\\", "/") if is_windows else name
        mode = info.external_attr >> 16
        kind = FILE
        if path.endswith("/") or stat.S_ISDIR(mode):
            kind = DIRECTORY
        elif stat.S_ISLNK(mode):
            kind = LINK
        elif stat.S_IFMT(mode) and not stat.S_ISREG(mode):
            kind = OTHER
        # A link's content is its target; a long one is no path.
        target = os.fsdecode(self._file.read(info)) if kind == LINK and info.file_size < 4096 else ""
        return ArchiveEntry(path, kind, target, bool(mode & 0o111), 0, info)

    def open(self, entry: ArchiveEntry) -> t.IO[bytes]:
        return self._file.open(t.cast("zipfile.ZipInfo", entry.member))


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Return the name of a member; the Finder writes UTF-8 without the flag that says so."""
    if info.flag_bits & 0x800 or info.filename.isascii():
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


@dataclass(frozen=True)
class ExtractedFiles:
    """The extracted files: all names, and the paths of those files that were pointers of Git LFS."""

    names: tuple[str, ...]
    pointers: tuple[str, ...]


def extract(
    path: str, destination: str, source: str, strip: bool, subdirectory: str, max_mib: int = 4096
) -> ExtractedFiles:
    """Write the members of the archive C(path) into the empty directory C(destination).

    C(source) is the name of the archive in errors; for C(strip) and C(subdirectory) see C(plan_tree). Raise
    SourceError when it is no archive or unpacks to more than C(max_mib).
    """
    wish = _ExtractRequest(destination, source, strip, subdirectory, Budget(source, max_mib))
    try:
        with open(path, "rb") as raw, _unpacked(raw) as stream:
            if stream is raw and _is_zip(raw):
                with zipfile.ZipFile(raw) as zipped:
                    return _write_tree(_Zip(zipped, wish.budget), wish)
            with _open_tar(stream) as tarred:
                return _write_tree(_Tar(tarred, wish.budget), wish)
    except SourceError:
        raise
    except _BROKEN as exc:
        raise SourceError(
            f"{source} cannot be read as an archive (tar, plain or packed by gzip, bzip2 or xz; zip): "
            f"{_explain_other(path) or exc}"
        ) from exc


def _explain_other(path: str) -> str:
    """Return what a file is that is no archive; an empty text where its beginning does not tell."""
    with open(path, "rb") as stream:
        head = stream.read(64).lstrip(b"\xef\xbb\xbf\t\r\n ")
    return next((what for begin, what in _OTHERS if head.startswith(begin)), "")


@dataclass(frozen=True)
class _ExtractRequest:
    """The part of an archive to extract, and the destination."""

    destination: str
    source: str
    strip: bool
    subdirectory: str
    budget: Budget


def _unpacked(raw: t.IO[bytes]) -> t.IO[bytes]:
    """Return the decompressed stream of a file, or the file itself."""
    head = raw.read(6)
    raw.seek(0)
    opener = next((opener for magic, opener in _PACKED if head.startswith(magic)), None)
    return raw if opener is None else t.cast("t.IO[bytes]", opener(raw))


def _open_tar(stream: t.IO[bytes]) -> tarfile.TarFile:
    return tarfile.open(fileobj=t.cast("t.IO[bytes]", _LimitedStream(stream)), mode="r:")


def _is_zip(raw: t.IO[bytes]) -> bool:
    """Tell whether a file is a zip file; a tar file may end with one."""
    try:
        if not zipfile.is_zipfile(raw):
            return False
        raw.seek(0)
        with _open_tar(raw):
            return False
    except tarfile.TarError:
        return True
    finally:
        raw.seek(0)


def _write_tree(archive: Archive, wish: _ExtractRequest) -> ExtractedFiles:
    entries = archive.entries()
    names = tuple(entry.path for entry in entries)
    # A source sent as a directory or by git has no top directory, and was not packed by others.
    entries = without_litter(entries) if wish.strip else entries
    pointers = []
    for entry in plan_tree(entries, wish.source, wish.strip, wish.subdirectory):
        path = os.path.join(wish.destination, entry.path)
        if entry.kind == DIRECTORY:
            os.makedirs(path, exist_ok=True)
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if entry.kind == LINK:
            os.symlink(entry.target, path)
        elif entry.kind == HARDLINK:
            target = os.path.join(wish.destination, entry.target)
            wish.budget.spend(os.path.getsize(target))
            shutil.copy2(target, path)
        elif _write_file(archive, entry, path):
            pointers.append(entry.path)
    return ExtractedFiles(names, tuple(pointers))


def _write_file(archive: Archive, entry: ArchiveEntry, path: str) -> bool:
    """Write a file, and tell whether it is a pointer of Git LFS."""
    # "x" refuses an existing name, so nothing is ever written through a link.
    with archive.open(entry) as content, open(path, "xb") as stream:
        head = content.read(len(_POINTER))
        stream.write(head)
        shutil.copyfileobj(content, stream, 1024 * 1024)
        os.fchmod(stream.fileno(), 0o755 if entry.executable else 0o644)
        size = stream.tell()
    # Zero means that the sender left times out; a visitor's browser would take 1970 for the time of every version.
    if entry.mtime > 0:
        # A time that no clock has is none either.
        with suppress(OverflowError):
            os.utime(path, (entry.mtime, entry.mtime))
    return head == _POINTER and size <= _LARGEST_POINTER
