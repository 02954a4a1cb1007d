# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tools share. They need Python 3.11 and its library alone: they run before any virtualenv exists."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"

# Several checkouts on one machine share its Docker engine and must not take each other's containers.
CHECKOUT = hashlib.sha256(str(ROOT).encode()).hexdigest()[:6]


class ToolError(Exception):
    """Something that the person who called the tool can mend; the text says how."""


def say(text: str) -> None:
    """Tell the caller what happens now."""
    print(f"-- {text}", file=sys.stderr, flush=True)


def run(command: t.Sequence[str | Path], **options: t.Any) -> str:
    """Return what a command prints; its failure is a ToolError that holds the command and its last words."""
    words = [str(word) for word in command]
    try:
        result: subprocess.CompletedProcess[str] = subprocess.run(
            words, check=False, text=True, capture_output=True, **options
        )
    except FileNotFoundError:
        raise ToolError(f"{words[0]} is not installed") from None
    except subprocess.TimeoutExpired as exc:
        raise ToolError(f"{shlex.join(words)} did not end within {exc.timeout:.0f} s") from None
    if result.returncode != 0:
        last = "\n".join((result.stdout + result.stderr).strip().splitlines()[-20:])
        raise ToolError(f"{shlex.join(words)} exited {result.returncode}:\n{last}")
    return result.stdout


def succeeds(command: t.Sequence[str], **options: t.Any) -> bool:
    """Tell whether a command exits 0."""
    try:
        run(command, **options)
    except ToolError:
        return False
    return True


def docker(*arguments: str | Path, **options: t.Any) -> str:
    """Return what a docker command prints."""
    return run(["docker", *arguments], **options)


def is_root() -> bool:
    """Tell whether this process may install packages and start an engine."""
    return os.geteuid() == 0


def apt_install(*packages: str) -> None:
    """Install Debian packages, as root."""
    if not is_root() or not shutil.which("apt-get"):
        raise ToolError(
            f"install {' '.join(packages)} (as root, on Debian and Ubuntu: apt-get install {' '.join(packages)})"
        )
    say(f"installing {' '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-q"], env=environment)
    run(["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages], env=environment)


def call(main: t.Callable[[], int], interrupted: str = "") -> t.NoReturn:
    """Run a tool; what its caller can mend is printed in one line, without a traceback.

    C(interrupted) says how to go on after Ctrl-C.
    """
    try:
        sys.exit(main())
    except ToolError as exc:
        sys.exit(f"{Path(sys.argv[0]).name}: {exc}")
    except KeyboardInterrupt:
        if interrupted:
            print(f"\n{Path(sys.argv[0]).name}: interrupted. {interrupted}", file=sys.stderr, flush=True)
        sys.exit(130)
