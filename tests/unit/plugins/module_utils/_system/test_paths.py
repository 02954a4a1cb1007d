# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ast
from pathlib import Path

from ansible_collections.flaskops.stack.plugins.module_utils._system import paths

UTILITIES = Path(paths.__file__).parents[1]
# It is imported before any other file, and by the controller.
ALONE = {"_host_code.py"}


def texts(path: Path) -> set[str]:
    """Return the texts of a file, without its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.value
        for parent in ast.walk(tree)
        if not isinstance(parent, ast.Expr)
        for node in ast.iter_child_nodes(parent)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_paths_of_ours_stand_in_one_file() -> None:
    places = {value for name, value in vars(paths).items() if name.isupper() and isinstance(value, str)}
    assert {"/run/flaskops", "/var/lib/flaskops", "/var/cache/flaskops"} < places
    elsewhere = {
        f"{path.relative_to(UTILITIES)}: {text}"
        for path in UTILITIES.rglob("*.py")
        if path != Path(paths.__file__) and path.name not in ALONE
        for text in texts(path)
        if text.startswith(tuple(places))
    }
    assert elsewhere == set()
