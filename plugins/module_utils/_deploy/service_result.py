# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of one service of a task. Private to flaskops.stack."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ServiceResult:
    """The result of one service; the defaults are those of a service whose deploy was not begun."""

    name: str
    release: str
    version: str = ""
    previous: str = ""
    changed: bool = False
    error: str = ""
    units: list[str] = field(default_factory=list)
    finishing: list[str] = field(default_factory=list)
    probes: list[dict[str, t.Any]] = field(default_factory=list)
    hooks: list[dict[str, t.Any]] = field(default_factory=list)
    warning: str = ""
    believed: bool = False
    drained: bool = True
    pruned: list[str] = field(default_factory=list)
    room: str = ""
    seconds: float = 0.0
    gap: float = 0.0
    threads: bool = False

    def to_json(self) -> dict[str, t.Any]:
        """Return it as the result of a task has it."""
        return dict(vars(self))
