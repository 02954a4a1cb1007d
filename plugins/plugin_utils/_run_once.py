# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller-side lock for work that must run once per playbook run. Private to flaskops.stack.

Ansible works on the hosts of a batch in processes of their own and at once, and runs C(run_once) again in each batch.
So the first host that gets here takes a lock in the directory that this run of Ansible has for itself; what came of it
is in the file for all that come later, in this batch or in any other. The death of a process frees the lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import typing as t
from types import TracebackType


class RunOnceLock:
    """The lock for one piece of work; the first host runs it, the others read its outcome."""

    def __init__(self, directory: str, what: str) -> None:
        """Take the directory of this run, and the name of the work."""
        name = hashlib.sha256(what.encode()).hexdigest()[:16]
        self._path = os.path.join(directory, f"flaskops-{name}.turn")
        self._descriptor = -1
        self.outcomes: dict[str, t.Any] = {}

    def __enter__(self) -> RunOnceLock:
        """Wait for the host that runs it; C(outcomes) are the recorded outcomes, by key."""
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self.outcomes = _parse(os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0))
        return self

    def finish(self, key: str, outcome: dict[str, t.Any]) -> None:
        """Record the outcome."""
        self.outcomes[key] = outcome
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(self.outcomes).encode(), 0)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the lock."""
        os.close(self._descriptor)


def _parse(data: bytes) -> dict[str, t.Any]:
    """Return the outcomes; a file that a killed process left half-written has none."""
    try:
        return dict(json.loads(data))
    except ValueError:
        return {}
