# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talk to systemd: unit properties, verbs and the journal's end. Private to flaskops.stack."""

from __future__ import annotations

import os
import typing as t

from .command import run, run_checked, spawn_detached


def is_running() -> bool:
    """Tell whether systemd is this host's init (the test that sd_booted(3) makes)."""
    return os.path.isdir("/run/systemd/system")


def show(units: t.Sequence[str], properties: t.Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the wanted properties of each unit by its name; a unit that does not exist has LoadState=not-found."""
    if not units:
        return {}
    wanted = ",".join(["Id", *properties])
    answer = run_checked(["systemctl", "show", "--property", wanted, "--", *units])
    blocks = answer.out.strip("\n").split("\n\n")
    found = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]
    return dict(zip(units, found))


def has_job(state: t.Mapping[str, str]) -> bool:
    """Tell from a unit's properties, its C(Job) among them, whether systemd has yet to start or to stop it."""
    return state.get("Job", "0") not in ("", "0")


def systemctl(verb: str, units: t.Sequence[str], options: t.Sequence[str] = (), timeout: float = 120) -> None:
    """Run a systemctl verb on all units at once; raise CommandError with systemd's words when it fails."""
    if units:
        run_checked(["systemctl", verb, *options, "--", *units], timeout=timeout)


def daemon_reload() -> None:
    """Make systemd read the unit files again."""
    run_checked(["systemctl", "daemon-reload"])


def reset_failed(units: t.Sequence[str]) -> None:
    """Make systemd forget units that have ended and whose files are gone.

    A process that had to be killed leaves a failed unit behind, and what other units still want a stub.
    """
    daemon_reload()
    run(["systemctl", "reset-failed", "--", *units])


# Looks once a second until they have ended: 90 seconds are DefaultTimeoutStopSec= of systemd-system.conf(5).
_FORGET = """
left=90
while [ "$left" -gt 0 ] && systemctl show --property ActiveState -- "$@" | grep -q =deactivating; do
  sleep 1
  left=$((left - 1))
done
systemctl daemon-reload
systemctl reset-failed -- "$@"
"""


def reset_failed_later(units: t.Sequence[str]) -> None:
    """Do what C(reset_failed) does as soon as the units have stopped, in the background.

    Nothing depends on it: a host on which it is killed lists a unit too many until systemd next reads its files.
    """
    spawn_detached(["sh", "-c", _FORGET, "forget", *units])


def journal_tail(unit: str, lines: int = 30, since: str = "") -> str:
    """Return the last journal lines of a unit, oldest first; C(since) is an absolute time like V(@1700000000)."""
    window = ["--since", since] if since else []
    return run(["journalctl", "--no-pager", "--output=cat", f"--lines={lines}", f"--unit={unit}", *window]).out.strip()


def show_matching(patterns: t.Sequence[str], properties: t.Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the wanted properties of the units in systemd's memory whose names match, by name."""
    if not patterns:
        return {}
    wanted = ",".join(["Id", *properties])
    answer = run_checked(["systemctl", "show", "--property", wanted, "--", *patterns])
    blocks = [block for block in answer.out.strip("\n").split("\n\n") if block]
    found = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]
    return {unit["Id"]: unit for unit in found if "Id" in unit}
