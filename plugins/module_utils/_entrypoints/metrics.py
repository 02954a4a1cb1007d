# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect metrics of sites and applications: a program of the code that the host keeps. Private to flaskops.stack.

A timer starts it twice a minute (C(_entrypoints/nginx_metrics.py)). The counters and the places up to which logs were
read are one file, replaced by one rename: each line is counted once, however a run ends.
"""

from __future__ import annotations

import argparse
import calendar
import hashlib
import json
import os
import re
import sys
import time
import typing as t
from contextlib import suppress

from .._input.printable import printable
from .._nginx.certificate import CertificateError, read_certificate
from .._nginx.log_follow import Position, follow
from .._nginx.model import NginxLayout
from .._nginx.request_counts import Counts, Key, families, parse_line
from .._release.history import Entry, read_history
from .._release.model import Layout, is_release_id
from .._release.release import current_id, load_manifest
from .._release.releases import find_applications
from .._system.exposition import Family, render
from .._system.files import read_file, read_link, remove_file, write_file

FILE = "flaskops.prom"
STATE_FILE = "state.json"
# Seconds after which what is left of the logs waits for the next run.
_PATIENCE = 20.0
# Lines between two looks at the clock.
_LINES = 2000
# Releases of requests that were led to none, and to one that was removed since.
NONE, REMOVED = "none", "removed"
_LOG = re.compile(r"^\s*access_log (\S+) flaskops_json\b", re.MULTILINE)
_PLAIN_LOG = re.compile(r"^\s*access_log \S+ combined\b", re.MULTILINE)
_CERTIFICATE = re.compile(r"^\s*ssl_certificate \"?([^\";$]+)\"?;", re.MULTILINE)
_CATCH_ALL = "flaskops-default"
_DEPLOYS = ("deploy", "rollback")
_RESULTS = {"activated": "success", "failed": "failure", "interrupted": "interrupted"}


class Places(t.NamedTuple):
    """Where things are on the host."""

    # The directory that Prometheus' node exporter reads.
    directory: str
    # The directory of the applications.
    root: str
    available: str
    enabled: str
    suffix: str
    state: str


class Site(t.NamedTuple):
    """What metrics need to know of a site."""

    name: str
    logs: tuple[str, ...]
    certificates: tuple[str, ...]
    # Whether it has requests that are logged in another format.
    uncounted: bool


class Collector:
    """One run."""

    def __init__(self, places: Places, now: float, clock: t.Callable[[], float] = time.monotonic) -> None:
        """Take the places, the time, and a clock for how long it takes."""
        self._places = places
        self._now = now
        self._clock = clock
        self._begin = clock()
        self._before = _load(places.state)
        self._counts = self._before.counts
        self._problems: list[str] = []

    def run(self) -> list[str]:
        """Count what is new, and write the file; return what could not be read, if that is news."""
        sites = self._sites()
        layouts = find_applications(self._places.root)
        kept = {layout.name: _kept(layout) for layout in layouts}
        logs = self._follow(sites, kept)
        self._forget(sites, kept)
        deploys = {layout.name: self._before.deploys.get(layout.name) or _Deploys() for layout in layouts}
        found = [*families(self._counts), *self._deploy_families(layouts, deploys), *self._site_families(sites)]
        path = os.path.join(self._places.directory, FILE)
        state = {
            "counts": [[*key, counts.to_json()] for key, counts in sorted(self._counts.items())],
            "logs": {path: {"offsets": one.offsets, "read": one.read} for path, one in logs.items()},
            "deploys": {name: one.to_json() for name, one in deploys.items()},
            "file": path,
            "problems": self._problems,
        }
        os.makedirs(self._places.state, mode=0o755, exist_ok=True)
        write_file(os.path.join(self._places.state, STATE_FILE), json.dumps(state).encode(), 0o640)
        if self._before.file not in ("", path):
            remove_file(self._before.file, sync=False)
        os.makedirs(self._places.directory, mode=0o755, exist_ok=True)
        write_file(path, render([*found, *self._own_families()]).encode(), sync=False)
        return self._problems if self._problems != self._before.problems else []

    def _sites(self) -> list[Site]:
        """Return the sites of ours that are enabled."""
        layout = NginxLayout(self._places.available, self._places.enabled, self._places.suffix)
        found = []
        for base in sorted(_names(layout.enabled)):
            name = base[: len(base) - len(layout.suffix)] if base.endswith(layout.suffix) else base
            target = read_link(os.path.join(layout.enabled, base)) or ""
            if not layout.version_of(name, target):
                continue
            text = self._text(target)
            found.append(
                Site(
                    name,
                    tuple(dict.fromkeys(_LOG.findall(text))),
                    tuple(dict.fromkeys(_CERTIFICATE.findall(text))),
                    bool(_PLAIN_LOG.search(text)),
                )
            )
        return found

    def _text(self, path: str) -> str:
        try:
            return (read_file(path) or b"").decode("utf-8", "replace")
        except OSError as exc:
            self._problems.append(str(exc))
            return ""

    def _follow(self, sites: t.Sequence[Site], kept: t.Mapping[str, t.Collection[str]]) -> dict[str, Position]:
        """Count the new lines of the logs; return up to where they were read."""
        known = dict(self._before.logs)
        owners: dict[str, list[str]] = {}
        for application, releases in kept.items():
            for release in releases:
                owners.setdefault(release, []).append(application)
        for site in sites:
            for path in site.logs:
                known[path] = follow(path, known.get(path), self._now, self._counter(site.name, owners))
        # That of a site that is disabled is gone on with when it is enabled again.
        return {path: position for path, position in known.items() if os.path.exists(path)}

    def _counter(self, site: str, owners: t.Mapping[str, t.Sequence[str]]) -> t.Callable[[bytes], bool]:
        counted = 0

        def count(line: bytes) -> bool:
            nonlocal counted
            counted += 1
            found = parse_line(line)
            if found is not None:
                release = str(found.get("release") or "")
                names = owners.get(release, ())
                # A site may lead to another application below a path.
                application = site if site in names or not names else names[0]
                key = application, (release if names else REMOVED) if is_release_id(release) else NONE
                self._counts.setdefault(key, Counts()).add(found)
            return counted % _LINES != 0 or self._clock() - self._begin < _PATIENCE

        return count

    def _forget(self, sites: t.Sequence[Site], kept: t.Mapping[str, t.Collection[str]]) -> None:
        """Put the counters of removed releases together, so that sums never fall, and drop those of former sites."""
        names = {*(site.name for site in sites), *kept}
        for key in sorted(self._counts):
            application, release = key
            if application not in names:
                del self._counts[key]
            elif release not in (NONE, REMOVED) and release not in kept.get(application, ()):
                self._counts.setdefault((application, REMOVED), Counts()).merge(self._counts.pop(key))

    def _deploy_families(self, layouts: t.Sequence[Layout], deploys: t.Mapping[str, _Deploys]) -> list[Family]:
        total = Family("flaskops_deploys_total", "counter", "Deploys, rollbacks and their like, by their result.")
        last = Family("flaskops_last_deploy_timestamp_seconds", "gauge", "When the last deploy or rollback began.")
        success = Family("flaskops_last_deploy_success", "gauge", "Whether the last deploy or rollback has succeeded.")
        seconds = Family("flaskops_last_deploy_duration_seconds", "gauge", "How long the last deploy or rollback took.")
        info = Family("flaskops_release_info", "gauge", "The release that serves, in its labels.")
        for layout in layouts:
            history = read_history(layout.name)
            deploys[layout.name].count(history)
            for (what, result), number in sorted(deploys[layout.name].totals.items()):
                total.add(number, application=layout.name, what=what, result=result)
            ended = [one for one in history if one.get("result") in _RESULTS and _what(one) in _DEPLOYS]
            if ended:
                success.add(int(ended[-1]["result"] == "activated"), application=layout.name)
                when = _timestamp(ended[-1].get("when"))
                if when:
                    last.add(when, application=layout.name)
                if "seconds" in ended[-1]:
                    seconds.add(float(ended[-1]["seconds"]), application=layout.name)
            self._add_info(info, layout)
        return [total, last, success, seconds, info]

    def _add_info(self, info: Family, layout: Layout) -> None:
        current = current_id(layout)
        if not current or not is_release_id(current):
            return
        manifest = load_manifest(layout.release(current))
        version = str((manifest.source if manifest else {}).get("version") or "")
        info.add(1, application=layout.name, release=current, version=printable(version))

    def _site_families(self, sites: t.Sequence[Site]) -> list[Family]:
        counted = Family(
            "flaskops_site_requests_counted", "gauge", "Whether requests are counted: its access_log is json."
        )
        ends = Family(
            "flaskops_certificate_not_after_timestamp_seconds", "gauge", "When the certificate of a site expires."
        )
        for site in sites:
            # The catch-all belongs to no application.
            if (site.logs or site.uncounted) and not site.name.startswith(_CATCH_ALL):
                counted.add(int(not site.uncounted), site=site.name)
            for path in site.certificates:
                try:
                    end = read_certificate(read_file(path) or b"").not_after
                except (CertificateError, OSError) as exc:
                    self._problems.append(f"{path}: {exc}")
                    continue
                ends.add(end, site=site.name, path=path)
        return [counted, ends]

    def _own_families(self) -> list[Family]:
        problems = Family(
            "flaskops_metrics_problems", "gauge", "Files that the collection of these metrics could not read."
        )
        problems.add(len(self._problems))
        seconds = Family("flaskops_metrics_duration_seconds", "gauge", "How long the collection of these metrics took.")
        seconds.add(round(self._clock() - self._begin, 3))
        return [problems, seconds]


class _Deploys:
    """How many deploys of an application there were; its history keeps the last ones only."""

    def __init__(self, data: t.Mapping[str, t.Any] | None = None) -> None:
        known = data or {}
        self._last = str(known.get("last", ""))
        self._when = str(known.get("when", ""))
        self.totals: dict[tuple[str, str], int] = {
            # From the beginning, so that the first one is seen as an increase.
            **{(what, result): 0 for what in _DEPLOYS for result in ("success", "failure")},
            **{(str(what), str(result)): int(number) for what, result, number in known.get("totals", [])},
        }

    def to_json(self) -> dict[str, t.Any]:
        totals = [[*key, number] for key, number in sorted(self.totals.items())]
        return {"last": self._last, "when": self._when, "totals": totals}

    def count(self, history: t.Sequence[Entry]) -> None:
        """Count the entries that have ended since."""
        marks = [hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()[:16] for entry in history]
        begin = len(marks) - marks[::-1].index(self._last) if self._last in marks else 0
        # What was counted last may be kept no more; then the time decides.
        since = "" if begin else self._when
        for mark, entry in zip(marks[begin:], history[begin:]):
            if entry.get("result") not in _RESULTS:
                # It goes on, or the next run resolves it.
                return
            if not since or str(entry.get("when", "")) > since:
                key = _what(entry), _RESULTS[str(entry["result"])]
                self.totals[key] = self.totals.get(key, 0) + 1
            self._last, self._when = mark, str(entry.get("when", ""))


def _what(entry: Entry) -> str:
    # Of a hook it is the name, too.
    found = str(entry.get("what", "deploy")).partition(" ")[0]
    return found if found in (*_DEPLOYS, "build", "hook") else "other"


def _timestamp(when: object) -> float:
    try:
        return float(calendar.timegm(time.strptime(str(when), "%Y-%m-%dT%H:%M:%SZ")))
    except ValueError:
        return 0.0


def _kept(layout: Layout) -> set[str]:
    return {name for name in _names(layout.releases) if is_release_id(name)}


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


class _State(t.NamedTuple):
    """What a run leaves for the next one."""

    counts: dict[Key, Counts]
    logs: dict[str, Position]
    deploys: dict[str, _Deploys]
    file: str
    problems: list[str]


def _load(directory: str) -> _State:
    """Return what the last run has left; nothing when it cannot be read."""
    with suppress(AttributeError, KeyError, OSError, TypeError, ValueError):
        found = json.loads(read_file(os.path.join(directory, STATE_FILE)) or b"")
        return _State(
            {(str(application), str(release)): Counts(data) for application, release, data in found["counts"]},
            {path: Position(dict(one["offsets"]), float(one["read"])) for path, one in found["logs"].items()},
            {name: _Deploys(data) for name, data in found["deploys"].items()},
            str(found["file"]),
            list(found["problems"]),
        )
    return _State({}, {}, {}, "", [])


def state_file_of(directory: str) -> str:
    """Return the file of metrics that was written last, empty when there is none."""
    return _load(directory).file


def main(arguments: t.Sequence[str] | None = None) -> None:
    """Collect once."""
    parser = argparse.ArgumentParser()
    for name in Places._fields:
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--code", required=True)
    given = vars(parser.parse_args(arguments))
    # Code that no run uses for a week is removed.
    os.utime(given.pop("code"))
    for problem in Collector(Places(**given), time.time()).run():
        # A warning, for the journal.
        sys.stdout.write(f"<4>{printable(problem)}\n")
