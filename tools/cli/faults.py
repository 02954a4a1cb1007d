# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try to break on test hosts what promises to survive: killed runs, failing calls, traffic, malice; count what broke.

Each part has a driver, a module with a function `try_to_break(Options) -> Outcome`. The package
inject, which makes a module's system calls and commands fail, and machines.py, which makes hosts, serve all parts.
"""

from __future__ import annotations

import argparse
import time
import typing as t

from tools.common import ToolError, call
from tools.faults.deploy import driver as deploy
from tools.faults.fence import driver as fence
from tools.faults.model import Options, Outcome
from tools.faults.nginx import driver as nginx
from tools.faults.planted import driver as planted
from tools.lab import images

# By the names that PART= takes, in the order in which they run. Each ends with a line of its own.
PARTS: dict[str, t.Callable[[Options], Outcome]] = {
    "nginx": nginx.try_to_break,
    "fence": fence.try_to_break,
    "gunicorn": deploy.try_to_break,
    "planted": planted.try_to_break,
}


def parse() -> tuple[list[str], Options]:
    """Return the parts to run and what they are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", default=",".join(PARTS), help="of %(default)s; several with commas")
    parser.add_argument("--distributions", default=" ".join(images.AGES), help=f"of {', '.join(images.names())}")
    parser.add_argument("--only", default="", help="nginx: only stories with this in their names; gunicorn: only hosts")
    parser.add_argument("--every", type=int, default=1, help="take each n-th point only")
    parser.add_argument(
        "--minutes", type=int, default=0, help="gunicorn: inject no more after these; tells what is left"
    )
    parser.add_argument("--swaps", type=int, default=200, help="under load, on each host (%(default)s)")
    parser.add_argument("--deploys", type=int, default=30, help="under load, one host each (%(default)s)")
    parser.add_argument("--jobs", type=int, default=0, help="hosts at once; as many as is right for the part")
    parser.add_argument("--keep", action="store_true", help="leave the hosts for a look at them")
    given = parser.parse_args()
    parts, distributions = given.part.split(","), tuple(given.distributions.replace(",", " ").split())
    for what, names, known in (("part", parts, [*PARTS]), ("distribution", distributions, images.names())):
        if unknown := sorted(set(names) - set(known)):
            raise ToolError(f"{what} {unknown[0]!r} must be one of {', '.join(known)}")
    asked = Options(
        distributions,
        every=given.every,
        minutes=given.minutes,
        swaps=given.swaps,
        deploys=given.deploys,
        only=given.only,
        keep=given.keep,
        jobs=given.jobs,
    )
    return parts, asked


def main() -> int:
    """Run the parts, and end with the lines that count."""
    parts, options = parse()
    started = time.monotonic()
    outcomes = [PARTS[part](options) for part in parts]
    broken = [text for outcome in outcomes for text in outcome.broken]
    print("\n".join(f"BROKEN {text}" for text in broken))
    print(f"faults: {time.monotonic() - started:.0f} s")
    for outcome in outcomes:
        print(outcome.line)
    return 1 if broken else 0


if __name__ == "__main__":
    call(main)
