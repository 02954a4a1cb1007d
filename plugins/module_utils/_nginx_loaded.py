# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Know which files nginx has loaded, and notice those that changed since: a renewed certificate. Private.

After each proved reload the state of every file that our sites make nginx load is recorded. As long as all of them are
as recorded, nothing else is asked. When one is not, somebody else may have reloaded or restarted nginx since: workers
that were recorded and still live prove that nobody has, and otherwise the change must be older than the oldest worker.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
import typing as t
from dataclasses import dataclass, field, replace
from glob import glob

from ._files import read_file, write_file
from ._nginx_binary import Nginx
from ._nginx_conf import Configuration, ConfigurationError
from ._nginx_future import Future
from ._nginx_journal import STATE, instance_id
from ._nginx_model import Layout
from ._nginx_references import loaded_with
from ._nginx_server import find_master
from ._nginx_tree import read_node

_SCHEMA = 1
# Linux follows as many symbolic links in one path (path_resolution(7)).
_MOST_LINKS = 40
State = t.List[t.Union[str, int]]
# Process id and start time in clock ticks: together they name one process.
Worker = t.Tuple[int, int]


@dataclass(frozen=True)
class Record:
    """What nginx had loaded: state of files by path, names by pattern, files that were asked for, and its workers."""

    files: t.Mapping[str, State] = field(default_factory=dict)
    patterns: t.Mapping[str, State] = field(default_factory=dict)
    asked: t.Sequence[str] = ()
    workers: t.Sequence[Worker] = ()

    def differing(self) -> list[str]:
        """Return the paths and patterns that are no longer as recorded."""
        files = [path for path, state in self.files.items() if file_state(path) != state]
        return files + [pattern for pattern, names in self.patterns.items() if _names(pattern) != names]


def file_state(path: str) -> State:
    """Return what tells one content of a path from another without reading it; an empty list when nothing is there."""
    try:
        info = os.stat(path)
        target = os.readlink(path) if os.path.islink(path) else ""
    except OSError:
        return []
    return [target, info.st_mtime_ns, info.st_size, info.st_ino]


def take(config: Configuration | None, layout: Layout, asked: t.Iterable[str], former: Record) -> Record:
    """Return the present state of everything that sites of ours and files that were asked for make nginx load."""
    paths = config.files if config else ()
    files, patterns = loaded_with(config, [path for path in paths if _is_ours(layout, path)]) if config else ((), ())
    wanted = [path for path in dict.fromkeys((*asked, *former.asked)) if os.path.lexists(path)]
    found = {path: file_state(path) for path in dict.fromkeys((*files, *wanted))}
    return Record(found, {pattern: _names(pattern) for pattern in patterns}, wanted)


def _names(pattern: str) -> State:
    return [*sorted(glob(pattern))]


def _is_ours(layout: Layout, path: str) -> bool:
    """Tell whether nginx reads one of our sites under a path."""
    directory, base = os.path.split(path)
    if not base.endswith(layout.suffix) or os.path.realpath(directory) != os.path.realpath(layout.enabled):
        return False
    name = base[: len(base) - len(layout.suffix)]
    return layout.version_of(name, read_node(path, content=False).target) is not None


class Memory:
    """The record of one nginx; it is an aid, so that trouble with it is never an error."""

    def __init__(self, config: str, state: str = STATE) -> None:
        """Name the nginx; nothing is read or written."""
        self.path = os.path.join(state, instance_id(config) + ".loaded")

    def read(self) -> Record:
        """Return the record; an empty one when there is none that can be read."""
        try:
            data = json.loads(read_file(self.path) or b"{}")
            workers = [(int(pid), int(start)) for pid, start in data["workers"]]
            return Record(dict(data["files"]), dict(data["patterns"]), list(data["asked"]), workers)
        except (OSError, ValueError, KeyError, TypeError):
            return Record()

    def write(self, record: Record, workers: t.Sequence[Worker]) -> None:
        """Remember what these workers, or, when there are none, those to come, have loaded."""
        document = {"schema": _SCHEMA, "workers": workers, "asked": record.asked}
        document.update(files=record.files, patterns=record.patterns)
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            write_file(self.path, json.dumps(document).encode("ascii"), 0o600, sync=False)

    def put_back(self, paths: t.Iterable[str]) -> None:
        """Take note that paths have their recorded content again, in a file that was written anew."""
        record = self.read()
        again = {path: file_state(path) for path in paths if path in record.files}
        if again:
            self.write(replace(record, files={**record.files, **again}), record.workers)


def start_of(pid: int) -> int:
    """Return when a process was started, in clock ticks since boot; 0 when it is gone."""
    try:
        return int((read_file(f"/proc/{pid}/stat") or b"").rpartition(b")")[2].split()[19])
    except (OSError, IndexError):
        return 0


def generation(pids: t.Iterable[int]) -> list[Worker]:
    """Return worker processes in a form that stays theirs when their ids are used again."""
    return [(pid, start_of(pid)) for pid in sorted(pids)]


def started_at(worker: Worker) -> float:
    """Return when a worker was started, as the time of a file."""
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted + worker[1] / os.sysconf("SC_CLK_TCK")


def changed_at(path: str) -> float:
    """Return when a path came to lead to what it leads to now: the newest of the file and all links on the way."""
    newest, place, rest, links = 0.0, "/", path.split("/"), 0
    while rest:
        parent, place = place, os.path.join(place, rest.pop(0))
        try:
            info = os.lstat(place)
        except OSError:
            return max(newest, os.lstat(parent).st_ctime)
        if stat.S_ISLNK(info.st_mode) and links < _MOST_LINKS:
            target, links = os.readlink(place), links + 1
            place, rest = "/" if target.startswith("/") else parent, [*target.split("/"), *rest]
            newest = max(newest, info.st_ctime)
        elif not rest:
            newest = max(newest, info.st_ctime)
    return newest


def unloaded(record: Record, differing: t.Iterable[str], unknown: t.Iterable[str], workers: list[Worker]) -> list[str]:
    """Return the paths, of those that differ from the record and those that are not in it, that are not loaded."""
    if not workers:
        return []
    oldest = min(map(started_at, workers))
    nobody_reloaded = bool(set(record.workers) & set(workers))
    found = [path for path in differing if nobody_reloaded or _changed_after(path, oldest)]
    return found + [path for path in unknown if _changed_after(path, oldest)]


def _changed_after(path: str, moment: float) -> bool:
    # Of a pattern, the directory tells when a name was added or removed.
    return changed_at(path if os.path.lexists(path) else os.path.dirname(path)) > moment


def find_unloaded(
    nginx: Nginx, layout: Layout, service: str, links: t.Iterable[str], asked: t.Sequence[str], remember: bool
) -> list[str]:
    """Return what is on disk for our sites and is not what nginx runs; nothing when it does not run.

    C(links) and C(asked) are expected to be loaded. With C(remember) it is recorded that all of it is.
    """
    memory = Memory(nginx.config)
    record = memory.read()
    differing = record.differing()
    if not differing and all(path in record.files for path in (*links, *asked)):
        return []
    master = find_master(nginx.config, nginx.build, service) if nginx.present else None
    if master is None:
        return []
    now = take(_present(nginx.config), layout, asked, record)
    workers = generation(master.workers())
    found = unloaded(record, differing, [path for path in now.files if path not in record.files], workers)
    if remember and workers and not found:
        memory.write(now, workers)
    return found


def _present(config: str) -> Configuration | None:
    """Return the configuration on disk, None when it cannot be followed."""
    try:
        return Future({}).load(config)
    except ConfigurationError:
        return None
