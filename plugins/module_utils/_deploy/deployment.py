# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of one service on its way through a hand-over. Private to flaskops.stack."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field

from .._release.model import Layout, Manifest, ReleaseError
from .._release.release import read_manifest
from .._service.units import instance_name, parse_unit_name, stop_seconds
from .._site.forwarded import Chain
from .._system.systemd_defaults import default_stop_seconds
from .drain import Drain
from .health import Health, HealthCheck, Probe
from .hook_run import HookResult
from .plan import DeployPlan, Observed, Wanted, plan_deploy
from .workers import Workers, release_marks

# For a release whose manifest is gone: more than any of ours asks for by default.
_STOP_UNKNOWN = 90.0
_STOP_MARGIN = 5.0


@dataclass(frozen=True)
class Service:
    """One application as it shall run; without a manifest it shall not."""

    layout: Layout
    manifest: Manifest | None
    wanted: Wanted
    # How visitors reach it, where that is known.
    chain: Chain | None = None
    # Whether it goes back to a release that has served before.
    rollback: bool = False

    @property
    def name(self) -> str:
        """Return the application's name."""
        return self.layout.name


@dataclass
class Deployment:
    """One service on its way through the hand-over."""

    service: Service
    observed: Observed
    plan: DeployPlan
    began: float = field(default_factory=time.monotonic)
    started_at: float = field(default_factory=time.time)
    # Whether systemd was told to start the release; before that, nothing that fails is a fault of it.
    started: bool = False
    health_check: HealthCheck | None = None
    drain: Drain | None = None
    error: str = ""
    # With what the error, or what is told in its place, begins until it is known what the log says.
    reason: str = ""
    # Whether there is no memory for two releases at once, and the units that were stopped for that.
    stop_old_first: bool = False
    stopped_units: list[str] = field(default_factory=list)
    # What went wrong after the switch, so that the release serves nevertheless.
    post_switch_error: str = ""
    # Whether it was seen that the release believes of visitors what it should.
    proxy_verified: bool = False
    # Hooks that have run.
    hook_results: list[HookResult] = field(default_factory=list)
    # When the files of the old release stop to be reachable, on the clock of C(time.time).
    assets_expire_at: float = 0.0
    switched: bool = False
    # The worker that a release was refused for.
    failed_worker: str = ""
    # Workers and jobs of other releases that finish what they do, and then end by themselves.
    finishing: list[str] = field(default_factory=list)
    # Units that did not end; the next run takes them up, and the note says why.
    lingering: list[str] = field(default_factory=list)
    note: str = ""
    # What to warn of although everything went well.
    cautions: list[str] = field(default_factory=list)
    # Releases that were removed because there were more than enough.
    pruned: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @classmethod
    def from_observed(cls, service: Service, observed: Observed) -> Deployment:
        """Return the way from what is observed to what is wanted."""
        return cls(service, observed, plan_deploy(observed, service.wanted))

    @property
    def health(self) -> t.Mapping[str, t.Any]:
        """Return the settings of the health gate."""
        return t.cast("t.Mapping[str, t.Any]", self._settings["health"])

    @property
    def _settings(self) -> t.Mapping[str, t.Any]:
        manifest = self.service.manifest
        return t.cast("t.Mapping[str, t.Any]", manifest.settings) if manifest else {}

    @property
    def drain_timeout(self) -> float:
        """Return how long the old release may finish what it has."""
        return float(self._settings.get("drain_timeout", 30))

    @property
    def asset_grace(self) -> int:
        """Return for how long files of the old release stay reachable."""
        return int(self._settings.get("asset_grace", 0))

    @property
    def in_progress(self) -> bool:
        """Tell whether there still is something to do."""
        return not self.error and not self.plan.empty

    @property
    def healthy(self) -> bool:
        """Tell whether the release has passed its gate."""
        return self.health_check is not None and all(probe.passed for probe in self.health_check.probes)

    @property
    def unverified_units(self) -> list[str]:
        """Return the units to write that differ from those of the current release, which systemd has accepted."""
        old, new = self.observed.current or "", self.service.wanted.release
        accepted = {text.replace(old, new) for name, text in self.observed.files.items() if old and old in name}
        return [name for name, text in self.plan.write.items() if text not in accepted]

    @property
    def old_web_units(self) -> list[str]:
        """Return the units of the web that served before; an earlier run may have failed to let them start at boot."""
        units = {name: parse_unit_name(name) for name in self.plan.remove if name in self.observed.files}
        return [name for name, unit in units.items() if unit and unit.release and unit.release == self.observed.current]

    @property
    def added_units(self) -> list[str]:
        """Return the units of the web that go when the release is refused."""
        forwards = [name for name in self.plan.forward_write if name not in self.observed.files]
        return [*self.service.wanted.units, *forwards]

    @property
    def needs_daemon_reload(self) -> bool:
        """Tell whether systemd may remember other texts than those of the units to start; it reads new ones itself."""
        known = self.observed.loaded | set(self.observed.files)
        return bool(self.plan.forward_write or self.plan.rewrite) or not known.isdisjoint(
            [*self.plan.write, *self.plan.start, *self.plan.start_workers]
        )

    @property
    def can_stop_in_background(self) -> bool:
        """Tell whether the units that have to go can be left to systemd after they were told to end.

        An application that is removed takes its files and its user with it. A unit whose file is gone has systemd's
        own time-out as soon as it reads its files again.
        """
        return self.service.manifest is not None and self.stop_timeout() <= default_stop_seconds()

    def old_sockets(self) -> list[str]:
        """Return the paths of the sockets of all releases that have to go and can still answer."""
        units = {name: parse_unit_name(name) for name in self.plan.remove if name in self.observed.alive}
        return [
            self.service.layout.socket(unit.release, unit.instance)
            for unit in units.values()
            if unit and unit.release and unit.kind == "service"
        ]

    def stop_timeout(self) -> float:
        """Return how long the units that have to go may take to end."""
        releases = {unit.release for unit in map(parse_unit_name, self.plan.remove) if unit and unit.release}
        return max((self._stop_timeout(release) for release in releases), default=0.0) + _STOP_MARGIN

    def _stop_timeout(self, release: str) -> float:
        try:
            manifest = read_manifest(self.service.layout.release(release))
        except ReleaseError:
            manifest = None
        return float(stop_seconds(manifest.settings)) if manifest else _STOP_UNKNOWN

    def new_health_check(self) -> HealthCheck | None:
        """Return the gate that the release has to pass, or None when there is nothing to prove."""
        manifest = self.service.manifest
        if manifest is None or not self.plan.needs_health_check:
            return None
        numbers = range(t.cast(int, manifest.settings["instances"]))
        # What an earlier version has built is asked by the rules of that version.
        lenient = not release_marks(self.service.layout.release(manifest.id))
        return HealthCheck(
            Health.from_settings(manifest.settings, lenient), [self._probe(manifest, number) for number in numbers]
        )

    def _probe(self, manifest: Manifest, number: int) -> Probe:
        service = f"{instance_name(manifest.name, manifest.id, number)}.service"
        # What systemd did not know before has never been restarted.
        restarts = "" if service in self.observed.loaded else "0"
        workers = Workers(
            self.service.layout.release(manifest.id),
            fresh=service in self.plan.start,
            preload=bool(manifest.settings["preload"]),
            max_requests=t.cast(int, manifest.settings["max_requests"]),
        )
        socket = self.service.layout.socket(manifest.id, number)
        return Probe(number, socket, service, restarts=restarts, workers=workers, since=self.started_at)
