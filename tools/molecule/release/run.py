# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take all steps on one host under load; the last line counts. Arguments are its name and the file for the report."""

from __future__ import annotations

import contextlib
import json
import sys
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from tools.common import ToolError
from tools.molecule.release.actions import Scene
from tools.molecule.release.checks import App, Found, Outcome, check
from tools.molecule.release.host import InventoryHost, Row, StoryError, Visitors
from tools.molecule.release.steps import STEPS, Step

COUNTED = ("requests", "failed", "reopened", "repeated")
# Fewer are no load.
LEAST = 300


@dataclass
class Story:
    """The steps on one host: what serves now, by application, which releases there were, and what was counted."""

    host: InventoryHost
    report: Path
    serves: dict[str, Found] = field(default_factory=dict)
    releases: dict[App, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    problem: str = ""

    def tell(self) -> bool:
        """Take all steps, as far as they lead where they have to; tell whether no request has failed."""
        try:
            self.look(Outcome((App("v1"),)))
            for step in STEPS:
                self.problem = f"step {step.name!r} was begun"
                self.rows.append(self.take(step))
                self.write()
                print(describe(self.rows[-1]), flush=True)
            self.problem = ""
        except ToolError as exc:
            self.problem += f": {exc}"
        self.write()
        print("\n".join(filter(None, [self.problem, self.closing()])))
        return not self.problem and not sum(row["failed"] for row in self.rows)

    def look(self, outcome: Outcome) -> Found:
        """Check what a step has come to, and keep it in mind."""
        found = check(self.host, outcome)
        self.serves[found.app.name], self.releases[found.app] = found, found.release
        return found

    def take(self, step: Step) -> Row:
        """Take one step, with visitors from before it until it has been looked at."""
        began, before = time.monotonic(), self.serves[step.visits].release
        visitors = Visitors(self.host, f"{step.visits}.test", repeat=step.reloads)
        with visitors if step.visited else contextlib.nullcontext():
            outcome = step.act(Scene(self.host, self.serves[step.visits].app, self.releases))
            found = self.look(outcome)
        figures = visitors.figures or {**dict.fromkeys(COUNTED, 0), "answers": {}, "failures": {}}
        row = {"step": step.name, "serves": found.release, **figures, "took": round(time.monotonic() - began, 1)}
        judge(step, {before, self.serves[step.visits].release} | (found.others if outcome.passing else set()), row)
        return row

    def write(self) -> None:
        """Keep the figures for the tests."""
        report = {"host": self.host.name, "closing": self.closing(), "problem": self.problem, "steps": self.rows}
        self.report.write_text(json.dumps(report, indent=1), encoding="utf-8")

    def closing(self) -> str:
        """Return the line with which the scenario ends."""
        total = {key: sum(row[key] for row in self.rows) for key in COUNTED}
        counts = f"requests: {total['requests']}, failed: {total['failed']}"
        steps = f"{len(self.rows)} of {len(STEPS)} steps"
        return f"{self.host.name}: {counts} ({steps}, {total['repeated']} repeated after reloads)"


def judge(step: Step, releases: set[str], row: Row) -> None:
    """Compare what the visitors saw with what they may see; failures are counted, and judged at the end."""
    others = set(row["answers"]) - releases
    if others:
        raise StoryError(f"{step.name}: visitors saw {others} besides {releases}")
    if step.visited and row["requests"] < LEAST:
        raise StoryError(f"{step.name}: {row['requests']} requests are no load")


def describe(row: t.Mapping[str, t.Any]) -> str:
    """Return a step in a line."""
    failures = f" {row['failures']}" if row["failures"] else ""
    counts = f"requests: {row['requests']}, failed: {row['failed']}{failures}"
    reloads = f", closed while idle: {row['reopened']}, repeated: {row['repeated']}" if row["reopened"] else ""
    return f"{row['step']}: {counts}{reloads}, by release: {row['answers']}, {row['took']} s"


def main() -> int:
    """Tell the story of one host."""
    name, report = sys.argv[1:]
    return 0 if Story(InventoryHost(name), Path(report)).tell() else 1


if __name__ == "__main__":
    sys.exit(main())
