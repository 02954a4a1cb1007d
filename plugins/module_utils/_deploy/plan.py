# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the steps of a deploy from the observed and the wanted state. Private to flaskops.stack."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._service.units import parse_unit_name


@dataclass(frozen=True)
class Observed:
    """The state of one application on this host."""

    current: str | None = None
    # The collection's unit files on disk, by name; their text is empty for releases that are not wanted.
    files: t.Mapping[str, str] = field(default_factory=dict)
    # Units that run: active, starting or stopping.
    alive: frozenset[str] = frozenset()
    # Units that are completely up.
    up: frozenset[str] = frozenset()
    # Units that start at boot.
    enabled: frozenset[str] = frozenset()
    # Running units whose socket path is gone, as when the release was removed by hand. Not in up.
    socket_missing: frozenset[str] = frozenset()
    # Workers that were started so recently that they may still turn out to exit at each start.
    just_started: frozenset[str] = frozenset()
    # Units that systemd has loaded, running or not, with the text that their files had then.
    loaded: frozenset[str] = frozenset()
    # Their control groups, by name, of units that have one.
    groups: t.Mapping[str, str] = field(default_factory=dict)
    # Workers and jobs that stop since an earlier run, or finish their work; nothing has to be done. Not in alive.
    workers_stopping: frozenset[str] = frozenset()
    # The same for web units: an earlier run removed their files and requested their stop.
    units_stopping: frozenset[str] = frozenset()
    # Unit files below /run of the two above, and of those that have stopped since.
    runtime_units: frozenset[str] = frozenset()
    # Whether workers and timers are paused by the user.
    paused: bool = False
    # Why the current release is unhealthy; empty when it is healthy, or when there is none.
    unhealthy_reason: str = ""
    # The texts of the current release's units as they were written; nothing when an earlier version wrote them.
    recorded: t.Mapping[str, str] = field(default_factory=dict)
    # Drop-in files, not of the collection, that change units of the application.
    drop_ins: tuple[str, ...] = ()


@dataclass(frozen=True)
class WantedUnits:
    """The wanted units of one application; empty when the application is to be absent."""

    release: str = ""
    # Unit files by name.
    units: t.Mapping[str, str] = field(default_factory=dict)
    # Units that forward TCP connections; they belong to no release.
    forwards: t.Mapping[str, str] = field(default_factory=dict)
    # Units of workers and timers, which start after the switch.
    processes: t.Mapping[str, str] = field(default_factory=dict)

    @property
    def everything(self) -> dict[str, str]:
        """Return all unit files, by name."""
        return {**self.units, **self.forwards, **self.processes}


@dataclass(frozen=True)
class DeployPlan:
    """The steps of a deploy, in this order; all empty when there is nothing to do."""

    # 1. Unit files to write, unreachable units to stop, and units to start and to check.
    write: t.Mapping[str, str]
    stop: tuple[str, ...]
    start: tuple[str, ...]
    # 2. Units to enable at boot; then the link is switched.
    enable: tuple[str, ...]
    switch: bool
    # 3. Units of TCP forwarding: files to write, sockets to start, forwarders whose text changed.
    forward_write: t.Mapping[str, str]
    forward_start: tuple[str, ...]
    forward_restart: tuple[str, ...]
    # 4. Units of other releases to drain, stop and remove.
    remove: tuple[str, ...]
    # 5. Workers and timers: those of other releases to stop when they are idle, and those to start.
    stop_workers: tuple[str, ...] = ()
    start_workers: tuple[str, ...] = ()
    # Units of the live release that were edited by hand: written again without a restart.
    rewrite: t.Mapping[str, str] = field(default_factory=dict)

    @property
    def needs_health_check(self) -> bool:
        """Tell whether the wanted release has to pass a health check."""
        return self.switch or bool(self.start)

    @property
    def empty(self) -> bool:
        """Tell whether nothing has to be done."""
        forwards = (self.forward_write, self.forward_start, self.forward_restart)
        rest = (self.write, self.enable, *forwards, self.remove, self.stop_workers, self.start_workers, self.rewrite)
        return not self.needs_health_check and not any(rest)


def plan_deploy(observed: Observed, wanted: WantedUnits) -> DeployPlan:
    """Return the steps from the observed to the wanted state.

    The units of the current release are never changed: a unit belongs to its release. Units that were edited
    by hand get the text again that was written for the release.
    """
    is_current = bool(wanted.release) and observed.current == wanted.release
    own = {**wanted.units, **wanted.processes}
    if is_current:
        own = {name: observed.recorded.get(name, text) for name, text in own.items()}
    missing = {name: text for name, text in own.items() if name not in observed.files}
    stale = {name: text for name, text in own.items() if observed.files.get(name, text) != text}
    forward = {name: text for name, text in wanted.forwards.items() if observed.files.get(name) != text}
    listeners = [name for name in wanted.forwards if name.endswith(".socket")]
    # Units that are stopping are left alone, unless the application's files are removed, too.
    known = _known(observed) | (frozenset() if wanted.release else observed.workers_stopping | observed.units_stopping)
    others = sorted(name for name in known if name not in own and name not in wanted.forwards)
    work = [name for name in wanted.processes if not _is_job(name)]
    at_boot = [*wanted.units, *listeners, *work]
    return DeployPlan(
        write={**missing, **({} if is_current else stale)},
        stop=tuple(name for name in wanted.units if name in observed.socket_missing),
        start=tuple(name for name in wanted.units if name not in observed.up),
        enable=tuple(name for name in at_boot if name not in observed.enabled),
        switch=bool(wanted.release) and not is_current,
        forward_write=forward,
        forward_start=tuple(name for name in listeners if name not in observed.up),
        forward_restart=tuple(name for name in forward if name in observed.alive),
        remove=tuple(name for name in others if not is_process(name)),
        stop_workers=tuple(name for name in others if is_process(name)),
        start_workers=_workers_to_start(observed, work, bool(others)),
        rewrite={name: text for name, text in stale.items() if is_current and name in observed.recorded},
    )


def _workers_to_start(observed: Observed, work: t.Iterable[str], taken_up: bool) -> tuple[str, ...]:
    if observed.paused:
        return ()
    # After a killed run it is unknown whether that run has watched the workers it started.
    trusted = observed.up - observed.just_started if taken_up else observed.up
    return tuple(name for name in work if name not in trusted)


def is_process(name: str) -> bool:
    """Tell whether a unit belongs to a worker or a timer."""
    unit = parse_unit_name(name)
    return unit is not None and bool(unit.role)


def _is_job(name: str) -> bool:
    unit = parse_unit_name(name)
    return unit is not None and unit.is_job


def _known(observed: Observed) -> set[str]:
    return set(observed.files) | observed.alive | observed.enabled
