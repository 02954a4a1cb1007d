# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start releases beside those that serve, as the first step of a hand-over. Private to flaskops.stack."""

from __future__ import annotations

import errno
import os
import socket
import time
import typing as t

from .._release.assets import arm_assets
from .._service.units import address_name
from .._system.command import CommandError
from .._system.systemd import daemon_reload, journal_tail, show, systemctl
from .._system.systemd_defaults import default_stop_seconds
from .change import Change
from .edited_units import record_units
from .observe import UnitDirectory

Step = t.Callable[[Change], None]


class Starts:
    """The step that writes the units and starts them."""

    def __init__(
        self,
        directory: UnitDirectory,
        attempt: t.Callable[[Change, Step], None],
        refuse: t.Callable[[Change, str], None],
    ) -> None:
        """Take the unit directory, what does a step for one service alone, and what refuses a release."""
        self._directory = directory
        self._attempt = attempt
        self._refuse = refuse

    def start(self, changes: t.Sequence[Change]) -> None:
        """Start the releases; nobody waits for their health here."""
        for change in changes:
            self._attempt(change, self._write)
        faults = self._directory.faults([name for change in changes for name in change.unproved])
        for change in changes:
            found = [line for name in change.plan.write for line in faults.get(name, [])]
            if found and not change.error:
                self._refuse(change, "systemd does not understand: " + "; ".join(found))
        # Reading all files again takes systemd longer than the start of most applications.
        if any(change.outdated for change in changes):
            daemon_reload()
        for change in changes:
            self._attempt(change, self._start_one)

    def _write(self, change: Change) -> None:
        wanted = change.service.wanted
        if change.plan.switch:
            record_units(change.service.layout, wanted.release, {**wanted.units, **wanted.processes})
        self._directory.write({**change.plan.write, **change.plan.forward_write, **change.plan.mend})

    def _start_one(self, change: Change) -> None:
        change.started_at, change.started = time.time(), True
        sockets = [name for name in change.plan.start if name.endswith(".socket")]
        # systemd takes them for started, and starts no socket under a service that runs.
        if change.plan.stop:
            systemctl("stop", change.plan.stop)
        # READY is not health, so there is nothing to wait for; systemd lets a service wait for its socket.
        self._begin(change.plan.start, ["--no-block"])
        # A port that is taken has to be known before the switch; until then it leads to the old release.
        try:
            self._begin([*sockets, *change.plan.forward_start])
        except CommandError as exc:
            raise CommandError(_explain_addresses(change) or str(exc)) from exc

    @staticmethod
    def _begin(units: t.Sequence[str], options: t.Sequence[str] = ()) -> None:
        try:
            systemctl("start", units, options)
        except CommandError as exc:
            if "not found" not in str(exc):
                raise
            # It has looked into the directory within the same tick of the clock, and remembers that there was no file.
            daemon_reload()
            systemctl("start", units, options)

    @staticmethod
    def foresee(changes: t.Sequence[Change]) -> None:
        """Do what is needed later and takes time, while the applications load."""
        for change in changes:
            if change.plan.retire:
                default_stop_seconds()
            if change.plan.switch:
                change.assets_end = arm_assets(change.service.layout, change.observed.current or "", change.asset_grace)


def _explain_addresses(change: Change) -> str:
    """Return which TCP addresses systemd could not listen on, and why; an empty text when it is none of them."""
    manifest = change.service.manifest
    bind = t.cast("t.Sequence[str]", manifest.settings["bind"]) if manifest else ()
    addresses = {f"{address_name(change.service.name, address)}.socket": address for address in bind}
    try:
        states = show([name for name in change.plan.forward_start if name in addresses], ["ActiveState"])
        failed = [name for name, state in states.items() if state.get("ActiveState") == "failed"]
        found = {addresses[name]: _reason(name, addresses[name], change) for name in failed}
    except (CommandError, OSError):
        return ""
    reasons = [f"nothing can listen on '{address}' of bind: {why}" for address, why in found.items()]
    way_out = "See who has it with 'ss -ltnp' on the host, and end that or name another address in bind"
    return f"{'; '.join(reasons)}. {way_out}" if reasons else ""


def _reason(name: str, address: str, change: Change) -> str:
    if _is_taken(address):
        return os.strerror(errno.EADDRINUSE)
    lines = journal_tail(name, 20, f"@{int(change.started_at)}").splitlines()
    said = [line.rsplit(": ", 1)[1] for line in lines if "Failed to" in line and "socket" in line and ": " in line]
    return said[0] if said else f"see 'journalctl -u {name}'"


def _is_taken(address: str) -> bool:
    # The journal has systemd's own reason a moment later than systemctl ends, and one that says nothing before it.
    host, _colon, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((host, int(port)))
    except OSError as exc:
        return exc.errno == errno.EADDRINUSE
    return False
