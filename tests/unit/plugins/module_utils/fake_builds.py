# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds that succeed or fail as a test has it, and touch nothing."""

from __future__ import annotations

import typing as t
from contextlib import AbstractContextManager, nullcontext

from ansible_collections.flaskops.stack.plugins.module_utils._build.apply import Builds
from ansible_collections.flaskops.stack.plugins.module_utils._build.build import BuildPlan
from ansible_collections.flaskops.stack.plugins.module_utils._build.venv import BuildError
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout


class FakeBuilds(Builds):
    """The builds of a host: no release is there before its build."""

    def __init__(self, faults: t.Mapping[str, str] | None = None, lacks: t.Collection[str] = ()) -> None:
        """Take the errors of builds, and the applications whose source has to be sent."""
        self._faults = faults or {}
        self._lacks = lacks
        # Whether each application that was built is deployed next.
        self.built: dict[str, bool] = {}
        self.recorded: list[dict[str, t.Any]] = []
        # What was done under which lock, how long it was waited for, and by whom.
        self.locked: list[tuple[str, float, str]] = []

    def needs_payload(self, plan: BuildPlan) -> bool:
        return plan.app.name in self._lacks

    def is_built(self, plan: BuildPlan) -> bool:
        return plan.app.name in self.built

    def build(self, plan: BuildPlan, starts_next: bool) -> None:
        if plan.app.name in self._faults:
            raise BuildError(self._faults[plan.app.name])
        self.built[plan.app.name] = starts_next

    def verify(self, plan: BuildPlan, starts_next: bool) -> None:
        assert self.built[plan.app.name] == starts_next

    def record(self, name: str, entry: dict[str, t.Any]) -> None:
        self.recorded.append({"name": name, **entry})

    def lock(self, layout: Layout, timeout: float, what: str, by: str) -> AbstractContextManager[object]:
        self.locked.append((f"{what} of {layout.name}", timeout, by))
        return nullcontext()
