# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Strike a module at each command that it runs: the command fails, or loses its answer, or its master. Runs in a host.

A directory before all others of PATH has a script for each of these commands. It counts, and otherwise only starts the
real one. What the module starts to outlive it finds the scripts, too, so a blow may meet that.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import typing as t
from dataclasses import dataclass
from pathlib import Path

from tools.faults.inject.injector import Deal, Subject, tell
from tools.faults.inject.trace import Point, spread

# The command does nothing and fails; it does all, and then says that it failed; the module is killed, and the command
# goes on.
FAILS, LIES, ORPHANED = "command=fails", "command=lies", "command=orphaned"
BLOWS = (FAILS, LIES, ORPHANED)
_NUMBERS = itertools.count()
_PLACE = Path("/var/tmp/strike-commands")
_SCRIPT = """#!/bin/sh
PATH=${PATH#*:}
me=${0##*/}
printf '%s %s %s\\n' "$me" "$1" "$2" | tr '\\n' ' ' >> "$STRIKE_LOG"; echo >> "$STRIKE_LOG"
if [ "$(wc -l < "$STRIKE_LOG")" = "$STRIKE_AT" ]; then
  : > "${STRIKE_LOG%.log}.struck"
  case $STRIKE_HOW in
    command=fails) echo "struck for a test" >&2; exit 1;;
    command=lies) "$me" "$@"; echo "struck for a test" >&2; exit 1;;
    command=orphaned) kill -KILL "$PPID";;
  esac
fi
exec "$me" "$@"
"""


@dataclass(frozen=True)
class Commands:
    """Strike at the commands that the change runs."""

    names: t.Sequence[str]
    blows: t.Sequence[str] = BLOWS
    every: int = 1
    first: int = 0

    def find(self, subject: Subject) -> list[Deal]:
        """Return each kind of blow at each command."""
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
        return [(blow, point) for blow in self.blows for point in spread(found, self.every, self.first)]

    def deal(self, subject: Subject, blow: str, point: Point) -> tuple[str, bool]:
        """Make the change with one blow."""
        with _before_path(point.number, blow):
            ended = subject.change()
            return tell(blow, point, ended), _log().with_suffix(".struck").exists()


def _log() -> Path:
    return Path(os.environ["STRIKE_LOG"])


@contextlib.contextmanager
def _before_path(number: int, how: str) -> t.Iterator[None]:
    """Let what is started in the block find the scripts, of which one deals a blow."""
    before = os.environ["PATH"]
    # What outlives one run does not count in the next.
    log = str(_PLACE / f"{next(_NUMBERS)}.log")
    more = {"STRIKE_LOG": log, "STRIKE_AT": str(number), "STRIKE_HOW": how, "PATH": f"{_PLACE}:{before}"}
    os.environ.update(more)
    try:
        yield
    finally:
        for name in more:
            del os.environ[name]
        os.environ["PATH"] = before
