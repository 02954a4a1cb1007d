# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inject faults at each command of a module: it fails, or loses its answer, or its master. Runs inside a test host.

A directory before all others of PATH has a script for each of these commands. It counts, and otherwise only starts the
real one. What the module starts to outlive it finds the scripts, too, so a fault may meet that.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import typing as t
from dataclasses import dataclass
from pathlib import Path

from tools.faults.inject.injector import Injection, Subject, label_of
from tools.faults.inject.trace import Point, spread

# The command does nothing and fails; it does all, and then says that it failed; the module is killed, and the command
# goes on.
FAILS, LIES, ORPHANED = "command=fails", "command=lies", "command=orphaned"
FAULTS = (FAILS, LIES, ORPHANED)
_NUMBERS = itertools.count()
_PLACE = Path("/var/tmp/fault-commands")
_SCRIPT = """#!/bin/sh
PATH=${PATH#*:}
me=${0##*/}
printf '%s %s %s\\n' "$me" "$1" "$2" | tr '\\n' ' ' >> "$FAULT_LOG"; echo >> "$FAULT_LOG"
if [ "$(wc -l < "$FAULT_LOG")" = "$FAULT_AT" ]; then
  : > "${FAULT_LOG%.log}.injected"
  case $FAULT_HOW in
    command=fails) echo "injected for a test" >&2; exit 1;;
    command=lies) "$me" "$@"; echo "injected for a test" >&2; exit 1;;
    command=orphaned) kill -KILL "$PPID";;
  esac
fi
exec "$me" "$@"
"""


@dataclass(frozen=True)
class Commands:
    """Inject faults at the commands that the change runs."""

    names: t.Sequence[str]
    faults: t.Sequence[str] = FAULTS
    every: int = 1
    first: int = 0

    def find(self, subject: Subject) -> list[Injection]:
        """Return each kind of fault at each command."""
        shutil.rmtree(_PLACE, ignore_errors=True)
        _PLACE.mkdir()
        for name in self.names:
            script = _PLACE / name
            script.write_text(_SCRIPT)
            script.chmod(0o755)
        with _before_path(0, ""):
            subject.change()
            lines = _log().read_text().splitlines() if _log().exists() else []
        found = [Point(line.split()[0], number, line) for number, line in enumerate(lines, 1)]
        return [(fault, point) for fault in self.faults for point in spread(found, self.every, self.first)]

    def inject(self, subject: Subject, fault: str, point: Point) -> tuple[str, bool]:
        """Make the change with one fault."""
        with _before_path(point.number, fault):
            ended = subject.change()
            return label_of(fault, point, ended), _log().with_suffix(".injected").exists()


def _log() -> Path:
    return Path(os.environ["FAULT_LOG"])


@contextlib.contextmanager
def _before_path(number: int, how: str) -> t.Iterator[None]:
    """Let what is started in the block find the scripts, of which one injects a fault."""
    before = os.environ["PATH"]
    # What outlives one run does not count in the next.
    log = str(_PLACE / f"{next(_NUMBERS)}.log")
    more = {"FAULT_LOG": log, "FAULT_AT": str(number), "FAULT_HOW": how, "PATH": f"{_PLACE}:{before}"}
    os.environ.update(more)
    try:
        yield
    finally:
        for name in more:
            del os.environ[name]
        os.environ["PATH"] = before
