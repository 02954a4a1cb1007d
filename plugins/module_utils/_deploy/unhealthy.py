# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detect a service in a restart loop. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

# Properties that systemd is asked for; the time is on the clock of time.monotonic().
SINCE = "ActiveEnterTimestampMonotonic"
RESTART_PROPERTIES = ("ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts", SINCE)
# A service with so many restarts that has run for so few seconds since is unhealthy.
_RESTARTS, _SECONDS = 2, 60


def explain_unhealthy(state: t.Mapping[str, str], now: float) -> str:
    """Return why a service is unhealthy, or an empty text; C(now) is the time of time.monotonic()."""
    restarts = _number(state, "NRestarts")
    again = f"; systemd has started it again {times(restarts)}" if restarts else ""
    if state.get("ActiveState") == "failed" or state.get("SubState", "").startswith("auto-restart"):
        # The controller loads this file in every run, and this one for what has ended.
        from .._system.exit_codes import explain_exit

        status = explain_exit(state.get("ExecMainStatus", "?"))
        return f"ended ({state.get('Result', '?')}, exit status {status}){again}"
    since = _number(state, SINCE) / 1e6
    if restarts >= _RESTARTS and (not since or now - since < _SECONDS):
        return f"keeps ending{again}"
    return ""


def times(number: int) -> str:
    """Return how often something happened, in words."""
    return "once" if number == 1 else f"{number} times"


def _number(state: t.Mapping[str, str], name: str) -> int:
    text = state.get(name, "")
    return int(text) if text.isdigit() and int(text) < 2**63 else 0
