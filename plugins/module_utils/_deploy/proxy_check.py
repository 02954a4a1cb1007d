# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the forwarded headers of a new release through nginx, after the switch. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

from .._release.proxy_probe import check_forwarded_headers
from .deployment import Deployment


class ProxyCheck:
    """The step after the switch, while the old release still runs and can be reverted to."""

    def __init__(self, revert: t.Callable[[Deployment, str], None]) -> None:
        """Take the function that reverts to the old release."""
        self._revert = revert

    def check(self, deployments: t.Sequence[Deployment]) -> None:
        """Revert releases that see a wrong client address, scheme or host behind nginx."""
        for deployment in deployments:
            chain = deployment.service.chain
            if chain is None or not deployment.plan.switch or deployment.error:
                continue
            verdict = check_forwarded_headers(deployment.host, chain, deployment.health.path)
            deployment.proxy_verified = not verdict.wrong and not verdict.unknown
            if verdict.unknown:
                deployment.step_warning = f"forwarded-header check skipped: {verdict.unknown}"
            if verdict.wrong:
                self._revert_or_warn(deployment, verdict.wrong)

    def _revert_or_warn(self, deployment: Deployment, wrong: str) -> None:
        previous = deployment.observed.current
        if previous:
            self._revert(deployment, f"{wrong}\n{previous} serves again.")
        else:
            deployment.post_switch_error = f"release {deployment.service.wanted.release} is live, but {wrong}"
