# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run targets of the Makefile, all of them also when the first fails, and close with a table and a count."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import dataclass

from tools.common import ROOT, call

# The closing line of pytest, with or without its frame.
PYTEST = re.compile(r"^=*\s*(?:(?P<failed>\d+) failed)?(?:, )?(?:(?P<passed>\d+) passed)?.* in [\d.]+s")
HOSTS = re.compile(r"^scenario \S+ ran (?P<hosts>on .+)$")


@dataclass
class Outcome:
    """What became of one target."""

    target: str
    passed: bool = False
    tests: int = 0
    hosts: str = ""
    seconds: float = 0

    def read(self, line: str) -> None:
        """Take from a line of the target's output what the table shows."""
        if found := PYTEST.match(line):
            self.tests += int(found["passed"] or 0)
        if found := HOSTS.match(line.strip()):
            self.hosts = found["hosts"]

    def row(self) -> str:
        """Return the target's line of the table."""
        verdict = "passed" if self.passed else "FAILED"
        notes = [f"{self.tests} tests"] if self.tests else []
        note = ", ".join(filter(None, [*notes, self.hosts]))
        return f"  {self.target:<10} {verdict}  {self.seconds:5.0f} s  {note}".rstrip()


def run(target: str) -> Outcome:
    """Run one target and show its output as it comes."""
    print(f"\n==== make {target}", flush=True)
    outcome = Outcome(target)
    started = time.monotonic()
    process = subprocess.Popen(
        ["make", target],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    for line in process.stdout or ():
        print(line, end="", flush=True)
        outcome.read(line)
    outcome.passed = process.wait() == 0
    outcome.seconds = time.monotonic() - started
    return outcome


def main() -> int:
    """Run the targets named on the command line."""
    outcomes = [run(target) for target in sys.argv[1:]]
    failed = sum(not outcome.passed for outcome in outcomes)
    print(f"\n==== {sum(outcome.seconds for outcome in outcomes):.0f} s, Python {sys.version.split()[0]}")
    print("\n".join(outcome.row() for outcome in outcomes))
    print(f"{len(outcomes) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    call(main)
