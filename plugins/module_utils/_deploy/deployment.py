# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of one service during a deploy. Private to flaskops.stack."""

from __future__ import annotations

from dataclasses import dataclass, field

from .._input.defaults import ALLOW, NEVER, HealthSettings, Settings
from .._release.model import Layout, Manifest, ReleaseError
from .._release.release import read_manifest
from .._service.units import instance_name, parse_unit_name, stop_seconds
from .._service.worker_room import Room
from .._site.forwarded import ForwardedChain
from .._system.host import Host
from .._system.systemd_defaults import default_stop_seconds
from .drain import Drain
from .health import Health, HealthCheck, Probe
from .hook_run import HookResult
from .plan import DeployPlan, Observed, WantedUnits, plan_deploy
from .workers import Workers, release_marks

# For a release whose manifest is gone: more than any of ours asks for by default.
_STOP_UNKNOWN = 90.0
_STOP_MARGIN = 5.0


@dataclass(frozen=True)
class Service:
    """The wanted state of one application; without a manifest it is to be removed."""

    layout: Layout
    manifest: Manifest | None
    wanted: WantedUnits
    # The client address, scheme and host that nginx forwards, where that is known.
    chain: ForwardedChain | None = None
    # Whether this is a rollback to a release that was live before.
    rollback: bool = False

    @property
    def name(self) -> str:
        """Return the application's name."""
        return self.layout.name


@dataclass
class Deployment:
    """The deploy of one service: the observed state, the plan, and the outcome so far."""

    service: Service
    observed: Observed
    plan: DeployPlan
    host: Host
    # On the clocks of C(Clock.monotonic) and C(Clock.time).
    began: float
    started_at: float
    # Whether the start of the release was requested; a failure before that is not the fault of the release.
    started: bool = False
    health_check: HealthCheck | None = None
    drain: Drain | None = None
    error: str = ""
    # Failure reason, before the log excerpt is added.
    reason: str = ""
    # Whether the old release has to stop first, as memory is short or as it may not run beside another one, and the
    # units that were stopped for that.
    stop_old_first: bool = False
    stopped_units: list[str] = field(default_factory=list)
    # When that was, on the clock of C(Clock.monotonic), and for how many seconds no release has served.
    stopped_at: float = 0.0
    gap: float = 0.0
    # A failure after the switch that did not cause a revert: the release is live.
    post_switch_error: str = ""
    # Whether the application was seen to trust the forwarded headers as it should.
    proxy_verified: bool = False
    # Hooks that have run, with their output.
    hook_results: list[HookResult] = field(default_factory=list)
    # When static files of the old release expire, on the clock of C(time.time).
    assets_expire_at: float = 0.0
    switched: bool = False
    # The service of the worker that caused the failure.
    failed_worker: str = ""
    # Workers and jobs of other releases that are still busy; they stop by themselves.
    finishing: list[str] = field(default_factory=list)
    # Units that did not stop in time; the next run stops them.
    lingering: list[str] = field(default_factory=list)
    step_warning: str = ""
    # Warnings about the release and its units; C(step_warning) is that of a step which was skipped or deferred.
    warnings: list[str] = field(default_factory=list)
    # How many workers the release has room for, once that is decided; it stays None where memory does not decide.
    worker_room: Room | None = None
    # Why the release has no more workers, when memory decides that.
    room: str = ""
    # Releases that were pruned.
    pruned: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @classmethod
    def from_observed(cls, service: Service, observed: Observed, host: Host) -> Deployment:
        """Return the deploy that leads from the observed state to the wanted one."""
        plan = plan_deploy(observed, service.wanted)
        return cls(service, observed, plan, host, host.clock.monotonic(), host.clock.time())

    @property
    def health(self) -> HealthSettings:
        """Return the settings of the health check."""
        return self._settings.health

    @property
    def _settings(self) -> Settings:
        """Return the settings of the release; the defaults for an application that is removed."""
        return self.service.manifest.settings if self.service.manifest else Settings()

    @property
    def drain_timeout(self) -> float:
        """Return for how many seconds the old release may drain."""
        return float(self._settings.drain_timeout)

    @property
    def asset_grace(self) -> int:
        """Return for how many seconds static files of the old release stay reachable."""
        return self._settings.asset_grace if self.service.manifest else 0

    @property
    def may_overlap(self) -> bool:
        """Tell whether the release may run beside the one that serves; what either of the two says counts."""
        return NEVER not in (self._settings.overlap, self._current_overlap())

    def _current_overlap(self) -> str:
        current = self.observed.current
        try:
            manifest = read_manifest(self.service.layout.release(current)) if current else None
        except ReleaseError:
            manifest = None
        return manifest.settings.overlap if manifest else ALLOW

    @property
    def threads(self) -> bool:
        """Tell whether the release is one worker with threads of the application, and another may run beside it."""
        probes = self.health_check.probes if self.health_check else []
        workers = [probe.workers for probe in probes if probe.workers]
        return self._settings.overlap != NEVER and len(probes) == len(workers) == 1 and workers[0].threads

    def note_gap(self) -> None:
        """Note for how long no release has served, where the old one was stopped first."""
        if self.stopped_units:
            self.gap = round(self.host.clock.monotonic() - self.stopped_at, 3)

    @property
    def in_progress(self) -> bool:
        """Tell whether there is something to do and nothing has failed."""
        return not self.error and not self.plan.empty

    @property
    def healthy(self) -> bool:
        """Tell whether the release has passed its health check."""
        return self.health_check is not None and all(probe.passed for probe in self.health_check.probes)

    @property
    def unverified_units(self) -> list[str]:
        """Return the units to write that systemd has not accepted before: they differ from the current release's."""
        old, new = self.observed.current or "", self.service.wanted.release
        accepted = {text.replace(old, new) for name, text in self.observed.files.items() if old and old in name}
        return [name for name, text in self.plan.write.items() if text not in accepted]

    @property
    def old_web_units(self) -> list[str]:
        """Return the web units of the old release; an earlier run may have failed to enable them at boot."""
        units = {name: parse_unit_name(name) for name in self.plan.remove if name in self.observed.files}
        return [name for name, unit in units.items() if unit and unit.release and unit.release == self.observed.current]

    @property
    def added_units(self) -> list[str]:
        """Return the web units to remove when the deploy is aborted or reverted."""
        forwards = [name for name in self.plan.forward_write if name not in self.observed.files]
        return [*self.service.wanted.units, *forwards]

    @property
    def needs_daemon_reload(self) -> bool:
        """Tell whether systemd may have older texts of the units to start in memory; it reads new files by itself."""
        known = self.observed.loaded | set(self.observed.files)
        return bool(self.plan.forward_write or self.plan.rewrite) or not known.isdisjoint(
            [*self.plan.write, *self.plan.start, *self.plan.start_workers]
        )

    @property
    def can_stop_in_background(self) -> bool:
        """Tell whether the old units can be left to systemd once they were told to stop.

        Removing an application removes its files and user, so that has to wait. A unit whose file is gone has systemd's
        built-in stop timeout as soon as systemd reads its files again.
        """
        return self.service.manifest is not None and self.stop_timeout() <= default_stop_seconds(self.host.commands)

    def old_sockets(self) -> list[str]:
        """Return the socket paths of the old releases that still run."""
        units = {name: parse_unit_name(name) for name in self.plan.remove if name in self.observed.alive}
        return [
            self.service.layout.socket(unit.release, unit.instance)
            for unit in units.values()
            if unit and unit.release and unit.kind == "service"
        ]

    def stop_timeout(self) -> float:
        """Return how many seconds the old units may take to stop."""
        releases = {unit.release for unit in map(parse_unit_name, self.plan.remove) if unit and unit.release}
        return max((self._stop_timeout(release) for release in releases), default=0.0) + _STOP_MARGIN

    def _stop_timeout(self, release: str) -> float:
        try:
            manifest = read_manifest(self.service.layout.release(release))
        except ReleaseError:
            manifest = None
        return float(stop_seconds(manifest.settings)) if manifest else _STOP_UNKNOWN

    def new_health_check(self) -> HealthCheck | None:
        """Return the health check that the release has to pass; None when nothing is started."""
        manifest = self.service.manifest
        if manifest is None or not self.plan.needs_health_check:
            return None
        numbers = range(manifest.settings.instances)
        # A release that an earlier version of the collection built is checked by that version's rules.
        lenient = not release_marks(self.host.kernel, self.service.layout.release(manifest.id))
        return HealthCheck(
            Health.from_settings(manifest.settings, lenient),
            [self._probe(manifest, number) for number in numbers],
            self.host,
        )

    def _probe(self, manifest: Manifest, number: int) -> Probe:
        service = f"{instance_name(manifest.name, manifest.id, number)}.service"
        # A service that systemd did not know before has never been restarted.
        restarts = "" if service in self.observed.loaded else "0"
        workers = Workers(
            self.service.layout.release(manifest.id),
            self.host.kernel,
            # Workers of one that sleeps may end before the switch.
            fresh=service in self.plan.start and not manifest.settings.idle,
            preload=manifest.settings.preload,
            max_requests=manifest.settings.max_requests,
        )
        socket = self.service.layout.socket(manifest.id, number)
        sleeps = bool(manifest.settings.idle)
        return Probe(number, socket, service, restarts=restarts, workers=workers, since=self.started_at, sleeps=sleeps)
