# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry point of module flask_status: report the state of applications. Only reads. Private to flaskops.stack."""

from __future__ import annotations

import os
import re
import shutil
import typing as t
from dataclasses import asdict, replace

from .._acme.lineage import Places
from .._acme.state import certificate_states
from .._build.host_check import check_switch
from .._deploy.edited_units import describe_edits, drop_ins, edited, recorded_units
from .._deploy.health import Health, Probe, start_probe
from .._deploy.observe import UnitDirectory
from .._deploy.rollback import can_run
from .._deploy.unhealthy import RESTART_PROPERTIES, SINCE, explain_unhealthy
from .._deploy.workers import release_marks
from .._input.values import InputError, check_name
from .._release.assets import kept_assets
from .._release.distributions import installed, version_of
from .._release.history import Entry, activation_times, is_interrupted_rollback, read_history, with_interrupted_resolved
from .._release.model import Layout, Manifest, is_release_id
from .._release.published import NGINX, is_named, is_published
from .._release.release import current_id, damage, list_releases
from .._release.releases import find_applications
from .._release.rollback import (
    deploy_runs,
    describe_state,
    possible_targets,
    previous_healthy,
    refused_releases,
    rejected_releases,
)
from .._service.idle import is_asleep
from .._service.units import instance_name
from .._system.files import NoDirectoryError
from .._system.host import Clock, Host, Kernel
from .._system.lock import lock_owner
from .._system.paths import UNITS
from .._system.planted import walk

_PROPERTIES = (*RESTART_PROPERTIES, "LoadState", "MemoryCurrent", "ControlGroup", "TasksCurrent")
_PSS = re.compile(r"^Pss: +([0-9]+) kB$", re.MULTILINE)
# Seconds after which the size of a tree is not counted any further.
_MEASURED = 20
_BESIDE = re.compile(r"\.(?:worker|timer)-")

Row = t.Dict[str, t.Any]


def certificates_of_sites(
    now: float, names: t.Sequence[str] | None, places: Places | None = None, nginx: str = NGINX
) -> list[Row]:
    """Return the certificates of the sites, without self-signed ones that no site reads any more."""
    where = places or Places()

    def is_idle(name: str) -> bool:
        current = where.current(name)
        return os.path.lexists(current) and is_named(f"{current}/", nginx) is False

    states = certificate_states(now, where, names)
    return [state for state in states if state["issued"] or not is_idle(state["name"])]


def application_states(
    host: Host, root: str, names: t.Sequence[str] | None, timeout: float, probe: bool = True
) -> list[Row]:
    """Return how each application is; without C(names), all that have releases below C(root).

    Without C(probe) no instance is asked and no disk is counted, which takes time.
    """
    layouts = [Layout(root, check_name(name)) for name in names] if names is not None else find_applications(root)
    rows = [_state(host, layout, probe) for layout in layouts]
    if not probe:
        return [_finished({**row, "_probes": []}) for row in rows]
    deadline = host.clock.monotonic() + timeout
    threads = [
        start_probe(host, probe, row["_health"], deadline, once=True) for row in rows for probe in row["_probes"]
    ]
    for thread in threads:
        thread.join()
    return [_finished(row) for row in rows]


def unknown_applications(root: str, names: t.Sequence[str] | None) -> dict[str, list[str]]:
    """Return which of the names are of no application below C(root), and those that there are."""
    known = [layout.name for layout in find_applications(root)]
    gone = [name for name in names or [] if name not in known and not read_history(name)]
    return {"unknown": gone, "known": known if gone else []}


def _state(host: Host, layout: Layout, count: bool) -> Row:
    current, history = current_id(layout) or "", read_history(layout.name)
    releases = list_releases(layout, activation_times(history))
    manifest = next((found for found in releases if found.id == current), None)
    holder, begun = lock_owner(layout.lock), _unfinished(history)
    interrupted = is_interrupted_rollback(history, current)
    # What goes on has no result yet; what was killed has that which the link tells.
    history = history if holder else [dict(entry) for entry in with_interrupted_resolved(history, current)]
    return {
        "name": layout.name,
        "current": current,
        **_versions(layout, manifest),
        **_process(host, layout, manifest),
        "beside": _beside(host, layout.name),
        "activated": next((dict(line) for line in reversed(history) if _is_activation(line, current)), None),
        "failed": _last_failure(history),
        "unfinished": begun,
        "lock": asdict(holder) if holder else None,
        "maintenance": os.path.exists(os.path.join(layout.maintenance, "on")),
        "assets_of": kept_assets(layout),
        "published": is_published(layout, manifest.settings.bind) if manifest else None,
        "damaged": _damaged(layout),
        "obstacle": _obstacle(host, layout),
        "edited": _edits(host, layout, current),
        **_releases(layout, releases, history, current),
        "rollback_interrupted": interrupted,
        "disk": disk_usage(host.clock, layout.base) if count and os.path.isdir(layout.base) else 0,
        "disk_free": shutil.disk_usage(layout.base).free if os.path.isdir(layout.base) else 0,
        "_release": layout.release(current),
        "_manifest": manifest,
    }


def _damaged(layout: Layout) -> list[Row]:
    """Return the releases whose manifest cannot be used, and why."""
    names = sorted(os.listdir(layout.releases)) if os.path.isdir(layout.releases) else []
    found = ((name, damage(layout.release(name))) for name in names if is_release_id(name))
    return [{"id": name, "reason": reason} for name, reason in found if reason]


def _obstacle(host: Host, layout: Layout) -> str:
    """Return what a deploy or a removal would refuse to begin with; an empty text for nothing."""
    try:
        check_switch(layout)
        UnitDirectory(host, UNITS).names()
    except (InputError, NoDirectoryError) as exc:
        return str(exc)
    return ""


def _edits(host: Host, layout: Layout, current: str) -> str:
    """Return what was changed on the host of the units of the release that serves."""
    recorded, units = recorded_units(layout, current), UnitDirectory(host, UNITS)
    there = {name: text for name in recorded if (text := units.read(name)) is not None}
    return describe_edits(list(edited(there, recorded)), drop_ins(UNITS, layout.name), mended=False)


def _is_activation(entry: Entry, current: str) -> bool:
    return entry.get("release") == current and entry.get("result") == "activated"


def _last_failure(history: t.Sequence[Entry]) -> Row | None:
    """Return what failed last, unless something has been activated since."""
    last = next((line for line in reversed(history) if line.get("result") in ("failed", "activated")), None)
    return dict(last) if last and last["result"] == "failed" else None


def _unfinished(history: t.Sequence[Entry]) -> Row | None:
    """Return the deploy that has begun and not ended: it is in progress, or was killed."""
    return dict(history[-1]) if history and history[-1].get("result") == "begun" else None


def _versions(layout: Layout, manifest: Manifest | None) -> Row:
    if manifest is None:
        return {"version": "", "revision": "", "python": "", "gunicorn": ""}
    virtualenv, source = os.path.join(layout.release(manifest.id), "venv"), manifest.source
    return {
        "version": version_of(source, virtualenv),
        "revision": source.get("revision", ""),
        "python": manifest.python,
        "gunicorn": installed(virtualenv).get("gunicorn", ""),
    }


def _process(host: Host, layout: Layout, manifest: Manifest | None) -> Row:
    """Return what systemd says of the instances, and the probes that ask them."""
    nothing: Row = {"instances": 0, "running": 0, "asleep": 0, "memory": 0, "tasks": 0, "restarts": 0, "uptime": 0}
    if manifest is None:
        return {**nothing, "ill": "", "_health": None, "_probes": []}
    # Not checked: an earlier version took for right what this one does not.
    settings = manifest.settings
    numbers = range(settings.instances)
    services = [f"{instance_name(layout.name, manifest.id, number)}.service" for number in numbers]
    found = host.systemd.show(services, _PROPERTIES)
    states = list(found.values())
    asleep = _asleep(host, found) if settings.idle else set()
    active = [state for state in states if state.get("ActiveState") == "active"]
    since = [_number(state, SINCE) for state in active]
    return {
        "instances": len(services),
        "running": len(active),
        "asleep": len(asleep),
        "memory": sum(_memory(host.kernel, state) for state in active),
        "tasks": sum(_number(state, "TasksCurrent") for state in active),
        "restarts": sum(_number(state, "NRestarts") for state in states),
        "uptime": int(host.clock.monotonic() - max(since) / 1e6) if since else 0,
        "ill": _explain_unhealthy(found, host.clock.monotonic()),
        "_health": replace(
            Health.from_settings(settings, not release_marks(host.kernel, layout.release(manifest.id))), successes=1
        ),
        "_probes": [
            # A request would wake it.
            Probe(number, layout.socket(manifest.id, number), service)
            for number, service in zip(numbers, services)
            if service not in asleep
        ],
    }


def _asleep(host: Host, states: t.Mapping[str, t.Mapping[str, str]]) -> set[str]:
    """Return the services that sleep, and whose sockets wait for the next visitor."""
    sockets = {name: name.replace(".service", ".socket") for name, state in states.items() if is_asleep(state)}
    found = host.systemd.show(list(sockets.values()), ["ActiveState"]) if sockets else {}
    return {name for name, socket in sockets.items() if found.get(socket, {}).get("ActiveState") == "active"}


def _explain_unhealthy(states: t.Mapping[str, t.Mapping[str, str]], now: float) -> str:
    """Return which service keeps ending, and why; an empty text when none does."""
    said = ((name, explain_unhealthy(state, now)) for name, state in states.items())
    return next((f"{name} {reason}" for name, reason in said if reason), "")


def _memory(kernel: Kernel, state: t.Mapping[str, str]) -> int:
    """Return the memory of a service; where its cgroup does not count, that of its processes, what they share once."""
    known = _number(state, "MemoryCurrent")
    processes = (
        (kernel.read(f"/sys/fs/cgroup{state.get('ControlGroup', '')}/cgroup.procs") or "").split() if not known else []
    )
    shares = (_PSS.search(kernel.read(f"/proc/{pid}/smaps_rollup") or "") for pid in processes)
    return known or sum(int(found.group(1)) * 1024 for found in shares if found)


def _number(state: t.Mapping[str, str], name: str) -> int:
    """Return a number; systemd says "[not set]" or the greatest one when it does not know."""
    text = state.get(name, "")
    return int(text) if text.isdigit() and int(text) < 2**63 else 0


def _beside(host: Host, name: str) -> list[Row]:
    """Return the workers and timers in systemd's memory."""
    states = host.systemd.show_matching([f"{name}@*.service", f"{name}@*.timer"], ["ActiveState"])
    return [
        {"unit": unit, "state": states[unit].get("ActiveState", "")} for unit in sorted(states) if _BESIDE.search(unit)
    ]


def _releases(layout: Layout, releases: t.Sequence[Manifest], history: t.Sequence[Entry], current: str) -> Row:
    usable = {manifest.id for manifest in releases if can_run(layout, manifest.id)}
    times, bad, refused = activation_times(history), rejected_releases(history), refused_releases(history)
    target = previous_healthy(history, usable, current)
    rows = [
        {
            "id": manifest.id,
            "version": version_of(manifest.source, os.path.join(layout.release(manifest.id), "venv")),
            "revision": manifest.source.get("revision", ""),
            "built": manifest.built_at,
            "activated": times.get(manifest.id, ""),
            "state": describe_state(manifest.id, usable, times, bad, current),
            "rollback": manifest.id == target,
            "usable": manifest.id in usable and manifest.id not in refused,
        }
        for manifest in reversed(releases)
    ]
    return {"releases": rows, "targets": possible_targets(history, usable, current), "runs": deploy_runs(history)}


def disk_usage(clock: Clock, top: str) -> int:
    """Return the bytes on disk of a tree, each file once, also when it has several names.

    An application may write any number of files: what is not seen in time, or lies too deep, is not counted.
    """
    deadline = clock.monotonic() + _MEASURED
    seen: set[tuple[int, int]] = set()
    total = 0
    for _path, directories, files, descriptor in walk(top, complete=False):
        if clock.monotonic() > deadline:
            break
        for name in [*directories, *files]:
            try:
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                total += found.st_blocks * 512
    return total


def _finished(row: Row) -> Row:
    """Return the row with what the probes have found in the place of these."""
    probes: list[Probe] = row["_probes"]
    answers = [
        {
            "instance": probe.instance,
            "status": probe.status,
            "seconds": probe.seconds,
            "problem": _redact(probe.problem, row),
        }
        for probe in probes
    ]
    shown = {key: value for key, value in row.items() if not key.startswith("_")}
    # One that is between two of its ends may answer.
    healthy = bool(probes or row["asleep"]) and all(probe.passed for probe in probes) and not row["ill"]
    return {**shown, "healthy": healthy, "answers": answers}


def _redact(problem: str, row: Row) -> str:
    """Return why an answer was rejected without the secrets of the release: the application is quoted in it."""
    if not problem:
        return ""
    # Loaded for errors only.
    from .._build.secret_values import redact_secrets

    try:
        return redact_secrets(problem, row["_release"], row["_manifest"])
    except OSError:
        # Who may not read the secrets cannot know what is one.
        return problem.partition("; it said: ")[0]
