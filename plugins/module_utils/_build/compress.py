# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compress the static files of a release once, so that nginx need not for each visitor. Private to flaskops.stack.

nginx sends C(FILE.gz) in place of C(FILE) without comparing them. So a copy that the source brings along stays only
when its content is that of the file. The tree belongs to root, and no other user can write to it any more.
"""

from __future__ import annotations

import importlib
import os
import stat
import time
import typing as t
import zlib
from dataclasses import dataclass

from .._system.files import write_file
from .._system.planted import open_file, read_at, walk

# What nginx compresses, too; other formats are compressed by themselves.
_KINDS = frozenset(
    f".{name}"
    for name in (
        *("atom", "bmp", "cjs", "css", "csv", "eot", "htm", "html", "ico", "ics", "js", "json", "map", "md", "mjs"),
        *("otf", "rss", "svg", "ttf", "txt", "vtt", "wasm", "webmanifest", "xhtml", "xml"),
    )
)
# A smaller file fits one packet; a larger one would take too long, and nginx compresses it on the way.
_SMALLEST = 1024
_LARGEST = 16 * 2**20
# The best level of brotli takes a second for a MiB, and no longer than this for all files.
_BEST_UNTIL = 2**18
# What is not compressed by then is left to nginx.
SECONDS = 5.0
# What could not be compared by then, or is larger, does not stay: a build may leave files of any size and number.
_COMPARING = 60.0
_COMPARED = 2**28
_CHUNK = 2**16

Chunks = t.Iterator[bytes]


@dataclass(frozen=True)
class Encoding:
    """A format of compressed copies; C(unpack) yields the content of an open file in pieces of bounded size."""

    suffix: str
    pack: t.Callable[[bytes, bool], bytes]
    # What it raises for a damaged file is in the third field.
    unpack: t.Callable[[t.BinaryIO], Chunks]
    errors: tuple[type[Exception], ...]


def encodings(modules: t.Collection[str]) -> list[Encoding]:
    """Return gzip, and the formats that nginx has a module for (C(modules)) and this Python a library."""
    found = [Encoding(".gz", _gzip, _gunzip, (zlib.error, EOFError))]
    brotli = _brotli() if "brotli_static" in modules else None
    zstd = _zstd() if "zstd_static" in modules else None
    return [*found, *(encoding for encoding in (brotli, zstd) if encoding)]


def suffixes_served(modules: t.Collection[str]) -> list[str]:
    """Return the suffixes of the files that nginx sends in place of others."""
    return [".gz", *(suffix for name, suffix in (("brotli_static", ".br"), ("zstd_static", ".zst")) if name in modules)]


def _gzip(data: bytes, _best: bool) -> bytes:
    # Level 9 takes three times as long as 6, for less than a hundredth of the size.
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def _gunzip(stream: t.BinaryIO) -> Chunks:
    unpacker = zlib.decompressobj(31)
    while not unpacker.eof:
        data = unpacker.unconsumed_tail or stream.read(_CHUNK)
        if not data:
            raise EOFError
        yield unpacker.decompress(data, _CHUNK)
    if unpacker.unused_data or stream.read(1):
        raise EOFError


def _brotli() -> Encoding | None:
    try:
        brotli = importlib.import_module("brotli")
    except ImportError:
        return None

    def pack(data: bytes, best: bool) -> bytes:
        return t.cast("bytes", brotli.compress(data, quality=11 if best else 8))

    def unpack(stream: t.BinaryIO) -> Chunks:
        unpacker = brotli.Decompressor()
        while True:
            # Older versions return all that their input holds: of a few bytes that is not much.
            data = stream.read(64)
            if not data:
                break
            yield unpacker.process(data)
        if not unpacker.is_finished():
            raise EOFError

    return Encoding(".br", pack, unpack, (brotli.error, EOFError))


def _zstd() -> Encoding | None:
    try:
        zstandard = importlib.import_module("zstandard")
    except ImportError:
        return None

    def pack(data: bytes, best: bool) -> bytes:
        # Browsers refuse windows of more than 8 MiB, which levels above 19 have.
        return t.cast("bytes", zstandard.ZstdCompressor(level=19 if best else 12).compress(data))

    def unpack(stream: t.BinaryIO) -> Chunks:
        with zstandard.ZstdDecompressor(max_window_size=2**23).stream_reader(stream, closefd=False) as reader:
            while True:
                data = reader.read(_CHUNK)
                if not data:
                    return
                yield data

    return Encoding(".zst", pack, unpack, (zstandard.ZstdError,))


class Compressor:
    """Makes compressed copies beside the files of some directories."""

    def __init__(self, formats: t.Sequence[Encoding], served: t.Sequence[str], seconds: float = SECONDS) -> None:
        """Take the formats to write, the suffixes that nginx looks for, and for how long to compress."""
        self._formats = {encoding.suffix: encoding for encoding in formats}
        self._served = tuple(served)
        self._end = time.monotonic() + seconds
        self._last = time.monotonic() + _COMPARING
        self.warnings: list[str] = []

    def compress(self, code: str, directories: t.Iterable[str]) -> None:
        """Compress the files below directories of the code; one that is not there is left out."""
        code = os.path.realpath(code)
        places = {os.path.normpath(os.path.join(code, path)) for path in directories}
        inside = [path for path in places if path.startswith(f"{code}/")]
        # A link, also on the way, may lead to the same files by another path.
        tops = sorted(path for path in inside if os.path.realpath(path) == path and os.path.isdir(path))
        outer = [top for top in tops if not any(top.startswith(f"{other}/") for other in tops)]
        for suffix in self._served:
            for top in outer:
                self._remove_unequal(top, code, suffix)
        originals = [found for top in outer for found in self._originals(top)]
        best = sum(size for _path, _status, size in originals) <= _BEST_UNTIL
        # The copies of all files in the format that each browser knows come first.
        for encoding in self._formats.values():
            for path, status, _size in originals:
                if time.monotonic() < self._end:
                    self._add(path, status, encoding, best)

    def _originals(self, top: str) -> t.Iterator[tuple[str, os.stat_result, int]]:
        for path, _directories, others, descriptor in walk(top):
            for name in sorted(others):
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                is_wanted = stat.S_ISREG(status.st_mode) and os.path.splitext(name)[1].lower() in _KINDS
                if is_wanted and _SMALLEST <= status.st_size <= _LARGEST:
                    yield os.path.join(path, name), status, status.st_size

    @staticmethod
    def _add(path: str, status: os.stat_result, encoding: Encoding, best: bool) -> None:
        copy = path + encoding.suffix
        if os.path.lexists(copy):
            return
        directory, name = os.path.split(path)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            data = read_at(descriptor, name, path, _LARGEST)
        finally:
            os.close(descriptor)
        packed = encoding.pack(data, best)
        if len(packed) < len(data) * 0.95:
            write_file(copy, packed, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, sync=False)
            # Last-Modified is that of the file.
            os.utime(copy, ns=(status.st_mtime_ns, status.st_mtime_ns))

    def _remove_unequal(self, top: str, code: str, suffix: str) -> None:
        for path, _directories, others, descriptor in walk(top):
            names = set(others)
            for original in sorted(name[: -len(suffix)] for name in names if name.endswith(suffix)):
                reason = self._fault(original, suffix, descriptor) if original in names else ""
                if reason:
                    os.unlink(original + suffix, dir_fd=descriptor)
                    shown = os.path.relpath(os.path.join(path, original + suffix), code)
                    self.warnings.append(
                        f"{shown} {reason}, and nginx would send it in place of '{original}': it was taken out of the "
                        "release; make it anew in the source, or remove it there and let the build compress the file"
                    )

    def _fault(self, original: str, suffix: str, directory: int) -> str:
        """Return what is wrong with a compressed copy; nothing when its content is that of the original."""
        encoding = self._formats.get(suffix)
        if encoding is None:
            return "cannot be read on this host, which lacks the library for Python"
        size = os.stat(original, dir_fd=directory, follow_symlinks=False).st_size
        if size > _COMPARED or time.monotonic() > self._last:
            return "cannot be compared with its file in reasonable time"
        try:
            with os.fdopen(open_file(original, directory), "rb") as stream, os.fdopen(
                open_file(original + suffix, directory), "rb"
            ) as packed:
                is_equal = _is_equal(stream, encoding.unpack(packed))
        except encoding.errors:
            return "is damaged"
        except OSError:
            return "is no copy of a file"
        return "" if is_equal else "has another content"


def _is_equal(stream: t.BinaryIO, chunks: Chunks) -> bool:
    return all(stream.read(len(chunk)) == chunk for chunk in chunks) and not stream.read(1)
