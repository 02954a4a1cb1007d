# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host on which a part of `make faults` tries to break something, with the tools that work inside it."""

from __future__ import annotations

import json
import time
import typing as t

from tools.faults.inject.injector import PROGRESS
from tools.faults.payload import PYTHON
from tools.lab.host import Host

# The longest work that is done without a word, on a busy machine: a round of deploys or reloads under load.
_SILENCE = 600
# Between lines that tell how far a host has come.
_PAUSE = 60


class Counting(t.Protocol):
    """What each part counts, beside what is its own."""

    broken: list[str]


CountT = t.TypeVar("CountT", bound=Counting)


class Trial(t.Generic[CountT]):
    """One host, and what was tried on it."""

    def __init__(self, title: str, host: Host, count: CountT) -> None:
        self.count = count
        self._title, self._host = title, host
        self._told = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line with the host's name."""
        print(f"{self._title}: {text}", flush=True)

    def _blame(self, *wrong: str) -> None:
        """Count what broke, with the host's name."""
        self.count.broken += [f"{self._title}: {text}" for text in wrong]

    def _inside(self, tool: str, *arguments: str) -> dict[str, t.Any]:
        """Run a module of tools/faults in the host; return the object that it prints last, or count it as broken."""
        what = " ".join(arguments)

        def on_line(line: str) -> None:
            if line.startswith(PROGRESS) and time.monotonic() > self._told + _PAUSE:
                self._told = time.monotonic()
                self.say(f"{what}: {line.removeprefix(PROGRESS).strip()}")

        said = self._host.follow(*PYTHON, "-m", f"tools.faults.{tool}", *arguments, on_line=on_line, silence=_SILENCE)
        try:
            found: dict[str, t.Any] = json.loads(said.out.strip().splitlines()[-1])
        except (ValueError, IndexError):
            self._blame(f"{tool} {what} died: {said.err[-2000:]}")
            return {}
        return found


def describe_faults(injected: t.Mapping[str, int]) -> str:
    """Return how many faults of each kind there were, in words."""
    return ", ".join(f"{number} x {fault.partition('=')[2]}" for fault, number in injected.items())
