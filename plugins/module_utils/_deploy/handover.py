# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hand over from one release to another: start, gate, switch, drain, stop. Private to flaskops.stack.

All services of one task go through each step together, so ten wait little longer than one; a service that fails leaves
the transaction as it was before, and the others go on. The order makes every instant safe to die in: the old release is
whole until the new one has proved its health, from the rename on the new one serves, both start at boot in between, and
what is left over is found in the next run, because it is derived from what is there and not from what was intended.
"""

from __future__ import annotations

import time
import typing as t
from contextlib import suppress

from .._input.defaults import REFUSE
from .._release.assets import forget_assets, keep_assets
from .._system.command import CommandError, run
from .._system.disk_space import explain_full_disk
from .._system.files import remove_file, replace_link
from .._system.systemd import forget_behind, forget_units, show, systemctl
from .change import Change
from .drain import LOOK_INTERVAL, Drain, read_table
from .health import STATE, GateError, ask_systemd, pass_gates
from .hook_run import Ran
from .hooks import HookSteps
from .memory import Room
from .observe import UnitDirectory, lead_back, wait_until_stopped
from .processes import Background
from .proxy_check import SiteProbes
from .start import Starts
from .watch import FIRST_WATCH, FRESH, WATCH_INTERVAL, judge_served, let_ill_finish, undrained, watch_seconds

# For a release that never had a visitor.
_STOP_REFUSED = 5.0


class Handover:
    """The transaction of all services of one task."""

    def __init__(
        self,
        directory: UnitDirectory,
        explain: t.Callable[[Change, str], str],
        run_hooks: t.Callable[[Change, str], list[Ran]],
        overlap: str = REFUSE,
    ) -> None:
        """Name the unit directory, what adds a log's end to a reason, what runs hooks, and when two may run at once."""
        self._directory = directory
        self._explain = explain
        self._background = Background(directory)
        self._hooks = HookSteps(run_hooks, self._give_up)
        self._sites = SiteProbes(self._go_back)
        self._room = Room(overlap, self._give_up)
        # The host's sockets right after the switch, and when that was.
        self._seen = "", 0.0
        self._starts = Starts(directory, self._try, self._refuse)

    def run(self, changes: t.Sequence[Change]) -> None:
        """Take all services through all steps; what went wrong with one is in its C(error)."""
        start = (self._room.check, self._hooks.migrate, self._room.make, self._starts.start, self._starts.foresee)
        for before in (*start, self._gate, self._hooks.before, self._switch, self._sites.check):
            self._take(before, changes, self._refuse)
        for after in (self._work, self._drain, self._stop):
            self._take(after, changes, self._leave)
        for change in changes:
            self._account(change)
        self._hooks.after([change for change in changes if change.going])
        for change in changes:
            change.seconds = round(time.monotonic() - change.began, 3)

    def _take(
        self,
        step: t.Callable[[t.Sequence[Change]], None],
        changes: t.Sequence[Change],
        fail: t.Callable[[Change, str], None],
    ) -> None:
        """Take a step; what goes wrong with systemd or the disk as a whole concerns all that are left."""
        going = [change for change in changes if change.going]
        try:
            step(going)
        except (CommandError, OSError) as exc:
            for change in going:
                if not change.error:
                    fail(change, self._reason(change, exc))

    @staticmethod
    def _leave(change: Change, reason: str) -> None:
        """Leave what is retired to the next run, which finds it: the wanted release serves already."""
        change.lingering = list(change.plan.retire)
        change.note = f"what has to go is left to the next run: {reason}"

    def _try(self, change: Change, step: t.Callable[[Change], None]) -> None:
        """Do one step of one service; what goes wrong concerns it alone."""
        if change.error:
            return
        try:
            step(change)
        except (CommandError, OSError) as exc:
            self._refuse(change, self._reason(change, exc))

    def _reason(self, change: Change, exc: Exception) -> str:
        return explain_full_disk(exc, [self._directory.path, change.service.layout.base]) or str(exc)

    def _gate(self, changes: t.Sequence[Change]) -> None:
        gates = {change.service.name: gate for change in changes if (gate := change.new_gate())}
        by_name = {change.service.name: change for change in changes}
        for name, gate in gates.items():
            by_name[name].gate = gate
        # One that has stopped for a release that is refused does not wait for what becomes of others.
        for name, reason in pass_gates(gates) if gates else ():
            self._refuse_unhealthy(by_name[name], reason)

    def _refuse_unhealthy(self, change: Change, reason: GateError) -> None:
        change.culprit = reason.service
        self._refuse(change, str(reason))

    def _refuse(self, change: Change, reason: str) -> None:
        """Undo what was done for a release that is not the current one; its log's end will be in the error."""
        change.unexplained = reason
        self._give_up(change, reason)

    def _account(self, change: Change) -> None:
        """Add what the log says of a failure; that can take seconds, so visitors are served again before."""
        reason = change.unexplained
        if not reason:
            return
        try:
            said = self._explain(change, reason)
        except (CommandError, OSError) as exc:
            # The reason itself may quote a secret, which only what explains it takes out.
            said = f"release {change.service.wanted.release} failed, and why cannot be told: {exc}"
        if change.error:
            change.error = said + change.error[len(reason) :]
        else:
            change.late = said

    def _give_up(self, change: Change, error: str, *first: t.Callable[[Change], None]) -> None:
        change.error = error
        if not change.plan.switch:
            return
        faults = []
        # What fails of it keeps no other part from being done. First of all, nobody is led to what ends now.
        undo = (self._point_back, self._end_new, self._remove_new, self._background.discard, self._restore)
        for step in (*first, *undo, self._room.give_back):
            try:
                step(change)
            except (CommandError, OSError) as exc:
                faults.append(str(exc))
        said = "; ".join(dict.fromkeys(faults))
        change.error += f"\nNot all of it could be undone, and the rest is left to the next run: {said}" if said else ""

    @staticmethod
    def _end_new(change: Change) -> None:
        """Stop units without waiting for what they do; a release that is refused has no visitor."""
        units = change.added_units
        run(["systemctl", "stop", "--no-block", "--", *units])
        # Where the old release had to stop, nobody serves until this is over.
        nobody = change.room and not change.switched
        lingering = wait_until_stopped(units, 0 if nobody else _STOP_REFUSED)
        if lingering:
            run(["systemctl", "kill", "--signal=SIGKILL", "--", *lingering])
            wait_until_stopped(units, _STOP_REFUSED)

    def _remove_new(self, change: Change) -> None:
        self._directory.remove(change.added_units)
        run(["systemctl", "reset-failed", "--", *change.added_units])

    def _restore(self, change: Change) -> None:
        changed = [name for name in change.plan.forward_write if name in change.observed.files]
        self._directory.write({name: change.observed.files[name] for name in changed})
        run(["systemctl", "daemon-reload"])
        if change.switched and change.plan.forward_restart:
            run(["systemctl", "restart", "--", *change.plan.forward_restart])
        # Some have not ended, and would be listed as failed ones when they have.
        forget_behind([*change.added_units, *change.service.wanted.processes])

    def _switch(self, changes: t.Sequence[Change]) -> None:
        for change in changes:
            self._look_again(change)
            self._try(change, self._switch_one)
        # Only that the wait begins now depends on this look.
        with suppress(OSError):
            self._seen = read_table(), time.monotonic()

    def _look_again(self, change: Change) -> None:
        """Refuse a release that has ended since it passed its gate: hooks and the load of other releases take time."""
        if change.error or not change.gate:
            return
        # What systemd has said a moment ago counts for a release that was waited for alone.
        fresh = time.monotonic() - change.gate.looked < FRESH
        states, silence = ({}, "") if fresh else ask_systemd([probe.service for probe in change.gate.probes])
        try:
            change.gate.judge(states)
            if silence:
                raise GateError(silence)
        except GateError as exc:
            self._refuse_unhealthy(change, exc)

    def _switch_one(self, change: Change) -> None:
        layout, release = change.service.layout, change.service.wanted.release
        self._directory.enable(change.plan.enable)
        if change.plan.switch:
            keep_assets(layout, change.observed.current or "", change.asset_grace, change.assets_end)
            replace_link(f"releases/{release}", layout.current)
            change.switched = True
        if not release and change.observed.current:
            remove_file(layout.current)
            forget_assets(layout)
        try:
            systemctl("restart", change.plan.forward_restart)
        except CommandError:
            self._point_back(change)
            raise

    @staticmethod
    def _point_back(change: Change) -> None:
        """Let the link lead where it did before."""
        if change.plan.switch:
            lead_back(change.service.layout, change.service.wanted.release, change.observed.current or "")

    def _work(self, changes: t.Sequence[Change]) -> None:
        for change in changes:
            try:
                self._background.change_over(change)
            except (CommandError, OSError) as exc:
                self._dismiss(change, str(exc))

    def _dismiss(self, change: Change, reason: str) -> None:
        """Go back from a release whose workers do not work; where there is no other one, leave it as it is."""
        if change.switched and change.observed.current and change.retired_sockets():
            self._switch_back(change, reason)
        else:
            serves = f"the web of release {change.service.wanted.release} serves nevertheless"
            change.late = change.unexplained = f"{reason}; {serves}"

    def _drain(self, changes: t.Sequence[Change]) -> None:
        for change in changes:
            least = max(watch_seconds(change, self._seen[1]), self._background.least(change))
            change.drain = Drain.start(change.retired_sockets(), change.drain_timeout, least)
            if change.switched and self._seen[0]:
                change.drain.look(*self._seen)
        waiting = undrained(changes)
        for change in changes:
            try:
                self._directory.disable([*change.plan.retire, *change.plan.relieve])
            except OSError as exc:
                self._leave(change, self._reason(change, exc))
        # All have just passed their gates.
        asked, due = 0.0, self._seen[1] + FIRST_WATCH
        while waiting:
            time.sleep(LOOK_INTERVAL)
            if time.monotonic() >= due:
                asked = time.monotonic()
                self._watch(changes)
                due = time.monotonic() + WATCH_INTERVAL
            waiting = undrained(waiting)
        if time.monotonic() - asked > FRESH:
            self._watch(changes)

    def _watch(self, changes: t.Sequence[Change]) -> None:
        """Go back to a release that still runs when the one that has just got its traffic ends."""
        changes = [change for change in changes if not change.error]
        gates = {change.service.name: change.gate for change in changes if change.gate and change.retired_sockets()}
        services = [probe.service for gate in gates.values() for probe in gate.probes]
        try:
            states = show(services, STATE)
        except (CommandError, OSError):
            # It has been healthy, and a systemd that is busy for a moment says nothing against it.
            return
        for change in changes:
            gate = gates.get(change.service.name)
            reasons = [judge_served(change, probe, states[probe.service]) for probe in gate.probes] if gate else []
            if any(reasons):
                self._switch_back(change, f"{next(filter(None, reasons))} soon after it had got traffic")
            elif reason := self._background.judge(change):
                self._dismiss(change, reason)

    def _switch_back(self, change: Change, reason: str) -> None:
        previous = change.observed.current
        if not previous or not change.switched:
            return
        change.unexplained = f"{reason}; {previous} serves again"
        self._go_back(change, change.unexplained)

    def _go_back(self, change: Change, error: str) -> None:
        """Let the release serve again that served before, and still runs."""
        back = (self._enable_old, self._point_back, self._background.end_new, self._background.work_again)
        self._give_up(change, error, *back, let_ill_finish)

    def _enable_old(self, change: Change) -> None:
        self._directory.enable(change.serving_units)

    def _stop(self, changes: t.Sequence[Change]) -> None:
        ready = [change for change in changes if change.plan.retire and not change.lingering]
        retired = [name for change in ready for name in change.plan.retire]
        systemctl("stop", retired, ["--no-block"])
        self._await_end([change for change in ready if not change.ends_alone])
        for change in ready:
            self._directory.remove(name for name in change.plan.retire if name not in change.lingering)
        ended = [name for change in changes for name in self._background.finish(change)]
        if not retired and not ended:
            return
        forget = forget_units if any(not change.ends_alone for change in ready) else forget_behind
        forget([*retired, *ended])

    @staticmethod
    def _await_end(changes: t.Sequence[Change]) -> None:
        if not changes:
            return
        seconds = max(change.stop_timeout() for change in changes)
        lingering = wait_until_stopped([name for change in changes for name in change.plan.retire], seconds)
        for change in changes:
            change.lingering = [name for name in change.plan.retire if name in lingering]
            if change.lingering:
                change.note = f"the next run takes up what has not ended in time: {', '.join(change.lingering)}"
