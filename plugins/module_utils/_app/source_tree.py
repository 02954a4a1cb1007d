# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files a source consists of: safe paths only. Private to flaskops.stack."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import typing as t
from dataclasses import dataclass, replace

from .._input.values import length_fault
from .source import SourceError

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

# What file managers leave beside files, in lower case.
_LITTER = frozenset([".ds_store", "thumbs.db", "desktop.ini"])
# What a virtualenv consists of that was made in the directory of the project itself; other files there are code.
_ENVIRONMENT = re.compile(
    r"pyvenv\.cfg|lib64|(?:lib64|lib/python[\d.]+|Lib/site-packages|Scripts|include/(?:site/)?python[^/]*)/.*"
    r"|bin/(?:python|pip|activate|Activate)[^/]*"
)


@dataclass(frozen=True)
class ArchiveEntry:
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


def is_environment(names: t.Collection[str], has: t.Callable[[str], bool]) -> bool:
    """Tell whether a directory with these names is an environment of Python's: a virtualenv, or one of conda.

    C(has) tells whether a path is in it.
    """
    programs = [name for name in ("bin", "Scripts") if name in names]
    if not programs:
        return False
    # virtualenv before version 20 made no pyvenv.cfg.
    is_old = any(has(f"{name}/activate_this.py") for name in programs) and not {"lib", "Lib"}.isdisjoint(names)
    return "pyvenv.cfg" in names or is_old or {"conda-meta", "bin"} <= set(names)


def without_litter(entries: t.Sequence[ArchiveEntry]) -> list[ArchiveEntry]:
    """Return the members of an archive without what the Finder and Windows add: resource forks, views of folders."""
    paths = {entry.path.strip("/") for entry in entries}
    parents = {path[:index] for path in paths for index in _slashes(path)}
    return [entry for entry in entries if not _is_litter(entry.path.strip("/"), paths | parents)]


def _slashes(path: str) -> list[int]:
    return [index for index, char in enumerate(path) if char == "/"]


def _is_litter(path: str, paths: t.Collection[str]) -> bool:
    directory, name = posixpath.split(path)
    # AppleDouble: what the file system of others cannot keep of a file stands in a second one beside it.
    is_fork = name.startswith("._") and posixpath.join(directory, name[2:]) in paths
    return is_fork or "__MACOSX" in path.split("/") or name.lower() in _LITTER


def plan_tree(
    entries: t.Iterable[ArchiveEntry], source: str, strip: bool = False, subdirectory: str = ""
) -> list[ArchiveEntry]:
    """Return what to write: every path plain and inside the tree, directories first and links last.

    C(strip) takes the one directory that archives usually have at the top away, C(subdirectory) selects a part. Raise
    SourceError for a member that would be written elsewhere, point elsewhere or be no file. Environments of Python's,
    of any name, are left out.
    """
    plain = [entry for entry in (_clean(entry, source) for entry in entries) if entry.path]
    if strip:
        plain = _without_top(plain)
    if subdirectory:
        plain = _below(plain, subdirectory, source)
    plain = _without_environments(plain)
    last = {entry.path: entry for entry in plain}
    for entry in last.values():
        _check_place(entry, last, source)
    if not any(entry.kind != DIRECTORY for entry in last.values()):
        raise SourceError(f"{source} holds no file")
    order = {DIRECTORY: 0, FILE: 1, HARDLINK: 2, LINK: 3}
    return sorted(last.values(), key=lambda entry: (order[entry.kind], entry.path))


def _clean(entry: ArchiveEntry, source: str) -> ArchiveEntry:
    return replace(entry, path=_plain(entry.path, source), target=_plain_target(entry, source))


def _plain(path: str, source: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or "\0" in path:
        raise SourceError(
            f"{source} holds '{path}', which would be written outside of the release: it is not trustworthy"
        )
    check_length(parts, source)
    return "/".join(parts)


def check_length(parts: t.Sequence[str], source: str) -> None:
    """Raise SourceError for a path that no release can have."""
    path = "/".join(parts)
    fault = length_fault(path)
    if fault:
        raise SourceError(f"{source} holds '{path[:80]}{'…' if len(path) > 80 else ''}', {fault}; is it a mistake?")


def _plain_target(entry: ArchiveEntry, source: str) -> str:
    return _plain(entry.target, source) if entry.kind == HARDLINK else entry.target


def _without_top(entries: list[ArchiveEntry]) -> list[ArchiveEntry]:
    tops = {entry.path.split("/", 1)[0] for entry in entries}
    if len(tops) != 1 or not any("/" in entry.path for entry in entries):
        return entries
    return _cut(entries, tops.pop() + "/")


def _below(entries: list[ArchiveEntry], subdirectory: str, source: str) -> list[ArchiveEntry]:
    prefix = subdirectory + "/"
    found = [entry for entry in entries if entry.path.startswith(prefix)]
    if not found:
        here = next((entry for entry in entries if entry.path == subdirectory), None)
        if here is not None and here.kind == DIRECTORY:
            raise SourceError(
                f"subdirectory '{subdirectory}' is empty in {source}. Is it a submodule of git? An archive of git does "
                "not hold its files: set 'source' to the repository of the submodule"
            )
        tops = sorted({e.path.split("/", 1)[0] for e in entries if "/" in e.path or e.kind == DIRECTORY})
        raise SourceError(
            f"subdirectory '{subdirectory}' is not in {source}, whose directories are {', '.join(tops) or 'none'}"
        )
    return _cut(found, prefix)


def _cut(entries: list[ArchiveEntry], prefix: str) -> list[ArchiveEntry]:
    """Take a common prefix off the paths (a hard link names its target by its whole path, too)."""
    size = len(prefix)
    longer = [entry for entry in entries if len(entry.path) > size]
    return [replace(e, path=e.path[size:], target=e.target[size:] if e.kind == HARDLINK else e.target) for e in longer]


def _without_environments(entries: list[ArchiveEntry]) -> list[ArchiveEntry]:
    names = _names_by_directory(entries)
    found = {place for place, inner in names.items() if is_environment(inner, _finder(names, place))}
    return [entry for entry in entries if not _is_inside(entry.path, found)] if found else entries


def _finder(names: t.Mapping[str, t.Collection[str]], place: str) -> t.Callable[[str], bool]:
    """Return what tells whether a path is in a directory."""

    def has(path: str) -> bool:
        directory, name = posixpath.split(posixpath.join(place, path))
        return name in names.get(directory, ())

    return has


def _names_by_directory(entries: t.Iterable[ArchiveEntry]) -> dict[str, set[str]]:
    """Return what each directory holds, also those that have no entry of their own."""
    names: dict[str, set[str]] = {"": set()}
    for entry in entries:
        path = entry.path
        while path:
            directory, name = posixpath.split(path)
            inner = names.setdefault(directory, set())
            if name in inner:
                break
            inner.add(name)
            path = directory
    return names


def _is_inside(path: str, environments: t.Collection[str]) -> bool:
    """Tell whether a path is part of an environment; one that is the top itself has the project's files beside."""
    if "" in environments and _ENVIRONMENT.fullmatch(path):
        return True
    return path in environments or any(path[:index] in environments for index in _slashes(path))


def _check_place(entry: ArchiveEntry, entries: t.Mapping[str, ArchiveEntry], source: str) -> None:
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


def _stays_inside(entry: ArchiveEntry) -> bool:
    """Dots are allowed at the front only: after a name, which may be a link itself, they may lead anywhere."""
    parts = [part for part in entry.target.split("/") if part not in ("", ".")]
    ups = len([part for part in parts if part == ".."])
    leading = parts[:ups] == [".."] * ups
    return not entry.target.startswith("/") and leading and ups <= entry.path.count("/") and bool(entry.target)


def tree_digest(entries: t.Iterable[tuple[ArchiveEntry, str]]) -> str:
    """Return the SHA-256 over path, kind, mode and content (or target) of all entries, in any order; not over times.

    The second of each pair is the SHA-256 of the file's content.
    """
    rows = sorted(
        [entry.path, entry.kind, "x" if entry.executable else "-", entry.target, content]
        for entry, content in entries
        if entry.kind != DIRECTORY
    )
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
