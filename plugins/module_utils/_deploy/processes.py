# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replace workers and timers after the switch. Private to flaskops.stack.

The stop of the old ones is requested before the new ones start, so that two releases work at once only on
jobs that the old one has begun; it finishes them while the task continues and ends. A busy unit has its file in /run:
it keeps its settings, and is forgotten with the next reboot.
"""

from __future__ import annotations

import typing as t

from .._release.model import Layout
from .._service.process_units import workers_of
from .._service.units import parse_unit_name
from .._system.command import CommandError
from .._system.files import read_link
from .._system.host import Host
from .deployment import Deployment
from .health import find_service_fault, restarts_at_start
from .observe import SETTLE, UnitDirectory, still_running, wait_until_stopped
from .timer_state import carry_stamps, clear_stamps, clear_state, make_locks, manifest_of

_STATE = ("ActiveState", "SubState", "Result", "NRestarts", "ExecMainStatus", "ConditionResult", "Job")
_SETTLE_MOST = 10.0
# Seconds for units whose stop systemd refused at first.
_AGAIN = 1.0
# The least stop timeout: that of a job, and of a worker whose manifest is gone.
_STOP_LEAST = 60.0
_STOP_MARGIN = 5.0


class WorkersAndTimers:
    """The steps of a deploy that stop, start and watch workers and timers."""

    def __init__(self, host: Host, directory: UnitDirectory) -> None:
        """Take the host and its unit directory."""
        self._host = host
        self._directory = directory
        # How often systemd had restarted each worker when it was started.
        self._restarts: dict[str, str] = {}
        self._replaced: set[str] = set()
        # Units that ran under the former names of renamed services.
        self._former: dict[str, list[str]] = {}

    def replace(self, deployment: Deployment) -> None:
        """Request the stop of the old workers and timers, and start the new ones."""
        plan = deployment.plan
        self._stop_former(deployment)
        if not plan.stop_workers and not plan.start_workers:
            return
        self._replaced.add(deployment.service.name)
        self._stop(plan.stop_workers, everything=not deployment.service.wanted.release)
        make_locks(deployment.service.manifest)
        if deployment.switched:
            carry_stamps(deployment.service.layout, deployment.observed.current or "", deployment.service.manifest)
        self._start(plan.start_workers)
        states = self._host.systemd.show([name for name in plan.start_workers if name.endswith(".service")], _STATE)
        self._restarts.update({name: restarts_at_start("", state) for name, state in states.items()})

    def _stop_former(self, deployment: Deployment) -> None:
        """Stop the workers and timers that run under the application's former name."""
        manifest = deployment.service.manifest
        former, layout = str(manifest.extra.get("former") or "") if manifest else "", deployment.service.layout
        # A new application may use that name by now, with its own data.
        if not former or not deployment.switched or read_link(Layout(layout.root, former).shared) != layout.shared:
            return
        states = self._host.systemd.show_matching([f"{former}@*.service", f"{former}@*.timer"], ["ActiveState"])
        units = [name for name in states if (unit := parse_unit_name(name)) and unit.role]
        self._former[deployment.service.name] = [name for name in units if states[name].get("ActiveState") == "active"]
        self._stop(self._former[deployment.service.name], everything=False)

    def _stop(self, units: t.Sequence[str], everything: bool) -> None:
        jobs = [name for name in units if _is_job(name)]
        self._host.systemd.systemctl("stop", [name for name in units if name.endswith(".timer")])
        self._host.systemd.systemctl(
            "stop", [name for name in units if name.endswith(".service") and name not in jobs], ["--no-block"]
        )
        if everything:
            self._host.systemd.systemctl("stop", jobs, ["--no-block"])

    def _start(self, units: t.Sequence[str]) -> None:
        # After a revert, a worker that is still stopping starts again when it has stopped.
        self._host.systemd.systemctl("start", units, ["--no-block"])

    def min_watch(self, deployment: Deployment) -> float:
        """Return for how many seconds new workers have to run until they count as healthy."""
        if not self._watched(deployment):
            return 0.0
        # The web part needed as long to import the application.
        needed = (
            max((probe.seconds for probe in deployment.health_check.probes), default=0.0)
            if deployment.health_check
            else 0.0
        )
        return min(SETTLE + needed, _SETTLE_MOST)

    def check(self, deployment: Deployment) -> str:
        """Return why a new worker is unhealthy, and record which; empty when none is, or one is reported already."""
        try:
            states = {} if deployment.post_switch_error else self._host.systemd.show(self._watched(deployment), _STATE)
        except (CommandError, OSError):
            # As for the web part: a systemd that is busy for a moment proves nothing.
            return ""
        for name, state in states.items():
            # The user has paused it.
            if state.get("ConditionResult") == "no" and state.get("ActiveState") == "inactive":
                continue
            self._restarts[name] = restarts_at_start(self._restarts.get(name, ""), state)
            reason = find_service_fault(name, state, self._restarts[name])
            if reason:
                deployment.failed_worker = name
                return f"worker {reason}"
        return ""

    @staticmethod
    def _watched(deployment: Deployment) -> list[str]:
        return [name for name in deployment.plan.start_workers if name.endswith(".service")]

    def stop_new(self, deployment: Deployment) -> None:
        """Stop the workers and timers of the new release, before a revert."""
        if deployment.service.name in self._replaced:
            self._stop(list(deployment.service.wanted.processes), everything=False)

    def restart_old(self, deployment: Deployment) -> None:
        """Start the old workers and timers again, now that the link points to their release."""
        layout, observed = deployment.service.layout, deployment.observed
        self._start(self._former.pop(deployment.service.name, []))
        if deployment.service.name not in self._replaced:
            return
        previous = manifest_of(layout, observed.current or "")
        make_locks(previous)
        carry_stamps(layout, deployment.service.wanted.release, previous)
        enabled = [name for name in deployment.plan.stop_workers if name in observed.enabled]
        self._directory.enable(enabled)
        self._start(enabled)

    def remove_new(self, deployment: Deployment) -> None:
        """Remove the worker and timer units of the new release; jobs that run may finish."""
        units = list(deployment.service.wanted.processes)
        try:
            if deployment.service.name in self._replaced:
                self._stop_again(units)
        finally:
            self._remove_stopped(units, deployment)

    def _stop_again(self, units: t.Collection[str]) -> None:
        """Stop units that still run: a busy systemd may have refused the first attempt, and nothing retries later."""
        working = still_running(self._host, units)
        if working:
            self._stop(working, everything=False)
            wait_until_stopped(self._host, working, _AGAIN)

    def remove_old(self, deployment: Deployment) -> list[str]:
        """Remove the units that have stopped, keep those that are busy; return the removed units."""
        relieved = list(deployment.plan.stop_workers)
        present = bool(deployment.service.wanted.release)
        if not present and relieved:
            wait_until_stopped(self._host, relieved, longest_stop(deployment.service.layout, relieved))
        gone = self._remove_stopped(relieved, deployment)
        kept = deployment.observed.workers_stopping - {*deployment.service.wanted.processes, *gone}
        ended = [name for name in deployment.observed.runtime_units if name not in {*kept, *deployment.finishing}]
        self._directory.remove_runtime(ended)
        deployment.finishing = sorted({*deployment.finishing, *kept})
        if not present:
            clear_state(deployment.service.name)
            # The application's files stay while a process uses them.
            deployment.lingering += deployment.finishing
        return [*gone, *ended]

    def _remove_stopped(self, units: t.Sequence[str], deployment: Deployment) -> list[str]:
        alive = wait_until_stopped(self._host, units, 0) if units else []
        self._directory.move_to_runtime(alive)
        ended = [name for name in units if name not in alive]
        self._directory.remove(ended)
        clear_stamps(ended)
        deployment.finishing += alive
        return ended


def _is_job(name: str) -> bool:
    unit = parse_unit_name(name)
    return unit is not None and unit.is_job


def longest_stop(layout: Layout, units: t.Sequence[str]) -> float:
    """Return how many seconds units take at most to stop."""
    releases = {unit.release for unit in map(parse_unit_name, units) if unit}
    manifests = [manifest_of(layout, release) for release in releases]
    workers = [worker for manifest in manifests if manifest for worker in workers_of(manifest)]
    return max([_STOP_LEAST, *(float(worker["stop_timeout"]) for worker in workers)]) + _STOP_MARGIN
