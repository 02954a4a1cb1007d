# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try to leave something behind: applications that fork away when they are built, loaded, or run as hooks."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from tools.faults import payload
from tools.faults.machines import Machine, machines_of, on_each
from tools.faults.model import Options, Outcome
from tools.faults.trial import Trial
from tools.lab.host import Host

PACKAGES = "git procps python3-venv"
JOBS = 2


@dataclass
class Count:
    """What was tried, and what broke."""

    stories: int = 0
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Return the line that counts."""
        return f"fences: {self.stories} ways to fork away or to fill the host, {len(self.broken)} broken"


class FenceTrial(Trial[Count]):
    """One host, and what was tried on it."""

    def work(self) -> None:
        """Tell all stories."""
        self._host.install(PACKAGES)
        payload.install(self._host)
        found = self._inside("fence.stories", os.environ.get("PIP_INDEX_URL", ""))
        self.count.stories += found.get("stories", 0)
        self._blame(*found.get("broken", ()))
        self.say(str(self.count))


def try_to_break(options: Options) -> Outcome:
    """Try all of it on each distribution."""

    def work(machine: Machine, host: Host, _number: int) -> Count:
        trial = FenceTrial(machine.title, host, Count())
        trial.work()
        return trial.count

    total = Count()
    machines = [machine for machine in machines_of(options.distributions) if machine.privileged]
    for count in on_each(machines, "fence", work, options.jobs or JOBS, options.keep):
        total.stories += count.stories
        total.broken += count.broken
    return Outcome(str(total), tuple(total.broken))
