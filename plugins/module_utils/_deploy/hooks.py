# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hooks of releases as steps of a hand-over. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

from .._input.hooks import AFTER, BEFORE, MIGRATE, HookError
from .._system.command import CommandError
from .deployment import Deployment
from .hook_run import HookResult

_ERRORS = (HookError, CommandError, OSError)


class HookSteps:
    """The steps of a hand-over that run commands of the user's."""

    def __init__(
        self, run_hooks: t.Callable[[Deployment, str], list[HookResult]], abort: t.Callable[[Deployment, str], None]
    ) -> None:
        """Take what runs the hooks of a stage, and what undoes a change with an error."""
        self._run_hooks = run_hooks
        self._abort = abort

    def migrate(self, deployments: t.Sequence[Deployment]) -> None:
        """Migrate the databases of releases that are not started yet."""
        for deployment in deployments:
            self._run(deployment, MIGRATE)

    def before(self, deployments: t.Sequence[Deployment]) -> None:
        """Run what comes before the switch to releases that have proved their health."""
        for deployment in deployments:
            self._run(deployment, BEFORE)

    def _run(self, deployment: Deployment, stage: str) -> None:
        """Run the hooks of a release that has no traffic yet; one that fails costs nothing but the release."""
        if not deployment.plan.switch:
            return
        try:
            deployment.hook_results += self._run_hooks(deployment, stage)
        except _ERRORS as exc:
            serving = f"; {deployment.observed.current} serves on" if deployment.observed.current else ""
            release = deployment.service.wanted.release
            self._abort(deployment, f"{exc}\nRelease {release} was taken away before it had any traffic{serving}.")

    def after(self, deployments: t.Sequence[Deployment]) -> None:
        """Run what comes after the switch; when that fails the release serves nevertheless."""
        for deployment in deployments:
            try:
                deployment.hook_results += self._run_hooks(deployment, AFTER) if deployment.plan.switch else []
            except _ERRORS as exc:
                deployment.post_switch_error = (
                    f"release {deployment.service.wanted.release} serves, but this did not go well: {exc}"
                )
