# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide whether two releases may run at once, or the old one has to stop first. Private to flaskops.stack."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from .._input.defaults import ALWAYS, FALLBACK, NEVER
from .._release.model import ReleaseError
from .._release.release import read_manifest
from .._service.units import parse_unit_name, stop_seconds
from .._system.host import Host
from .deployment import Deployment
from .memory_use import available_memory, used_memory
from .observe import wait_until_stopped
from .room import most_workers, switching
from .workers import count_loaded

_MIB = 2**20


def explain_shortage(release: str, needed: int, available: int) -> str:
    """Return why a release cannot be started beside the live one, and the way out."""
    return (
        f"release {release} needs about {needed // _MIB} MiB of memory beside the one that serves, by what that uses, "
        f"and {available // _MIB} MiB are available: free some, lower 'workers' or 'instances', or set "
        "gunicorn_overlap: fallback, which stops the old release first (visitors get 502 until the new one has started)"
        "; always does not look at the memory"
    )


class MemoryCheck:
    """Decides whether the old release has to stop first because memory is short, and stops it."""

    def __init__(self, host: Host, overlap: str, report: t.Callable[[Deployment, str], None]) -> None:
        """Take the host, the C(overlap) policy, and the function that aborts a deployment that does not fit."""
        self._host = host
        self._overlap = overlap
        self._report = report

    def check(self, deployments: t.Sequence[Deployment]) -> None:
        """Decide which deployments have to stop the old release first; abort those that do not fit and may not."""
        candidates = [
            deployment for deployment in deployments if deployment.plan.switch and running_services(deployment)
        ]
        for deployment in candidates:
            deployment.stop_old_first = self._overlap == NEVER or not deployment.may_overlap
        # What is stopped first makes room for itself.
        candidates = [deployment for deployment in candidates if not deployment.stop_old_first]
        if not candidates or self._overlap == ALWAYS:
            return
        available = available_memory(self._host.kernel)
        if available is None:
            return
        for deployment in candidates:
            needed = _needed(deployment, switching(deployments))
            if needed <= available:
                available -= needed
            elif self._overlap == FALLBACK:
                deployment.stop_old_first = True
            else:
                self._report(deployment, explain_shortage(deployment.service.wanted.release, needed, available))

    def stop_old(self, deployments: t.Sequence[Deployment]) -> None:
        """Stop the old releases where memory is short or two may not run; their open requests may finish."""
        for deployment in deployments:
            if not deployment.stop_old_first or deployment.error:
                continue
            services = running_services(deployment)
            sockets = [name for name in deployment.observed.alive if name.replace(".socket", ".service") in services]
            deployment.stopped_units = sorted(set(services) | set(sockets))
            deployment.stopped_at = self._host.clock.monotonic()
            # The socket stops first, so that nothing starts the service again; accepted requests are still answered.
            self._host.systemd.systemctl(
                "stop", [name for name in deployment.stopped_units if name.endswith(".socket")]
            )
            self._host.systemd.systemctl("stop", services, ["--no-block"])
            wait_until_stopped(self._host, services, _stop_timeout(deployment))
            gone = frozenset(deployment.stopped_units)
            observed = deployment.observed
            deployment.observed = replace(observed, alive=observed.alive - gone, up=observed.up - gone)

    def restart_old(self, deployment: Deployment) -> None:
        """Start the old release again after an abort."""
        if deployment.stopped_units:
            self._host.commands.run(["systemctl", "start", "--", *deployment.stopped_units])
            deployment.note_gap()
            deployment.error += (
                f"\n{deployment.observed.current} had been stopped first, and was started again after "
                f"{deployment.gap:.1f} s."
            )


def running_services(deployment: Deployment) -> list[str]:
    """Return the service units of the live release, one for each of its instances."""
    parsed = [(name, parse_unit_name(name)) for name in sorted(deployment.observed.alive)]
    return [
        name
        for name, unit in parsed
        if unit and unit.kind == "service" and not unit.role and unit.release == deployment.observed.current
    ]


def _stop_timeout(deployment: Deployment) -> float:
    try:
        manifest = read_manifest(deployment.service.layout.release(deployment.observed.current or ""))
    except ReleaseError:
        manifest = None
    return float(stop_seconds(manifest.settings)) if manifest else 90.0


def _needed(deployment: Deployment, together: t.Collection[str]) -> int:
    """Return the bytes that the new release will need, if each worker uses as much as those that run."""
    kernel, manifest = deployment.host.kernel, deployment.service.manifest
    groups = [deployment.observed.groups.get(name, "") for name in running_services(deployment)]
    used = sum(used_memory(kernel, group) for group in groups)
    instances = manifest.settings.instances if manifest else 1
    before, after = count_loaded(kernel, groups), most_workers(deployment, together) * instances
    # One that will have as many, or more if there is room, needs as much as the one that runs, at least.
    fewer = 0 < after * len(groups) < before * instances
    return used * after // before if fewer else used * instances // len(groups)
