# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the applications of docs/recipes.md as JSON, each with a directory of the scenario as its source."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = ROOT / "molecule" / "recipes"
PAGE = ROOT / "docs" / "recipes.md"
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SOURCE = "https://git.example.com/{name}.git"
# Variables of a vault, as the page names them; no output may have the values.
VAULT = re.compile(r"{{ (vault_[a-z_]+) }}")
MARKER = "marker-r4m9tz"


def recipes(page: str) -> list[dict[str, t.Any]]:
    """Return the applications of all blocks of a page, as they are written there."""
    return [app for block in BLOCK.findall(page) for app in yaml.safe_load(block)["flask_apps"]]


def shown(part: str, page: str = "") -> str:
    """Return the only command of the page that has a part in it, as it is written there."""
    blocks = CONSOLE.findall(page or PAGE.read_text(encoding="utf-8"))
    lines = [line for block in blocks for line in block.splitlines() if line.startswith(("# ", "$ "))]
    found: list[str] = [line[2:] for line in lines if part in line]
    if len(found) != 1:
        raise SystemExit(f"{PAGE}: one command must have '{part}' in it, not {len(found)}")
    return found[0]


def local(app: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return an application with a source that is here."""
    directory = SCENARIO / "apps" / app["name"]
    if app["source"] != SOURCE.format(name=app["name"]) or not directory.is_dir():
        raise SystemExit(f"{PAGE}: {app['name']} must have the source {SOURCE}, and a directory {directory}")
    told = VAULT.sub(lambda found: f"{MARKER}-{found[1]}", json.dumps({**app, "source": str(directory)}))
    return t.cast("dict[str, t.Any]", json.loads(told))


def applications() -> list[dict[str, t.Any]]:
    """Return all applications of the page, with sources that are here."""
    return [local(app) for app in recipes(PAGE.read_text(encoding="utf-8"))]


if __name__ == "__main__":
    print(json.dumps(applications()))
