# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results as a Markdown table and as a picture. Pure."""

from __future__ import annotations

import typing as t
from html import escape

from .model import MEMORY, MILLISECONDS, RATE, SECONDS, Budget, Measurement, Result

_DIGITS = {SECONDS: 2, MILLISECONDS: 1, RATE: 0, MEMORY: 0}
_NAMES = {SECONDS: "seconds", MILLISECONDS: "milliseconds", RATE: "per second", MEMORY: "MiB"}
_WIDTH, _LABEL, _ROW, _HEAD = 860, 230, 26, 34
_PLOT = _WIDTH - _LABEL - 90


def to_markdown(results: t.Sequence[Result], about: t.Mapping[str, str]) -> str:
    """Return the tables of all results, and what they were measured on."""
    lines = [f"- {name}: {value}" for name, value in about.items()]
    for result in results:
        lines += ["", f"## {result.title}", "", "| what ran | median | all runs |", "| --- | ---: | --- |"]
        lines += [_measurement_row(measurement) for measurement in result.measurements]
        lines += ["", "| budget | measured | limit | |", "| --- | ---: | ---: | --- |"]
        lines += [_budget_row(budget) for budget in result.budgets]
        lines += ["", *result.notes] if result.notes else []
    return "\n".join(lines) + "\n"


def _measurement_row(measurement: Measurement) -> str:
    values = ", ".join(_number(value, measurement.unit) for value in measurement.values)
    median = _number(measurement.median, measurement.unit) + measurement.unit
    return f"| **{measurement.name}**: {measurement.what} | {median} | {values} |"


def _number(value: float, unit: str) -> str:
    return f"{value:,.{_DIGITS[unit]}f}"


def _budget_row(budget: Budget) -> str:
    return f"| {budget.name} | {budget.value:.3g} | {budget.bound} | {'met' if budget.is_met else '**missed**'} |"


def to_svg(results: t.Sequence[Result]) -> str:
    """Return bars of the medians, each with its runs as dots and a mark where its budget ends."""
    parts: list[str] = []
    top = 10
    for result in results:
        for unit in dict.fromkeys(item.unit for item in result.measurements):
            alike = [item for item in result.measurements if item.unit == unit]
            parts += _panel(result, unit, alike, top)
            top += _HEAD + _ROW * len(alike) + 24
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" font-family="sans-serif" font-size="13">'
    )
    background = f'<rect width="{_WIDTH}" height="{top}" fill="#fff"/>'
    return "\n".join([head, background, *parts, "</svg>"]) + "\n"


def _panel(result: Result, unit: str, items: t.Sequence[Measurement], top: int) -> list[str]:
    budgets = {
        budget.measured: budget for budget in result.budgets if budget.measured and budget.against and budget.limit
    }
    limits = {item: budget.against.median * budget.limit for item, budget in budgets.items() if budget.against}
    longest = max([*(limits[item] for item in items if item in limits), *(value for i in items for value in i.values)])
    title = f'{escape(result.title)} <tspan fill="#667">({_NAMES[unit]}; | is the budget)</tspan>'
    parts = [_text(10, top + 16, title, bold=True)]
    for number, item in enumerate(items):
        budget = budgets.get(item)
        color = "#4477aa" if budget is None else "#228833" if budget.is_met else "#cc3311"
        parts += _bar(item, color, limits.get(item), top + _HEAD + _ROW * number, _PLOT / (longest or 1))
    return parts


def _bar(item: Measurement, color: str, limit: float | None, top: int, scale: float) -> list[str]:
    width = item.median * scale
    parts = [
        _text(10, top + 14, escape(item.name)),
        f'<rect x="{_LABEL}" y="{top}" width="{width:.1f}" height="18" fill="{color}" fill-opacity="0.75"/>',
        *(f'<circle cx="{_LABEL + value * scale:.1f}" cy="{top + 9}" r="2.2" fill="#222"/>' for value in item.values),
        _text(_WIDTH - 80, top + 14, _number(item.median, item.unit) + item.unit),
    ]
    if limit is not None:
        x = _LABEL + limit * scale
        parts.append(f'<path d="M{x:.1f} {top - 3}v24" stroke="#cc3311" stroke-width="3"/>')
    return parts


def _text(x: float, y: float, content: str, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x}" y="{y}" fill="#222"{weight}>{content}</text>'
