# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide how many workers the memory has room for, and measure what they use. Private to flaskops.stack."""

from __future__ import annotations

import os
import typing as t
from dataclasses import replace

from .._release.release import current_id
from .._release.releases import find_applications
from .._service.environment import parse_environment
from .._service.worker_room import FILE, Room, explain_room, find_room, largest
from .._system.files import read_file, write_file
from .._system.host import Kernel
from .deployment import Deployment
from .memory_use import total_memory, used_memory


def read_room(release: str) -> Room | None:
    """Return what was decided and measured for the release in this directory."""
    return Room.from_json((read_file(os.path.join(release, FILE)) or b"").decode("utf-8", "replace"))


def limit_workers(deployment: Deployment, together: t.Collection[str] = ()) -> None:
    """Write into the release how many workers there is room for, before it is started.

    Applications that are deployed together for the first time have no C(current) yet, and share the memory already.
    """
    manifest, room = deployment.service.manifest, _decide(deployment, together)
    if manifest and room:
        _write(deployment.service.layout.release(manifest.id), room)


def most_workers(deployment: Deployment, together: t.Collection[str]) -> int:
    """Return how many workers an instance of the new release has at most; 0 where that is not known."""
    manifest, room = deployment.service.manifest, _decide(deployment, together)
    if manifest is None or room is None or _overrides_room(deployment.service.layout.release(manifest.id)):
        return manifest.settings.workers if manifest else 0
    return room.most


def switching(deployments: t.Iterable[Deployment]) -> list[str]:
    """Return the names of the applications that get another release."""
    return [deployment.service.name for deployment in deployments if deployment.plan.switch]


def _overrides_room(release: str) -> bool:
    """Tell whether the environment of a release says how many workers there are, as gunicorn.conf.py reads it."""
    text = (read_file(os.path.join(release, "env")) or b"").decode("utf-8", "replace")
    return parse_environment(text).get("WEB_CONCURRENCY", "").strip("0").isdigit()


def _decide(deployment: Deployment, together: t.Collection[str]) -> Room | None:
    """Return how many workers there is room for, decided once in a deploy; None as from C(_find)."""
    if deployment.worker_room is None:
        deployment.worker_room = _find(deployment, together)
    return deployment.worker_room


def _find(deployment: Deployment, together: t.Collection[str]) -> Room | None:
    """Return how many workers there is room for; None where the user decides or nothing is known."""
    manifest, layout = deployment.service.manifest, deployment.service.layout
    total = _total(deployment.host.kernel)
    if manifest is None or manifest.settings.workers or not total:
        return None
    own = layout.release(manifest.id)
    measured = [read_room(own), read_room(layout.release(deployment.observed.current or manifest.id))]
    settings = manifest.settings
    applications = _applications(deployment, together)
    return find_room(total, applications, settings.instances, settings.memory_max, largest(measured))


def measure_workers(deployment: Deployment) -> str:
    """Write into the release what its workers use, now that all have loaded; return why there are not more of them."""
    manifest, layout, check = deployment.service.manifest, deployment.service.layout, deployment.health_check
    room = read_room(layout.release(manifest.id)) if manifest else None
    if manifest is None or check is None or room is None:
        return ""
    kernel = deployment.host.kernel
    crews = [probe.workers for probe in check.probes if probe.workers and probe.workers.loaded]
    count = sum(len(crew.loaded) for crew in crews)
    used = sum(used_memory(kernel, _group(kernel, crew.master)) for crew in crews)
    if not count or not used:
        return ""
    _write(layout.release(manifest.id), replace(room, measured=used // count))
    decided = len(crews[0].loaded) == room.most
    return explain_room(room, _total(kernel), _applications(deployment)) if decided else ""


def _applications(deployment: Deployment, together: t.Collection[str] = ()) -> int:
    """Return how many applications the host has, with this one and those that are deployed together with it."""
    layout = deployment.service.layout
    served = {found.name for found in find_applications(layout.root) if current_id(found)}
    return len(served | {layout.name, *together})


def _write(release: str, room: Room) -> None:
    write_file(os.path.join(release, FILE), room.to_json().encode())


def _total(kernel: Kernel) -> int:
    return total_memory(kernel) or 0


def _group(kernel: Kernel, pid: int) -> str:
    """Return the control group of a process."""
    lines = (kernel.read(f"/proc/{pid}/cgroup") or "").splitlines()
    return next((line[3:] for line in lines if line.startswith("0::")), "")
