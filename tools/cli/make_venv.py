# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the virtualenv with the pinned tools, .venv, unless it is there for these pins already.

FLASKOPS_PYTHON names the interpreter to use, by default the newest that is found here, and FLASKOPS_ANSIBLE=2.20
another ansible-core than the pins have for it. Any Python 3 runs this file.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time

from tools.common import ROOT, ToolError, apt_install, call, run, say, succeeds

VENV = ROOT / ".venv"
PINS = ROOT / "requirements" / "dev.txt"
STAMP = VENV / "made-from"
# What the pins are for, the newest first.
VERSIONS = ("3.14", "3.13", "3.12", "3.11")
FIRST_MINOR = 19


def ansible_pins(wanted: str) -> list[str]:
    """Return what takes the place of the pins for a version of ansible-core, with the collections of its time."""
    if not wanted:
        return []
    major, _dot, minor = wanted.partition(".")
    if major != "2" or not minor.isdigit() or int(minor) < FIRST_MINOR:
        raise ToolError(f"FLASKOPS_ANSIBLE={wanted} must be a version of ansible-core from 2.{FIRST_MINOR} on")
    return [f"ansible-core~={wanted}.0", f"ansible~={int(minor) - 7}.0"]


def version_of(python: str) -> str:
    """Return the version of an interpreter, "3.12"; empty if it does not run (pyenv's shims may not)."""
    try:
        return run([python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).strip()
    except ToolError:
        return ""


def find_python() -> str:
    """Return the interpreter to use."""
    wanted = os.environ.get("FLASKOPS_PYTHON", "")
    if wanted:
        found = version_of(wanted)
        if found not in VERSIONS:
            raise ToolError(
                f"FLASKOPS_PYTHON={wanted} is Python {found or 'that does not run'}; it must be {' or '.join(VERSIONS)}"
            )
        return wanted
    # Not the one of the virtualenv that is to be made, as when that one is activated.
    places = os.pathsep.join(place for place in os.environ["PATH"].split(os.pathsep) if place != str(VENV / "bin"))
    for name in (*(f"python{version}" for version in VERSIONS), "python3"):
        path = shutil.which(name, path=places)
        if path and version_of(path) in VERSIONS:
            return path
    raise ToolError(
        "no Python 3.11 or newer is found; install one (Debian 12, Ubuntu 24.04 and newer: apt-get install python3)"
    )


def ensure_venv_module(python: str) -> None:
    """Install what Debian splits off from Python: the modules venv and ensurepip."""
    if not succeeds([python, "-c", "import venv, ensurepip"]):
        apt_install(f"python{version_of(python)}-venv")


def digest() -> str:
    """Return what the virtualenv depends on: the pins, and the place that its programs name in their first line."""
    ansible = os.environ.get("FLASKOPS_ANSIBLE", "")
    return hashlib.sha256(PINS.read_bytes() + str(VENV).encode() + ansible.encode()).hexdigest()


def make(python: str) -> None:
    """Make the virtualenv from nothing."""
    started = time.monotonic()
    say(f"making .venv with Python {version_of(python)} and the tools of {PINS.relative_to(ROOT)}, about a minute")
    ensure_venv_module(python)
    shutil.rmtree(VENV, ignore_errors=True)
    run([python, "-m", "venv", VENV])
    # Errors of pip are shown as they are: they are what a person behind a proxy or a mirror needs.
    options = ["-qq", "--disable-pip-version-check", "--no-compile", "--requirement", str(PINS)]
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", *options]
    if subprocess.run(pip, check=False).returncode != 0:
        raise ToolError(f"pip could not install {PINS.relative_to(ROOT)}; its message is above")
    other = ansible_pins(os.environ.get("FLASKOPS_ANSIBLE", ""))
    if other:
        run([str(VENV / "bin" / "python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check", *other])
    STAMP.write_text(digest(), encoding="utf-8")
    say(f"made .venv in {time.monotonic() - started:.0f} s")


def is_current() -> bool:
    """Tell whether the virtualenv is whole, made from these pins, and its Python still runs."""
    if not STAMP.is_file() or STAMP.read_text(encoding="utf-8") != digest():
        return False
    wanted = os.environ.get("FLASKOPS_PYTHON", "")
    have = version_of(str(VENV / "bin" / "python"))
    return bool(have) and (not wanted or version_of(wanted) == have)


def main() -> int:
    """See to the virtualenv."""
    if not is_current():
        make(find_python())
    return 0


if __name__ == "__main__":
    call(main)
