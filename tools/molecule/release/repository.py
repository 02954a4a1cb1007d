# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the repository of the shop, with a tag for each version, in the directory named by the argument."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.common import ROOT

SHOP = ROOT / "molecule" / "release" / "apps" / "shop"

# What becomes of each version; of those without a word nothing bad.
FATES: dict[str, dict[str, object]] = {
    "v1": {},
    "v2": {},
    "v3": {"cannot_be_imported": True},
    "v4": {"is_ill": True},
    "v5": {"answer_takes": 600},
    "v5-import": {"import_takes": 600},
    "v6": {"dies_after": 10},
    "v7": {},
    "v8": {},
    "v9": {},
}
AUTHOR = {f"GIT_{who}_{what}": "shop@shop.test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def git(repository: Path, *words: str) -> None:
    """Run git, without a user's settings."""
    environment = {**os.environ, **AUTHOR, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", "-C", str(repository), *words], check=True, env=environment, stdout=subprocess.DEVNULL)


def make(repository: Path) -> None:
    """Make it anew."""
    shutil.rmtree(repository, ignore_errors=True)
    shutil.copytree(SHOP, repository, ignore=shutil.ignore_patterns("__pycache__"))
    (repository / "static").mkdir()
    git(repository, "init", "--quiet", "--initial-branch", "main")
    for version, fate in FATES.items():
        (repository / "fate.json").write_text(json.dumps({"version": version, **fate}), encoding="utf-8")
        (repository / "static" / "version.txt").write_text(f"{version}\n", encoding="utf-8")
        git(repository, "add", "--all")
        git(repository, "commit", "--quiet", "--message", version)
        git(repository, "tag", version)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
