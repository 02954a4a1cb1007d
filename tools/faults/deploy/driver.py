# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try to break a deploy: a fault at each system call and command, restarts in the middle, deploys under load."""

from __future__ import annotations

import math
import os
import time
import typing as t
from dataclasses import dataclass, field, replace

from tools.common import ToolError
from tools.faults import payload
from tools.faults.inject.commands import FAULTS, ORPHANED
from tools.faults.inject.trace import KILL
from tools.faults.machines import Machine, machines_of, on_each
from tools.faults.model import Options, Outcome
from tools.faults.trial import Trial, describe_faults
from tools.lab.host import Host
from tools.traffic import ANSWERED

PACKAGES = "nginx git strace procps python3-venv"
# Each distribution meets two of them.
ERRORS = (("ENOSPC", "EACCES"), ("EIO", "EROFS"))
# Two are more than two cores have time for; a third waits for the health of a release, or is being installed.
JOBS = 6
# How far a run of these plans has got when the host is restarted.
RESTARTS = {"code": (0.3, 0.5, 0.6, 0.7, 0.8, 0.95), "rich": (0.4, 0.6, 0.7, 0.9)}


@dataclass(frozen=True)
class Task:
    """A plan, and how many of its points meet a fault: each distribution takes those that others leave out."""

    plan: str
    # Every n-th for a kill, for a command, for an error: two distributions meet all, all, and half of them.
    kills: int = 2
    commands: int = 2
    errors: int = 4


# By the host that does them; each distribution has one of each.
SHARES: dict[str, tuple[Task, ...]] = {
    # The builds of serve remove the releases that others need, so it comes last.
    "serve": (Task("task"), Task("serve")),
    "rich": (Task("rich"),),
    "code": (Task("code"), Task("first"), Task("keep")),
    "refused": (Task("refused"), Task("rollback"), Task("unwell"), Task("dying")),
}
# This one sees deploys, too.
BUSY = "code"


@dataclass
class Count:
    """What was tried, and what broke."""

    kills: int = 0
    faults: int = 0
    restarts: int = 0
    deploys: int = 0
    requests: int = 0
    broken: list[str] = field(default_factory=list)
    # Points for which there was no time.
    left: int = 0

    def add(self, other: Count) -> None:
        """Take over the numbers of another host."""
        self.kills += other.kills
        self.faults += other.faults
        self.restarts += other.restarts
        self.deploys += other.deploys
        self.requests += other.requests
        self.left += other.left
        self.broken += other.broken

    def add_injected(self, injected: t.Mapping[str, int]) -> None:
        """Take over faults: where a command loses its master, that is killed."""
        self.kills += sum(number for fault, number in injected.items() if fault in (KILL, ORPHANED))
        self.faults += sum(number for fault, number in injected.items() if fault not in (KILL, ORPHANED))

    def __str__(self) -> str:
        """Return the line that counts."""
        return (
            f"gunicorn_service: {self.kills} kill points, {self.faults} fault points, "
            f"{self.deploys} deploys under load, {len(self.broken)} broken"
        )


class DeployTrial(Trial[Count]):
    """One host with nginx and the releases of an application, and what was tried on it."""

    def __init__(self, title: str, host: Host, until: float = math.inf) -> None:
        super().__init__(title, host, Count())
        self._until = until

    def prepare(self) -> None:
        """Install what is needed, and build the releases."""
        self._host.install(PACKAGES)
        payload.install(self._host)
        index = ["env", f"PIP_INDEX_URL={url}"] if (url := os.environ.get("PIP_INDEX_URL")) else []
        self._host.run(*index, *payload.PYTHON, "-m", "tools.faults.deploy.points", "prepare")
        found = self._host.sh('. /etc/os-release; systemctl --version | head -n 1; echo "on $PRETTY_NAME"')
        self.say(" ".join(found.split()))

    def inject(self, task: Task, place: int, every: int) -> None:
        """Kill the module, and let it fail, at the calls and commands of a plan."""
        rounds: list[tuple[t.Sequence[str], int, int]] = [([KILL], task.kills, place), (FAULTS, task.commands, place)]
        errors = ERRORS[place % len(ERRORS)]
        rounds += [
            ([f"error={name}"], len(errors) * task.errors, len(errors) * place + number)
            for number, name in enumerate(errors)
        ]
        for faults, step, start in rounds:
            self._inject(task.plan, faults, step * every, start)

    def _inject(self, plan: str, faults: t.Sequence[str], step: int, start: int) -> None:
        started = time.monotonic()
        options = ["--every", str(step), "--first", str(start % step), "--until", str(self._until)]
        found = self._inside("deploy.points", "inject", plan, *faults, *options)
        injected: dict[str, int] = found.get("injected", {})
        broken = [f"{plan}: {text}" for text in found.get("broken", ())]
        self.count.add_injected(injected)
        self._blame(*broken)
        # A run takes most of an hour: a reader need not wait for its end.
        for text in broken:
            self.say(f"BROKEN: {text}")
        self.count.requests += found.get("requests", 0)
        self.count.left += found.get("left", 0)
        self.say(
            f"{plan} ({time.monotonic() - started:.0f} s): {describe_faults(injected)}; "
            f"{found.get('unreached')} points were not met again; {found.get('requests')} requests; "
            f"{len(broken)} broken"
        )

    def restart(self, plan: str, parts: t.Sequence[float]) -> None:
        """Kill the module, cut the host's power, and look at it when it is back."""
        for part in parts:
            label = self._inside("deploy.points", "leave", plan, str(part)).get("label", "")
            self._host.cut_power()
            wrong = self._inside("deploy.points", "look", plan, label).get("wrong", "nothing was said")
            self.count.restarts += 1
            if wrong:
                self._blame(f"{plan}, restarted after {wrong}")
                self.say(f"BROKEN: {plan}, restarted after {wrong}")

    def work(self, share: str, place: int, options: Options) -> None:
        """Do one host's share."""
        self.prepare()
        tasks = SHARES[share]
        for number, task in enumerate(tasks, 1):
            self.say(f"plan {task.plan}, {number} of {len(tasks)}")
            self.inject(task, place, options.every)
            self.restart(task.plan, RESTARTS.get(task.plan, ()))
        if share == BUSY:
            self.load(options.deploys)

    def load(self, deploys: int) -> None:
        """Deploy under traffic."""
        if found := self._inside("deploy.load", str(deploys)):
            self.count.deploys += found["deploys"]
            self._blame(*found["wrong"], *found["lost"])
            answered = {kind: counts.get(ANSWERED, 0) for kind, counts in found["requests"].items()}
            self.count.requests += sum(answered.values())
            label = ", ".join(f"{number} {kind}" for kind, number in answered.items())
            self.say(f"{found['deploys']} deploys in {found['seconds']:.0f} s: answered {label}; lost {found['lost']}")


def assign(distributions: t.Sequence[str], only: str) -> list[tuple[Machine, str]]:
    """Return the hosts, with the share of the work that each has; an unknown name is refused before any is made."""
    wanted = [share for share in SHARES if only in share]
    if not wanted:
        raise ToolError(f"no host is called '{only}'; there are: {', '.join(SHARES)}")
    found = machines_of(distributions)
    return [(replace(machine, label=share), share) for share in wanted for machine in found if machine.privileged]


def coverage(options: Options) -> str:
    """Return in words what part of all points meets a fault."""
    tasks = [task for share, tasks in SHARES.items() if options.only in share for task in tasks]

    def part(steps: t.Iterable[int]) -> str:
        step = max(steps) * options.every
        return f"{min(len(options.distributions), step)} of {step}"

    kills, commands = part(task.kills for task in tasks), part(task.commands for task in tasks)
    return (
        f"faults were injected into {kills} states to be killed in, {commands} commands in each of {len(FAULTS)} ways, "
        f"{part(task.errors for task in tasks)} calls to fail; of hard links, by which a virtualenv is built, 1 of 8 "
        f"of these; plans: {' '.join(task.plan for task in tasks)}"
    )


def try_to_break(options: Options) -> Outcome:
    """Try all of it, each distribution on several hosts, because most of the time is waiting."""
    shares = dict(assign(options.distributions, options.only))
    until = time.time() + 60 * options.minutes if options.minutes else math.inf

    def work(machine: Machine, host: Host, _number: int) -> Count:
        trial = DeployTrial(machine.title, host, until)
        try:
            trial.work(shares[machine], options.distributions.index(machine.distribution), options)
        except ToolError as exc:
            # The findings of the other hosts are kept.
            trial.count.broken.append(f"{machine.title}: {exc}")
            trial.say(f"BROKEN: {exc}")
        return trial.count

    total = Count()
    for count in on_each([*shares], "gunicorn", work, options.jobs or JOBS, options.keep):
        total.add(count)
    print(f"gunicorn_service: {total.requests} requests, {total.restarts} restarts, on {len(shares)} hosts", flush=True)
    print(f"gunicorn_service: {coverage(options)}", flush=True)
    if total.left:
        print(f"gunicorn_service: {total.left} of these points were left out, because time was up", flush=True)
    return Outcome(str(total), tuple(total.broken))
