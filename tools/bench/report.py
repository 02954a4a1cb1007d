# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results as a Markdown table and as a picture. Pure."""

from __future__ import annotations

import typing as t
from html import escape

from .model import Budget, Measurement, Result

_WIDTH, _LABEL, _ROW, _HEAD = 860, 230, 26, 34
_PLOT = _WIDTH - _LABEL - 90


def to_markdown(results: t.Sequence[Result], about: t.Mapping[str, str]) -> str:
    """Return the tables of all results, and what they were measured on."""
    lines = [f"- {name}: {value}" for name, value in about.items()]
    for result in results:
        lines += ["", f"## {result.title}", "", "| what ran | median | all runs |", "| --- | ---: | --- |"]
        lines += [_measurement_row(measurement) for measurement in result.measurements]
        lines += ["", "| budget | measured | at most | |", "| --- | ---: | ---: | --- |"]
        lines += [_budget_row(budget) for budget in result.budgets]
        lines += ["", *result.notes] if result.notes else []
    return "\n".join(lines) + "\n"


def _measurement_row(measurement: Measurement) -> str:
    times = ", ".join(f"{second:.2f}" for second in measurement.seconds)
    return f"| **{measurement.name}**: {measurement.what} | {measurement.median:.2f} s | {times} |"


def _budget_row(budget: Budget) -> str:
    return f"| {budget.name} | {budget.value:.3g} | {budget.limit:g} | {'met' if budget.is_met else '**missed**'} |"


def to_svg(results: t.Sequence[Result]) -> str:
    """Return bars of the medians, each with its runs as dots and a mark where its budget ends."""
    parts: list[str] = []
    top = 10
    for result in results:
        parts += _panel(result, top)
        top += _HEAD + _ROW * len(result.measurements) + 24
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" font-family="sans-serif" font-size="13">'
    )
    background = f'<rect width="{_WIDTH}" height="{top}" fill="#fff"/>'
    return "\n".join([head, background, *parts, "</svg>"]) + "\n"


def _panel(result: Result, top: int) -> list[str]:
    allowed = {
        budget.measured.name: budget.against.median * budget.limit
        for budget in result.budgets
        if budget.measured and budget.against
    }
    longest = max([*allowed.values(), *(second for item in result.measurements for second in item.seconds)])
    parts = [_text(10, top + 16, result.title + ' <tspan fill="#667">(seconds; | is the budget)</tspan>', bold=True)]
    for number, item in enumerate(result.measurements):
        parts += _bar(item, allowed.get(item.name), top + _HEAD + _ROW * number, _PLOT / longest)
    return parts


def _bar(item: Measurement, allowed: float | None, top: int, scale: float) -> list[str]:
    color = "#4477aa" if allowed is None else "#228833" if item.median <= allowed else "#cc3311"
    width = item.median * scale
    parts = [
        _text(10, top + 14, escape(item.name)),
        f'<rect x="{_LABEL}" y="{top}" width="{width:.1f}" height="18" fill="{color}" fill-opacity="0.75"/>',
        *(
            f'<circle cx="{_LABEL + second * scale:.1f}" cy="{top + 9}" r="2.2" fill="#222"/>'
            for second in item.seconds
        ),
        _text(_WIDTH - 80, top + 14, f"{item.median:.2f} s"),
    ]
    if allowed is not None:
        x = _LABEL + allowed * scale
        parts.append(f'<path d="M{x:.1f} {top - 3}v24" stroke="#cc3311" stroke-width="3"/>')
    return parts


def _text(x: float, y: float, content: str, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x}" y="{y}" fill="#222"{weight}>{content}</text>'
