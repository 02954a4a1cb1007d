# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run `molecule test` on scenarios, with state that no other checkout shares: `scenario.py default`."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import images
from common import CACHE, ROOT, ToolError, call

IMAGE = re.compile(rf"^\s*image: *({images.NAME}:\w+)", re.MULTILINE)
SETTINGS = {
    # Molecule finds scenarios at the top level, but asks for another place on every run unless told that this is meant.
    "MOLECULE_GLOB": "molecule/*/molecule.yml",
    "MOLECULE_COMMAND_BORDERS": "0",
}


def test(name: str) -> None:
    """Run one scenario."""
    description = ROOT / "molecule" / name / "molecule.yml"
    if not description.is_file():
        known = sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))
        raise ToolError(f"scenario {name!r} must be one of {', '.join(known)}")
    state = CACHE / "molecule" / name
    # What a scenario wants to be read last; its own directory is gone by then.
    closing = state.with_suffix(".txt")
    closing.unlink(missing_ok=True)
    places = {"MOLECULE_EPHEMERAL_DIRECTORY": str(state), "FLASKOPS_CLOSING": str(closing)}
    environment = {**os.environ, **SETTINGS, **places}
    if subprocess.run(["molecule", "test", "--scenario-name", name], cwd=ROOT, env=environment, check=False).returncode:
        raise ToolError(
            f"scenario {name} failed; look around with: molecule converge -s {name}; molecule login -s {name}"
        )
    used = dict.fromkeys(IMAGE.findall(description.read_text(encoding="utf-8")))
    print(f"scenario {name} ran on {', '.join(images.title(image) for image in used)}")
    if closing.is_file():
        print(closing.read_text(encoding="utf-8"), end="")


def main() -> int:
    """Run the scenarios named on the command line."""
    for name in sys.argv[1:] or ["default"]:
        test(name)
    return 0


if __name__ == "__main__":
    call(main)
