# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read and write the units of applications on this host. Private to flaskops.stack."""

from __future__ import annotations

import os
import time
import typing as t

from .._release.model import Layout
from .._release.release import current_id
from .._service.process_units import pause_flag
from .._service.units import MARK, parse_unit_name
from .._system.command import CommandError, run
from .._system.files import STALE_SECONDS, read_file, remove_file, replace_link, sweep, sync_directory, write_file
from .._system.systemd import has_job, show_matching
from .edited_units import drop_ins, recorded_units
from .plan import Observed, is_process
from .unhealthy import RESTART_PROPERTIES, SINCE, explain_unhealthy

# [Install] WantedBy= of our units, as the links that systemctl(1) enable would make: these are made by one rename each,
# are durable, and need no reload of systemd.
_WANTS = {"socket": "sockets.target.wants", "service": "multi-user.target.wants", "timer": "timers.target.wants"}
_ALIVE = {"active", "activating", "deactivating", "reloading"}
# A unit with its file there is as it was until it ends, and is gone after a reboot.
_ASIDE = "/run/systemd/system"
# Where systemd looks for what an administrator adds.
UNITS = "/etc/systemd/system"
# A worker that cannot work ends when it has imported the application: it is believed when it has had that time.
SETTLE = 1.5
_OURS = MARK.split(":")[0]


class ForeignUnitError(ValueError):
    """A unit file that somebody else wrote has the name of one of ours."""


class UnitDirectory:
    """The unit files of ours in one directory of systemd's."""

    def __init__(self, path: str, aside: str = _ASIDE) -> None:
        """Name the directory, and the one for units that only finish what they do; nothing is read yet."""
        self._path = path
        self._aside = aside

    @property
    def path(self) -> str:
        """Return the directory."""
        return self._path

    def names(self) -> dict[str, set[str]]:
        """Return the names that have the form of ours: those of files, and those that start at boot."""
        wants = [os.path.join(self._path, directory) for directory in _WANTS.values()]
        return {
            "files": {name for name in _list(self._path) if parse_unit_name(name)},
            "enabled": {name for directory in wants for name in _list(directory) if parse_unit_name(name)},
            "aside": {name for name in _list(self._aside) if parse_unit_name(name)},
        }

    def read(self, name: str) -> str | None:
        """Return the text of a unit file of ours, None when there is none or somebody else wrote it."""
        data = read_file(os.path.join(self._path, name))
        text = "" if data is None else data.decode("utf-8", "replace")
        return text if text.startswith(_OURS) else None

    def check(self, names: t.Iterable[str]) -> None:
        """Raise ForeignUnitError when a file with one of the names is not ours."""
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
        """Write unit files; systemd knows them after a reload."""
        for name, text in units.items():
            write_file(os.path.join(self._path, name), text.encode(), 0o644)

    def verify(self, names: t.Sequence[str]) -> dict[str, list[str]]:
        """Return what systemd does not understand in unit files, by name: it would start them all the same, without."""
        if not names:
            return {}
        try:
            said = run(["systemd-analyze", "verify", *(os.path.join(self._path, name) for name in names)]).err
        except CommandError:
            # A host without the program starts units nevertheless.
            return {}
        return {name: found for name in names if (found := _about(os.path.join(self._path, name), said))}

    def enable(self, names: t.Iterable[str]) -> None:
        """Let units start at boot."""
        for name in names:
            link = self._link(name)
            os.makedirs(os.path.dirname(link), mode=0o755, exist_ok=True)
            replace_link(os.path.join(self._path, name), link)

    def disable(self, names: t.Iterable[str]) -> None:
        """Let units no longer start at boot."""
        for name in names:
            if os.path.isdir(os.path.dirname(self._link(name))):
                remove_file(self._link(name))

    def remove(self, names: t.Iterable[str]) -> None:
        """Remove unit files, and what lets them start at boot."""
        removed = []
        for name in names:
            self.disable([name])
            removed.append(remove_file(os.path.join(self._path, name), sync=False))
        if any(removed):
            sync_directory(self._path)

    def move_to_runtime(self, names: t.Iterable[str]) -> None:
        """Keep the files of units that finish what they do, but not beyond a reboot."""
        for name in names:
            text = self.read(name)
            if text is not None:
                os.makedirs(self._aside, mode=0o755, exist_ok=True)
                write_file(os.path.join(self._aside, name), text.encode(), 0o644)
            self.remove([name])

    def remove_runtime(self, names: t.Iterable[str]) -> None:
        """Remove the files of units that have finished."""
        for name in names:
            remove_file(os.path.join(self._aside, name))

    def sweep(self) -> None:
        """Remove what a run that was killed left under a temporary name; others may be at work here."""
        for directory in ("", *_WANTS.values()):
            sweep(os.path.join(self._path, directory), STALE_SECONDS)

    def _link(self, name: str) -> str:
        return os.path.join(self._path, _WANTS[name.rpartition(".")[2]], name)


def _about(path: str, said: str) -> list[str]:
    return [line.strip() for line in said.splitlines() if line.strip().startswith(path + ":")]


def _list(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []


def patterns(names: t.Iterable[str]) -> list[str]:
    """Return what matches all units of the applications."""
    return [f"{name}@*.{kind}" for name in names for kind in _WANTS]


def observe(directory: UnitDirectory, layouts: t.Sequence[Layout]) -> dict[str, Observed]:
    """Return what this host has of each application, by name: one look at the directory and one at systemd for all."""
    names = directory.names()
    properties = [*RESTART_PROPERTIES, "ControlGroup", "Job"]
    states = show_matching(patterns(layout.name for layout in layouts), properties)
    return {layout.name: _observe_one(directory, layout, names, states) for layout in layouts}


def _observe_one(
    directory: UnitDirectory,
    layout: Layout,
    names: t.Mapping[str, set[str]],
    states: t.Mapping[str, t.Mapping[str, str]],
) -> Observed:
    known = {name: states[name] for name in _ours(layout, states)}
    texts = {name: directory.read(name) for name in _ours(layout, names["files"])}
    leaving = {name for name, state in known.items() if name not in names["files"] and is_stopping(name, state)}
    up, lost = _up(layout, known)
    return Observed(
        current=current_id(layout),
        files={name: text for name, text in texts.items() if text is not None},
        alive=frozenset(name for name, state in known.items() if _is_alive(state) and name not in leaving),
        up=up,
        enabled=frozenset(_ours(layout, names["enabled"])),
        socket_missing=lost,
        just_started=frozenset(name for name in up if _is_worker(name) and _is_young(known[name])),
        loaded=frozenset(known),
        groups={name: group for name, state in known.items() if (group := state.get("ControlGroup", ""))},
        workers_stopping=frozenset(filter(is_process, leaving)),
        units_stopping=frozenset(name for name in leaving if not is_process(name)),
        runtime_units=frozenset(_ours(layout, names["aside"])),
        paused=os.path.exists(pause_flag(layout)),
        unhealthy_reason=_explain_unhealthy(known, current_id(layout) or ""),
        recorded=recorded_units(layout, current_id(layout) or ""),
        drop_ins=tuple(drop_ins(directory.path, layout.name)),
    )


def _explain_unhealthy(states: t.Mapping[str, t.Mapping[str, str]], current: str) -> str:
    """Return why a service of the web of the current release does not run well; an empty text when all do."""
    for name, state in sorted(states.items()):
        unit = parse_unit_name(name)
        if unit and unit.kind == "service" and unit.release == current and not unit.role:
            reason = explain_unhealthy(state, time.monotonic())
            if reason:
                return f"{name} {reason}"
    return ""


def _ours(layout: Layout, names: t.Iterable[str]) -> list[str]:
    parsed = {name: parse_unit_name(name) for name in names}
    return [name for name, unit in parsed.items() if unit is not None and unit.app == layout.name]


def _up(layout: Layout, states: t.Mapping[str, t.Mapping[str, str]]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the units that are completely up, and those that nobody can reach though they run."""
    # A socket that is starting has no path yet.
    active = frozenset(name for name, state in states.items() if state.get("ActiveState") == "active")
    lost = frozenset(name for name in active if _is_lost(layout, name))
    return active - lost, lost


def _is_alive(state: t.Mapping[str, str]) -> bool:
    return state.get("ActiveState") in _ALIVE


def _is_lost(layout: Layout, name: str) -> bool:
    """Tell whether a unit's socket has no path any more."""
    unit = parse_unit_name(name)
    if unit is None or not unit.release or unit.role:
        return False
    return not os.path.exists(layout.socket(unit.release, unit.instance))


def _is_worker(name: str) -> bool:
    unit = parse_unit_name(name)
    return unit is not None and unit.role == "worker" and unit.kind == "service"


def _is_young(state: t.Mapping[str, str]) -> bool:
    since = int(state.get(SINCE) or 0)
    return bool(since) and time.monotonic() - since / 1e6 < SETTLE


def is_stopping(name: str, state: t.Mapping[str, str]) -> bool:
    """Tell from a unit's properties whether it ends by itself; C(ActiveState) and C(Job) are needed.

    One without a file was told to by an earlier run, or to finish.
    """
    unit = parse_unit_name(name)
    if state.get("ActiveState") == "deactivating" or (_is_alive(state) and unit is not None and unit.is_job):
        return True
    # systemd stops a socket after the service that comes after it, and has a job for it until then.
    return _is_alive(state) and has_job(state)


def restore_link(layout: Layout, release: str, previous: str) -> None:
    """Let C(current) lead where it did before, if it leads to C(release) now."""
    if current_id(layout) != release:
        return
    if previous:
        replace_link(f"releases/{previous}", layout.current)
    else:
        remove_file(layout.current)


def still_running(names: t.Collection[str]) -> list[str]:
    """Return the units that run, and that nobody has told to end."""
    states = show_matching(list(names), ["ActiveState", "Job"])
    return sorted(name for name, state in states.items() if _is_alive(state) and not is_stopping(name, state))


def wait_until_stopped(names: t.Collection[str], seconds: float) -> list[str]:
    """Wait until the units have ended; return those that still run after C(seconds)."""
    deadline = time.monotonic() + seconds
    while True:
        states = show_matching(list(names), ["ActiveState"])
        alive = sorted(name for name, unit in states.items() if unit.get("ActiveState") in _ALIVE)
        if not alive or time.monotonic() > deadline:
            return alive
        time.sleep(0.05)
