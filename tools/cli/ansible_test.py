# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-test from a checkout in any directory: `python -m tools.cli.ansible_test sanity`, or any other words.

ansible-test insists on a path that ends in ansible_collections/flaskops/stack, so it gets a copy of what git knows.
`sanity` alone runs every test with this Python, then `compile` and `import` with every other Python found here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import typing as t
import urllib.error
import urllib.request
from pathlib import Path

from tools.common import ROOT, ToolError, call, run, say, succeeds

CACHE = Path.home() / ".ansible" / "test" / "cache"
# The versions of pip that ansible-core 2.19, and 2.20 and newer, ask for.
PIP_VERSIONS = ("24.2", "25.2")
PIP_URL = "https://ci-files.testing.ansible.com/ansible-test/get-pip-{}.py"
PIP_STUB = "import ensurepip\n\nensurepip.bootstrap(upgrade=True, default_pip=True)\n"
# ansible-test prints this and exits 0, for example in a directory that git ignores.
NOTHING = "All targets skipped"
# Of every Python that a module may meet; those that this ansible-core does not know are left out by it.
OTHER_PYTHONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
# The checkout's own link to itself would make the tree endless.
LEFT_OUT = (".ansible/",)


def copy_checkout(destination: Path) -> None:
    """Copy the files that git knows or would accept."""
    listed = run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]).split("\0")
    for name in filter(None, listed):
        source = ROOT / name
        if name.startswith(LEFT_OUT) or not (source.is_file() or source.is_symlink()):
            continue
        target = destination / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)


def can_download(url: str) -> bool:
    """Tell whether a file is to be had."""
    try:
        request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - the address is a constant
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310
            return True
    except (urllib.error.URLError, OSError):
        return False


def provide_pip() -> None:
    """Put pip's bootstrap program where ansible-test looks for it, when it could not download it."""
    missing = [version for version in PIP_VERSIONS if not (CACHE / f"get_pip_{version.replace('.', '_')}.py").exists()]
    if not missing or can_download(PIP_URL.format(missing[-1])):
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    for version in missing:
        (CACHE / f"get_pip_{version.replace('.', '_')}.py").write_text(PIP_STUB, encoding="utf-8")


def other_pythons() -> dict[str, Path]:
    """Return the other interpreters found here that can make a virtualenv, pyenv's among them."""
    mine = "{}.{}".format(*sys.version_info)
    found = {}
    for version in OTHER_PYTHONS:
        name = f"python{version}"
        places = [
            Path(shutil.which(name) or name),
            *sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/{name}")),
        ]
        for path in places:
            if version != mine and version not in found and succeeds([str(path), "-c", "import ensurepip, venv"]):
                found[version] = path
    return found


def show(lines: t.Iterable[str]) -> list[str]:
    """Print what ansible-test says, but for pip's words on its private virtualenvs; return those of the last one."""
    held: list[str] = []
    for line in lines:
        if line.startswith("Installing requirements"):
            held = [line]
        elif held and not line.startswith(("Running ", "ERROR", "FATAL")):
            held.append(line)
        else:
            held = []
            print(line, end="", flush=True)
            if NOTHING in line:
                raise ToolError("ansible-test found nothing to test")
    return held


def passes(words: list[str], directory: Path, pythons: Path) -> bool:
    """Run ansible-test and tell whether it passed; no test at all is a failure too."""
    process = subprocess.Popen(
        ["ansible-test", *words],
        cwd=directory,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{pythons}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    held = show(process.stdout or ())
    if process.wait() != 0:
        print("".join(held), end="")
    return process.returncode == 0


def passes_sanity(directory: Path, pythons: Path) -> bool:
    """Run every sanity test with this Python, and those that other versions may fail with the others."""
    passed = passes(["sanity", "--python", "{}.{}".format(*sys.version_info)], directory, pythons)
    others = other_pythons()
    for version, path in others.items():
        (pythons / f"python{version}").symlink_to(path)
    if others:
        say(f"compile and import with Python {', '.join(others)} too, as far as this ansible-core knows them")
        passed = passes(["sanity", "--test", "compile", "--test", "import"], directory, pythons) and passed
    return passed


def main() -> int:
    """Run ansible-test on a copy of this checkout."""
    words = sys.argv[1:]
    if not words:
        raise ToolError("which command? for example: sanity")
    provide_pip()
    with tempfile.TemporaryDirectory(prefix="flaskops-ansible-test-") as name:
        tree = Path(name) / "ansible_collections" / "flaskops" / "stack"
        copy_checkout(tree)
        pythons = Path(name) / "pythons"
        pythons.mkdir()
        passed = passes_sanity(tree, pythons) if words == ["sanity"] else passes(words, tree, pythons)
    if not passed:
        raise ToolError(f"ansible-test {' '.join(words)} failed")
    return 0


if __name__ == "__main__":
    call(main)
