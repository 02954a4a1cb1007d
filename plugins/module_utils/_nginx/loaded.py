# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detect files that changed since nginx loaded them, such as a renewed certificate. Private.

After each proved reload the state of every file that our sites make nginx load is recorded. As long as all of them are
as recorded, nothing else is asked. When one is not, nginx may have been reloaded or restarted since: workers
that were recorded and still live prove that it was not, and otherwise the change must be older than the oldest worker.
"""

from __future__ import annotations

import os
import stat
import time
import typing as t

from .binary import Nginx
from .conf import Configuration, ConfigurationError
from .host import NginxHost
from .loaded_state import LoadedState, Snapshot, Worker, file_state, matching_names
from .model import NginxLayout
from .references import loaded_with
from .server import find_master
from .staged_tree import StagedTree
from .tree import read_node

# Linux follows as many symbolic links in one path (path_resolution(7)).
_MOST_LINKS = 40


def take_snapshot(
    config: Configuration | None, layout: NginxLayout, requested: t.Iterable[str], former: Snapshot
) -> Snapshot:
    """Return the present state of all files that nginx loads for our sites and for the requested files."""
    paths = config.files if config else ()
    files, patterns = loaded_with(config, [path for path in paths if _is_ours(layout, path)]) if config else ((), ())
    wanted = [path for path in dict.fromkeys((*requested, *former.requested)) if os.path.lexists(path)]
    found = {path: file_state(path) for path in dict.fromkeys((*files, *wanted))}
    return Snapshot(found, {pattern: matching_names(pattern) for pattern in patterns}, wanted)


def _is_ours(layout: NginxLayout, path: str) -> bool:
    """Tell whether nginx reads one of our sites under a path."""
    directory, base = os.path.split(path)
    if not base.endswith(layout.suffix) or os.path.realpath(directory) != os.path.realpath(layout.enabled):
        return False
    name = base[: len(base) - len(layout.suffix)]
    return layout.version_of(name, read_node(path, content=False).target) is not None


def identify_workers(host: NginxHost, pids: t.Iterable[int]) -> list[Worker]:
    """Return worker processes in a form that stays theirs when their ids are used again."""
    return [(pid, host.start_ticks(pid)) for pid in sorted(pids)]


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


def not_loaded(
    record: Snapshot, differing: t.Iterable[str], unknown: t.Iterable[str], workers: list[Worker]
) -> list[str]:
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
    nginx: Nginx,
    loaded_state: LoadedState,
    layout: NginxLayout,
    service: str,
    links: t.Iterable[str],
    requested: t.Sequence[str],
    remember: bool,
    changing: t.AbstractSet[str] = frozenset(),
) -> list[str]:
    """Return the files of our sites that changed on disk since nginx loaded them, except C(changing).

    C(links) and C(asked) are expected to be loaded. With C(remember) it is recorded that all of it is. When nginx does
    not run, its next start loads all: that is of interest only when something else changes.
    """
    record = loaded_state.read()
    differing = [path for path in record.differing() if path not in changing]
    if not differing and all(path in record.files for path in (*links, *requested)):
        return []
    master = find_master(nginx.host, nginx.config, nginx.build, service) if nginx.present else None
    if master is None:
        return differing if changing else []
    now = take_snapshot(_present(nginx.config), layout, requested, record)
    workers = identify_workers(nginx.host, master.workers())
    unknown = [path for path in now.files if path not in record.files and path not in changing]
    found = not_loaded(record, differing, unknown, workers)
    if remember and workers and not found and not changing:
        loaded_state.write(now, workers)
    return found


def _present(config: str) -> Configuration | None:
    """Return the configuration on disk, None when it cannot be followed."""
    try:
        return StagedTree({}).load(config)
    except ConfigurationError:
        return None
