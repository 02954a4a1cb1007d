# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hand over workers and timers, after the switch. Private to flaskops.stack.

The old ones are told to take nothing new before the new ones start, so that no two releases work at once on more than
what the old one has begun; it finishes that while the task goes on and ends. A unit that finishes has its file in /run:
it keeps its settings, and is forgotten with the next reboot.
"""

from __future__ import annotations

import typing as t

from .._release.model import Layout
from .._service.process_units import workers_of
from .._service.units import parse_unit_name
from .._system.command import CommandError
from .._system.files import read_link
from .._system.systemd import show, show_matching, systemctl
from .change import Change
from .health import count_at_start, judge_state
from .observe import SETTLE, UnitDirectory, untold, wait_until_stopped
from .timer_state import carry_stamps, clear_stamps, clear_state, make_locks, manifest_of

_STATE = ("ActiveState", "SubState", "Result", "NRestarts", "ExecMainStatus", "ConditionResult", "Job")
_SETTLE_MOST = 10.0
# For those that systemd did not tell to end at first.
_AGAIN = 1.0
# What a job has; and for a worker whose manifest is gone.
_STOP_LEAST = 60.0
_STOP_MARGIN = 5.0


class Background:
    """Workers and timers as steps of a hand-over."""

    def __init__(self, directory: UnitDirectory) -> None:
        """Take the unit directory."""
        self._directory = directory
        # How often systemd had restarted each worker when it was started.
        self._restarts: dict[str, str] = {}
        self._changed_over: set[str] = set()
        # What ran under the former names of services.
        self._former: dict[str, list[str]] = {}

    def change_over(self, change: Change) -> None:
        """Let the old workers and timers take nothing new, and start the new ones."""
        plan = change.plan
        self._relieve_former(change)
        if not plan.relieve and not plan.employ:
            return
        self._changed_over.add(change.service.name)
        self._release(plan.relieve, everything=not change.service.wanted.release)
        make_locks(change.service.manifest)
        if change.switched:
            carry_stamps(change.service.layout, change.observed.current or "", change.service.manifest)
        self._employ(plan.employ)
        states = show([name for name in plan.employ if name.endswith(".service")], _STATE)
        self._restarts.update({name: count_at_start("", state) for name, state in states.items()})

    def _relieve_former(self, change: Change) -> None:
        """Let workers and timers take nothing new that run under the application's former name."""
        manifest = change.service.manifest
        former, layout = str(manifest.extra.get("former") or "") if manifest else "", change.service.layout
        # A new application may have that name meanwhile, with data of its own.
        if not former or not change.switched or read_link(Layout(layout.root, former).shared) != layout.shared:
            return
        states = show_matching([f"{former}@*.service", f"{former}@*.timer"], ["ActiveState"])
        units = [name for name in states if (unit := parse_unit_name(name)) and unit.role]
        self._former[change.service.name] = [name for name in units if states[name].get("ActiveState") == "active"]
        self._release(self._former[change.service.name], everything=False)

    @staticmethod
    def _release(units: t.Sequence[str], everything: bool) -> None:
        jobs = [name for name in units if _is_job(name)]
        systemctl("stop", [name for name in units if name.endswith(".timer")])
        systemctl("stop", [name for name in units if name.endswith(".service") and name not in jobs], ["--no-block"])
        if everything:
            systemctl("stop", jobs, ["--no-block"])

    @staticmethod
    def _employ(units: t.Sequence[str]) -> None:
        # A worker that still ends, for a release that is gone back to, starts when it has ended.
        systemctl("start", units, ["--no-block"])

    def least(self, change: Change) -> float:
        """Return how long new workers have to run until they are believed."""
        if not self._watched(change):
            return 0.0
        # The web needed as long for the import.
        needed = max((probe.seconds for probe in change.gate.probes), default=0.0) if change.gate else 0.0
        return min(SETTLE + needed, _SETTLE_MOST)

    def judge(self, change: Change) -> str:
        """Return why a new worker does not work, and note which; an empty text when all do, or one is known."""
        try:
            states = {} if change.late else show(self._watched(change), _STATE)
        except (CommandError, OSError):
            # As for the web: a systemd that is busy for a moment says nothing against them.
            return ""
        for name, state in states.items():
            # Somebody wants it to pause.
            if state.get("ConditionResult") == "no" and state.get("ActiveState") == "inactive":
                continue
            self._restarts[name] = count_at_start(self._restarts.get(name, ""), state)
            reason = judge_state(name, state, self._restarts[name])
            if reason:
                change.culprit = name
                return f"worker {reason}"
        return ""

    @staticmethod
    def _watched(change: Change) -> list[str]:
        return [name for name in change.plan.employ if name.endswith(".service")]

    def end_new(self, change: Change) -> None:
        """Let those of a release that is gone back from take nothing new."""
        if change.service.name in self._changed_over:
            self._release(list(change.service.wanted.processes), everything=False)

    def work_again(self, change: Change) -> None:
        """Let the old ones work again, now that the link leads to them."""
        layout, observed = change.service.layout, change.observed
        self._employ(self._former.pop(change.service.name, []))
        if change.service.name not in self._changed_over:
            return
        previous = manifest_of(layout, observed.current or "")
        carry_stamps(layout, change.service.wanted.release, previous)
        enabled = [name for name in change.plan.relieve if name in observed.enabled]
        self._directory.enable(enabled)
        self._employ(enabled)

    def discard(self, change: Change) -> None:
        """Take away the units of a release that was refused; what they have begun they finish."""
        units = list(change.service.wanted.processes)
        try:
            if change.service.name in self._changed_over:
                self._tell_again(units)
        finally:
            self._put_away(units, change)

    def _tell_again(self, units: t.Collection[str]) -> None:
        """Stop those that work on: a systemd that was busy for a moment may have refused, and nobody looks later."""
        working = untold(units)
        if working:
            self._release(working, everything=False)
            wait_until_stopped(working, _AGAIN)

    def finish(self, change: Change) -> list[str]:
        """Take away the units of what has ended, and keep those of what has not; return those that were taken away."""
        relieved = list(change.plan.relieve)
        present = bool(change.service.wanted.release)
        if not present and relieved:
            wait_until_stopped(relieved, longest_end(change.service.layout, relieved))
        gone = self._put_away(relieved, change)
        kept = change.observed.leaving - {*change.service.wanted.processes, *gone}
        ended = [name for name in change.observed.aside if name not in {*kept, *change.finishing}]
        self._directory.clear_aside(ended)
        change.finishing = sorted({*change.finishing, *kept})
        if not present:
            clear_state(change.service.name)
            # Its files are not removed below somebody who works with them.
            change.lingering += change.finishing
        return [*gone, *ended]

    def _put_away(self, units: t.Sequence[str], change: Change) -> list[str]:
        alive = wait_until_stopped(units, 0) if units else []
        self._directory.set_aside(alive)
        ended = [name for name in units if name not in alive]
        self._directory.remove(ended)
        clear_stamps(ended)
        change.finishing += alive
        return ended


def _is_job(name: str) -> bool:
    unit = parse_unit_name(name)
    return unit is not None and unit.is_job


def longest_end(layout: Layout, units: t.Sequence[str]) -> float:
    """Return how long units take at most to end after they were told to."""
    releases = {unit.release for unit in map(parse_unit_name, units) if unit}
    manifests = [manifest_of(layout, release) for release in releases]
    workers = [worker for manifest in manifests if manifest for worker in workers_of(manifest)]
    return max([_STOP_LEAST, *(float(worker["stop_timeout"]) for worker in workers)]) + _STOP_MARGIN
