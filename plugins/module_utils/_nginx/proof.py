# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify from nginx's processes that a SIGHUP made it load its configuration. Private to flaskops.stack.

nginx's master blocks its signals while it works, and unblocks them only while it waits for one. A SIGHUP that arrives
during a load stays pending until that load is over: the workers that appear meanwhile have an earlier configuration.
"""

from __future__ import annotations

import re
import signal
import typing as t

LOADING, PROVED, REFUSED, INCONCLUSIVE = "loading", "proved", "refused", "doubtful"
# A state counts when it has lasted for this long: a worker that ends at once is seen to do so.
SETTLE = 0.05
# Between the start of workers and the next signal nginx sleeps for 0.1 s. Two looks with less in between miss none.
_PACE = 0.09
_FIELD = re.compile(r"^(State|SigPnd|ShdPnd|SigBlk):\s*(\S+)", re.MULTILINE)
_HUP = 1 << (signal.SIGHUP - 1)


class Signals(t.NamedTuple):
    """Whether a SIGHUP waits for the master, whether the master waits for a signal, and whether it takes any."""

    pending: bool = False
    idle: bool = False
    # By SIGSTOP, or by a debugger: it takes no other signal until SIGCONT.
    suspended: bool = False


class Observation(t.NamedTuple):
    """Workers that take new connections, then the master's signals: C(began) before the first, C(ended) after both."""

    began: float
    ended: float
    workers: frozenset[int]
    signals: Signals


def parse_signals(status: str) -> Signals:
    """Return what /proc/PID/status says of a master's signals."""
    fields = dict(_FIELD.findall(status))
    if not {"State", "SigPnd", "ShdPnd", "SigBlk"} <= set(fields):
        return Signals()
    pending = (int(fields["SigPnd"], 16) | int(fields["ShdPnd"], 16)) & _HUP
    blocked = int(fields["SigBlk"], 16) & _HUP
    idle = fields["State"] == "S" and not blocked and not pending
    return Signals(bool(pending), idle, fields["State"] in ("T", "t"))


class ReloadAttempt:
    """One reload by SIGHUP: which workers belong to an earlier load, and whether the reload succeeded."""

    def __init__(self, before: Observation) -> None:
        """Take the observation from before the signal was sent."""
        self.old = before.workers
        self._early = before
        self._taken = False
        self._missed = False
        self._lasting: tuple[str, frozenset[int]] = (LOADING, before.workers)
        self._since = before.ended

    @property
    def taken(self) -> bool:
        """Tell whether nginx has taken the signal."""
        return self._taken

    def evaluate(self, look: Observation, complained: bool) -> str:
        """Return the state after one more observation; C(complained) tells of an error in nginx's log."""
        if not self._taken:
            self._wait(look)
        state = (self._state(look, complained), look.workers)
        if state != self._lasting:
            self._lasting, self._since = state, look.began
        return state[0] if look.began - self._since >= SETTLE else LOADING

    def _wait(self, look: Observation) -> None:
        """Count the workers that are there while the signal is pending among the old ones."""
        if look.signals.pending:
            self.old, self._early = self.old | look.workers, look
            return
        self._taken = True
        if look.ended - self._early.began > _PACE:
            # There was no look for so long that these may be of an earlier load as well as of ours.
            self._missed = not look.workers <= self.old
            self.old |= look.workers

    def _state(self, look: Observation, complained: bool) -> str:
        if not self._taken or not look.workers:
            return LOADING
        if not look.workers & self.old:
            # The error may be that of a load that another program has asked for: another attempt will tell.
            return INCONCLUSIVE if complained else PROVED
        if not look.signals.idle:
            return LOADING
        if self._missed:
            return INCONCLUSIVE
        return REFUSED if look.workers <= self.old else LOADING
