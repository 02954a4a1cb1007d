# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talk to systemd: unit properties, verbs and the journal's end. Private to flaskops.stack."""

from __future__ import annotations

import os
import typing as t

from .command import Commands


def is_running() -> bool:
    """Tell whether systemd is this host's init (the test that sd_booted(3) makes)."""
    return os.path.isdir("/run/systemd/system")


def has_job(state: t.Mapping[str, str]) -> bool:
    """Tell from a unit's properties, its C(Job) among them, whether systemd has yet to start or to stop it."""
    return state.get("Job", "0") not in ("", "0")


# Looks once a second until they have ended: 90 seconds are DefaultTimeoutStopSec= of systemd-system.conf(5). systemd
# forgets most by itself then. To read all unit files again takes 0.1 to 0.4 s, in which visitors want the processor.
_FORGET = """
left=90
while [ "$left" -gt 0 ] && systemctl show --property ActiveState -- "$@" | grep -q =deactivating; do
  sleep 1
  left=$((left - 1))
done
systemctl reset-failed -- "$@"
if [ -n "$(systemctl list-units --all --full --plain --no-legend --no-pager -- "$@")" ]; then
  systemctl daemon-reload
  systemctl reset-failed -- "$@"
fi
"""


class Systemd:
    """systemd, by its commands."""

    def __init__(self, commands: Commands) -> None:
        """Take the commands of the host."""
        self._commands = commands

    def show(self, units: t.Sequence[str], properties: t.Sequence[str]) -> dict[str, dict[str, str]]:
        """Return the wanted properties of each unit by its name; one that does not exist has LoadState=not-found."""
        if not units:
            return {}
        wanted = ",".join(["Id", *properties])
        answer = self._commands.run_checked(["systemctl", "show", "--property", wanted, "--", *units])
        blocks = answer.out.strip("\n").split("\n\n")
        found = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]
        return dict(zip(units, found))

    def show_matching(self, patterns: t.Sequence[str], properties: t.Sequence[str]) -> dict[str, dict[str, str]]:
        """Return the wanted properties of the units in systemd's memory whose names match, by name."""
        if not patterns:
            return {}
        wanted = ",".join(["Id", *properties])
        answer = self._commands.run_checked(["systemctl", "show", "--property", wanted, "--", *patterns])
        blocks = [block for block in answer.out.strip("\n").split("\n\n") if block]
        found = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]
        return {unit["Id"]: unit for unit in found if "Id" in unit}

    def systemctl(self, verb: str, units: t.Sequence[str], options: t.Sequence[str] = (), timeout: float = 120) -> None:
        """Run a systemctl verb on all units at once; raise CommandError with systemd's words when it fails."""
        if units:
            self._commands.run_checked(["systemctl", verb, *options, "--", *units], timeout)

    def daemon_reload(self) -> None:
        """Make systemd read the unit files again."""
        self._commands.run_checked(["systemctl", "daemon-reload"])

    def reset_failed(self, units: t.Sequence[str]) -> None:
        """Make systemd forget units that have ended and whose files are gone.

        A process that had to be killed leaves a failed unit behind, and what other units still want a stub.
        """
        self.daemon_reload()
        self._commands.run(["systemctl", "reset-failed", "--", *units])

    def reset_failed_later(self, units: t.Sequence[str]) -> None:
        """Do what C(reset_failed) does as soon as the units have stopped, in the background.

        Nothing depends on it: a host on which it is killed lists a unit too many until systemd next reads its files.
        """
        self._commands.spawn_detached(["sh", "-c", _FORGET, "forget", *units])

    def journal_tail(self, unit: str, lines: int = 30, since: str = "") -> str:
        """Return the last journal lines of a unit, oldest first; C(since) is an absolute time like V(@1700000000)."""
        window = ["--since", since] if since else []
        argv = ["journalctl", "--no-pager", "--output=cat", f"--lines={lines}", f"--unit={unit}", *window]
        return self._commands.run(argv).out.strip()
