# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what was added to a log since the last time, across rotation. Private to flaskops.stack.

A file is known by its first line, not by its name or inode: a line of an access log has a time and an id, so a file
that was renamed, copied or compressed is the same, and one that has got the name or the inode of another is not.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import typing as t
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field

from .._system.planted import open_file

# As logrotate names them: a number or a date.
_ROTATED = re.compile(r"[.-][0-9]+(?:\.gz)?")
# Of four headers of 8 KiB, each character of which was escaped.
_LONGEST_LINE = 1 << 18
# A worker of nginx may write to a file that was renamed, until it has been told.
_KEPT = 6
# Times of files are those of the last tick of the kernel's clock.
_SLACK = 5.0
# An archive that is being made still, or is damaged.
_UNREADABLE = (OSError, EOFError, zlib.error)


@dataclass
class Position:
    """How far a log and its rotated files were read."""

    # By the first line of each file; the one that has grown last at the end.
    offsets: dict[str, int] = field(default_factory=dict)
    # When it was read.
    read: float = 0.0


def follow(path: str, before: Position | None, now: float, count: t.Callable[[bytes], bool]) -> Position:
    """Pass on each line that was added since; return the new position.

    Without a position the log is read from its beginning, and what was rotated before is left. C(count) returns whether
    there is time for more; what is left is read the next time.
    """
    offsets = dict(before.offsets) if before else {}
    complete = True
    for name in _files(path, before):
        with _opened(name) as stream:
            identity = _identity(stream) if stream else ""
            if not stream or not identity:
                continue
            begin = offsets.get(identity, 0)
            end, complete = _read(stream, begin, count)
            if end != begin or identity not in offsets:
                offsets.pop(identity, None)
                offsets[identity] = end
        if not complete:
            break
    kept = dict(list(offsets.items())[-_KEPT:])
    # What was not reached is looked for again.
    return Position(kept, now if complete or before is None else before.read)


def _files(path: str, before: Position | None) -> list[str]:
    """Return the files of a log that may have lines that are not counted, oldest first."""
    if before is None:
        return [path]
    directory, base = os.path.split(path)
    rotated: list[tuple[float, str]] = []
    try:
        names = os.listdir(directory)
    except OSError:
        names = []
    for name in names:
        if name.startswith(base) and _ROTATED.fullmatch(name[len(base) :]):
            other = os.path.join(directory, name)
            try:
                changed = os.lstat(other).st_mtime
            except OSError:
                continue
            # gzip(1) keeps the time.
            if changed >= before.read - _SLACK:
                rotated.append((changed, other))
    return [*(name for _time, name in sorted(rotated)), path]


@contextmanager
def _opened(path: str) -> t.Iterator[t.BinaryIO | None]:
    """Yield a file for reading; None when it is gone, or cannot be read."""
    try:
        descriptor = open_file(path)
    except OSError:
        yield None
        return
    with os.fdopen(descriptor, "rb") as stream:
        if path.endswith(".gz"):
            with gzip.open(stream) as unpacked:
                yield t.cast("t.BinaryIO", unpacked)
        else:
            yield stream


def _identity(stream: t.BinaryIO) -> str:
    """Return what tells a file from all others, empty for one without a line."""
    try:
        first = stream.readline(_LONGEST_LINE)
    except _UNREADABLE:
        return ""
    if not first.endswith(b"\n") and len(first) < _LONGEST_LINE:
        return ""
    return hashlib.sha256(first).hexdigest()[:16]


def _read(stream: t.BinaryIO, begin: int, count: t.Callable[[bytes], bool]) -> tuple[int, bool]:
    """Pass on the lines from an offset on; return where the next one begins, and whether the end was reached."""
    place = begin
    try:
        if stream.seek(0, io.SEEK_END) < begin:
            # A log of the same first line that is shorter was made anew.
            place = 0
        stream.seek(place)
        while True:
            line = stream.readline(_LONGEST_LINE)
            if not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
                # Nginx is about to write the rest of it.
                return place, True
            place += len(line)
            if not count(line):
                return place, False
    except _UNREADABLE:
        # One that is being compressed still; the rest of it is read the next time.
        return place, True
