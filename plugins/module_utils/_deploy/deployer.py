# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploy a release: start, health check, switch, drain, stop. Private to flaskops.stack.

The services of one task go through each step together, so that ten take little longer than one; those whose old release
stops first follow one by one. A service that fails is aborted or reverted alone, and the others continue. The run may
be killed at any instant: the old release is complete until the new one is healthy, the rename makes the new one live,
both start at boot in between, and leftovers are found by the next run, because it compares the observed state of the
host with the wanted one, and keeps no plan.
"""

from __future__ import annotations

import typing as t
from contextlib import suppress

from .._input.defaults import REFUSE
from .._release.assets import keep_assets, remove_asset_link
from .._system.command import CommandError
from .._system.disk_space import explain_full_disk
from .._system.files import remove_file, replace_link
from .._system.host import Host
from .deployment import Deployment
from .drain import LOOK_INTERVAL, Drain
from .health import STATE, HealthCheckError, query_systemd, wait_until_healthy, warm_up
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

# Seconds for a release that never had traffic.
_STOP_REFUSED = 5.0


class Deployer:
    """The deploy of all services of one task."""

    def __init__(
        self,
        host: Host,
        directory: UnitDirectory,
        explain: t.Callable[[Deployment, str], str],
        run_hooks: t.Callable[[Deployment, str], list[HookResult]],
        overlap: str = REFUSE,
    ) -> None:
        """Take the host, its unit directory, the functions that explain failures and run hooks, and C(overlap)."""
        self._host = host
        self._directory = directory
        self._explain = explain
        self._background = WorkersAndTimers(host, directory)
        self._hooks = HookSteps(run_hooks, self._undo)
        self._proxy_check = ProxyCheck(self._revert)
        self._memory = MemoryCheck(host, overlap, self._undo)
        # The host's sockets right after the switch, and when that was.
        self._sockets_after_switch = "", 0.0
        self._starter = Starter(host, directory, self._attempt, self._abort)

    def run(self, deployments: t.Sequence[Deployment]) -> None:
        """Take all services through all steps; a failure is in the C(error) of its deployment.

        Where the old release stops first, nothing answers until the switch: that does not wait for other services.
        """
        self._run_step(self._memory.check, deployments, self._abort)
        alone = [[deployment] for deployment in deployments if deployment.stop_old_first]
        together = [deployment for deployment in deployments if not deployment.stop_old_first]
        if together:
            self._run_together(together)
        for number, group in enumerate(alone):
            if number or together:
                group[0].began = self._host.clock.monotonic()
            self._run_together(group)

    def _run_together(self, deployments: t.Sequence[Deployment]) -> None:
        """Take services through all steps at the same time."""
        start = (
            self._hooks.migrate,
            self._memory.stop_old,
            self._starter.start,
            self._starter.prepare_switch,
        )
        checks = (self._check_health, self._warm_up, self._hooks.before)
        for before in (*start, *checks, self._switch, self._proxy_check.check):
            self._run_step(before, deployments, self._abort)
        for after in (self._replace_workers, self._drain, self._stop):
            self._run_step(after, deployments, self._defer)
        for deployment in deployments:
            self._add_log(deployment)
        self._hooks.after([deployment for deployment in deployments if deployment.in_progress])
        for deployment in deployments:
            deployment.seconds = round(self._host.clock.monotonic() - deployment.began, 3)

    def _run_step(
        self,
        step: t.Callable[[t.Sequence[Deployment]], None],
        deployments: t.Sequence[Deployment],
        fail: t.Callable[[Deployment, str], None],
    ) -> None:
        """Run a step for all services in progress; a failure of systemd or of the disk concerns all of them."""
        going = [deployment for deployment in deployments if deployment.in_progress]
        try:
            step(going)
        except (CommandError, OSError) as exc:
            for deployment in going:
                if not deployment.error:
                    fail(deployment, self._reason(deployment, exc))

    @staticmethod
    def _defer(deployment: Deployment, reason: str) -> None:
        """Defer the cleanup of the old release to the next run: the new one is live."""
        deployment.lingering = list(deployment.plan.remove)
        deployment.step_warning = f"removing the old release is deferred to the next run: {reason}"

    def _attempt(self, deployment: Deployment, step: t.Callable[[Deployment], None]) -> None:
        """Run one step for one service; a failure aborts that service alone."""
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
        # An old release that was stopped first is restarted at once, and not after the checks of the others.
        for name, reason in wait_until_healthy(self._host, gates) if gates else ():
            self._abort_unhealthy(by_name[name], reason)

    def _warm_up(self, deployments: t.Sequence[Deployment]) -> None:
        # Where the old release was stopped first, visitors wait for the switch.
        beside = [deployment for deployment in deployments if not deployment.stopped_units]
        warm_up(self._host, [deployment.health_check for deployment in beside if deployment.health_check])

    def _abort_unhealthy(self, deployment: Deployment, reason: HealthCheckError) -> None:
        deployment.failed_worker = reason.service
        self._abort(deployment, str(reason))

    def _abort(self, deployment: Deployment, reason: str) -> None:
        """Abort the deploy; the error will get an excerpt of the release's log."""
        deployment.reason = reason
        self._undo(deployment, reason)

    def _add_log(self, deployment: Deployment) -> None:
        """Add a log excerpt to the error; it can take seconds, so the old release is restored before."""
        reason = deployment.reason
        if not reason:
            return
        try:
            said = self._explain(deployment, reason)
        except (CommandError, OSError) as exc:
            # The reason itself may quote a secret, which only the log excerpt's redaction removes.
            said = f"release {deployment.service.wanted.release} failed; reading its log failed, too: {exc}"
        if deployment.error:
            deployment.error = said + deployment.error[len(reason) :]
        else:
            deployment.post_switch_error = said

    def _undo(self, deployment: Deployment, error: str, *first: t.Callable[[Deployment], None]) -> None:
        deployment.error = error
        if not deployment.plan.switch:
            return
        faults = []
        # Each part is tried, also when one fails. The link comes first: no visitor may reach a release that stops.
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
        deployment.error += f"\nRollback incomplete; the next run retries: {said}" if said else ""

    def _stop_new(self, deployment: Deployment) -> None:
        """Stop the new units without a drain; a rejected release has no visitor."""
        units = deployment.added_units
        self._host.commands.run(["systemctl", "stop", "--no-block", "--", *units])
        # Where the old release was stopped first, nothing serves until this is over.
        none_serves = deployment.stopped_units and not deployment.switched
        lingering = wait_until_stopped(self._host, units, 0 if none_serves else _STOP_REFUSED)
        if lingering:
            self._host.commands.run(["systemctl", "kill", "--signal=SIGKILL", "--", *lingering])
            wait_until_stopped(self._host, units, _STOP_REFUSED)

    def _remove_new(self, deployment: Deployment) -> None:
        self._directory.remove(deployment.added_units)
        self._host.commands.run(["systemctl", "reset-failed", "--", *deployment.added_units])

    def _restore_forwarders(self, deployment: Deployment) -> None:
        changed = [name for name in deployment.plan.forward_write if name in deployment.observed.files]
        self._directory.write({name: deployment.observed.files[name] for name in changed})
        self._host.commands.run(["systemctl", "daemon-reload"])
        if deployment.switched and deployment.plan.forward_restart:
            self._host.commands.run(["systemctl", "restart", "--", *deployment.plan.forward_restart])
        # Those that still stop would be listed as failed units afterwards.
        self._host.systemd.reset_failed_later([*deployment.added_units, *deployment.service.wanted.processes])

    def _switch(self, deployments: t.Sequence[Deployment]) -> None:
        for deployment in deployments:
            self._recheck_health(deployment)
            self._attempt(deployment, self._switch_one)
        # This snapshot only decides when the drain begins.
        with suppress(OSError):
            self._sockets_after_switch = self._host.kernel.unix_sockets(), self._host.clock.monotonic()

    def _recheck_health(self, deployment: Deployment) -> None:
        """Abort when the release ended after its health check: hooks and other services take time in between."""
        if deployment.error or not deployment.health_check:
            return
        # A state that was read a moment ago is fresh enough.
        fresh = self._host.clock.monotonic() - deployment.health_check.last_query < FRESH
        states, systemd_error = (
            ({}, "")
            if fresh
            else query_systemd(self._host, [probe.service for probe in deployment.health_check.probes])
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
            previous, grace = deployment.observed.current or "", deployment.asset_grace
            keep_assets(self._host, layout, previous, grace, deployment.assets_expire_at)
            replace_link(f"releases/{release}", layout.current)
            deployment.switched = True
            deployment.note_gap()
        if not release and deployment.observed.current:
            remove_file(layout.current)
            remove_asset_link(layout)
        try:
            self._host.systemd.systemctl("restart", deployment.plan.forward_restart)
        except CommandError:
            self._restore_link(deployment)
            raise

    @staticmethod
    def _restore_link(deployment: Deployment) -> None:
        """Point the C(current) link to the previous release again."""
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
        """Revert when workers of the new release fail; without an old release that runs, only report it."""
        if deployment.switched and deployment.observed.current and deployment.old_sockets():
            self._revert_unhealthy(deployment, reason)
        else:
            serves = f"the web part of release {deployment.service.wanted.release} is live nevertheless"
            deployment.post_switch_error = deployment.reason = f"{reason}; {serves}"

    def _drain(self, deployments: t.Sequence[Deployment]) -> None:
        clock = self._host.clock
        for deployment in deployments:
            least = max(
                watch_seconds(deployment, self._sockets_after_switch[1]), self._background.min_watch(deployment)
            )
            deployment.drain = Drain(
                frozenset(deployment.old_sockets()), clock.monotonic(), deployment.drain_timeout, least
            )
            if deployment.switched and self._sockets_after_switch[0]:
                deployment.drain.look(*self._sockets_after_switch)
        waiting = still_draining(self._host, deployments)
        for deployment in deployments:
            try:
                self._directory.disable([*deployment.plan.remove, *deployment.plan.stop_workers])
            except OSError as exc:
                self._defer(deployment, self._reason(deployment, exc))
        # All have just passed their health checks.
        asked, due = 0.0, self._sockets_after_switch[1] + FIRST_WATCH
        while waiting:
            clock.sleep(LOOK_INTERVAL)
            if clock.monotonic() >= due:
                asked = clock.monotonic()
                self._watch(deployments)
                due = clock.monotonic() + WATCH_INTERVAL
            waiting = still_draining(self._host, waiting)
        if clock.monotonic() - asked > FRESH:
            self._watch(deployments)

    def _watch(self, deployments: t.Sequence[Deployment]) -> None:
        """Revert to the old release, which still runs, when the new one ends soon after the switch."""
        deployments = [deployment for deployment in deployments if not deployment.error]
        gates = {
            deployment.service.name: deployment.health_check
            for deployment in deployments
            if deployment.health_check and deployment.old_sockets()
        }
        services = [probe.service for gate in gates.values() for probe in gate.probes]
        try:
            states = self._host.systemd.show(services, STATE)
        except (CommandError, OSError):
            # It was healthy; a systemd that is busy for a moment proves nothing.
            return
        for deployment in deployments:
            gate = gates.get(deployment.service.name)
            reasons = (
                [find_fault_after_switch(deployment, probe, states[probe.service]) for probe in gate.probes]
                if gate
                else []
            )
            if any(reasons):
                self._revert_unhealthy(deployment, f"{next(filter(None, reasons))} soon after the switch")
            elif reason := self._background.check(deployment):
                self._revert_or_warn(deployment, reason)

    def _revert_unhealthy(self, deployment: Deployment, reason: str) -> None:
        previous = deployment.observed.current
        if not previous or not deployment.switched:
            return
        deployment.reason = f"{reason}; {previous} serves again"
        self._revert(deployment, deployment.reason)

    def _revert(self, deployment: Deployment, error: str) -> None:
        """Switch back to the previous release, which still runs."""
        back = (self._enable_old, self._restore_link, self._background.stop_new, self._background.restart_old)
        self._undo(deployment, error, *back, drain_rejected)

    def _enable_old(self, deployment: Deployment) -> None:
        self._directory.enable(deployment.old_web_units)

    def _stop(self, deployments: t.Sequence[Deployment]) -> None:
        ready = [deployment for deployment in deployments if deployment.plan.remove and not deployment.lingering]
        retired = [name for deployment in ready for name in deployment.plan.remove]
        self._host.systemd.systemctl("stop", retired, ["--no-block"])
        self._wait_for_stop([deployment for deployment in ready if not deployment.can_stop_in_background])
        for deployment in ready:
            self._directory.remove(name for name in deployment.plan.remove if name not in deployment.lingering)
        ended = [name for deployment in deployments for name in self._background.remove_old(deployment)]
        if not retired and not ended:
            return
        if any(not deployment.can_stop_in_background for deployment in ready):
            self._host.systemd.reset_failed([*retired, *ended])
        else:
            self._host.systemd.reset_failed_later([*retired, *ended])

    def _wait_for_stop(self, deployments: t.Sequence[Deployment]) -> None:
        if not deployments:
            return
        seconds = max(deployment.stop_timeout() for deployment in deployments)
        lingering = wait_until_stopped(
            self._host, [name for deployment in deployments for name in deployment.plan.remove], seconds
        )
        for deployment in deployments:
            deployment.lingering = [name for name in deployment.plan.remove if name in lingering]
            if deployment.lingering:
                deployment.step_warning = (
                    f"not stopped in time; the next run retries: {', '.join(deployment.lingering)}"
                )
