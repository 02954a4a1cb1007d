# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.plugin_utils import _action

NAME = "ansible_collections.flaskops.stack.plugins.plugin_utils._operator"
ROOT = Path(_action.__file__).parents[2]


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the copy of a module that is imported in its place."""
    here = importlib.import_module(NAME)
    target = Path(shutil.copy(str(here.__file__), tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    package = sys.modules[NAME.rpartition(".")[0]]
    monkeypatch.setattr(package, "__path__", [str(tmp_path)])
    # The import puts the copy there, too.
    monkeypatch.setattr(package, "_operator", here)
    monkeypatch.delitem(sys.modules, NAME)
    return target


def test_what_is_compiled_once_is_kept(copied: Path) -> None:
    module = importlib.import_module(NAME)
    assert module.__file__ == str(copied)
    assert Path(importlib.util.cache_from_source(str(copied))).is_file()


def test_what_has_changed_is_compiled_again(copied: Path) -> None:
    importlib.import_module(NAME)
    copied.write_text("CHANGED = True\n", encoding="utf-8")
    os.utime(copied, (1, 1))
    del sys.modules[NAME]
    assert importlib.import_module(NAME).CHANGED


def test_a_place_that_cannot_be_written_to_is_no_error(copied: Path) -> None:
    Path(importlib.util.cache_from_source(str(copied))).parent.write_text("", encoding="utf-8")
    assert importlib.import_module(NAME).__file__ == str(copied)


@pytest.mark.parametrize(
    "name",
    [
        "json",
        "ansible.utils.display",
        "ansible_collections.ansible.posix.plugins.action.patch",
        "flaskops_code._host_code",
    ],
)
def test_what_is_not_of_the_collection_is_left_to_others(name: str) -> None:
    assert _action.KeepCompiled.find_spec(name, [str(ROOT / "plugins" / "plugin_utils")]) is None


def test_packages_and_what_is_not_there_are_left_to_ansible() -> None:
    plugins = "ansible_collections.flaskops.stack.plugins"
    directory = [str(ROOT / "plugins" / "module_utils")]
    assert _action.KeepCompiled.find_spec(f"{plugins}.module_utils._input", directory) is None
    assert _action.KeepCompiled.find_spec(f"{plugins}.module_utils.none", directory) is None
    assert _action.KeepCompiled.find_spec(f"{plugins}.module_utils._host_code") is None
    assert _action.KeepCompiled.find_spec(f"{plugins}.module_utils._host_code", directory)


def test_every_action_plugin_imports_it_before_the_rest_of_the_collection() -> None:
    for path in (ROOT / "plugins" / "action").glob("*.py"):
        imports = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ImportFrom)]
        ours = [node.module for node in imports if node.level or "flaskops" in str(node.module)]
        assert str(ours[0]).endswith("._action"), path
