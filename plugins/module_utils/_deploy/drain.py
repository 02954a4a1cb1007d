# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drain a release: wait until it has no open connections. Private to flaskops.stack."""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass

from .._system.host import Host

# Fields of /proc/net/unix: flags, state and the path; a connection is "connecting" until the server accepts it.
_LISTENING = 0x10000
_FLAGS, _STATE, _PATH = 3, 5, 7
_OPEN_STATES = {"02", "03"}

LOOK_INTERVAL = 0.01
# Longer than a connection of nginx takes from the lookup of the path to the queue of the socket.
_SETTLE = 0.1
# Looks in a row without a connection: the kernel's list is read in parts, and can miss a socket while another closes.
_LOOKS = 3


def count_connections(table: str, paths: t.Collection[str]) -> dict[str, int]:
    """Return how many connections to each socket are waiting or being served, from the text of /proc/net/unix."""
    counts = Counter(path for path in map(_connection_path, table.splitlines()) if path in paths)
    return {path: counts[path] for path in paths}


def _connection_path(line: str) -> str | None:
    fields = line.split(None, _PATH)
    if len(fields) <= _PATH or fields[_STATE] not in _OPEN_STATES:
        return None
    return None if int(fields[_FLAGS], 16) & _LISTENING else fields[_PATH]


def wait_until_drained(host: Host, paths: t.Iterable[str], timeout: float) -> None:
    """Wait until the sockets have no open connection, or the timeout is over."""
    drain = Drain(frozenset(paths), host.clock.monotonic(), timeout)
    while not drain.over(host.kernel.unix_sockets(), host.clock.monotonic()):
        host.clock.sleep(LOOK_INTERVAL)


@dataclass
class Drain:
    """The drain of one release: until its sockets had no connection for a moment and a minimum time is over."""

    paths: frozenset[str]
    began: float
    timeout: float
    least: float = 0.0
    open_connections: int = 0
    # How many looks in a row have shown no connection, and when the first of them was.
    quiet_looks: int = 0
    quiet_since: float = 0.0

    def look(self, table: str | None, now: float) -> None:
        """Count the open connections in the socket table; without a table they count as open."""
        self.open_connections = (
            self.open_connections if table is None else sum(count_connections(table, self.paths).values())
        )
        self.quiet_looks = 0 if self.open_connections or table is None else self.quiet_looks + 1
        if self.quiet_looks == 1:
            self.quiet_since = now

    def over(self, table: str | None, now: float) -> bool:
        """Tell whether the drain is over, from the socket table of this moment."""
        self.look(table, now)
        quiet = self.quiet_looks >= _LOOKS and now - self.quiet_since >= _SETTLE
        return now - self.began >= self.least and (quiet or now - self.began >= self.timeout)
