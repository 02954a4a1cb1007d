# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects that pip and uv cannot install as they are, and what to write. Private to flaskops.stack."""

from __future__ import annotations

import posixpath
import re
import typing as t
from dataclasses import dataclass, field

# Of a pyproject.toml: a table's head, alone on its line.
_TABLE = re.compile(r"^\s*\[+\s*(?P<name>[^\[\]#]+?)\s*\]+\s*(?:#.*)?$")
_KEY = re.compile(r"^\s*(?P<key>[\w.\"'-]+)\s*=\s*(?P<value>.*)$")

_EXPORTS = {
    "poetry.lock": "poetry export --format requirements.txt --output requirements.txt",
    "pdm.lock": "pdm export --output requirements.txt",
    "Pipfile.lock": "pipenv requirements > requirements.txt",
    "Pipfile": "pipenv requirements > requirements.txt",
}
# The lock file of PEP 751, beside which uv takes no other requirements.
PYLOCK = "pylock.toml"
_NAME_PYLOCK = f"set requirements: [{PYLOCK}] and installer: uv"
# The source from which pip-compile and uv write requirements.txt.
_UNCOMPILED = "requirements.in"
# Sections of a setup.cfg that is not there for tools alone.
_SETUP = re.compile(r"^\[(?:metadata|options)\]", re.MULTILINE)
_NOTHING = ". To install nothing of it, set requirements: []"
_CONDA = ("environment.yml", "environment.yaml", "conda-lock.yml", "conda.yml", "conda.yaml", "env.yml")
_PIXI = ("pixi.toml", "pixi.lock")
# By the name of the file, or of its directory; other files of text are no requirements.
_REQUIREMENTS = re.compile(
    r"[\w.-]*requirements?[\w.-]*/[\w.-]+\.(?:txt|in)|[\w.-]*(?:req|deps|dependenc|pip)[\w.-]*\.(?:txt|in|pip|lock)",
    re.IGNORECASE,
)


class ProjectError(ValueError):
    """A project that cannot be installed as it is described."""


@dataclass(frozen=True)
class Surroundings:
    """What the source is besides the files that were asked for."""

    # The files at the top, and those of directories of requirements.
    names: t.Collection[str] = ()
    subdirectory: str = ""
    # Whether packages are asked for that are in no file.
    has_packages: bool = False
    # Whether a path of the host leads to anything.
    exists: t.Callable[[str], bool] = field(default=lambda _path: True)


@dataclass(frozen=True)
class Entry:
    """A key of a TOML file, with its line and table."""

    line: int
    table: str
    key: str
    value: str


def entries_of(text: str) -> list[Entry]:
    """Return the keys of a TOML file by lines, which is as exact as a host without a parser for TOML allows."""
    table = ""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        head = _TABLE.match(line)
        key = None if head else _KEY.match(line)
        if head:
            table = head.group("name").replace(" ", "")
            found.append(Entry(number, table, "", ""))
        elif key:
            found.append(Entry(number, table, key.group("key"), key.group("value")))
    return found


def is_project(text: str) -> bool:
    """Tell whether a pyproject.toml describes something to install, and not only the settings of tools."""
    tables = {entry.table for entry in entries_of(text)}
    return any(table.split(".")[0] in ("project", "build-system") for table in tables) or any(
        table.startswith(("tool.poetry", "tool.flit", "tool.setuptools")) for table in tables
    )


def check_project(path: str, text: str, installer: str, around: Surroundings) -> None:
    """Raise ProjectError for a pyproject.toml that cannot be installed, with its line and what to write."""
    entries = entries_of(text)
    if not is_project(text):
        raise ProjectError(
            f"'requirements' lists {path}, which only configures tools and has no [project]: name a file that says "
            f"what to install{_candidates(around)}"
        )
    for entry in entries:
        if (entry.table, entry.key) == ("tool.poetry", "package-mode") and entry.value.startswith("false"):
            raise ProjectError(
                f"{path} line {entry.line} says package-mode = false: such a project of Poetry is no package, so "
                f"neither uv nor pip installs its dependencies. Run '{_EXPORTS['poetry.lock']}' where the source is "
                "kept, and commit requirements.txt"
            )
    _check_sources(path, entries, installer, around)


def _check_sources(path: str, entries: t.Sequence[Entry], installer: str, around: Surroundings) -> None:
    own = [entry for entry in entries if _is_elsewhere(entry)]
    if not own:
        return
    name = own[0].table.rpartition(".")[2] if own[0].table != "tool.uv.sources" else own[0].key
    what = f"{path} line {own[0].line} takes '{name}' from another directory of the repository ([tool.uv.sources])"
    if around.subdirectory:
        listed = posixpath.join(around.subdirectory, path)
        raise ProjectError(
            f"{what}, and 'subdirectory: {around.subdirectory}' leaves that out of the release: remove 'subdirectory' "
            f"and set requirements: [{listed}]"
        )
    if installer != "uv":
        raise ProjectError(
            f"{what}, which only uv reads; {installer} would take a package of that name from the index: set "
            "installer: uv"
        )


def _is_elsewhere(entry: Entry) -> bool:
    """Tell whether an entry leads out of the directory of its project."""
    if not entry.table.startswith("tool.uv.sources"):
        return False
    text = f"{entry.key} = {entry.value}"
    return re.search(r"\bworkspace\s*=\s*true|\bpath\s*=\s*[\"']\.\.", text) is not None


def explain_tables(text: str) -> str:
    """Return what to write where a pyproject.toml that is no project says what to install to pixi; else nothing."""
    found = next((entry for entry in entries_of(text) if entry.table.startswith("tool.pixi")), None)
    return f"pyproject.toml line {found.line} says what to install, {_explain_unread(_PIXI[0])}" if found else ""


def check_workspace(path: str, text: str) -> None:
    """Raise ProjectError for the root of a uv workspace that has nothing to install itself."""
    entries = entries_of(text)
    root = next((entry for entry in entries if entry.table == "tool.uv.workspace"), None)
    own = {entry.key: entry.value for entry in entries if entry.table == "project"}
    if root is None or "dependencies" in own or "dependencies" in own.get("dynamic", ""):
        return
    members = next((entry.value for entry in entries if (entry.table, entry.key) == (root.table, "members")), "[...]")
    raise ProjectError(
        f"{path} line {root.line} is the root of a uv workspace and has no dependencies itself (members = {members}): "
        "name the project to deploy, such as requirements: [services/web/pyproject.toml]"
    )


def explain_nothing(around: Surroundings, setup: str) -> str:
    """Return what to write where the source has files about packages that neither uv nor pip reads; else nothing.

    C(setup) is the text of its setup.cfg.
    """
    if around.has_packages:
        return ""
    unread = next((name for name in (PYLOCK, *_EXPORTS, *_CONDA, *_PIXI) if name in around.names), "")
    if unread == PYLOCK:
        return f"the source says what to install in {PYLOCK}, which is read when it is named: {_NAME_PYLOCK}"
    if unread:
        return f"the source says what to install in {unread}, {_explain_unread(unread)}"
    candidates = _candidates(around)
    if _UNCOMPILED in around.names or not candidates:
        return _explain_unfinished(around, setup)
    tools = "a pyproject.toml that only configures tools, and " if "pyproject.toml" in around.names else ""
    return (
        f"the source has {tools}none of uv.lock, requirements.txt, setup.py or a pyproject.toml with [project]: "
        f"name the file that says what to install{candidates}"
    )


def _explain_unfinished(around: Surroundings, setup: str) -> str:
    """Return what is missing beside a file about packages that is not enough by itself; else nothing."""
    if _UNCOMPILED in around.names:
        return (
            f"the source says what to install in {_UNCOMPILED}: run 'uv pip compile {_UNCOMPILED} -o requirements.txt' "
            "where it is kept and commit requirements.txt; or, for the newest versions in each new virtualenv, set "
            f"requirements: [{_UNCOMPILED}]{_NOTHING}"
        )
    if _SETUP.search(setup):
        return (
            "the source says what to install in setup.cfg, which pip and uv read only beside a setup.py or a "
            "pyproject.toml: commit a pyproject.toml with the lines '[build-system]' and 'requires = [\"setuptools\"]'"
            + _NOTHING
        )
    return ""


def _explain_unread(name: str) -> str:
    """Return who reads a file about packages, and what to write for uv and pip."""
    if name in (*_CONDA, *_PIXI):
        return (
            f"which only {'conda' if name in _CONDA else 'pixi'} reads: write its packages into a file "
            "requirements.txt, as 'pip list --format=freeze' prints them, and commit it"
        )
    return (
        f"which neither uv nor pip reads: run '{_EXPORTS[name]}' where it is kept and commit requirements.txt, or name "
        "another file in 'requirements'"
    )


def check_listed(path: str, installer: str) -> None:
    """Raise ProjectError for a file about packages that the installer would read as requirements, line by line."""
    name = posixpath.basename(path)
    if name in (*_EXPORTS, *_CONDA, *_PIXI):
        raise ProjectError(f"'requirements' lists {path}, {_explain_unread(name)}")
    if name == PYLOCK and installer != "uv":
        raise ProjectError(f"'requirements' lists {path}, which only uv reads: set installer: uv")


def is_requirements_file(name: str) -> bool:
    """Tell whether a file is one of requirements, by its name or that of its directory."""
    return _REQUIREMENTS.fullmatch(name) is not None


def _candidates(around: Surroundings) -> str:
    found = sorted(filter(is_requirements_file, around.names))
    if not found:
        return ""
    others = f" (the source has {', '.join(found[:8])})" if len(found) > 1 else ""
    best = min(found, key=lambda name: ("prod" not in name, "base" not in name and "main" not in name, len(name), name))
    return f", as requirements: [{best}]{others}"


def explain_ignored_lock(project: str, around: Surroundings) -> str:
    """Return that the lock file of an installed project is not read, or nothing where there is none."""
    if project and "uv.lock" in around.names:
        return (
            f"uv.lock is not read for {project}, so each new virtualenv gets the newest versions that its "
            "pyproject.toml allows: to install the locked ones, run 'uv export --package NAME --no-emit-workspace "
            "--output-file locked.txt' where the source is kept, commit locked.txt, and set requirements: "
            f"[locked.txt, {project}/pyproject.toml]"
        )
    if posixpath.join(project, PYLOCK) in around.names:
        return (
            f"{PYLOCK} is not read, so each new virtualenv gets the newest versions that pyproject.toml allows: to "
            f"install the locked ones, {_NAME_PYLOCK}"
        )
    lock = next((name for name in ("poetry.lock", "pdm.lock") if posixpath.join(project, name) in around.names), "")
    return lock and (
        f"{lock} is not read, so each new virtualenv gets the newest versions that pyproject.toml allows: to install "
        f"the locked ones, run '{_EXPORTS[lock]}' where the source is kept and commit requirements.txt"
    )
