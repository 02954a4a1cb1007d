# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the packages of tools/ import: some of them run before there is a virtualenv, some inside test hosts."""

from __future__ import annotations

import ast
import sys
import typing as t
from pathlib import Path

import pytest

TOP = Path(__file__).parents[3]
# The parts of `make` that come before the virtualenv.
BARE = ("common.py", "cli/make_venv.py", "cli/demo.py")
# What is sent to test hosts: with their Python, and with the modules of the collection, but nothing else.
SENT = (
    *("matrix/inside.py", "matrix/combinations.py"),
    *("traffic.py", "molecule/visit.py", "molecule/browse.py", "fence/stories.py", "planted/trees.py"),
    *(f"nginx/{name}.py" for name in ("points", "load", "readers", "differential")),
    *(f"deploy/{name}.py" for name in ("points", "load", "keep", "stage", "subjects", "verdict")),
    *(f"inject/{name}.py" for name in ("injector", "commands", "trace", "module")),
)
OLDEST = (3, 9)


def place(name: str) -> Path:
    """Return a file of tools, of faults where tools has none of that name."""
    own = TOP / "tools" / name
    return own if own.exists() else TOP / "tools" / "faults" / name


def imported(path: Path) -> t.Iterator[str]:
    """Yield the modules that a file imports, those of tools with the name that is taken from them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reached(path: Path) -> dict[str, set[Path]]:
    """Return all modules that a file needs, with the files that import them; those of tools are followed."""
    found: dict[str, set[Path]] = {}
    todo, seen = [path], set[Path]()
    while todo:
        one = todo.pop()
        seen.add(one)
        for name in imported(one):
            found.setdefault(name, set()).add(one)
            base = TOP / Path(*name.split("."))
            todo += [file for file in (base.with_suffix(".py"), base.parent.with_suffix(".py")) if file.is_file()]
        todo = [file for file in todo if file not in seen]
    return found


def foreign(path: Path) -> set[str]:
    """Return the first words of all modules that are neither Python's nor ours."""
    return {name.partition(".")[0] for name in reached(path)} - sys.stdlib_module_names - {"tools"}


@pytest.mark.parametrize("name", BARE)
def test_what_runs_before_the_virtualenv_needs_python_alone(name: str) -> None:
    assert foreign(place(name)) == set()


@pytest.mark.parametrize("name", SENT)
def test_what_runs_inside_a_host_needs_what_is_sent_to_it(name: str) -> None:
    path = place(name)
    assert foreign(path) <= {"ansible_collections"}
    files = {file for files in reached(path).values() for file in files}
    sent = {"traffic.py", "faults", "matrix", "molecule"}
    assert {file.relative_to(TOP / "tools").parts[0] for file in files} <= sent
    for file in files:
        ast.parse(file.read_text(encoding="utf-8"), feature_version=OLDEST)


@pytest.mark.parametrize("name", ["traffic.py", "molecule/visit.py", "molecule/browse.py"])
def test_what_is_sent_alone_imports_nothing_of_ours(name: str) -> None:
    assert not [module for module in reached(place(name)) if module.startswith("tools")]


def users_of(package: str) -> set[str]:
    """Return the packages of tools that import one of them."""
    return {
        path.relative_to(TOP / "tools").parts[0]
        for path in (TOP / "tools").rglob("*.py")
        if any(name.startswith(f"tools.{package}.") for name in imported(path))
    }


def test_hosts_know_nothing_of_what_is_done_with_them() -> None:
    names = {name for path in (TOP / "tools/lab").glob("*.py") for name in imported(path)}
    assert {name.split(".")[1] for name in names if name.startswith("tools.")} <= {"lab", "common"}


@pytest.mark.parametrize(
    ("package", "users"), [("cli", set()), ("bench", {"bench", "cli"}), ("molecule", {"molecule"})]
)
def test_programs_are_nobodys_library(package: str, users: set[str]) -> None:
    assert users_of(package) <= users
