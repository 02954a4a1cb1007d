# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be true of a host after each step: it serves one whole release, and status.yml says which."""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass, field

from tools.molecule.release.host import InventoryHost, Row, StoryError

# What belongs to an application that neither changes nor is changed.
QUIET = {"lock": None, "unfinished": None, "maintenance": False, "restarts": 0, "healthy": True}
SECONDS_TO_END = 60
# The other one has a small disk of its own.
ROOTS = {"shop": "/srv", "small": "/mnt/small"}


@dataclass(frozen=True)
class App:
    """The application as it is described in the inventory, as far as the steps change it."""

    version: str
    greeting: str = "Hello"
    threads: bool = True
    name: str = "shop"
    hooks: t.Mapping[str, t.Any] = field(default_factory=dict, compare=False)
    health: t.Mapping[str, t.Any] = field(default_factory=dict, compare=False)

    @property
    def root(self) -> str:
        """Return the directory in which it has one of its own."""
        return ROOTS[self.name]

    def variables(self) -> Row:
        """Return the variables of the inventory that say so."""
        return {
            "flask_root": self.root,
            "shop_name": self.name,
            "shop_version": self.version,
            "shop_greeting": self.greeting,
            "shop_hooks": self.hooks,
            "shop_health": self.health,
            "shop_gunicorn": {} if self.threads else {"worker_class": "sync", "workers": 4},
        }


@dataclass(frozen=True)
class Outcome:
    """What a step must have come to."""

    # One of these serves.
    serves: tuple[App, ...]
    # A regular expression that the reason of the last failure matches; without one nothing has failed.
    failed: str = ""
    # Whether releases other than those before and after may have answered in between.
    passing: bool = False


@dataclass(frozen=True)
class Found:
    """What serves, as which release, and which others there are."""

    app: App
    release: str
    others: frozenset[str]


def check(host: InventoryHost, outcome: Outcome) -> Found:
    """Return what serves; raise StoryError when it is not the outcome, not whole, or told otherwise."""
    served, row = seen(host, outcome.serves[0].name), host.status(outcome.serves[0].name, outcome.serves[0].root)
    release = str(served["release"])
    told = {key: row[key] for key in ("current", "version", *QUIET)}
    expect(host, "status", {"current": release, "version": served["version"], **QUIET}, told)
    expect(host, "instances that run", row["instances"], row["running"])
    check_failure(host, row, outcome.failed)
    check_releases(host, row, f"{outcome.serves[0].root}/{row['name']}")
    check_units(host, row["name"], release)
    app = App(served["version"], served["greeting"], served["threads"], row["name"])
    if app not in outcome.serves:
        raise StoryError(f"{host.name} serves {app}, and not one of {outcome.serves}")
    return Found(app, release, frozenset(found["id"] for found in row["releases"]))


def seen(host: InventoryHost, name: str) -> Row:
    """Return what a visitor sees at one moment; code and static files are of one release."""
    for _time in range(5):
        targets = ("/whoami", "/static/version.txt", "/whoami")
        before, static, after = (host.ask(target, f"{name}.test") for target in targets)
        served: Row = json.loads(after)
        if json.loads(before)["release"] == served["release"]:
            expect(host, "version of the static files", served["version"], static.strip())
            return served
    raise StoryError(f"{host.name} does not settle: {before}, {after}")


def glance(host: InventoryHost, app: App) -> Row:
    """Return what status tells in the middle of something: visitors are served by the release that it names."""
    for _time in range(5):
        before, row, after = seen(host, app.name), host.status(app.name, app.root), seen(host, app.name)
        if before["release"] == after["release"]:
            wanted = (before["release"], before["version"], True)
            expect(host, "status", wanted, (row["current"], row["version"], row["healthy"]))
            return row
    raise StoryError(f"{host.name} does not settle: {before}, {after}")


def expect(host: InventoryHost, what: str, wanted: object, found: object) -> None:
    """Raise StoryError when two values differ."""
    if wanted != found:
        raise StoryError(f"{host.name}, {what}: wanted {wanted}, found {found}")


def check_failure(host: InventoryHost, row: Row, pattern: str) -> None:
    """Look for the last failure, whose release is neither the one that serves nor one to go back to."""
    failed = row["failed"]
    if not pattern:
        return expect(host, "last failure", None, failed)
    if not failed or not re.search(pattern, failed["reason"]):
        raise StoryError(f"{host.name}: status tells of the failure {failed}, which does not say {pattern!r}")
    # A build that failed leaves nothing.
    states = [release["state"] for release in row["releases"] if release["id"] == failed["release"]]
    return expect(host, "refused releases", [], [state for state in states if not state.startswith("failed")])


def check_releases(host: InventoryHost, row: Row, directory: str) -> None:
    """Compare the releases with the disk; one is current, and none is unfinished."""
    states = {found["id"]: found["state"] for found in row["releases"]}
    current = [name for name, state in states.items() if state.startswith("current since")]
    expect(host, "current releases", [row["current"]], current)
    expect(host, "releases on disk", sorted(states), sorted(host.script(f"ls {directory}/releases").split()))
    # The files of releases that were pruned go behind the run.
    host.wait_for(f"! ls -d {directory}/releases/.removed-*", SECONDS_TO_END)
    # Names with a dot are temporary.
    expect(host, "what is not finished", "", host.script(f"find {directory} -maxdepth 2 -name '.*'"))
    expect(host, "the link", f"releases/{row['current']}", host.script(f"readlink {directory}/current"))


def check_units(host: InventoryHost, name: str, release: str) -> None:
    """Wait for the end of the units of other releases, which may come behind the run; only one starts at boot."""
    other = f"systemctl list-units --all --plain --no-legend '{name}@*' | grep -v '^{name}@{release}[.]'"
    host.wait_for(f"! {other}", SECONDS_TO_END)
    files = host.script(f"cd /etc/systemd/system && ls -d {name}@* */{name}@*").splitlines()
    unit = f"{name}@{release}"
    wanted = [
        f"{unit}.service",
        f"{unit}.socket",
        f"multi-user.target.wants/{unit}.service",
        f"sockets.target.wants/{unit}.socket",
    ]
    expect(host, "unit files", sorted(wanted), sorted(files))
