# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hooks of releases as steps of a hand-over. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

from .._input.hooks import AFTER, BEFORE, MIGRATE, HookError
from .._system.command import CommandError
from .change import Change
from .hook_run import Ran

_ERRORS = (HookError, CommandError, OSError)


class HookSteps:
    """The steps of a hand-over that run commands of the user's."""

    def __init__(
        self, run_hooks: t.Callable[[Change, str], list[Ran]], give_up: t.Callable[[Change, str], None]
    ) -> None:
        """Take what runs the hooks of a stage, and what undoes a change with an error."""
        self._run_hooks = run_hooks
        self._give_up = give_up

    def migrate(self, changes: t.Sequence[Change]) -> None:
        """Migrate the databases of releases that are not started yet."""
        for change in changes:
            self._run(change, MIGRATE)

    def before(self, changes: t.Sequence[Change]) -> None:
        """Run what comes before the switch to releases that have proved their health."""
        for change in changes:
            self._run(change, BEFORE)

    def _run(self, change: Change, stage: str) -> None:
        """Run the hooks of a release that has no traffic yet; one that fails costs nothing but the release."""
        if not change.plan.switch:
            return
        try:
            change.ran += self._run_hooks(change, stage)
        except _ERRORS as exc:
            serving = f"; {change.observed.current} serves on" if change.observed.current else ""
            release = change.service.wanted.release
            self._give_up(change, f"{exc}\nRelease {release} was taken away before it had any traffic{serving}.")

    def after(self, changes: t.Sequence[Change]) -> None:
        """Run what comes after the switch; when that fails the release serves nevertheless."""
        for change in changes:
            try:
                change.ran += self._run_hooks(change, AFTER) if change.plan.switch else []
            except _ERRORS as exc:
                change.late = f"release {change.service.wanted.release} serves, but this did not go well: {exc}"
