# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try to break nginx_site: stories and hostile input, a fault at each of its system calls, swaps under load."""

from __future__ import annotations

import collections
import time
import traceback
import typing as t
from dataclasses import dataclass, field

from tools.faults import payload
from tools.faults.inject.trace import KILL
from tools.faults.machines import Machine, machines_of, on_each
from tools.faults.model import Options, Outcome
from tools.faults.nginx import hostile, layouts, malice, ports, reloads, scenarios
from tools.faults.nginx.host import NginxTestHost
from tools.faults.nginx.story import STORIES, reset
from tools.faults.trial import Trial, describe_faults
from tools.lab.host import CommandError, Host
from tools.traffic import ANSWERED, CLOSED, CUT, KEPT, NEW

CHAPTERS = (scenarios, layouts, reloads, hostile, malice, ports)
PACKAGES = "nginx strace openssl procps"
ERRORS = ("ENOSPC", "EIO", "EACCES", "EROFS")
# One link; links and a file. A host without CAP_SYS_ADMIN, where each run makes more calls, takes the second only.
PLANS = {"namespace": ("one", "files"), "shadow": ("files",)}
JOBS = 4
# Random configurations, on each host.
COMPARED = 600
# Swaps with what avoids a cut connection, and swaps while others test the configuration, for each swap without.
CALM = 0.25
READ = 0.25


@dataclass
class Count:
    """What was tried, and what broke."""

    stories: int = 0
    kills: int = 0
    faults: int = 0
    swaps: int = 0
    compared: int = 0
    broken: list[str] = field(default_factory=list)

    def add(self, other: Count) -> None:
        """Take over the numbers of another host."""
        self.stories += other.stories
        self.kills += other.kills
        self.faults += other.faults
        self.swaps += other.swaps
        self.compared += other.compared
        self.broken += other.broken

    def __str__(self) -> str:
        """Return the line that counts."""
        return (
            f"nginx_site: {self.kills} kill points, {self.faults} fault points, {self.swaps} swaps under load, "
            f"{self.compared} configurations compared, {len(self.broken)} broken"
        )


class NginxTrial(Trial[Count]):
    """One host with nginx, and what was tried on it."""

    def __init__(self, title: str, host: NginxTestHost) -> None:
        super().__init__(title, host, Count())
        self._nginx = host

    def prepare(self) -> None:
        """Install nginx and the module."""
        self._host.install(PACKAGES)
        payload.install(self._host)
        found = self._host.sh('. /etc/os-release; nginx -v 2>&1; python3 --version; echo "on $PRETTY_NAME"')
        self.say(f"{' '.join(found.split())}, {self._nginx.method}")

    def tell(self, only: str) -> None:
        """Run the stories."""
        for one in [story for chapter in CHAPTERS for story in vars(chapter).values() if story in STORIES]:
            if only not in one.__name__:
                continue
            started = time.monotonic()
            self.count.stories += 1
            verdict = "ok"
            try:
                reset(self._nginx)
                one(self._nginx)
            except (AssertionError, CommandError):
                self._blame(one.__name__)
                verdict = f"BROKEN\n{traceback.format_exc()}"
            self.say(f"{one.__name__} ({time.monotonic() - started:.1f} s): {verdict}")

    def _inside(self, tool: str, *arguments: str) -> dict[str, t.Any]:
        """Run a tool on nginx as it was installed, but with no site."""
        reset(self._nginx)
        self._host.sh("rm -f /etc/nginx/sites-enabled/default; nginx -s reload")
        return super()._inside(tool, *arguments)

    def inject(self, errors: t.Sequence[str], every: int) -> None:
        """Kill the module, and let it fail with the given errors, at each of its system calls."""
        faults = [KILL, *(f"error={name}" for name in errors)]
        for plan in PLANS[self._nginx.method]:
            started = time.monotonic()
            found = self._inside("nginx.points", plan, *faults, "--every", str(every))
            injected: dict[str, int] = found.get("injected", {})
            broken = found.get("broken", ())
            self._blame(*broken)
            self.count.kills += injected.get(KILL, 0)
            self.count.faults += sum(number for fault, number in injected.items() if fault != KILL)
            self.say(
                f"plan {plan} ({time.monotonic() - started:.0f} s): {describe_faults(injected)}; "
                f"{found.get('unreached')} points were not met again; {len(broken)} broken"
            )

    def compare(self, number: int, part: int) -> None:
        """Compare validation with what nginx says of the same configuration on disk; each host takes others."""
        started = time.monotonic()
        # Where mounts are allowed, the shadow tree is compared as well.
        methods = "namespace,shadow" if self._nginx.method == "namespace" else "shadow"
        first = str(part * number)
        found = self._inside("nginx.differential", str(number), "--first", first, "--methods", methods)
        if found:
            self.count.compared += found["configurations"]
            self._blame(*found["wrong"])
            self.say(
                f"{found['configurations']} configurations compared ({time.monotonic() - started:.0f} s), "
                f"{found['right']} of them right; {len(found['wrong'])} broken"
            )

    def load(self, swaps: int) -> None:
        """Swap a site under traffic, with what avoids cut connections and without."""
        for number, options in ((swaps, []), (round(swaps * CALM), ["--calm"])):
            found = self._inside("nginx.load", str(number), *options)
            if found:
                self.count.swaps += found["swaps"]
                self._blame(*found["wrong"], *found["lost"])
                self.say(explain(found))

    def read(self, swaps: int) -> None:
        """Swap sites while others run `nginx -t`."""
        found = self._inside("nginx.readers", str(round(swaps * READ)))
        if found:
            self._blame(*found["wrong"], *found["failures"])
            self.say(f"{found['swaps']} swaps, {found['tests']} foreign tests, {len(found['failures'])} of them failed")


def explain(found: dict[str, t.Any]) -> str:
    """Return what visitors noticed of swaps, and why."""
    new, kept = (collections.Counter(found["requests"][kind]) for kind in (NEW, KEPT))
    before, after = found["before"], found["after"]
    own = sum(number for what, number in new.items() if what != ANSWERED)
    lost = sum(number for what, number in kept.items() if what not in (ANSWERED, CLOSED, CUT))
    text = [
        f"nginx {found['version']}, {found['swaps']} swaps in {found['seconds']:.0f} s",
        f" with '{found['site']}'" if found["site"] else "",
        f": of {new.total()} requests on connections of their own {own} failed; of {kept[ANSWERED]} on kept ones ",
        f"{kept[CUT]} were cut and asked again, {kept[CLOSED]} found a connection closed ",
        f"while idle, {lost} were lost",
        f"; workers {before['workers']} -> {after['workers']}, memory {before['kib']} -> {after['kib']} KiB",
    ]
    if not found["site"]:
        text.append(
            ". A reload closes kept connections that are idle, and a request may be on its way on one. "
            "What avoids that: from nginx 1.27.4 on keepalive_min_timeout, before that 'keepalive_timeout 0'"
        )
    return "".join(text)


def share(errors: t.Sequence[str], number: int, hosts: int) -> list[str]:
    """Return the errors for one of several hosts: all of them meet each error at least once together."""
    return [name for place, name in enumerate(errors) if place % hosts == number % len(errors)]


def try_to_break(options: Options) -> Outcome:
    """Try all of it, on hosts with and without CAP_SYS_ADMIN."""
    machines = machines_of(options.distributions)

    def work(machine: Machine, host: Host, number: int) -> Count:
        trial = NginxTrial(machine.title, NginxTestHost(host.name, "namespace" if machine.privileged else "shadow"))
        trial.prepare()
        trial.tell(options.only)
        if not options.only:
            trial.compare(COMPARED // options.every, number)
            trial.inject(share(ERRORS, number, len(machines)), options.every)
            trial.load(options.swaps)
            trial.read(options.swaps)
        return trial.count

    total = Count()
    for count in on_each(machines, "nginx", work, options.jobs or JOBS, options.keep):
        total.add(count)
    print(f"nginx_site: {total.stories} stories on {len(machines)} hosts", flush=True)
    return Outcome(str(total), tuple(total.broken))
