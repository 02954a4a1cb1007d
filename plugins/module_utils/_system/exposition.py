# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write metrics as Prometheus reads them: its text format, version 0.0.4. Pure. Private to flaskops.stack."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

Labels = t.Mapping[str, str]
_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


@dataclass
class Family:
    """A metric with all its values."""

    name: str
    kind: str
    help: str
    samples: list[tuple[str, Labels, float]] = field(default_factory=list)

    def add(self, value: float, suffix: str = "", **labels: str) -> None:
        """Add a value; C(suffix) is that of a part of a histogram or summary."""
        self.samples.append((suffix, labels, value))


def render(families: t.Iterable[Family]) -> str:
    """Return the text of metrics; one without a value is left out."""
    return "".join(_family(family) for family in families if family.samples)


def _family(family: Family) -> str:
    head = [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
    lines = [f"{family.name}{suffix}{_labels(labels)} {_number(value)}" for suffix, labels, value in family.samples]
    return "\n".join([*head, *lines, ""])


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_text(value)}"' for name, value in labels.items()) + "}"


def _text(value: str) -> str:
    # A name that is no UTF-8 would make all of the file unreadable.
    return value.encode("utf-8", "replace").decode().translate(_ESCAPED)


def _number(value: float) -> str:
    return repr(value) if isinstance(value, float) and not value.is_integer() else str(int(value))
