# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try to break nginx_site on test hosts, and count: stories, kill points, fault points, swaps under load."""

from __future__ import annotations

import argparse
import json
import os
import time
import traceback
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import engine
import hosts
import images
import nginx_hostile
import nginx_layouts
import nginx_scenarios
from common import call, docker
from nginx_host import PAYLOAD, Host
from nginx_story import STORIES, reset

CHAPTERS = (nginx_scenarios, nginx_layouts, nginx_hostile)
PACKAGES = "nginx strace openssl procps"
ERRORS = ("ENOSPC", "EIO", "EACCES", "EROFS")
PLANS = ("one", "many", "files")
TOOLS = Path(__file__).resolve().parent


@dataclass
class Count:
    """What was tried, and what broke."""

    stories: int = 0
    kills: int = 0
    faults: int = 0
    swaps: int = 0
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Return the last line of the report."""
        return (
            f"nginx_site: {self.stories} stories, {self.kills} kill points, {self.faults} fault points, "
            f"{self.swaps} swaps under load, {len(self.broken)} broken"
        )


def prepare(host: Host) -> None:
    """Install nginx and the module in a host."""
    install = f"DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends {PACKAGES}"
    host.sh(f"dpkg -s {PACKAGES} >/dev/null 2>&1 || {{ apt-get update -qq && {install} >/dev/null; }}")
    host.install()
    print(f"{host.name}: {host.sh('. /etc/os-release; echo $PRETTY_NAME; nginx -v 2>&1')}", flush=True)


def tell(host: Host, only: str, count: Count) -> None:
    """Run the stories."""
    for one in [told for chapter in CHAPTERS for told in vars(chapter).values() if told in STORIES]:
        if only not in one.__name__:
            continue
        started = time.monotonic()
        count.stories += 1
        try:
            reset(host)
            one(host)
            verdict = "ok"
        except AssertionError:
            count.broken.append(f"{host.name}: {one.__name__}")
            verdict = f"BROKEN\n{traceback.format_exc()}"
        print(f"{host.name}: {one.__name__} ({time.monotonic() - started:.1f} s): {verdict}", flush=True)


def inside(host: Host, tool: str, *arguments: str) -> dict[str, t.Any]:
    """Run one of the tools that work inside a host, and return the object that it prints last."""
    reset(host)
    host.sh("rm -f /etc/nginx/sites-enabled/default; nginx -s reload")
    host.write(f"{PAYLOAD}/{tool}", (TOOLS / tool).read_text())
    said = host.run("python3", f"{PAYLOAD}/{tool}", *arguments, check=False, timeout=7200)
    print(f"{host.name}: {tool} {' '.join(arguments)}: {said.out.strip()}{said.err.strip()}", flush=True)
    found: dict[str, t.Any] = json.loads(said.out.strip().splitlines()[-1])
    return found


def strike(host: Host, count: Count, every: int) -> None:
    """Kill the module, and let it fail, at each of its system calls."""
    for plan in PLANS:
        killed = inside(host, "nginx_points.py", plan, "signal=KILL")
        count.kills += killed["points"]
        count.broken += killed["broken"]
        for error in ERRORS:
            failed = inside(host, "nginx_points.py", plan, f"error={error}", "--every", str(every))
            count.faults += failed["points"]
            count.broken += failed["broken"]


def load(host: Host, count: Count, swaps: int) -> None:
    """Swap a site under traffic."""
    result = inside(host, "nginx_load.py", str(swaps))
    count.swaps += result["swaps"]
    count.broken += result["wrong"] + result["lost"]


def started_hosts() -> list[Host]:
    """Return new hosts: two distributions with systemd, and a container in which mounts are refused."""
    engine.ensure()
    images.ensure(list(images.AGES), os.environ.get("FLASKOPS_HOSTS", ""))
    found = []
    for age in images.AGES:
        name = hosts.container(f"faults-{age}")
        hosts.start(name, f"{images.NAME}:{age}", [])
        found.append(Host(name))
    name = hosts.container("faults-unprivileged")
    hosts.remove(name)
    docker("run", "--detach", "--init", "--name", name, f"{images.NAME}:older", "sleep", "infinity")
    if bundle := hosts.private_bundle():
        docker("cp", "--follow-link", bundle, f"{name}:{hosts.BUNDLE}")
    return [*found, Host(name, "shadow")]


def main() -> int:
    """Run everything, on new hosts or on those named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hosts", nargs="*", help="containers that run, NAME or NAME:shadow where mounts are refused")
    parser.add_argument("--only", default="", help="only stories with this in their names, and no points")
    parser.add_argument("--every", type=int, default=1, help="let each n-th call fail only")
    parser.add_argument("--swaps", type=int, default=200)
    parser.add_argument("--keep", action="store_true", help="leave the new hosts for a look at them")
    arguments = parser.parse_args()
    named = [
        Host(name, method or "namespace") for name, _at, method in (text.partition(":") for text in arguments.hosts)
    ]
    used = named or started_hosts()
    count = Count()
    for host in used:
        prepare(host)
        tell(host, arguments.only, count)
    if not arguments.only:
        strike(used[0], count, arguments.every)
        for host in used:
            load(host, count, arguments.swaps // len(used))
    if not named and not arguments.keep:
        for host in used:
            hosts.remove(host.name)
    print("\n".join(count.broken))
    print(count)
    return 1 if count.broken else 0


if __name__ == "__main__":
    call(main)
