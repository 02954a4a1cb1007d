# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe which gunicorn workers have loaded the application, and which have ended. Private to flaskops.stack."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field

from .._service.worker_mark import FILE, Mark, count_of, marks, parse_marks
from .._system.command import CommandError, Commands
from .._system.host import Kernel
from .memory_use import processes_of

# Bytes read of /proc/locks; each lock takes less than a hundred.
_MOST_LOCKS = 1 << 24
# Bytes read of gunicorn.conf.py, which root wrote.
_MOST_CONF = 1 << 20
# More requests than a release gets before the switch: a worker that ends earlier was not replaced by max_requests.
_PROBES_MOST = 50
# Seconds between two looks.
LOOK_INTERVAL = 0.01
# The log line of gunicorn about a worker that died, and was neither stopped nor replaced by max_requests.
_DEATH = r"Worker \(pid:[0-9]+\) (exited with code [1-9]|was sent SIG(?!TERM|INT|QUIT))"


@dataclass
class Workers:
    """The workers of one instance, as observed so far."""

    release: str
    kernel: Kernel
    # Whether this run started the service, so that no worker can have been replaced yet.
    fresh: bool = False
    # Whether the application is loaded before the workers are forked.
    preload: bool = False
    # After how many requests a worker is replaced; 0 for never.
    max_requests: int = 0
    master: int = 0
    seen: set[int] = field(default_factory=set)
    loaded: dict[int, Mark] = field(default_factory=dict)
    # Why the release has failed.
    fault: str = ""
    _marked: bool | None = None
    # Children that looked like workers for the first time.
    _alike: set[int] = field(default_factory=set)

    @property
    def wanted(self) -> int:
        """Return the number of workers to expect; 0 when that is not known yet."""
        return count_of(self.loaded.values())

    @property
    def complete(self) -> bool:
        """Tell whether all workers have loaded the application, where the release lets that be observed."""
        return not self.marked or 0 < self.wanted <= len(self.loaded)

    @property
    def marked(self) -> bool:
        """Tell whether workers of the release mark themselves as loaded; those of earlier versions do not."""
        if self._marked is None:
            self._marked = release_marks(self.kernel, self.release)
        return self._marked

    @property
    def threads(self) -> bool:
        """Tell whether there is one worker to be, in which the application has started threads."""
        return self.wanted == 1 and any(mark.threads for mark in self.loaded.values())

    def progress(self) -> str:
        """Return the progress of loading, for an error message."""
        if not self.master:
            return "systemd does not name its main process, whose workers have to load the application"
        return f"{len(self.loaded)} of {self.wanted or 'its'} workers have loaded the application"

    def look(self, master: int) -> set[int]:
        """Observe the workers; return those that were there before and have ended."""
        if master != self.master:
            self.master, self.seen, self.loaded, self._alike = master, set(), {}, set()
        if not master:
            return set()
        now = _children(self.kernel, master)
        if now is None:
            return set()
        # The kernel lists children in parts, and can leave one out while another ends.
        now |= {pid for pid in self.seen - now if _is_child(self.kernel, pid, master)}
        found = self._marks_of(now)
        # What looks like a worker for the first time and has no mark may be none: each process that the master starts
        # is a copy of it until it runs its own program.
        known = self.seen | found.keys()
        alike = {pid for pid in now - known if _is_worker(self.kernel, pid, master)}
        workers = (known & now) | (alike & self._alike)
        self._alike = alike
        gone = self.seen - workers
        self.fault = self.fault or self._fault_of(gone)
        self.seen, self.loaded = workers, found
        self.fault = self.fault or self._replaced()
        return gone

    def _marks_of(self, children: set[int]) -> dict[int, Mark]:
        """Return the marks of the children that have loaded."""
        if not self.marked:
            return {}
        # A worker keeps its mark until it ends; for the first look in a while the kernel takes 0.01 s to list locks.
        if self.complete and children == self.seen:
            return self.loaded
        locks = self.kernel.read("/proc/locks", _MOST_LOCKS)
        found = self.loaded if locks is None else parse_marks(locks)
        return {pid: mark for pid, mark in found.items() if pid in children}

    def _fault_of(self, gone: t.Iterable[int]) -> str:
        """Return why workers that have ended are a fault of the release, as far as that is known without its log."""
        for pid in sorted(gone):
            # It may have loaded, answered and been replaced since the last look.
            if not self._keeps_workers:
                continue
            if pid not in self.loaded and self.marked and not self.preload:
                return f"worker {pid} ended before it had loaded the application"
            if self.fresh:
                return f"worker {pid} ended"
        return ""

    def _replaced(self) -> str:
        late = [pid for pid, mark in self.loaded.items() if mark.number > mark.workers]
        # A worker that ends at its first request can be gone before it was observed.
        return f"a worker ended, and {min(late)} took its place" if late and self.fresh and self._keeps_workers else ""

    @property
    def _keeps_workers(self) -> bool:
        """Tell whether max_requests cannot replace a worker before the switch."""
        return not 0 < self.max_requests <= _PROBES_MOST


def release_marks(kernel: Kernel, release: str) -> bool:
    """Tell whether the workers of the release in this directory mark themselves when they have loaded."""
    text = kernel.read(os.path.join(release, FILE), _MOST_CONF)
    return text is None or marks(text)


def count_loaded(kernel: Kernel, groups: t.Iterable[str]) -> int:
    """Return how many workers in these cgroups have loaded the application, where the release lets that be observed."""
    marked = parse_marks(kernel.read("/proc/locks", _MOST_LOCKS) or "")
    return sum(pid in marked for group in groups for pid in processes_of(kernel, group))


def last_death(commands: Commands, service: str, since: float) -> str:
    """Return gunicorn's last log line about a worker that died; an empty text when there is none."""
    words = ["journalctl", "--no-pager", "--output=cat", f"--unit={service}", f"--since=@{int(since)}"]
    try:
        found = commands.run([*words, "--lines=1", "--quiet", f"--grep={_DEATH}"])
    except (CommandError, OSError):
        # A busy journal proves nothing.
        return ""
    # journalctl exits 1 without a match, and when it cannot search.
    return found.out.strip() if found.rc == 0 else ""


def _children(kernel: Kernel, pid: int) -> set[int] | None:
    """Return the processes that a process has started and that have not ended; None when that cannot be read."""
    path = f"/proc/{pid}/task/{pid}/children"
    if kernel.exists(path):
        listed = kernel.read(path)
        return None if listed is None else {int(word) for word in listed.split()}
    # A kernel without CONFIG_PROC_CHILDREN.
    others = kernel.processes()
    return None if others is None else {other for other in others if _is_child(kernel, other, pid)}


def _is_child(kernel: Kernel, pid: int, master: int) -> bool:
    """Tell whether a process is a child that has not ended; who cannot be seen has not."""
    state = kernel.read(f"/proc/{pid}/stat")
    if state is None:
        return True
    fields = state.rpartition(")")[2].split()
    return len(fields) > 1 and fields[0] not in ("Z", "X") and int(fields[1]) == master


def _is_worker(kernel: Kernel, pid: int, master: int) -> bool:
    """Tell whether a child is a copy of its master: what else is started by it has other words, and may end."""
    words = kernel.read(f"/proc/{pid}/cmdline") or ""
    return bool(words) and (words == kernel.read(f"/proc/{master}/cmdline") or words.startswith("gunicorn: worker"))
