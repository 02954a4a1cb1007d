# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts on which something is to be broken: with systemd, or without it and without CAP_SYS_ADMIN."""

from __future__ import annotations

import os
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tools.common import ToolError
from tools.lab import engine, images
from tools.lab.host import Host

Result = t.TypeVar("Result")


@dataclass(frozen=True)
class Machine:
    """A host to be made."""

    distribution: str
    privileged: bool = True
    # What sets it apart from others like it.
    label: str = ""

    @property
    def title(self) -> str:
        """Return its name in what is printed."""
        return "-".join([self.distribution, *filter(None, ["" if self.privileged else "unprivileged", self.label])])

    def start(self, part: str) -> Host:
        """Make it anew, and return it."""
        host = Host.of_checkout(f"faults-{part}-{self.title}")
        host.remove()
        # systemd does not start in an ordinary container, so nginx runs without.
        host.create(images.image_of(self.distribution), systemd=self.privileged)
        if self.privileged:
            host.wait_for_boot()
        return host


def machines_of(distributions: t.Sequence[str]) -> list[Machine]:
    """Return the hosts for distributions, and see to their images: each with CAP_SYS_ADMIN and without."""
    engine.ensure()
    images.provide(distributions, os.environ.get("FLASKOPS_HOSTS", ""))
    return [Machine(name, privileged) for privileged in (True, False) for name in distributions]


def on_each(
    wanted: t.Sequence[Machine], part: str, work: t.Callable[[Machine, Host, int], Result], jobs: int, keep: bool
) -> list[Result]:
    """Do the work on each host, on several at once; a host exists only as long as its work takes."""

    def one(number: int, machine: Machine) -> Result:
        started = time.monotonic()
        try:
            host = machine.start(part)
        except ToolError:
            # Several that start at once may take an engine longer than one of them is given.
            host = machine.start(part)
        try:
            return work(machine, host, number)
        finally:
            print(f"{machine.title}: {time.monotonic() - started:.0f} s in all", flush=True)
            if not keep:
                host.remove()

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, range(len(wanted)), wanted))
