# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one rule between the packages, and what is pure: docs/architecture.md has the map."""

from __future__ import annotations

import ast
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils import _host_code

UTILITIES = Path(_host_code.__file__).parent
# Each imports only those above it.
ORDER = (
    "_input",
    "_system",
    "_firewall",
    "_site",
    "_nginx",
    "_acme",
    "_release",
    "_service",
    "_app",
    "_build",
    "_deploy",
    "_entrypoints",
)
# They touch no disk, process, network or clock, and import only what is pure as well: packages, and files of others.
PURE_PACKAGES = ("_input", "_site", "_service", "_app")
PURE_FILES = (
    "_system.exit_codes",
    "_system.account",
    "_system.distribution",
    "_system.exposition",
    "_system.paths",
    "_firewall.nft",
    "_firewall.openings",
    "_firewall.sockets",
    "_firewall.ufw_rules",
    "_nginx.name_patterns",
    "_nginx.options",
    "_nginx.request_counts",
    "_acme.lifetime",
    "_acme.model",
    "_acme.problems",
    "_release.damage",
    "_release.model",
    "_release.shared_files",
    "_build.environment",
    "_build.import_check",
    "_build.missing_tools",
    "_build.scm_version",
    "_build.venv_commands",
    "_deploy.log_excerpt",
    "_deploy.plan",
    "_deploy.service_result",
    "_deploy.unhealthy",
)
TOUCHES = frozenset(
    {
        "asyncio",
        "ctypes",
        "fcntl",
        "getpass",
        "glob",
        "grp",
        "http",
        "io",
        "multiprocessing",
        "os",
        "pathlib",
        "pwd",
        "select",
        "shutil",
        "signal",
        "socket",
        "ssl",
        "subprocess",
        "sys",
        "tarfile",
        "tempfile",
        "threading",
        "time",
        "urllib.request",
        "zipfile",
    }
)


def sources() -> list[Path]:
    return sorted(UTILITIES.glob("_*/*.py"))


def imported(path: Path) -> t.Iterator[str]:
    """Yield what a file imports, wherever it does: our own as package.file, others by their names."""
    package = path.parent.name
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
        elif isinstance(node, ast.ImportFrom) and node.level == 1:
            yield from (f"{package}.{name}" for name in ([node.module] if node.module else _names(node)))
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 2, f"{path}:{node.lineno}: no utility imports from above module_utils"
            yield from ([node.module] if node.module and "." in node.module else _below(node))


def _names(node: ast.ImportFrom) -> list[str]:
    return [alias.name for alias in node.names]


def _below(node: ast.ImportFrom) -> list[str]:
    return [f"{node.module}.{name}" if node.module else name for name in _names(node)]


def upward(path: Path) -> list[str]:
    """Return what a file imports from packages that do not stand above its own."""
    allowed = ORDER[: ORDER.index(path.parent.name) + 1]
    used = [name for name in imported(path) if name.startswith("_") and name != "__future__"]
    return [name for name in used if name.partition(".")[0] not in allowed]


def is_pure(name: str) -> bool:
    return name.partition(".")[0] in PURE_PACKAGES or name in PURE_FILES


def impurities(path: Path) -> list[str]:
    """Return what a pure file must not import."""
    ours = [name for name in imported(path) if name.startswith("_") and name != "__future__"]
    others = [name for name in imported(path) if name.partition(".")[0] in TOUCHES or name in TOUCHES]
    return [*others, *(name for name in ours if not is_pure(name))]


def test_each_file_is_in_a_package_of_the_map() -> None:
    assert {path.name for path in UTILITIES.glob("*.py")} == {"_host_code.py", "_host_task.py"}
    assert {path.name for path in UTILITIES.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(ORDER)
    assert len(sources()) > 100


@pytest.mark.parametrize("package", ORDER)
def test_a_package_imports_only_packages_above_it(package: str) -> None:
    found = {path.name: upward(path) for path in sources() if path.parent.name == package}
    assert {name: names for name, names in found.items() if names} == {}


def test_what_is_pure_touches_nothing() -> None:
    pure = {path: f"{path.parent.name}.{path.stem}" for path in sources() if path.stem != "__init__"}
    found = {name: impurities(path) for path, name in pure.items() if is_pure(name)}
    assert set(PURE_FILES) <= set(found)
    assert {name: names for name, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("from .._deploy.plan import Plan\n", ["_deploy.plan"]),
        ("def late():\n    from .._deploy import plan\n", ["_deploy.plan"]),
        ("from .._input.values import whole\nfrom .fetch import fetch\nimport os\n", []),
    ],
)
def test_the_rule_sees_imports_wherever_they_stand(tmp_path: Path, text: str, names: list[str]) -> None:
    path = tmp_path / "_build" / "new.py"
    path.parent.mkdir()
    path.write_text(text)
    assert upward(path) == names
