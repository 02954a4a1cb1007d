# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run has deployed, from which release to which, and what it left alone. Pure. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

from ..module_utils._input.printable import printable
from ._fleet import describe, is_mixed

Entry = t.Mapping[str, t.Any]

_LONGEST = 160
# In a line that lists names.
_MOST_NAMES = 8
_THREADS = (
    "  The only worker of {name} has threads of its own, such as a scheduler. During a deploy there are two of each.",
    "  To prevent that in {name}, with a short gap: gunicorn.overlap: never. Where it may be: gunicorn.overlap: allow.",
)


class _App:
    """What is known of one application on the hosts of a run."""

    def __init__(self, name: str) -> None:
        """Begin with nothing."""
        self.name = name
        self.url = ""
        self.seconds = 0.0
        self.gap = 0.0
        # Whether the user has said if two releases may run at once, as far as that is known.
        self.overlap_chosen = True
        # Whether its only worker has threads of its own.
        self.threads = False
        # By host: what it serves, what it served, and what went wrong.
        self.serving: dict[str, str | None] = {}
        self.before: dict[str, str] = {}
        self.wanted: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.switched: set[str] = set()
        self.errors: dict[str, str] = {}
        self.warnings: dict[str, str] = {}
        # Why there are no more workers.
        self.rooms: dict[str, str] = {}

    def take(self, entry: Entry) -> None:
        """Take what a host says of the service."""
        host, previous, release = entry["host"], entry["previous"] or "", entry["release"] or ""
        self.before.setdefault(host, previous)
        self.wanted[host] = release
        self.serving[host] = previous if entry["error"] else release
        self.seconds = max(self.seconds, float(entry["seconds"] or 0))
        self.gap = max(self.gap, float(entry.get("gap") or 0))
        self.threads = self.threads or bool(entry.get("threads"))
        self.versions[release] = entry.get("version") or ""
        if entry["error"]:
            self.errors[host] = entry["error"]
        elif previous != release:
            self.switched.add(host)
            self.errors.pop(host, None)
        if entry["warning"]:
            self.warnings[host] = entry["warning"]
        if entry.get("room"):
            self.rooms[host] = entry["room"]


def render(entries: t.Sequence[Entry], command: str, check: bool = False) -> list[str]:
    """Return the lines of the summary; C(command) begins commands that it proposes."""
    apps = _collect(entries)
    lines = [line for name in sorted(apps) for line in _describe(apps[name], command, check)]
    lines += [f"{entry['host']}: not reached, {_short(entry['error'])}" for entry in entries if entry["kind"] == "lost"]
    lines += _failures(entries)
    lines += _unlisted(entries)
    lines += _plain(entries)
    if check and lines:
        lines.append("Check mode: nothing was changed.")
    return list(dict.fromkeys(lines))


def _collect(entries: t.Sequence[Entry]) -> dict[str, _App]:
    apps: dict[str, _App] = {}
    for entry in entries:
        if entry["kind"] == "app":
            app = apps.setdefault(entry["name"], _App(entry["name"]))
            app.url = app.url or entry["url"]
            app.overlap_chosen = entry.get("overlap", True)
            if entry["error"]:
                app.errors[entry["host"]] = entry["error"]
                app.serving.setdefault(entry["host"], entry.get("serving"))
        elif entry["kind"] == "service":
            apps.setdefault(entry["name"], _App(entry["name"])).take(entry)
    _add_untouched(apps, entries)
    return apps


def _add_untouched(apps: t.Mapping[str, _App], entries: t.Sequence[Entry]) -> None:
    """Add what hosts serve that the run did not get to, and mark those that it lost."""
    reached = {entry["host"]: entry["serving"] for entry in entries if entry["kind"] == "reached"}
    lost = {entry["host"] for entry in entries if entry["kind"] == "lost"}
    for app in apps.values():
        for host, serving in reached.items():
            if app.serving.get(host) is None and host not in lost:
                app.serving[host] = serving.get(app.name, "")
        for host in lost:
            if host not in app.wanted:
                app.serving[host] = None


def _describe(app: _App, command: str, check: bool) -> list[str]:
    known = {host: release for host, release in app.serving.items() if release is not None}
    lines = [f"{app.name}: {_what(app, check)}{_where(app, known)}"]
    lines += [f"  not deployed on {host}: {_short(error)}" for host, error in sorted(app.errors.items())]
    lines += [f"  {host}: {_short(said)}" for host, said in sorted([*app.warnings.items(), *app.rooms.items()])]
    if app.threads and app.switched and not app.overlap_chosen:
        lines += [line.format(name=app.name) for line in _THREADS]
    if not is_mixed(known) or check:
        return lines
    if set(app.wanted) >= set(known) and not app.errors:
        return [*lines, "  These hosts want different releases: their variables, or their Pythons, differ."]
    before = sorted(set(known) - set(app.wanted))
    if before:
        lines.append(f"  What {', '.join(before)} {_verb(before)} was seen when this run began.")
    ill = sorted({*app.errors, *(host for host, release in app.serving.items() if release is None)})
    mend = f"mend {', '.join(ill)}, and " if ill else ""
    lines.append(f"  The fleet is mixed. To go on: {mend}run this again.")
    return [*lines, f"  To go back: {command} flaskops.stack.rollback -e app={app.name}"]


def _verb(hosts: t.Sequence[str]) -> str:
    return "serves" if len(hosts) == 1 else "serve"


def _what(app: _App, check: bool) -> str:
    if app.errors and not any(app.serving.values()):
        return "not deployed"
    if app.wanted and not any(app.wanted.values()) and not app.errors:
        return "would be removed" if check else "removed"
    if check and app.switched:
        releases = sorted({app.wanted[host] for host in app.switched})
        return f"would go to {', '.join(releases)} on {', '.join(sorted(app.switched))}"
    said = describe(app.serving)
    if not app.switched:
        # Nothing is served when the task failed before it came to any application.
        return (said or "not deployed") if app.errors or not app.wanted else f"left alone: {said}"
    before = sorted({app.before[host] or "nothing" for host in app.switched})
    version = next((app.versions[app.wanted[host]] for host in sorted(app.switched)), "")
    more = [f"version {version}"] if version else []
    gap = [f"{app.gap:.1f} s of them without an answer, as two releases may not run at once"] if app.gap else []
    return "; ".join([said, *more, f"before: {', '.join(before)}", f"{app.seconds:.1f} s", *gap])


def _where(app: _App, known: t.Mapping[str, str]) -> str:
    if not any(known.values()):
        return ""
    return f"; {app.url}" if app.url else ""


def _failures(entries: t.Sequence[Entry]) -> list[str]:
    """Return what failed beside the services, such as a site that nginx would not load."""
    return [
        f"{entry['host']}: {entry['stage']} failed: {_short(entry['error'])}"
        for entry in entries
        if entry["kind"] == "failed"
    ]


def _unlisted(entries: t.Sequence[Entry]) -> list[str]:
    """Return the applications that serve on hosts and are not in their list any more."""
    hosts: dict[str, list[str]] = {}
    for entry in entries:
        for name in entry["names"] if entry["kind"] == "unlisted" else ():
            hosts.setdefault(name, []).append(entry["host"])
    return [
        f"{name}: not in flask_apps, and serves on {', '.join(sorted(set(where)))}. Has it another name now: set "
        f"rename_from: {name} there. To remove it: flaskops.stack.remove -e app={name}"
        for name, where in sorted(hosts.items())
    ]


def _plain(entries: t.Sequence[Entry]) -> list[str]:
    """Return one line about the sites that are plain HTTP because nothing else was chosen."""
    names = sorted({name for entry in entries if entry["kind"] == "plain" for name in entry["names"]})
    if not names:
        return []
    listed = ", ".join(names[:_MOST_NAMES]) + (f" and {len(names) - _MOST_NAMES} more" if names[_MOST_NAMES:] else "")
    ways = "For HTTPS set nginx_acme_email (or nginx_acme: true); to keep HTTP, tls: {mode: none}."
    return [f"Plain HTTP: {listed}. {ways}"]


def _short(text: str) -> str:
    # What was said by a host that was lost has passed no module.
    line = (printable(text).splitlines() or [""])[0]
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
