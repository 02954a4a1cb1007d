# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try to lead root astray with what a hostile build, a hook or an application leaves where root looks later."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from tools.common import ToolError
from tools.faults import payload
from tools.faults.machines import Machine, machines_of, on_each
from tools.faults.model import Options, Outcome
from tools.faults.trial import Trial
from tools.lab.host import Host

PACKAGES = "git procps python3-venv"


@dataclass
class Count:
    """What was planted, and what broke."""

    tried: int = 0
    refused: int = 0
    broken: list[str] = field(default_factory=list)

    def add(self, other: Count) -> None:
        """Take over the numbers of another host."""
        self.tried += other.tried
        self.refused += other.refused
        self.broken += other.broken

    def __str__(self) -> str:
        """Return the line that counts."""
        return f"planted: {self.tried} hostile trees, {self.refused} refused, {len(self.broken)} broken"


class PlantedTrial(Trial[Count]):
    """One host, and what was planted on it."""

    def __init__(self, title: str, host: Host) -> None:
        super().__init__(title, host, Count())

    def work(self, every: int) -> None:
        """Install what is needed, and plant."""
        started = time.monotonic()
        self._host.install(PACKAGES)
        payload.install(self._host)
        found = self._inside("planted.trees", str(every))
        self.count.tried += found.get("tried", 0)
        self.count.refused += found.get("refused", 0)
        self._blame(*found.get("broken", ()))
        self.say(f"{self.count} ({time.monotonic() - started:.0f} s)")


def try_to_break(options: Options) -> Outcome:
    """Plant everything everywhere, on each distribution."""

    def work(machine: Machine, host: Host, _number: int) -> Count:
        trial = PlantedTrial(machine.title, host)
        try:
            trial.work(options.every)
        except ToolError as exc:
            trial.count.broken.append(f"{machine.title}: {exc}")
        return trial.count

    total = Count()
    hosts = [machine for machine in machines_of(options.distributions) if machine.privileged]
    for count in on_each(hosts, "planted", work, options.jobs or len(hosts), options.keep):
        total.add(count)
    return Outcome(str(total), tuple(total.broken))
