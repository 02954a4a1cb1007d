# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run `molecule test` on scenarios: `python -m tools.cli.scenario default`.

What it adds to Molecule: the engine and the images where they are missing, also without a container registry, and
names and state that no other checkout shares.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

from tools.common import CACHE, CHECKOUT, ROOT, ToolError, call
from tools.lab import engine, images

# As molecule.yml names them.
VARIABLES = {"newer": "FLASKOPS_IMAGE_NEWER", "older": "FLASKOPS_IMAGE_OLDER"}
SETTINGS = {
    # Molecule finds scenarios at the top level, but asks for another place on every run unless told that this is meant.
    "MOLECULE_GLOB": "molecule/*/molecule.yml",
    "MOLECULE_COMMAND_BORDERS": "0",
    "FLASKOPS_CHECKOUT": CHECKOUT,
    "FLASKOPS_IMAGES_READY": "true",
    **{variable: images.image_of(age) for age, variable in VARIABLES.items()},
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
    settings = {**SETTINGS, **places}
    text = description.read_text(encoding="utf-8")
    ages = [age for age, variable in VARIABLES.items() if variable in text]
    images.provide(ages, os.environ.get("FLASKOPS_HOSTS", ""))
    words = ["molecule", "test", "--scenario-name", name]
    if subprocess.run(words, cwd=ROOT, env={**os.environ, **settings}, check=False).returncode:
        export = shlex.join(f"{key}={value}" for key, value in settings.items())
        raise ToolError(
            f"scenario {name} failed; look around with:\n  export {export}\n"
            f"  molecule converge -s {name}; molecule login -s {name}"
        )
    print(f"scenario {name} ran on {', '.join(images.title(images.image_of(age)) for age in ages)}")
    if closing.is_file():
        print(closing.read_text(encoding="utf-8"), end="")


def main() -> int:
    """Run the scenarios named on the command line."""
    engine.ensure()
    for name in sys.argv[1:] or ["default"]:
        test(name)
    return 0


if __name__ == "__main__":
    call(main)
