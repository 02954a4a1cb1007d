# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask new releases through nginx, as a step of a hand-over. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

from .._release.proxy_probe import probe_chain
from .change import Change


class SiteProbes:
    """The step that follows the switch, while the old release could still take over again."""

    def __init__(self, go_back: t.Callable[[Change, str], None]) -> None:
        """Take what goes back to the old release with an error."""
        self._go_back = go_back

    def check(self, changes: t.Sequence[Change]) -> None:
        """Go back from releases that believe the wrong things of visitors."""
        for change in changes:
            chain = change.service.chain
            if chain is None or not change.plan.switch or change.error:
                continue
            verdict = probe_chain(chain, str(change.health["path"]))
            change.believed = not verdict.wrong and not verdict.unknown
            if verdict.unknown:
                change.note = f"what the application believes of visitors was not compared: {verdict.unknown}"
            if verdict.wrong:
                self._refuse(change, verdict.wrong)

    def _refuse(self, change: Change, wrong: str) -> None:
        previous = change.observed.current
        if previous:
            self._go_back(change, f"{wrong}\n{previous} serves again.")
        else:
            change.late = f"release {change.service.wanted.release} serves, but {wrong}"
