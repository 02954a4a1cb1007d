# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Store the state of the files that nginx has loaded. Private to flaskops.stack."""

from __future__ import annotations

import contextlib
import json
import os
import typing as t
from dataclasses import dataclass, field, replace
from glob import glob

from .._system.files import read_file, write_file
from .._system.paths import NGINX_STATE
from .journal import instance_id

_SCHEMA = 1
State = t.List[t.Union[str, int]]
# Process id and start time in clock ticks: together they name one process.
Worker = t.Tuple[int, int]


@dataclass(frozen=True)
class Snapshot:
    """What nginx has loaded: file states by path, names by pattern, requested files, and its workers."""

    files: t.Mapping[str, State] = field(default_factory=dict)
    patterns: t.Mapping[str, State] = field(default_factory=dict)
    requested: t.Sequence[str] = ()
    workers: t.Sequence[Worker] = ()

    def is_current(self, paths: t.Iterable[str]) -> bool:
        """Tell whether these paths are recorded and all that is recorded is as it was."""
        return all(path in self.files for path in paths) and not self.differing()

    def differing(self) -> list[str]:
        """Return the paths and patterns that are no longer as recorded."""
        files = [path for path, state in self.files.items() if file_state(path) != state]
        return files + [pattern for pattern, names in self.patterns.items() if matching_names(pattern) != names]


def file_state(path: str) -> State:
    """Return what tells one content of a path from another without reading it; an empty list when nothing is there."""
    try:
        info = os.stat(path)
        target = os.readlink(path) if os.path.islink(path) else ""
    except OSError:
        return []
    return [target, info.st_mtime_ns, info.st_size, info.st_ino]


def matching_names(pattern: str) -> State:
    """Return the names that match a pattern now."""
    return [*sorted(glob(pattern))]


class LoadedState:
    """The stored snapshot of one nginx; failing to read or write it is never an error."""

    def __init__(self, config: str, state: str = NGINX_STATE) -> None:
        """Name the nginx; nothing is read or written."""
        self.path = os.path.join(state, instance_id(config) + ".loaded")

    def read(self) -> Snapshot:
        """Return the record; an empty one when there is none that can be read."""
        try:
            data = json.loads(read_file(self.path) or b"{}")
            workers = [(int(pid), int(start)) for pid, start in data["workers"]]
            return Snapshot(dict(data["files"]), dict(data["patterns"]), list(data["asked"]), workers)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return Snapshot()

    def write(self, record: Snapshot, workers: t.Sequence[Worker]) -> None:
        """Store what these workers have loaded, or, without workers, what the next ones will load."""
        document = {"schema": _SCHEMA, "workers": workers, "asked": record.requested}
        document.update(files=record.files, patterns=record.patterns)
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            write_file(self.path, json.dumps(document).encode("ascii"), 0o600, sync=False)

    def record_restored(self, paths: t.Iterable[str]) -> None:
        """Take note that paths have their recorded content again, in a file that was written anew."""
        record = self.read()
        again = {path: file_state(path) for path in paths if path in record.files}
        if again:
            self.write(replace(record, files={**record.files, **again}), record.workers)
