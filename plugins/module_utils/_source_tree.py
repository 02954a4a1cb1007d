# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files a source consists of: safe paths only. Pure. Private to flaskops.stack."""

from __future__ import annotations

import hashlib
import json
import posixpath
import typing as t
from dataclasses import dataclass, replace

from ._source_spec import SourceError

FILE, DIRECTORY, LINK, HARDLINK, OTHER = "file", "directory", "link", "hardlink", "other"

# What no release wants: history, caches, other virtual environments.
IGNORED = frozenset(
    [
        ".git",
        ".hg",
        ".svn",
        "__pycache__",
        ".venv",
        "venv",
        ".tox",
        ".nox",
        "node_modules",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".idea",
        ".vscode",
    ]
)


@dataclass(frozen=True)
class Entry:
    """One member of an archive or directory."""

    path: str
    kind: str
    # What a link points to: relative to its place, or for a hard link the path of another member.
    target: str = ""
    executable: bool = False
    mtime: float = 0
    # How the reader of the archive finds it.
    member: object = None


def is_ignored(name: str) -> bool:
    """Tell whether a file or directory of this name is left out of a directory that is no git work tree."""
    return name in IGNORED or name.endswith((".pyc", ".pyo", ".egg-info"))


def plan_tree(entries: t.Iterable[Entry], source: str, strip: bool = False, subdirectory: str = "") -> list[Entry]:
    """Return what to write: every path plain and inside the tree, directories first and links last.

    C(strip) takes the one directory that archives usually have at the top away, C(subdirectory) selects a part. Raise
    SourceError for a member that would be written elsewhere, point elsewhere or be no file.
    """
    plain = [entry for entry in (_clean(entry, source) for entry in entries) if entry.path]
    if strip:
        plain = _without_top(plain)
    if subdirectory:
        plain = _below(plain, subdirectory, source)
    last = {entry.path: entry for entry in plain}
    for entry in last.values():
        _check_place(entry, last, source)
    if not any(entry.kind != DIRECTORY for entry in last.values()):
        raise SourceError(f"{source} holds no file")
    order = {DIRECTORY: 0, FILE: 1, HARDLINK: 2, LINK: 3}
    return sorted(last.values(), key=lambda entry: (order[entry.kind], entry.path))


def _clean(entry: Entry, source: str) -> Entry:
    return replace(entry, path=_plain(entry.path, source), target=_plain_target(entry, source))


def _plain(path: str, source: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or "\0" in path:
        raise SourceError(
            f"{source} holds '{path}', which would be written outside of the release: it is not trustworthy"
        )
    return "/".join(parts)


def _plain_target(entry: Entry, source: str) -> str:
    return _plain(entry.target, source) if entry.kind == HARDLINK else entry.target


def _without_top(entries: list[Entry]) -> list[Entry]:
    tops = {entry.path.split("/", 1)[0] for entry in entries}
    if len(tops) != 1 or not any("/" in entry.path for entry in entries):
        return entries
    return _cut(entries, tops.pop() + "/")


def _below(entries: list[Entry], subdirectory: str, source: str) -> list[Entry]:
    prefix = subdirectory + "/"
    found = [entry for entry in entries if entry.path.startswith(prefix)]
    if not found:
        tops = sorted({e.path.split("/", 1)[0] for e in entries if "/" in e.path or e.kind == DIRECTORY})
        raise SourceError(
            f"subdirectory '{subdirectory}' is not in {source}, whose directories are {', '.join(tops) or 'none'}"
        )
    return _cut(found, prefix)


def _cut(entries: list[Entry], prefix: str) -> list[Entry]:
    """Take a common prefix off the paths (a hard link names its target by its whole path, too)."""
    size = len(prefix)
    longer = [entry for entry in entries if len(entry.path) > size]
    return [replace(e, path=e.path[size:], target=e.target[size:] if e.kind == HARDLINK else e.target) for e in longer]


def _check_place(entry: Entry, entries: t.Mapping[str, Entry], source: str) -> None:
    if entry.kind == OTHER:
        raise SourceError(f"{source} holds '{entry.path}', a device, pipe or socket: a release consists of files")
    parent = posixpath.dirname(entry.path)
    while parent:
        if parent in entries and entries[parent].kind != DIRECTORY:
            raise SourceError(
                f"{source} holds '{entry.path}' below '{parent}', which is no directory: it is not trustworthy"
            )
        parent = posixpath.dirname(parent)
    if entry.kind == LINK and not _stays_inside(entry):
        raise SourceError(
            f"{source} holds the link '{entry.path}' to '{entry.target}', outside of the release: "
            "make it a file, or a relative link to a file of the same tree"
        )
    if entry.kind == HARDLINK and entries.get(entry.target, entry).kind != FILE:
        raise SourceError(f"{source} holds the hard link '{entry.path}' to '{entry.target}', which is no file in it")


def _stays_inside(entry: Entry) -> bool:
    """Dots are allowed at the front only: after a name, which may be a link itself, they may lead anywhere."""
    parts = [part for part in entry.target.split("/") if part not in ("", ".")]
    ups = len([part for part in parts if part == ".."])
    leading = parts[:ups] == [".."] * ups
    return not entry.target.startswith("/") and leading and ups <= entry.path.count("/") and bool(entry.target)


def tree_digest(entries: t.Iterable[tuple[Entry, str]]) -> str:
    """Return the SHA-256 over path, kind, mode and content (or target) of all entries, in any order; not over times.

    The second of each pair is the SHA-256 of the file's content.
    """
    rows = sorted(
        [entry.path, entry.kind, "x" if entry.executable else "-", entry.target, content]
        for entry, content in entries
        if entry.kind != DIRECTORY
    )
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
