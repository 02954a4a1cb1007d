# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe the units of applications on this host, and write their files. Private to flaskops.stack."""

from __future__ import annotations

import os
import typing as t

from .._release.model import Layout
from .._release.release import current_id
from .._service.idle import RESTART, is_asleep
from .._service.process_units import pause_flag
from .._service.units import MARK, parse_unit_name
from .._system.command import CommandError
from .._system.files import (
    STALE_SECONDS,
    check_directories,
    read_file,
    remove_file,
    remove_stale_temp_files,
    replace_link,
    sync_directory,
    write_file,
)
from .._system.host import Host
from .._system.paths import WANTS
from .._system.systemd import has_job
from .edited_units import drop_ins, recorded_units
from .plan import Observed, is_process
from .unhealthy import RESTART_PROPERTIES, SINCE, explain_unhealthy

_ALIVE = {"active", "activating", "deactivating", "reloading"}
# Runtime units: a unit with its file there keeps its settings until it stops, and is gone after a reboot.
RUNTIME_UNITS = "/run/systemd/system"
# A broken worker exits once it has imported the application: one that runs for so many seconds counts as started.
SETTLE = 1.5
_OURS = MARK.split(":")[0]


class ForeignUnitError(ValueError):
    """A unit file that is not the collection's has the name of one of its units."""


class UnitDirectory:
    """The collection's unit files in one directory of systemd."""

    def __init__(self, host: Host, path: str, aside: str = RUNTIME_UNITS) -> None:
        """Take the directory, and the one for busy units that are no longer wanted; nothing is read yet."""
        self._host = host
        self._path = path
        self._aside = aside

    @property
    def path(self) -> str:
        """Return the directory."""
        return self._path

    def names(self) -> dict[str, set[str]]:
        """Return the unit names of the collection's form: of files, of enabled units, and of runtime units.

        Raise NoDirectoryError where something else is in the place of one of the directories.
        """
        wants = [os.path.join(self._path, directory) for directory in WANTS.values()]
        check_directories([self._path, self._aside, *wants])
        return {
            "files": {name for name in _list(self._path) if parse_unit_name(name)},
            "enabled": {name for directory in wants for name in _list(directory) if parse_unit_name(name)},
            "aside": {name for name in _list(self._aside) if parse_unit_name(name)},
        }

    def read(self, name: str) -> str | None:
        """Return the text of a unit file; None when there is none or the collection did not write it."""
        data = read_file(os.path.join(self._path, name))
        text = "" if data is None else data.decode("utf-8", "replace")
        return text if text.startswith(_OURS) else None

    def check(self, names: t.Iterable[str]) -> None:
        """Raise ForeignUnitError when a file with one of the names is not the collection's."""
        for name in names:
            path = os.path.join(self._path, name)
            if os.path.realpath(path) == os.devnull:
                raise ForeignUnitError(
                    f"{path} is a link to {os.devnull}, so that systemd cannot start {name} (it is masked): "
                    f"'systemctl unmask {name}' on the host takes it away"
                )
            if os.path.lexists(path) and self.read(name) is None:
                raise ForeignUnitError(f"{path} was not written by flaskops.stack: move it away or choose another name")

    def write(self, units: t.Mapping[str, str]) -> None:
        """Write unit files; systemd reads them with the next daemon-reload."""
        for name, text in units.items():
            write_file(os.path.join(self._path, name), text.encode(), 0o644)

    def verify(self, names: t.Sequence[str]) -> dict[str, list[str]]:
        """Return the errors of systemd-analyze verify, by unit: systemd ignores such lines and starts the unit."""
        if not names:
            return {}
        try:
            said = self._host.commands.run(
                ["systemd-analyze", "verify", *(os.path.join(self._path, name) for name in names)]
            ).err
        except CommandError:
            # Units start on a host without systemd-analyze, too.
            return {}
        return {name: found for name in names if (found := _about(os.path.join(self._path, name), said))}

    def enable(self, names: t.Iterable[str]) -> None:
        """Enable units at boot, by the links that systemctl(1) enable would make.

        These are made by one rename each, are durable, and need no reload of systemd.
        """
        for name in names:
            link = self._link(name)
            os.makedirs(os.path.dirname(link), mode=0o755, exist_ok=True)
            replace_link(os.path.join(self._path, name), link)

    def disable(self, names: t.Iterable[str]) -> None:
        """Disable units at boot."""
        for name in names:
            if os.path.isdir(os.path.dirname(self._link(name))):
                remove_file(self._link(name))

    def remove(self, names: t.Iterable[str]) -> None:
        """Disable units and remove their files."""
        removed = []
        for name in names:
            self.disable([name])
            removed.append(remove_file(os.path.join(self._path, name), sync=False))
        if any(removed):
            sync_directory(self._path)

    def move_to_runtime(self, names: t.Iterable[str]) -> None:
        """Move the files of busy units to the runtime directory, where they last until a reboot."""
        for name in names:
            text = self.read(name)
            if text is not None:
                os.makedirs(self._aside, mode=0o755, exist_ok=True)
                write_file(os.path.join(self._aside, name), text.encode(), 0o644)
            self.remove([name])

    def remove_runtime(self, names: t.Iterable[str]) -> None:
        """Remove the runtime files of units that have stopped."""
        for name in names:
            remove_file(os.path.join(self._aside, name))

    def remove_stale_temp_files(self) -> None:
        """Remove stale temporary files of killed runs; fresh ones may belong to another run."""
        for directory in ("", *WANTS.values()):
            remove_stale_temp_files(os.path.join(self._path, directory), STALE_SECONDS)

    def _link(self, name: str) -> str:
        return os.path.join(self._path, WANTS[name.rpartition(".")[2]], name)


def _about(path: str, said: str) -> list[str]:
    return [line.strip() for line in said.splitlines() if line.strip().startswith(path + ":")]


def _list(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []


def patterns(names: t.Iterable[str]) -> list[str]:
    """Return patterns for systemctl that match all units of the applications."""
    return [f"{name}@*.{kind}" for name in names for kind in WANTS]


def observe(host: Host, directory: UnitDirectory, layouts: t.Sequence[Layout]) -> dict[str, Observed]:
    """Return the observed state of each application, by name; the directory and systemd are read once for all."""
    names = directory.names()
    properties = [*RESTART_PROPERTIES, "ControlGroup", "Job"]
    states = host.systemd.show_matching(patterns(layout.name for layout in layouts), properties)
    now = host.clock.monotonic()
    return {layout.name: _observe_one(directory, layout, names, states, now) for layout in layouts}


def _observe_one(
    directory: UnitDirectory,
    layout: Layout,
    names: t.Mapping[str, set[str]],
    states: t.Mapping[str, t.Mapping[str, str]],
    now: float,
) -> Observed:
    known = {name: states[name] for name in _ours(layout, states)}
    texts = {name: directory.read(name) for name in _ours(layout, names["files"])}
    leaving = {name for name, state in known.items() if name not in names["files"] and is_stopping(name, state)}
    up, lost = _up(layout, known)
    asleep = _asleep(known, texts, up, current_id(layout) or "")
    return Observed(
        current=current_id(layout),
        files={name: text for name, text in texts.items() if text is not None},
        alive=frozenset(name for name, state in known.items() if _is_alive(state) and name not in leaving) | asleep,
        up=up | asleep,
        enabled=frozenset(_ours(layout, names["enabled"])),
        socket_missing=lost,
        just_started=frozenset(name for name in up if _is_worker(name) and _is_young(known[name], now)),
        loaded=frozenset(known),
        groups={name: group for name, state in known.items() if (group := state.get("ControlGroup", ""))},
        workers_stopping=frozenset(filter(is_process, leaving)),
        units_stopping=frozenset(name for name in leaving if not is_process(name)),
        runtime_units=frozenset(_ours(layout, names["aside"])),
        paused=os.path.exists(pause_flag(layout)),
        unhealthy_reason=_explain_unhealthy(known, current_id(layout) or "", now),
        recorded=recorded_units(layout, current_id(layout) or ""),
        drop_ins=tuple(drop_ins(directory.path, layout.name)),
    )


def _explain_unhealthy(states: t.Mapping[str, t.Mapping[str, str]], current: str, now: float) -> str:
    """Return why a web service of the current release is unhealthy; an empty text when all are healthy."""
    for name, state in sorted(states.items()):
        unit = parse_unit_name(name)
        if unit and unit.kind == "service" and unit.release == current and not unit.role:
            reason = explain_unhealthy(state, now)
            if reason:
                return f"{name} {reason}"
    return ""


def _ours(layout: Layout, names: t.Iterable[str]) -> list[str]:
    parsed = {name: parse_unit_name(name) for name in names}
    return [name for name, unit in parsed.items() if unit is not None and unit.app == layout.name]


def _up(layout: Layout, states: t.Mapping[str, t.Mapping[str, str]]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the units that are completely up, and those that run without a socket path."""
    # A socket unit that is still starting has no path yet.
    active = frozenset(name for name, state in states.items() if state.get("ActiveState") == "active")
    lost = frozenset(name for name in active if _is_lost(layout, name))
    return active - lost, lost


def _asleep(
    states: t.Mapping[str, t.Mapping[str, str]],
    texts: t.Mapping[str, str | None],
    up: t.Collection[str],
    current: str,
) -> frozenset[str]:
    """Return the services of the current release that sleep: their sockets, which are up, start them."""
    may_sleep = {
        name
        for name, text in texts.items()
        if current and f"@{current}." in name and f"\n{RESTART}\n" in (text or "") and not is_process(name)
    }
    # By a pattern systemctl shows no unit that is inactive.
    ended = {name for name in may_sleep if name not in states or is_asleep(states[name])}
    return frozenset(name for name in ended if name.replace(".service", ".socket") in up)


def _is_alive(state: t.Mapping[str, str]) -> bool:
    return state.get("ActiveState") in _ALIVE


def _is_lost(layout: Layout, name: str) -> bool:
    """Tell whether the path of a unit's socket is gone."""
    unit = parse_unit_name(name)
    if unit is None or not unit.release or unit.role:
        return False
    return not os.path.exists(layout.socket(unit.release, unit.instance))


def _is_worker(name: str) -> bool:
    unit = parse_unit_name(name)
    return unit is not None and unit.role == "worker" and unit.kind == "service"


def _is_young(state: t.Mapping[str, str], now: float) -> bool:
    since = int(state.get(SINCE) or 0)
    return bool(since) and now - since / 1e6 < SETTLE


def is_stopping(name: str, state: t.Mapping[str, str]) -> bool:
    """Tell from its properties whether a unit stops without further action; C(ActiveState) and C(Job) are needed.

    A unit without a file was stopped by an earlier run, or finishes its work.
    """
    unit = parse_unit_name(name)
    if state.get("ActiveState") == "deactivating" or (_is_alive(state) and unit is not None and unit.is_job):
        return True
    # systemd stops a socket after its service, and has a queued job for the socket until then.
    return _is_alive(state) and has_job(state)


def restore_link(layout: Layout, release: str, previous: str) -> None:
    """Point the C(current) link to the previous release if it points to C(release) now."""
    if current_id(layout) != release:
        return
    if previous:
        replace_link(f"releases/{previous}", layout.current)
    else:
        remove_file(layout.current)


def still_running(host: Host, names: t.Collection[str]) -> list[str]:
    """Return the units that run and were not told to stop."""
    states = host.systemd.show_matching(list(names), ["ActiveState", "Job"])
    return sorted(name for name, state in states.items() if _is_alive(state) and not is_stopping(name, state))


def wait_until_stopped(host: Host, names: t.Collection[str], seconds: float) -> list[str]:
    """Wait until the units have stopped; return those that still run after C(seconds)."""
    deadline = host.clock.monotonic() + seconds
    while True:
        states = host.systemd.show_matching(list(names), ["ActiveState"])
        alive = sorted(name for name, unit in states.items() if unit.get("ActiveState") in _ALIVE)
        if not alive or host.clock.monotonic() > deadline:
            return alive
        host.clock.sleep(0.05)
