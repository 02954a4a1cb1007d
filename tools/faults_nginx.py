# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try to break nginx_site on test hosts, and count: stories, kill points, fault points."""

from __future__ import annotations

import argparse
import sys
import time
import traceback

import nginx_hostile
import nginx_layouts
import nginx_scenarios
from nginx_host import Host
from nginx_story import STORIES, reset

CHAPTERS = (nginx_scenarios, nginx_layouts, nginx_hostile)


def tell(host: Host, only: str) -> list[str]:
    """Run the stories and return the names of those that ended badly."""
    broken = []
    for one in [told for chapter in CHAPTERS for told in vars(chapter).values() if told in STORIES]:
        if only and only not in one.__name__:
            continue
        started = time.monotonic()
        try:
            reset(host)
            one(host)
            verdict = "ok"
        except AssertionError:
            broken.append(one.__name__)
            verdict = f"BROKEN\n{traceback.format_exc()}"
        print(f"{host.name}: {one.__name__} ({time.monotonic() - started:.1f} s): {verdict}", flush=True)
    return broken


def main() -> int:
    """Run everything on the hosts named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "hosts", nargs="+", help="running containers with nginx, NAME or NAME:shadow where mounts are refused"
    )
    parser.add_argument("--only", default="", help="part of a story's name")
    arguments = parser.parse_args()
    broken = []
    for argument in arguments.hosts:
        name, _colon, method = argument.partition(":")
        host = Host(name, method or "namespace")
        host.install()
        broken += tell(host, arguments.only)
    print(f"nginx_site: {len(broken)} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
