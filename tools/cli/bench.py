# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the collection on one test host over SSH, side by side with what it is compared to.

Writes results.json, results.md and results.svg, and exits 1 when a budget is missed.
docs/benchmarks.md says what is compared.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import typing as t
from pathlib import Path

from tools.bench import latency, nginx, release, requests, site
from tools.bench.host import BenchHost
from tools.bench.model import Benchmark, Measurement, Result, Subject
from tools.bench.report import to_markdown, to_svg
from tools.common import ROOT, call, run
from tools.lab import engine, images

# Each part has a host of its own.
PARTS: dict[str, dict[str, Benchmark]] = {
    "site": {"second_run": site.second_run, "release_small": release.small, "release_large": release.large},
    "latency": {"latency": latency.latency},
    "requests": {
        "requests_json": requests.json_route,
        "requests_wait": requests.wait_route,
        "requests_cpu": requests.cpu_route,
        "requests_static": requests.static_file,
        "requests_tls": requests.tls_file,
    },
    "nginx": {"nginx_task": nginx.task, "nginx_many": nginx.many, "nginx_four_tasks": nginx.four_tasks},
}

# A median of fewer is not worth its name; they are taken even when the time is up.
LEAST_REPETITIONS = 3


class Repetitions:
    """A plan with a number of repetitions and a time after which no more of them begin."""

    def __init__(self, count: int, seconds: float) -> None:
        self.count, self.seconds = count, seconds

    def measure(self, *subjects: Subject, most: int = 0) -> list[Measurement]:
        """Run the subjects in turn, so that a change of the machine's load meets all of them alike."""
        deadline = time.monotonic() + self.seconds
        found: list[list[float]] = [[] for _subject in subjects]
        for number in range(min(self.count, most or self.count)):
            if number >= LEAST_REPETITIONS and time.monotonic() > deadline:
                break
            for subject, values in zip(subjects, found, strict=True):
                values.append(subject.run())
                print(f"  {subject.name}: {values[-1]:.2f}{subject.unit}", flush=True)
        return [
            Measurement(subject.name, subject.what, tuple(values), subject.unit)
            for subject, values in zip(subjects, found, strict=True)
        ]


def describe(host: BenchHost, options: argparse.Namespace, load: float) -> dict[str, str]:
    """Return what the results were measured on."""
    release = host.script('. /etc/os-release; echo "$PRETTY_NAME"')
    versions = host.script("nginx -v 2>&1 | cut -d / -f 2; python3 --version | cut -d ' ' -f 2").split()
    core = run(["ansible-playbook", "--version"]).splitlines()[0]
    return {
        "Date": time.strftime("%Y-%m-%d", time.gmtime()),
        "Host": f"{release} in a container ({host.image}), nginx {versions[0]}, Python {versions[1]}",
        "Controller": f"{core}, Python {platform.python_version()}, {os.cpu_count()} processors shared with the host",
        "Connection": "SSH over loopback with ControlPersist and pipelining",
        "Load before": f"{load:.1f} (what else runs on the machine makes all times longer, and ratios less sure)",
        "Repetitions": f"up to {options.repetitions}, the subjects in turn; medians count",
    }


def write(directory: Path, results: t.Sequence[Result], about: dict[str, str]) -> None:
    """Write the three forms of the results."""
    document = {
        "schema": 2,
        "about": about,
        "results": [
            {
                "title": result.title,
                "measurements": [measurement.to_json() for measurement in result.measurements],
                "budgets": [budget.to_json() for budget in result.budgets],
            }
            for result in results
        ],
    }
    (directory / "results.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (directory / "results.md").write_text(to_markdown(results, about), encoding="utf-8")
    (directory / "results.svg").write_text(to_svg(results), encoding="utf-8")


def parse_options() -> argparse.Namespace:
    """Return the command line's options."""
    known = "; ".join(f"{part} ({', '.join(benchmarks)})" for part, benchmarks in PARTS.items())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"parts or benchmarks: {known}; all by default")
    parser.add_argument("--host", choices=images.AGES, default=images.AGES[0], help="its distribution (%(default)s)")
    parser.add_argument("--repetitions", type=int, default=5, help="of each subject (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=240, help="after which a benchmark begins no more (%(default)s)"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench", help="directory (%(default)s)")
    options = parser.parse_args()
    unknown = set(options.names) - set(PARTS).union(*PARTS.values())
    if unknown:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {known}")
    return options


def chosen(names: t.Collection[str]) -> dict[str, dict[str, Benchmark]]:
    """Return the benchmarks that are named, by parts; all of them when none is."""
    parts = {
        part: {name: one for name, one in benchmarks.items() if not names or {part, name} & set(names)}
        for part, benchmarks in PARTS.items()
    }
    return {part: benchmarks for part, benchmarks in parts.items() if benchmarks}


def main() -> int:
    """Measure, write and judge."""
    options = parse_options()
    (options.output / "work").mkdir(parents=True, exist_ok=True)
    engine.ensure()
    images.ensure([options.host], os.environ.get("FLASKOPS_HOSTS", ""))
    results, load = [], os.getloadavg()[0]
    for benchmarks in chosen(options.names).values():
        with BenchHost(f"{images.NAME}:{options.host}", options.output / "work") as host:
            for name, benchmark in benchmarks.items():
                print(f"{name}:", flush=True)
                results.append(benchmark(host, Repetitions(options.repetitions, options.seconds)))
            about = describe(host, options, load)
    write(options.output, results, about)
    print(to_markdown(results, about))
    missed = [budget.name for result in results for budget in result.budgets if not budget.is_met]
    print(f"bench: {'missed: ' + '; '.join(missed) if missed else 'every budget is met'}; see {options.output}")
    return 1 if missed else 0


if __name__ == "__main__":
    call(main)
