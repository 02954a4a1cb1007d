# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show the step of a build that takes long. Private to flaskops.stack."""

from __future__ import annotations

import threading
import time
import typing as t
from contextlib import contextmanager

from ansible.errors import AnsibleError

from ..module_utils._system.paths import PROGRESS
from ._say import say

# Most deploys have ended by then; after that, the user wants to know what takes so long.
INTERVAL = 15.0
_COMMAND = f"/bin/sh -c 'cat {PROGRESS}/* 2>/dev/null'"


@contextmanager
def watched(
    read: t.Callable[[], str], host: str, names: t.Collection[str], interval: float = INTERVAL
) -> t.Iterator[None]:
    """Show what C(read) says of the host as long as the block takes, beginning when it takes long.

    Another run may build other applications there meanwhile: only those of C(names) count.
    """
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(read, host, names, interval, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        # A question that is under way is not waited for: this process ends with the task.
        ended.set()


def _watch(
    read: t.Callable[[], str], host: str, names: t.Collection[str], interval: float, ended: threading.Event
) -> None:
    began = time.monotonic()
    while not ended.wait(interval):
        try:
            steps = [step for step in read().splitlines() if step.partition(":")[0] in names]
        except (AnsibleError, OSError, ValueError):
            # The build goes on, and says itself what is wrong with the host.
            return
        if ended.is_set():
            return
        for step in steps:
            say(f"{host}: {step} ({time.monotonic() - began:.0f} s)")


def reader(action: t.Any) -> t.Callable[[], str] | None:
    """Return what reads the steps over the task's connection, or None where two commands at once could disturb it."""
    # A password goes to ssh through a pipe that belongs to one command.
    if action._play_context.password or action._task.check_mode:
        return None

    def read() -> str:
        _rc, out, _err = action._connection.exec_command(_COMMAND, in_data=None, sudoable=False)
        return bytes(out).decode("utf-8", "replace")

    return read
