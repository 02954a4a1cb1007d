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
from .deployment import Deployment
from .drain import LOOK_INTERVAL, Drain, read_table
from .health import STATE, HealthCheckError, query_systemd, wait_until_healthy
from .hook_run import HookResult
from .hooks import HookSteps
from .memory import MemoryCheck
from .observe import UnitDirectory, restore_link, wait_until_stopped
from .processes import WorkersAndTimers
from .proxy_check import ProxyCheck
from .start import Starter
from .watch import (
    FIRST_WATCH,
    FRESH,
    WATCH_INTERVAL,
    drain_rejected,
    find_fault_after_switch,
    still_draining,
    watch_seconds,
)

# For a release that never had a visitor.
_STOP_REFUSED = 5.0


class Deployer:
    """The transaction of all services of one task."""

    def __init__(
        self,
        directory: UnitDirectory,
        explain: t.Callable[[Deployment, str], str],
        run_hooks: t.Callable[[Deployment, str], list[HookResult]],
        overlap: str = REFUSE,
    ) -> None:
        """Name the unit directory, what adds a log's end to a reason, what runs hooks, and when two may run at once."""
        self._directory = directory
        self._explain = explain
        self._background = WorkersAndTimers(directory)
        self._hooks = HookSteps(run_hooks, self._undo)
        self._proxy_check = ProxyCheck(self._revert)
        self._memory = MemoryCheck(overlap, self._undo)
        # The host's sockets right after the switch, and when that was.
        self._sockets_after_switch = "", 0.0
        self._starter = Starter(directory, self._attempt, self._abort)

    def run(self, deployments: t.Sequence[Deployment]) -> None:
        """Take all services through all steps; what went wrong with one is in its C(error)."""
        start = (
            self._memory.check,
            self._hooks.migrate,
            self._memory.stop_old,
            self._starter.start,
            self._starter.prepare_switch,
        )
        for before in (*start, self._check_health, self._hooks.before, self._switch, self._proxy_check.check):
            self._run_step(before, deployments, self._abort)
        for after in (self._replace_workers, self._drain, self._stop):
            self._run_step(after, deployments, self._defer)
        for deployment in deployments:
            self._add_log(deployment)
        self._hooks.after([deployment for deployment in deployments if deployment.in_progress])
        for deployment in deployments:
            deployment.seconds = round(time.monotonic() - deployment.began, 3)

    def _run_step(
        self,
        step: t.Callable[[t.Sequence[Deployment]], None],
        deployments: t.Sequence[Deployment],
        fail: t.Callable[[Deployment, str], None],
    ) -> None:
        """Take a step; what goes wrong with systemd or the disk as a whole concerns all that are left."""
        going = [deployment for deployment in deployments if deployment.in_progress]
        try:
            step(going)
        except (CommandError, OSError) as exc:
            for deployment in going:
                if not deployment.error:
                    fail(deployment, self._reason(deployment, exc))

    @staticmethod
    def _defer(deployment: Deployment, reason: str) -> None:
        """Leave what is retired to the next run, which finds it: the wanted release serves already."""
        deployment.lingering = list(deployment.plan.remove)
        deployment.note = f"what has to go is left to the next run: {reason}"

    def _attempt(self, deployment: Deployment, step: t.Callable[[Deployment], None]) -> None:
        """Do one step of one service; what goes wrong concerns it alone."""
        if deployment.error:
            return
        try:
            step(deployment)
        except (CommandError, OSError) as exc:
            self._abort(deployment, self._reason(deployment, exc))

    def _reason(self, deployment: Deployment, exc: Exception) -> str:
        return explain_full_disk(exc, [self._directory.path, deployment.service.layout.base]) or str(exc)

    def _check_health(self, deployments: t.Sequence[Deployment]) -> None:
        gates = {deployment.service.name: gate for deployment in deployments if (gate := deployment.new_health_check())}
        by_name = {deployment.service.name: deployment for deployment in deployments}
        for name, gate in gates.items():
            by_name[name].health_check = gate
        # One that has stopped for a release that is refused does not wait for what becomes of others.
        for name, reason in wait_until_healthy(gates) if gates else ():
            self._abort_unhealthy(by_name[name], reason)

    def _abort_unhealthy(self, deployment: Deployment, reason: HealthCheckError) -> None:
        deployment.failed_worker = reason.service
        self._abort(deployment, str(reason))

    def _abort(self, deployment: Deployment, reason: str) -> None:
        """Undo what was done for a release that is not the current one; its log's end will be in the error."""
        deployment.reason = reason
        self._undo(deployment, reason)

    def _add_log(self, deployment: Deployment) -> None:
        """Add what the log says of a failure; that can take seconds, so visitors are served again before."""
        reason = deployment.reason
        if not reason:
            return
        try:
            said = self._explain(deployment, reason)
        except (CommandError, OSError) as exc:
            # The reason itself may quote a secret, which only what explains it takes out.
            said = f"release {deployment.service.wanted.release} failed, and why cannot be told: {exc}"
        if deployment.error:
            deployment.error = said + deployment.error[len(reason) :]
        else:
            deployment.post_switch_error = said

    def _undo(self, deployment: Deployment, error: str, *first: t.Callable[[Deployment], None]) -> None:
        deployment.error = error
        if not deployment.plan.switch:
            return
        faults = []
        # What fails of it keeps no other part from being done. First of all, nobody is led to what ends now.
        undo = (
            self._restore_link,
            self._stop_new,
            self._remove_new,
            self._background.remove_new,
            self._restore_forwarders,
        )
        for step in (*first, *undo, self._memory.restart_old):
            try:
                step(deployment)
            except (CommandError, OSError) as exc:
                faults.append(str(exc))
        said = "; ".join(dict.fromkeys(faults))
        deployment.error += (
            f"\nNot all of it could be undone, and the rest is left to the next run: {said}" if said else ""
        )

    @staticmethod
    def _stop_new(deployment: Deployment) -> None:
        """Stop units without waiting for what they do; a release that is refused has no visitor."""
        units = deployment.added_units
        run(["systemctl", "stop", "--no-block", "--", *units])
        # Where the old release had to stop, nobody serves until this is over.
        nobody = deployment.stopped_units and not deployment.switched
        lingering = wait_until_stopped(units, 0 if nobody else _STOP_REFUSED)
        if lingering:
            run(["systemctl", "kill", "--signal=SIGKILL", "--", *lingering])
            wait_until_stopped(units, _STOP_REFUSED)

    def _remove_new(self, deployment: Deployment) -> None:
        self._directory.remove(deployment.added_units)
        run(["systemctl", "reset-failed", "--", *deployment.added_units])

    def _restore_forwarders(self, deployment: Deployment) -> None:
        changed = [name for name in deployment.plan.forward_write if name in deployment.observed.files]
        self._directory.write({name: deployment.observed.files[name] for name in changed})
        run(["systemctl", "daemon-reload"])
        if deployment.switched and deployment.plan.forward_restart:
            run(["systemctl", "restart", "--", *deployment.plan.forward_restart])
        # Some have not ended, and would be listed as failed ones when they have.
        forget_behind([*deployment.added_units, *deployment.service.wanted.processes])

    def _switch(self, deployments: t.Sequence[Deployment]) -> None:
        for deployment in deployments:
            self._recheck_health(deployment)
            self._attempt(deployment, self._switch_one)
        # Only that the wait begins now depends on this look.
        with suppress(OSError):
            self._sockets_after_switch = read_table(), time.monotonic()

    def _recheck_health(self, deployment: Deployment) -> None:
        """Refuse a release that has ended since it passed its gate: hooks and the load of other releases take time."""
        if deployment.error or not deployment.health_check:
            return
        # What systemd has said a moment ago counts for a release that was waited for alone.
        fresh = time.monotonic() - deployment.health_check.last_query < FRESH
        states, systemd_error = (
            ({}, "") if fresh else query_systemd([probe.service for probe in deployment.health_check.probes])
        )
        try:
            deployment.health_check.check_running(states)
            if systemd_error:
                raise HealthCheckError(systemd_error)
        except HealthCheckError as exc:
            self._abort_unhealthy(deployment, exc)

    def _switch_one(self, deployment: Deployment) -> None:
        layout, release = deployment.service.layout, deployment.service.wanted.release
        self._directory.enable(deployment.plan.enable)
        if deployment.plan.switch:
            keep_assets(layout, deployment.observed.current or "", deployment.asset_grace, deployment.assets_expire_at)
            replace_link(f"releases/{release}", layout.current)
            deployment.switched = True
        if not release and deployment.observed.current:
            remove_file(layout.current)
            forget_assets(layout)
        try:
            systemctl("restart", deployment.plan.forward_restart)
        except CommandError:
            self._restore_link(deployment)
            raise

    @staticmethod
    def _restore_link(deployment: Deployment) -> None:
        """Let the link lead where it did before."""
        if deployment.plan.switch:
            restore_link(
                deployment.service.layout, deployment.service.wanted.release, deployment.observed.current or ""
            )

    def _replace_workers(self, deployments: t.Sequence[Deployment]) -> None:
        for deployment in deployments:
            try:
                self._background.replace(deployment)
            except (CommandError, OSError) as exc:
                self._revert_or_warn(deployment, str(exc))

    def _revert_or_warn(self, deployment: Deployment, reason: str) -> None:
        """Go back from a release whose workers do not work; where there is no other one, leave it as it is."""
        if deployment.switched and deployment.observed.current and deployment.old_sockets():
            self._revert_unhealthy(deployment, reason)
        else:
            serves = f"the web of release {deployment.service.wanted.release} serves nevertheless"
            deployment.post_switch_error = deployment.reason = f"{reason}; {serves}"

    def _drain(self, deployments: t.Sequence[Deployment]) -> None:
        for deployment in deployments:
            least = max(
                watch_seconds(deployment, self._sockets_after_switch[1]), self._background.min_watch(deployment)
            )
            deployment.drain = Drain.start(deployment.old_sockets(), deployment.drain_timeout, least)
            if deployment.switched and self._sockets_after_switch[0]:
                deployment.drain.look(*self._sockets_after_switch)
        waiting = still_draining(deployments)
        for deployment in deployments:
            try:
                self._directory.disable([*deployment.plan.remove, *deployment.plan.stop_workers])
            except OSError as exc:
                self._defer(deployment, self._reason(deployment, exc))
        # All have just passed their gates.
        asked, due = 0.0, self._sockets_after_switch[1] + FIRST_WATCH
        while waiting:
            time.sleep(LOOK_INTERVAL)
            if time.monotonic() >= due:
                asked = time.monotonic()
                self._watch(deployments)
                due = time.monotonic() + WATCH_INTERVAL
            waiting = still_draining(waiting)
        if time.monotonic() - asked > FRESH:
            self._watch(deployments)

    def _watch(self, deployments: t.Sequence[Deployment]) -> None:
        """Go back to a release that still runs when the one that has just got its traffic ends."""
        deployments = [deployment for deployment in deployments if not deployment.error]
        gates = {
            deployment.service.name: deployment.health_check
            for deployment in deployments
            if deployment.health_check and deployment.old_sockets()
        }
        services = [probe.service for gate in gates.values() for probe in gate.probes]
        try:
            states = show(services, STATE)
        except (CommandError, OSError):
            # It has been healthy, and a systemd that is busy for a moment says nothing against it.
            return
        for deployment in deployments:
            gate = gates.get(deployment.service.name)
            reasons = (
                [find_fault_after_switch(deployment, probe, states[probe.service]) for probe in gate.probes]
                if gate
                else []
            )
            if any(reasons):
                self._revert_unhealthy(deployment, f"{next(filter(None, reasons))} soon after it had got traffic")
            elif reason := self._background.check(deployment):
                self._revert_or_warn(deployment, reason)

    def _revert_unhealthy(self, deployment: Deployment, reason: str) -> None:
        previous = deployment.observed.current
        if not previous or not deployment.switched:
            return
        deployment.reason = f"{reason}; {previous} serves again"
        self._revert(deployment, deployment.reason)

    def _revert(self, deployment: Deployment, error: str) -> None:
        """Let the release serve again that served before, and still runs."""
        back = (self._enable_old, self._restore_link, self._background.stop_new, self._background.restart_old)
        self._undo(deployment, error, *back, drain_rejected)

    def _enable_old(self, deployment: Deployment) -> None:
        self._directory.enable(deployment.old_web_units)

    def _stop(self, deployments: t.Sequence[Deployment]) -> None:
        ready = [deployment for deployment in deployments if deployment.plan.remove and not deployment.lingering]
        retired = [name for deployment in ready for name in deployment.plan.remove]
        systemctl("stop", retired, ["--no-block"])
        self._wait_for_stop([deployment for deployment in ready if not deployment.can_stop_in_background])
        for deployment in ready:
            self._directory.remove(name for name in deployment.plan.remove if name not in deployment.lingering)
        ended = [name for deployment in deployments for name in self._background.remove_old(deployment)]
        if not retired and not ended:
            return
        forget = forget_units if any(not deployment.can_stop_in_background for deployment in ready) else forget_behind
        forget([*retired, *ended])

    @staticmethod
    def _wait_for_stop(deployments: t.Sequence[Deployment]) -> None:
        if not deployments:
            return
        seconds = max(deployment.stop_timeout() for deployment in deployments)
        lingering = wait_until_stopped([name for deployment in deployments for name in deployment.plan.remove], seconds)
        for deployment in deployments:
            deployment.lingering = [name for name in deployment.plan.remove if name in lingering]
            if deployment.lingering:
                deployment.note = f"the next run takes up what has not ended in time: {', '.join(deployment.lingering)}"
