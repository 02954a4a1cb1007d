# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch a release for some time after the switch. Private to flaskops.stack."""

from __future__ import annotations

import typing as t
from contextlib import suppress

from .._system.host import Host
from .deployment import Deployment
from .drain import wait_until_drained
from .health import Probe, find_probe_fault
from .workers import last_death

# Seconds from the switch to the first look at the release, between two looks, and for how long a look is fresh. The
# first is taken while the old release still has to run.
FIRST_WATCH, WATCH_INTERVAL, FRESH = 0.08, 0.25, 0.05
# Without health.watch a release is watched for half as long as it needed to load, and no longer than the second of
# these; one that needed no more than the first is watched while the old release is drained.
_WATCH_FREE, _WATCH_MOST, _WATCH_SHARE = 0.25, 1.0, 0.5


def still_draining(host: Host, deployments: t.Iterable[Deployment]) -> list[Deployment]:
    """Return the deployments whose old release still has open connections, or may have."""
    # When the connections cannot be read, they count as open until the drain timeout.
    table = None
    with suppress(OSError):
        table = host.kernel.unix_sockets()
    now = host.clock.monotonic()
    return [
        deployment
        for deployment in deployments
        if not deployment.error and deployment.drain and not deployment.drain.over(table, now)
    ]


def watch_seconds(deployment: Deployment, switched: float) -> float:
    """Return for how many seconds the old release has to keep running; C(switched) is when the link was renamed."""
    if not deployment.plan.switch or not deployment.old_sockets():
        return 0.0
    past = deployment.host.clock.monotonic() - switched if switched else 0.0
    return max(float(deployment.health.watch), _default_watch(deployment) - past, 0.0)


def _default_watch(deployment: Deployment) -> float:
    # The target of a rollback was watched when it was new, and the release it replaces is the broken one.
    if deployment.service.rollback or not deployment.health_check:
        return 0.0
    needed = max((probe.seconds for probe in deployment.health_check.probes), default=0.0)
    return min(needed * _WATCH_SHARE, _WATCH_MOST) if needed > _WATCH_FREE else 0.0


def drain_rejected(deployment: Deployment) -> None:
    """Drain the rejected release before stopping it."""
    # Its remaining instances may still be healthy. Where the old release was stopped first, there is no time for it.
    if not deployment.stopped_units:
        wait_until_drained(
            deployment.host,
            [probe.socket for probe in deployment.health_check.probes] if deployment.health_check else [],
            deployment.drain_timeout,
        )


def find_fault_after_switch(deployment: Deployment, probe: Probe, state: t.Mapping[str, str]) -> str:
    """Return why a live release is unhealthy, or an empty text."""
    if probe.workers:
        # With real traffic, workers are replaced after max_requests.
        probe.workers.fresh = False
    reason = find_probe_fault(deployment.host.commands, probe, state)
    # gunicorn replaces a worker that has died, so that systemd sees nothing of it.
    said = ""
    if deployment.health.watch and not reason:
        said = last_death(deployment.host.commands, probe.service, deployment.started_at)
    return f"a worker of {probe.service} died ({said})" if said else reason
