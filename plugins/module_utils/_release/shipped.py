# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare what the source ships in a shared directory with the data there. Private to flaskops.stack."""

from __future__ import annotations

import hashlib
import os
import stat
import typing as t

from .._system.planted import open_directory, open_file, walk
from .model import Manifest

# Files beyond these are not looked at, and contents beyond these are not read, so that a build waits for neither.
_MOST_FILES = 10000
_MOST_BYTES = 64 * 2**20
_CHUNK = 2**18
_NAMED = 3
# They keep a directory in git, and are nothing that an application serves.
_KEEPERS = (".gitkeep", ".keep", ".gitignore")


class Shipped(t.NamedTuple):
    """The files that the source ships in a shared directory, and how many of them the application does not get."""

    # Equal when the source ships equal files.
    digest: str
    differing: int = 0
    missing: int = 0
    # The first of them.
    names: tuple[str, ...] = ()


def compare_shipped(shipped: str, shared: str, path: str) -> Shipped:
    """Compare the files below C(shipped), which are root's, with those of the same names in C(path) below C(shared)."""
    comparison = _Comparison()
    for place in walk(shipped, complete=False):
        inside = place.path[len(shipped) + 1 :]
        there = _open(shared, os.path.join(path, inside))
        try:
            for name in place.others:
                if comparison.files < _MOST_FILES and name not in _KEEPERS:
                    comparison.add(os.path.join(inside, name), name, place.descriptor, there)
        finally:
            if there is not None:
                os.close(there)
    return comparison.result()


def _open(shared: str, inside: str) -> int | None:
    try:
        return open_directory(shared, inside)
    except OSError:
        # It is missing, or the application has put something else there.
        return None


class _Comparison:
    """What was found so far, and how much was read for it."""

    def __init__(self) -> None:
        self.files = 0
        self._bytes = 0
        self._hash = hashlib.sha256()
        self._found: dict[str, list[str]] = {"differs": [], "missing": []}

    def add(self, path: str, name: str, directory: int, there: int | None) -> None:
        """Compare a file with the one of that name in the directory C(there), if there is one."""
        self.files += 1
        ours = os.stat(name, dir_fd=directory, follow_symlinks=False)
        theirs = _status(name, there)
        self._hash.update(f"{path}\0{ours.st_size}\0".encode(errors="surrogateescape"))
        same = self._read(name, directory, there, ours, theirs)
        if theirs is None or not same:
            self._found["missing" if theirs is None else "differs"].append(path)

    def _read(
        self, name: str, directory: int, there: int | None, ours: os.stat_result, theirs: os.stat_result | None
    ) -> bool:
        """Add the content to the digest, and return whether it is also that of the other file."""
        alike = theirs is not None and stat.S_IFMT(theirs.st_mode) == stat.S_IFMT(ours.st_mode)
        if stat.S_ISLNK(ours.st_mode):
            target = os.readlink(name, dir_fd=directory)
            self._hash.update(target.encode(errors="surrogateescape"))
            return alike and _target(name, there) == target
        alike = alike and theirs is not None and theirs.st_size == ours.st_size
        if self._bytes + ours.st_size > _MOST_BYTES:
            return alike
        self._bytes += ours.st_size
        with os.fdopen(open_file(name, directory), "rb") as one:
            other = _reading(name, there) if alike else None
            try:
                for data in iter(lambda: one.read(_CHUNK), b""):
                    self._hash.update(data)
                    alike = alike and other is not None and other.read(_CHUNK) == data
            finally:
                if other:
                    other.close()
        return alike

    def result(self) -> Shipped:
        """Return what was found."""
        differing, missing = self._found["differs"], self._found["missing"]
        names = sorted([*differing, *missing])[:_NAMED]
        return Shipped(self._hash.hexdigest(), len(differing), len(missing), tuple(names))


def _status(name: str, there: int | None) -> os.stat_result | None:
    if there is None:
        return None
    try:
        return os.stat(name, dir_fd=there, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _target(name: str, there: int | None) -> str:
    """Return where a link leads; an empty text where the application has put something else meanwhile."""
    try:
        return os.readlink(name, dir_fd=there)
    except OSError:
        return ""


def _reading(name: str, there: int | None) -> t.BinaryIO | None:
    try:
        return os.fdopen(open_file(name, there), "rb")
    except OSError:
        # The application has replaced it meanwhile.
        return None


def shipped_by(manifest: Manifest | None) -> t.Mapping[str, str]:
    """Return the digests that a release has of what the source ships in its shared directories."""
    recorded = manifest.extra.get("shipped") if manifest else None
    return recorded if isinstance(recorded, dict) else {}


def stale_warnings(found: t.Mapping[str, Shipped], before: t.Mapping[str, str], shared: str) -> list[str]:
    """Return a warning for each shared directory whose files the source has changed since the release C(before).

    C(before) has the digests of that release: data that an application changes itself is told of once.
    """
    return [
        _warning(path, shipped, f"{shared}/{path}")
        for path, shipped in found.items()
        if shipped.names and before.get(path) != shipped.digest
    ]


def _warning(path: str, shipped: Shipped, place: str) -> str:
    count = shipped.differing + shipped.missing
    names = ", ".join(f"'{name}'" for name in shipped.names)
    more = f" and {count - len(shipped.names)} more" if count > len(shipped.names) else ""
    kinds = [f"{shipped.differing} {'differ' if shipped.differing > 1 else 'differs'} in {place}"]
    kinds.append(f"{shipped.missing} {'are' if shipped.missing > 1 else 'is'} missing in {place}")
    told = [kind for kind in kinds if not kind.startswith("0 ")]
    number = f"{count}{' or more' if count >= _MOST_FILES else ''} file{'s' if count > 1 else ''}"
    return (
        f"shared '{path}': the application does not get {number} that the source has there ({names}{more}): "
        f"{' and '.join(told)}, and shared data is never overwritten. Copy those that are wanted there on the host; or "
        "list in 'shared' only directories that the application writes to, and let the source have its files elsewhere"
    )
