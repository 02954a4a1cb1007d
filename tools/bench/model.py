# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a benchmark is made of: subjects that run side by side, and budgets for their medians. Pure."""

from __future__ import annotations

import statistics
import typing as t
from dataclasses import dataclass


@dataclass(frozen=True)
class Subject:
    """Something that takes time."""

    name: str
    what: str
    # Runs it once and returns the seconds that count.
    run: t.Callable[[], float]


@dataclass(frozen=True)
class Measurement:
    """The times of one subject."""

    name: str
    what: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Return the time that counts."""
        return statistics.median(self.seconds)

    def to_json(self) -> dict[str, object]:
        """Return the form it has in results.json."""
        times = [round(second, 3) for second in self.seconds]
        return {"name": self.name, "what": self.what, "median": round(self.median, 3), "seconds": times}


@dataclass(frozen=True)
class Budget:
    """A value and what it may be at most."""

    name: str
    value: float
    limit: float
    # The measurements that the value is the ratio of; none when it is a count.
    measured: Measurement | None = None
    against: Measurement | None = None

    @property
    def is_met(self) -> bool:
        """Tell whether the value is within the limit."""
        return self.value <= self.limit

    def to_json(self) -> dict[str, object]:
        """Return the form it has in results.json."""
        return {
            "name": self.name,
            "value": round(self.value, 3),
            "limit": self.limit,
            "met": self.is_met,
            "measured": self.measured.name if self.measured else None,
            "against": self.against.name if self.against else None,
        }


def ratio(name: str, measured: Measurement, against: Measurement, limit: float) -> Budget:
    """Return the budget of one median as a multiple of another."""
    return Budget(name, measured.median / against.median, limit, measured, against)


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
