# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what a hand-over has to do, from what is there and what is wanted. Private to flaskops.stack."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._service.units import parse_unit_name


@dataclass(frozen=True)
class Observed:
    """What a host has of one application."""

    current: str | None = None
    # Unit files of ours on disk, by name; their text is empty for releases that nobody asks for.
    files: t.Mapping[str, str] = field(default_factory=dict)
    # Units that run: active, starting or stopping.
    alive: frozenset[str] = frozenset()
    # Units that are completely up.
    up: frozenset[str] = frozenset()
    # Units that start at boot.
    enabled: frozenset[str] = frozenset()
    # Units that run, but whose socket's path is gone, as when somebody has removed the release below them. Not in up.
    socket_missing: frozenset[str] = frozenset()
    # Workers that are up for so short a time that they may be such as end at each start.
    just_started: frozenset[str] = frozenset()
    # Units that systemd remembers, running or not: what their files said when it read them.
    loaded: frozenset[str] = frozenset()
    # Their control groups, by name, of units that have one.
    groups: t.Mapping[str, str] = field(default_factory=dict)
    # Workers and jobs that an earlier run has told to end, or let finish; they need nothing else. Not in alive.
    workers_stopping: frozenset[str] = frozenset()
    # The same of units of the web: an earlier run has taken their files away and told them to end.
    units_stopping: frozenset[str] = frozenset()
    # Their files, and those of such that have ended since.
    runtime_units: frozenset[str] = frozenset()
    # Whether workers and timers do not start for now, because somebody wants it so.
    paused: bool = False
    # Why the current release does not run well; empty when it does, or when there is none.
    unhealthy_reason: str = ""
    # The texts of the current release's units as they were written; nothing when an earlier version wrote them.
    recorded: t.Mapping[str, str] = field(default_factory=dict)
    # Files of somebody else that change units of the application.
    drop_ins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """What a host shall have of one application; nothing when the application shall be absent."""

    release: str = ""
    # Unit files by name.
    units: t.Mapping[str, str] = field(default_factory=dict)
    # Those which forward TCP connections; they belong to no release.
    forwards: t.Mapping[str, str] = field(default_factory=dict)
    # Those of workers and timers, which start after the switch.
    processes: t.Mapping[str, str] = field(default_factory=dict)

    @property
    def everything(self) -> dict[str, str]:
        """Return all unit files, by name."""
        return {**self.units, **self.forwards, **self.processes}


@dataclass(frozen=True)
class DeployPlan:
    """What has to be done, in this order; all empty when nothing has."""

    # 1. Unit files to write, units to stop because nobody can reach them, and units to start and to probe.
    write: t.Mapping[str, str]
    stop: tuple[str, ...]
    start: tuple[str, ...]
    # 2. Units that start at boot from now on; then the link.
    enable: tuple[str, ...]
    switch: bool
    # 3. Units to forward with: files to write, sockets to start, forwarders whose text changed.
    forward_write: t.Mapping[str, str]
    forward_start: tuple[str, ...]
    forward_restart: tuple[str, ...]
    # 4. Units of other releases: drained, stopped, removed.
    remove: tuple[str, ...]
    # 5. Workers and timers: those of other releases, which finish what they do, and those to start in their place.
    stop_workers: tuple[str, ...] = ()
    start_workers: tuple[str, ...] = ()
    # Units of the release that serves which somebody has edited: written again, and nothing is restarted.
    rewrite: t.Mapping[str, str] = field(default_factory=dict)

    @property
    def needs_health_check(self) -> bool:
        """Tell whether the wanted release has to prove its health."""
        return self.switch or bool(self.start)

    @property
    def empty(self) -> bool:
        """Tell whether nothing has to be done."""
        forwards = (self.forward_write, self.forward_start, self.forward_restart)
        rest = (self.write, self.enable, *forwards, self.remove, self.stop_workers, self.start_workers, self.rewrite)
        return not self.needs_health_check and not any(rest)


def plan_deploy(observed: Observed, wanted: Wanted) -> DeployPlan:
    """Return the steps from what is observed to what is wanted.

    The units of the current release are never changed: a unit belongs to its release. Those that somebody has edited
    get the text again that was written for the release.
    """
    is_current = bool(wanted.release) and observed.current == wanted.release
    own = {**wanted.units, **wanted.processes}
    if is_current:
        own = {name: observed.recorded.get(name, text) for name, text in own.items()}
    missing = {name: text for name, text in own.items() if name not in observed.files}
    stale = {name: text for name, text in own.items() if observed.files.get(name, text) != text}
    forward = {name: text for name, text in wanted.forwards.items() if observed.files.get(name) != text}
    listeners = [name for name in wanted.forwards if name.endswith(".socket")]
    # What leaves is left alone, unless the files that it works with go as well.
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
    # Who takes up the hand-over of a run that was killed does not know whether that looked after them.
    believed = observed.up - observed.just_started if taken_up else observed.up
    return tuple(name for name in work if name not in believed)


def is_process(name: str) -> bool:
    """Tell whether a unit is a worker's or a timer's."""
    unit = parse_unit_name(name)
    return unit is not None and bool(unit.role)


def _is_job(name: str) -> bool:
    unit = parse_unit_name(name)
    return unit is not None and unit.is_job


def _known(observed: Observed) -> set[str]:
    return set(observed.files) | observed.alive | observed.enabled
