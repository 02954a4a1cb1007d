# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A clock that advances only while a thread waits; threads take turns, so that a test always runs in the same order."""

from __future__ import annotations

import heapq
import itertools
import threading
import typing as t

from ansible_collections.flaskops.stack.plugins.module_utils._system.host import Clock

# The time of day when the clock starts.
EPOCH = 1_800_000_000.0


class FakeClock(Clock):
    """The time, and everything that is to happen later."""

    def __init__(self) -> None:
        self.now = 1000.0
        # Why the host has no thread left.
        self.threads_fail = ""
        self._order = itertools.count()
        # What is to happen, and the threads that wait, by their moment.
        self._later: list[tuple[float, int, t.Callable[[], object] | threading.Event]] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return EPOCH + self.now

    def after(self, seconds: float, happens: t.Callable[[], object] | threading.Event) -> None:
        """Let something happen, or a thread go on, while others wait."""
        heapq.heappush(self._later, (round(self.now + max(seconds, 0), 6), next(self._order), happens))

    def sleep(self, seconds: float) -> None:
        turn = threading.Event()
        self.after(seconds, turn)
        self.go_on(turn)

    def wait(self, event: threading.Event, seconds: float) -> None:
        if not event.is_set():
            self.sleep(seconds)

    def start_thread(self, run: t.Callable[[], None]) -> threading.Thread:
        if self.threads_fail:
            raise RuntimeError(self.threads_fail)
        thread = _Thread(self, run)
        thread.start()
        self.after(0, thread.turn)
        return thread

    def go_on(self, turn: threading.Event | None) -> None:
        """Let happen what is due until it is the turn of a thread; wait if that is another one."""
        while True:
            moment, _number, item = heapq.heappop(self._later)
            self.now = max(self.now, moment)
            if isinstance(item, threading.Event):
                item.set()
                break
            item()
        if turn:
            assert turn.wait(20), "the threads of this test wait for each other"


class _Thread(threading.Thread):
    """A thread that runs only while all others wait."""

    def __init__(self, clock: FakeClock, run: t.Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.turn = threading.Event()
        self._clock, self._run, self._done = clock, run, False

    def run(self) -> None:
        self.turn.wait()
        try:
            self._run()
        finally:
            self._done = True
            self._clock.go_on(None)

    def join(self, timeout: float | None = None) -> None:
        assert timeout is None
        while not self._done:
            self._clock.sleep(0.01)
