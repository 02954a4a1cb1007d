# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a benchmark is made of: subjects that run side by side, and budgets for their medians. Pure."""

from __future__ import annotations

import statistics
import typing as t
from dataclasses import dataclass

# What is measured in, as it is written behind a number.
SECONDS, MILLISECONDS, RATE, MEMORY = " s", " ms", "/s", " MiB"


@dataclass(frozen=True)
class Subject:
    """Something that takes time, or does so much in a time."""

    name: str
    what: str
    # Runs it once and returns the value that counts.
    run: t.Callable[[], float]
    unit: str = SECONDS


@dataclass(frozen=True)
class Measurement:
    """The values of one subject, one for each run."""

    name: str
    what: str
    values: tuple[float, ...]
    unit: str = SECONDS

    @property
    def median(self) -> float:
        """Return the value that counts."""
        return statistics.median(self.values)

    def to_json(self) -> dict[str, object]:
        """Return the form it has in results.json."""
        values = [round(value, 3) for value in self.values]
        return {
            "name": self.name,
            "what": self.what,
            "unit": self.unit.strip(),
            "median": round(self.median, 3),
            "values": values,
        }


@dataclass(frozen=True)
class Budget:
    """A value and its limit: what it may be at most or, of rates, has to be at least."""

    name: str
    value: float
    limit: float
    # The measurements that the value is the ratio of; none when it is a count.
    measured: Measurement | None = None
    against: Measurement | None = None
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        """Tell whether the value is within the limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def bound(self) -> str:
        """Return the limit as a table has it."""
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"

    def to_json(self) -> dict[str, object]:
        """Return the form it has in results.json."""
        return {
            "name": self.name,
            "value": round(self.value, 3),
            "limit": self.limit,
            "at_least": self.at_least,
            "met": self.is_met,
            "measured": self.measured.name if self.measured else None,
            "against": self.against.name if self.against else None,
        }


def ratio(name: str, measured: Measurement, against: Measurement, limit: float, *, at_least: bool = False) -> Budget:
    """Return the budget of one median as a multiple of another."""
    return Budget(name, measured.median / against.median, limit, measured, against, at_least)


@dataclass(frozen=True)
class Result:
    """What one benchmark found."""

    title: str
    measurements: tuple[Measurement, ...]
    budgets: tuple[Budget, ...]
    # What else is worth saying, in sentences.
    notes: tuple[str, ...] = ()


class Plan(t.Protocol):
    """How often to measure, and when to stop."""

    def measure(self, *subjects: Subject, most: int = 0) -> list[Measurement]:
        """Run the subjects in turn, again and again, though not more than C(most) times, and return their times."""


Benchmark = t.Callable[[t.Any, Plan], Result]
