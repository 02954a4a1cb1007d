# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start releases beside those that serve, as the first step of a hand-over. Private to flaskops.stack."""

from __future__ import annotations

import time
import typing as t

from ._command import CommandError
from ._gunicorn_assets import arm_assets
from ._gunicorn_change import Change
from ._gunicorn_host import UnitDirectory
from ._systemd import daemon_reload, systemctl
from ._systemd_defaults import default_stop_seconds

Step = t.Callable[[Change], None]


class Starts:
    """The step that writes the units and starts them."""

    def __init__(
        self,
        directory: UnitDirectory,
        attempt: t.Callable[[Change, Step], None],
        refuse: t.Callable[[Change, str], None],
    ) -> None:
        """Take the unit directory, what does a step for one service alone, and what refuses a release."""
        self._directory = directory
        self._attempt = attempt
        self._refuse = refuse

    def start(self, changes: t.Sequence[Change]) -> None:
        """Start the releases; nobody waits for their health here."""
        for change in changes:
            self._attempt(change, self._write)
        faults = self._directory.faults([name for change in changes for name in change.unproved])
        for change in changes:
            found = [line for name in change.plan.write for line in faults.get(name, [])]
            if found and not change.error:
                self._refuse(change, "systemd does not understand: " + "; ".join(found))
        # Reading all files again takes systemd longer than the start of most applications.
        if any(change.outdated for change in changes):
            daemon_reload()
        for change in changes:
            self._attempt(change, self._start_one)

    def _write(self, change: Change) -> None:
        self._directory.write({**change.plan.write, **change.plan.forward_write})

    def _start_one(self, change: Change) -> None:
        change.started_at, change.started = time.time(), True
        sockets = [name for name in change.plan.start if name.endswith(".socket")]
        # systemd takes them for started, and starts no socket under a service that runs.
        if change.plan.stop:
            systemctl("stop", change.plan.stop)
        # READY is not health, so there is nothing to wait for; systemd lets a service wait for its socket.
        self._begin(change.plan.start, ["--no-block"])
        # A port that is taken has to be known before the switch; until then it leads to the old release.
        self._begin([*sockets, *change.plan.forward_start])

    @staticmethod
    def _begin(units: t.Sequence[str], options: t.Sequence[str] = ()) -> None:
        try:
            systemctl("start", units, options)
        except CommandError as exc:
            if "not found" not in str(exc):
                raise
            # It has looked into the directory within the same tick of the clock, and remembers that there was no file.
            daemon_reload()
            systemctl("start", units, options)

    @staticmethod
    def foresee(changes: t.Sequence[Change]) -> None:
        """Do what is needed later and takes time, while the applications load."""
        for change in changes:
            if change.plan.retire:
                default_stop_seconds()
            if change.plan.switch:
                change.assets_end = arm_assets(change.service.layout, change.observed.current or "", change.asset_grace)
