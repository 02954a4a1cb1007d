# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look after a release that has just got its traffic. Private to flaskops.stack."""

from __future__ import annotations

import time
import typing as t
from contextlib import suppress

from .change import Change
from .drain import let_finish, read_table
from .health import Probe, judge_state, judge_workers
from .workers import last_death

# Seconds from the switch to the first look after a release, between two looks, and for how long a look is believed. The
# first is answered while the old release may not be told to end yet.
FIRST_WATCH, WATCH_INTERVAL, FRESH = 0.08, 0.25, 0.05
# Without health.watch a release is looked after for half as long as it needed to load, and no longer than the second of
# these; one that needed no more than the first is looked after while the old release is drained.
_WATCH_FREE, _WATCH_MOST, _WATCH_SHARE = 0.25, 1.0, 0.5


def undrained(changes: t.Iterable[Change]) -> list[Change]:
    """Return those whose old release still has somebody who waits for an answer, or may have."""
    # Who cannot be seen may be there, until the time for that is over.
    table = None
    with suppress(OSError):
        table = read_table()
    now = time.monotonic()
    return [change for change in changes if not change.error and change.drain and not change.drain.over(table, now)]


def watch_seconds(change: Change, switched: float) -> float:
    """Return how long the old release has to stay ready, at least; C(switched) is when the link was renamed."""
    if not change.plan.switch or not change.retired_sockets():
        return 0.0
    past = time.monotonic() - switched if switched else 0.0
    return max(float(change.health["watch"]), _default_watch(change) - past, 0.0)


def _default_watch(change: Change) -> float:
    # One that is gone back to was looked after when it was new, and the other one is that which does not work.
    if change.service.rollback or not change.gate:
        return 0.0
    needed = max((probe.seconds for probe in change.gate.probes), default=0.0)
    return min(needed * _WATCH_SHARE, _WATCH_MOST) if needed > _WATCH_FREE else 0.0


def let_ill_finish(change: Change) -> None:
    """Let visitors finish whom a release has that is gone back from."""
    # Some of one that turned out to be ill may be well; but where the old one had to stop, nobody serves now.
    if not change.room:
        let_finish([probe.socket for probe in change.gate.probes] if change.gate else [], change.drain_timeout)


def judge_served(change: Change, probe: Probe, state: t.Mapping[str, str]) -> str:
    """Return why a release that serves can be given up, or an empty text."""
    if probe.workers:
        # Visitors come now, and with them the end of workers that have answered enough.
        probe.workers.fresh = False
    reason = judge_state(probe.service, state, probe.restarts) or judge_workers(probe, state)
    # gunicorn replaces a worker that has died, so that systemd sees nothing of it.
    said = last_death(probe.service, change.started_at) if change.health["watch"] and not reason else ""
    return f"a worker of {probe.service} died ({said})" if said else reason
