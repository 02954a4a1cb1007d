# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files say what a virtualenv holds. Private to flaskops.stack."""

from __future__ import annotations

import posixpath
import re
import typing as t
from dataclasses import dataclass

from .projects import (
    ProjectError,
    Surroundings,
    check_listed,
    check_project,
    check_workspace,
    explain_ignored_lock,
    explain_nothing,
    explain_tables,
    is_project,
)
from .requirements import included, is_understood, lines_of, needs_tree
from .unusable_lines import check_line

LOCK, PROJECT = "uv.lock", ("pyproject.toml", "setup.py", "setup.cfg")

# In this order the first that the source has is used.
AUTO = ("uv.lock", "requirements.txt", "pyproject.toml", "setup.py")

_EXTRAS = re.compile(r"(?P<path>[^\[\]]+)(?:\[(?P<extras>[\w\s,.-]+)\])?")
_HASH = re.compile(r"(?:^|\s)--hash[= ]")
# What uv takes from the source tree: then the virtualenv depends on all of it.
_LOCAL_LOCK = re.compile(r"^source = \{ (?:(?:editable|directory|path) =|registry = \"(?!https?://))", re.MULTILINE)
# Where 'uv pip' looks for settings, such as further indexes, constraints and directories of wheels.
_UV_SETTINGS = re.compile(r"^\s*\[+\s*tool\s*\.\s*[\"']?uv\b", re.MULTILINE)

# Returns the text of a file of the source, or None when there is none.
Reader = t.Callable[[str], t.Optional[str]]


class DependencyError(ValueError):
    """Dependencies that cannot be installed as they are described."""


@dataclass(frozen=True)
class Dependencies:
    """What to install from the source: at most one lock file, files of requirements, projects to build."""

    lock: str = ""
    extras: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    # Directories, with extras: "." or ".[web]".
    projects: tuple[str, ...] = ()
    # Equal when equal packages are installed.
    inputs: tuple[tuple[str, str], ...] = ()
    # Whether the source itself, beyond C(inputs), goes into the virtualenv, or may do so.
    local: bool = False
    # About requirements that are valid, but may surprise users.
    warnings: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Return what was found, for people."""
        return [name for name in (self.lock, *self.hashed, *self.plain, *self.projects) if name]


def plan_dependencies(
    listed: t.Sequence[str] | None, read: Reader, installer: str, around: Surroundings | None = None
) -> Dependencies:
    """Return what to install: the files in C(listed), or without such a list the first of AUTO that is there."""
    around = around or Surroundings()
    try:
        return _plan(listed, read, installer, around)
    except ProjectError as exc:
        raise DependencyError(str(exc)) from exc


def _plan(listed: t.Sequence[str] | None, read: Reader, installer: str, around: Surroundings) -> Dependencies:
    found = _resolve(listed, read)
    if listed is None:
        _check_choice(found, read, around)
    lock = [(path, extras) for path, extras in found if posixpath.basename(path) == LOCK]
    if lock:
        _check_lock(lock, found, installer)
    projects = [(path, extras) for path, extras in found if posixpath.basename(path) in PROJECT]
    files = [path for path, _extras in found if posixpath.basename(path) not in (*PROJECT, LOCK)]
    for path in files:
        check_listed(path, installer)
    texts = _with_includes(files, read)
    _check_lines(texts, installer, around)
    for path, _extras in projects:
        if posixpath.basename(path) == "pyproject.toml" and not _has_setup(path, read):
            check_project(path, read(path) or "", installer, around)
    with_hash = {path for path, text in texts.items() if any(_HASH.search(line.text) for line in lines_of(text))}
    hashed = tuple(path for path in files if not with_hash.isdisjoint(_reach(path, texts)))
    settings = _uv_settings(read) if installer == "uv" and files else {}
    is_local = bool(projects or settings) or not all(map(is_understood, texts.values()))
    for path, _extras in [*lock, *projects]:
        texts[path] = read(path) or ""
    texts.update(settings)
    return Dependencies(
        lock=lock[0][0] if lock else "",
        extras=lock[0][1] if lock else (),
        hashed=hashed,
        plain=tuple(path for path in files if path not in hashed),
        projects=tuple(_project(path, extras) for path, extras in projects),
        inputs=tuple(sorted([*texts.items(), *_beside_lock(lock, read)])),
        warnings=tuple(
            filter(None, (explain_ignored_lock(posixpath.dirname(path), around) for path, _extras in projects))
        ),
        local=is_local or any(_LOCAL_LOCK.search(texts[path]) for path, _extras in lock),
    )


def _check_lines(texts: t.Mapping[str, str], installer: str, around: Surroundings) -> None:
    for path, text in texts.items():
        for line in lines_of(text):
            check_line(path, line.number, line.text, installer, around)


def needs_source(packages: t.Sequence[str]) -> bool:
    """Tell whether one of the requirements may be installed from the source tree."""
    return needs_tree(packages)


def _uv_settings(read: Reader) -> dict[str, str]:
    """Return the files in which uv finds settings of its own beside requirements files."""
    texts = {"uv.toml": read("uv.toml"), "pyproject.toml": read("pyproject.toml")}
    return {
        path: text
        for path, text in texts.items()
        if text is not None and (path == "uv.toml" or _UV_SETTINGS.search(text))
    }


def _resolve(listed: t.Sequence[str] | None, read: Reader) -> list[tuple[str, tuple[str, ...]]]:
    if listed is None:
        return next(([(name, ())] for name in AUTO if _is_wanted(name, read)), [])
    return [_parse_name(name, read) for name in listed]


def _is_wanted(name: str, read: Reader) -> bool:
    text = read(name)
    return text is not None and (name != "pyproject.toml" or is_project(text) or _has_setup(name, read))


def _has_setup(path: str, read: Reader) -> bool:
    """Tell whether setuptools is told beside a pyproject.toml what it packs."""
    beside = posixpath.dirname(path)
    return any(read(posixpath.join(beside, name)) is not None for name in ("setup.py", "setup.cfg"))


def _check_choice(found: t.Sequence[tuple[str, t.Any]], read: Reader, around: Surroundings) -> None:
    """Raise ProjectError when what was found without a list is nothing, or nothing by itself."""
    problem = "" if found else explain_nothing(around, read("setup.cfg") or "")
    if not found and not problem and not around.has_packages:
        problem = explain_tables(read("pyproject.toml") or "")
    if problem:
        raise ProjectError(problem)
    if found and not around.has_packages and found[0][0] in (LOCK, "pyproject.toml"):
        check_workspace("pyproject.toml", read("pyproject.toml") or "")


def _parse_name(name: str, read: Reader) -> tuple[str, tuple[str, ...]]:
    found = _EXTRAS.fullmatch(name.strip())
    path = found.group("path") if found else name
    if not found or path.startswith(("/", "-")) or ".." in path.split("/"):
        raise DependencyError(
            f"requirements '{name}' must be the path of a file inside the source, such as requirements/prod.txt, "
            "uv.lock, pyproject.toml or pyproject.toml[extra]"
        )
    path = posixpath.normpath(path)
    if read(path) is None:
        raise DependencyError(
            f"requirements '{name}' is not in the source: correct the path (it is relative to the application)"
        )
    extras = tuple(sorted(extra.strip() for extra in (found.group("extras") or "").split(",") if extra.strip()))
    return path, extras


def _check_lock(lock: list[tuple[str, tuple[str, ...]]], found: t.Sequence[object], installer: str) -> None:
    path = lock[0][0]
    if installer != "uv":
        raise DependencyError(
            f"the source has {path}, which only uv can read, and installer is '{installer}': set installer: uv, or "
            "name another file in 'requirements'"
        )
    if len(lock) > 1 or len(found) > 1:
        raise DependencyError(
            f"requirements lists {path} beside other files: a lock file holds everything; put the rest into 'packages'"
        )


def _beside_lock(lock: t.Sequence[tuple[str, tuple[str, ...]]], read: Reader) -> list[tuple[str, str]]:
    if not lock:
        return []
    path = posixpath.join(posixpath.dirname(lock[0][0]), "pyproject.toml")
    return [(path, read(path) or ""), ("extras", ",".join(lock[0][1]))]


def _project(path: str, extras: tuple[str, ...]) -> str:
    directory = posixpath.dirname(path) or "."
    return directory + (f"[{','.join(extras)}]" if extras else "")


def _with_includes(files: t.Sequence[str], read: Reader) -> dict[str, str]:
    """Return the text of each file and of each that one of them includes."""
    texts: dict[str, str] = {}
    waiting = list(files)
    while waiting:
        path = waiting.pop()
        if path in texts:
            continue
        text = None if path.startswith("../") else read(path)
        if text is None:
            raise DependencyError(
                f"'{path}', which a requirements file includes, is not in the source: add it, or, if a 'subdirectory' "
                "leaves it out, name the requirements file from the top, in 'requirements', without 'subdirectory'"
            )
        texts[path] = text
        waiting.extend(_includes(path, text))
    return texts


def _includes(path: str, text: str) -> list[str]:
    return [posixpath.normpath(posixpath.join(posixpath.dirname(path), name)) for name in included(text)]


def _reach(path: str, texts: t.Mapping[str, str]) -> set[str]:
    seen: set[str] = set()
    waiting = [path]
    while waiting:
        name = waiting.pop()
        if name in texts and name not in seen:
            seen.add(name)
            waiting.extend(_includes(name, texts[name]))
    return seen


def check_packages(packages: t.Sequence[str]) -> tuple[str, ...]:
    """Return the requirements; raise DependencyError for one that a requirements file would read as an option."""
    for package in packages:
        if not package.strip() or package.lstrip().startswith(("-", "#")) or "\n" in package or "\r" in package:
            raise DependencyError(
                f"package '{package}' must be a requirement such as 'psycopg[binary]>=3', not an option"
            )
    return tuple(package.strip() for package in packages)
