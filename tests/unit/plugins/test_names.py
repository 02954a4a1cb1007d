# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each file of the plugins has a test that imports it: what is reached through others alone is not looked at."""

from __future__ import annotations

import ast
import typing as t
from pathlib import Path

from ansible_collections.flaskops.stack.plugins.module_utils import _host_code

PLUGINS = Path(_host_code.__file__).parents[1]
TESTS = Path(__file__).parents[1]
COLLECTION = "ansible_collections.flaskops.stack."
# Documentation alone.
FRAGMENTS = "plugins.doc_fragments."


def imported(text: str) -> t.Iterator[str]:
    """Yield what a test imports of the plugins, as plugins.package.file, wherever it does."""
    for node in ast.walk(ast.parse(text)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (name[len(COLLECTION) :] for name in names if name.startswith(COLLECTION))


def files() -> set[str]:
    paths = [path.relative_to(PLUGINS.parent) for path in PLUGINS.rglob("*.py") if path.stem != "__init__"]
    names = {".".join(path.with_suffix("").parts) for path in paths}
    return {name for name in names if not name.startswith(FRAGMENTS)}


def test_each_file_of_the_plugins_is_imported_by_a_test() -> None:
    named = {name for path in TESTS.rglob("test_*.py") for name in imported(path.read_text(encoding="utf-8"))}
    assert len(files()) > 150
    assert sorted(files() - named) == []


def test_an_import_is_seen_in_each_of_its_forms() -> None:
    text = f"""
import {COLLECTION}plugins.filter.status
from {COLLECTION}plugins.modules import fleet as _fleet
def late():
    from {COLLECTION}plugins.module_utils._nginx.model import NginxPlan
"""
    found = set(imported(text))
    assert {"plugins.filter.status", "plugins.modules.fleet", "plugins.module_utils._nginx.model"} <= found
    assert "plugins.filter.derive" not in found
