# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Swap a site back and forth under constant traffic and count what visitors lose. Runs inside the test host, as root.

A reload closes kept connections, idle or with a request on the way; how often each of that happens is the result
(traffic.py). With --calm the site has what avoids the cut: keepalive_min_timeout from nginx 1.27.4 on, before that no
kept connections.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from tools import traffic
from tools.faults.inject.injector import PROGRESS
from tools.faults.inject.module import Module

VISITORS = (traffic.NEW, traffic.NEW, traffic.KEPT, traffic.KEPT)
# Seconds between the requests of each.
PAUSE = 0.002
PID_FILE = Path("/run/nginx.pid")
PATIENCE = 15
# Of nginx's memory: what a reload frees does not all go back to the system at once.
GROWTH = 1.5


def version() -> tuple[int, ...]:
    """Return nginx's version."""
    said = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr
    return tuple(int(part) for part in re.findall(r"/(\d+)\.(\d+)\.(\d+)", said)[0])


def site(text: str, more: str) -> str:
    """Return the site with one of its two texts."""
    head = f"listen 80; server_name load.example.com; {more}"
    return f'server {{ {head} location / {{ return 200 "{text}"; }} }}\n'


def swap(module: Module, text: str, more: str) -> str:
    """Run the module; return what is wrong with its result."""
    ended = module.run({"name": "load", "content": site(text, more), "keep": 2})
    proved = ended.result.get("reload", {}).get("proved")
    return ended.failure or ("" if proved else "not proved")


def children() -> list[str]:
    """Return ids and titles of nginx's workers, those that are about to leave among them."""
    ask = ["ps", "-o", "pid=,args=", "--ppid", PID_FILE.read_text().strip()]
    done = subprocess.run(ask, capture_output=True, text=True, check=False)
    return [line.strip() for line in done.stdout.splitlines() if "worker process" in line]


def state() -> dict[str, int]:
    """Return how many workers nginx has, and the KiB that it and they hold beside what is mapped from files."""
    workers = children()
    pids = [PID_FILE.read_text().strip(), *(line.split()[0] for line in workers)]
    held = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    return {"workers": len(workers), "kib": sum(int(re.findall(r"\nRssAnon:\s+(\d+)", text)[0]) for text in held)}


def settled(before: dict[str, int]) -> dict[str, int]:
    """Return the state after the last worker of an old generation has gone, or after some patience."""
    deadline = time.monotonic() + PATIENCE
    while len(children()) != before["workers"] and time.monotonic() < deadline:
        time.sleep(0.1)
    return state()


def under_load(module: Module, swaps: int, more: str) -> tuple[dict[str, dict[str, int]], list[str]]:
    """Swap while visitors ask; return what became of their requests, and what went wrong with swaps."""
    wanted = traffic.Site("load.example.com", traffic.one_of((b"one", b"two").__contains__))
    wrong = []
    with traffic.Visitors(wanted, VISITORS, PAUSE) as crowd:
        for number in range(swaps):
            wrong.append(swap(module, "two" if number % 2 else "one", more))
            print(f"{PROGRESS}{number + 1} of {swaps} swaps", flush=True)
        return traffic.counts_of(crowd.end()), [text for text in wrong if text]


def main() -> int:
    """Swap, and print the counts as JSON in the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("swaps", type=int)
    parser.add_argument("--calm", action="store_true", help="with what avoids that a reload cuts connections")
    arguments = parser.parse_args()
    avoids = "keepalive_min_timeout 5s;" if version() >= (1, 27, 4) else "keepalive_timeout 0;"
    more = avoids if arguments.calm else ""
    module = Module("nginx_site")
    first = [swap(module, text, more) for text in ("one", "two")]
    time.sleep(1)
    before, started = settled({"workers": len(children())}), time.monotonic()
    requests, wrong = under_load(module, arguments.swaps, more)
    result: dict[str, t.Any] = {
        "version": ".".join(map(str, version())),
        "site": more,
        "swaps": arguments.swaps,
        "seconds": round(time.monotonic() - started, 1),
        "requests": requests,
        "before": before,
        "after": settled(before),
        "wrong": [text for text in first if text] + wrong,
    }
    result["lost"] = losses(result, arguments.calm)
    print(json.dumps(result))
    return 1 if result["lost"] or result["wrong"] else 0


def losses(result: dict[str, t.Any], calm: bool) -> list[str]:
    """Return what visitors lost although they need not, and what did not become as it was."""
    found = traffic.losses(result["requests"], [traffic.CLOSED, *([] if calm else [traffic.CUT])])
    before, after = result["before"], result["after"]
    if after["workers"] != before["workers"]:
        found.append(f"{after['workers']} workers after {before['workers']}")
    if after["kib"] > GROWTH * before["kib"]:
        found.append(f"nginx grew from {before['kib']} to {after['kib']} KiB")
    return found


if __name__ == "__main__":
    sys.exit(main())
