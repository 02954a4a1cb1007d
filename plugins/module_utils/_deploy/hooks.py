# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hooks of releases as steps of a deploy. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

from .._input.hooks import AFTER, BEFORE, MIGRATE, HookError
from .._system.command import CommandError
from .deployment import Deployment
from .hook_run import HookResult

_ERRORS = (HookError, CommandError, OSError)


class HookSteps:
    """The steps of a deploy that run the user's commands."""

    def __init__(
        self, run_hooks: t.Callable[[Deployment, str], list[HookResult]], abort: t.Callable[[Deployment, str], None]
    ) -> None:
        """Take the functions that run the hooks of a stage and abort a deployment."""
        self._run_hooks = run_hooks
        self._abort = abort

    def migrate(self, deployments: t.Sequence[Deployment]) -> None:
        """Run the migrate hooks, before the releases are started."""
        for deployment in deployments:
            self._run(deployment, MIGRATE)

    def before(self, deployments: t.Sequence[Deployment]) -> None:
        """Run the before_switch hooks of releases that are healthy."""
        for deployment in deployments:
            self._run(deployment, BEFORE)

    def _run(self, deployment: Deployment, stage: str) -> None:
        """Run the hooks of a release that is not live yet; a failure aborts the deploy."""
        if not deployment.plan.switch:
            return
        try:
            deployment.hook_results += self._run_hooks(deployment, stage)
        except _ERRORS as exc:
            serving = f"; {deployment.observed.current} still serves" if deployment.observed.current else ""
            release = deployment.service.wanted.release
            self._abort(deployment, f"{exc}\nRelease {release} was removed before the switch{serving}.")

    def after(self, deployments: t.Sequence[Deployment]) -> None:
        """Run the after_switch hooks; a failure is reported, and the release stays live."""
        for deployment in deployments:
            try:
                deployment.hook_results += self._run_hooks(deployment, AFTER) if deployment.plan.switch else []
            except _ERRORS as exc:
                deployment.post_switch_error = (
                    f"release {deployment.service.wanted.release} is live, but its after_switch hook failed: {exc}"
                )
