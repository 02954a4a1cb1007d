# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which release the hosts of a fleet serve, and the one to which all can go back. Pure. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

# More names than this are a number only, where the others are the exception.
_NAMED = 3

Item = t.Mapping[str, t.Any]
# The release of each host: empty for none, None where that is unknown.
Serving = t.Mapping[str, t.Optional[str]]


class FleetError(ValueError):
    """There is no release to which all hosts can go back."""


def describe(serving: Serving) -> str:
    """Return how many hosts serve which release, exceptions by name: C(9 hosts serve X; 1 serves Y: web7)."""
    groups: dict[str | None, list[str]] = {}
    for host in sorted(serving):
        groups.setdefault(serving[host], []).append(host)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0] is None, group[0] or ""))
    return "; ".join(
        _describe(release, hosts, first=number == 0, alone=len(ordered) == 1)
        for number, (release, hosts) in enumerate(ordered)
    )


def _describe(release: str | None, hosts: t.Sequence[str], first: bool, alone: bool) -> str:
    one = len(hosts) == 1
    if release is None:
        what = "was not reached" if one else "were not reached"
    else:
        what = f"{'serves' if one else 'serve'} {release or 'no release'}"
    if alone and one:
        return f"{hosts[0]} {what}"
    named = "" if first and (alone or len(hosts) > _NAMED) else f": {', '.join(hosts)}"
    return f"{len(hosts)} {'hosts ' if first and not one else 'host ' if first else ''}{what}{named}"


def is_mixed(serving: Serving) -> bool:
    """Tell whether hosts that are known serve different releases."""
    return len({release for release in serving.values() if release is not None}) > 1


def status_lines(hosts: t.Mapping[str, Item]) -> list[str]:
    """Return a line for each application that several hosts have, from what module flask_status has found."""
    names = sorted({app["name"] for found in hosts.values() for app in found["apps"]})
    lines = []
    for name in names:
        # A host may be in the play for another application.
        serving = {host: _release_of(found, name) for host, found in hosts.items()}
        having = {host: release for host, release in serving.items() if release is None or release}
        if len(having) > 1:
            mixed = is_mixed(having) and not _deployed_together(hosts, name)
            way = f"; to go back: flaskops.stack.rollback -e app={name}" if mixed and _can_go_back(hosts, name) else ""
            lines.append(f"{name}: {describe(having)}{way}")
    return lines


def _can_go_back(hosts: t.Mapping[str, Item], name: str) -> bool:
    """Tell whether a rollback of the hosts that have an application would find a release for all of them."""
    having = {host: found for host, found in hosts.items() if _release_of(found, name) != ""}
    try:
        rollback_targets(having, name)
    except FleetError:
        return False
    return True


def _deployed_together(hosts: t.Mapping[str, Item], name: str) -> bool:
    """Tell whether one run has deployed what the hosts serve: ids differ where variables or Pythons do."""
    apps = [app for found in hosts.values() for app in found["apps"] if app["name"] == name and app["current"]]
    runs = {app["runs"].get(app["current"]) for app in apps}
    return len(runs) == 1 and None not in runs


def _release_of(found: Item, name: str) -> str | None:
    if found["error"]:
        return None
    return next((str(app["current"]) for app in found["apps"] if app["name"] == name), "")


def rollback_targets(hosts: t.Mapping[str, Item], name: str, asked: str = "") -> dict[str, str]:
    """Return, by host, the release to which it goes back, or at which it stays: one release for all.

    C(hosts) is what module flask_status has found on each. Without C(asked) it is the newest release that was healthy
    on every host; a rollback that was killed is completed. Hosts whose variables or Pythons differ have different ids
    for one release: what one run deployed belongs together.
    """
    # A run continues without hosts that cannot be reached when that was asked for.
    apps = {host: _app_of(host, found, name) for host, found in hosts.items() if not found["error"]}
    if asked:
        return _named(apps, name, asked)
    ways = _common(apps)
    begun = [way for way in ways if any(app["rollback_interrupted"] and way[host] == app["current"]
                                        for host, app in apps.items())]  # fmt: skip
    # What all hosts serve is what they leave.
    back = [way for way in ways if any(way[host] != app["current"] for host, app in apps.items())]
    if not begun and not back:
        raise FleetError(
            f"{name} has no release to which all hosts can go back: none that was healthy on each of them and is still "
            f"there. Nothing was changed. {_listing(apps)}\nDeploy the version that you want (site.yml or deploy.yml), "
            "or go back host by host: -e target=HOST"
        )
    return (begun or back)[0]


def _app_of(host: str, found: Item, name: str) -> Item:
    app: Item | None = next((app for app in found["apps"] if app["name"] == name), None)
    if app is None or not app["releases"]:
        raise FleetError(
            f"{host} has no application '{name}'; {others(name, found)}. Name the hosts that have it, with -e "
            "target=… or --limit. Nothing was changed"
        )
    return app


def _labels(app: Item, releases: t.Iterable[str]) -> dict[str, str]:
    """Return releases by what other hosts may know them by: their id, or the run that deployed them."""
    known = list(releases)
    of_runs = {f"run {app['runs'][release]}": release for release in reversed(known) if release in app["runs"]}
    return {**of_runs, **{release: release for release in known}}


def others(name: str, found: Item) -> str:
    """Return which applications a host has where it lacks one, and which of them was probably meant."""
    # Loaded for errors only: Ansible compiles and imports anew in each run.
    from ..module_utils._release.releases import suggest

    return suggest(name, found.get("known") or [])


def _common(apps: t.Mapping[str, Item]) -> list[dict[str, str]]:
    """Return the releases, by host, to which every host can go; those with the fewest steps back first."""
    known = {host: _labels(app, app["targets"]) for host, app in apps.items()}
    labels = set.intersection(*(set(found) for found in known.values())) if known else set()
    ways = [{host: found[label] for host, found in known.items()} for label in sorted(labels)]
    return sorted(ways, key=lambda way: _distance([app["targets"].index(way[host]) for host, app in apps.items()]))


def _distance(numbers: t.Sequence[int]) -> tuple[int, int]:
    return max(numbers), sum(numbers)


def _named(apps: t.Mapping[str, Item], name: str, asked: str) -> dict[str, str]:
    """Return the release whose id begins as asked, by host; raise FleetError unless every host can go there."""
    ids = {release["id"] for app in apps.values() for release in app["releases"]}
    matching = sorted(release for release in ids if release.startswith(asked))
    if len(matching) != 1:
        what = f"matches {len(matching)} releases" if matching else "is no release"
        raise FleetError(f"'{asked}' {what} of {name}: name one by its id. Nothing was changed. {_listing(apps)}")
    known = {host: _labels(app, [row["id"] for row in app["releases"]]) for host, app in apps.items()}
    runs = {app["runs"][matching[0]] for app in apps.values() if matching[0] in app["runs"]}
    wanted = [matching[0], *(f"run {run}" for run in sorted(runs))]
    way = {host: next((found[label] for label in wanted if label in found), "") for host, found in known.items()}
    lacking = sorted(host for host, release in way.items() if not release)
    if lacking:
        raise FleetError(
            f"release {matching[0]} of {name} is not on {', '.join(lacking)}: deploy it there, or name another one. "
            f"Nothing was changed. {_listing(apps)}"
        )
    bad = {host: reason for host, app in apps.items() if (reason := _refusal(app, way[host]))}
    if bad:
        # Loaded for errors only.
        from ..module_utils._release.rollback import how_to_deploy

        reasons = "; ".join(f"{host}: {reason}" for host, reason in sorted(bad.items()))
        rows = [row for app in apps.values() for row in app["releases"] if row["id"] == matching[0]]
        again = how_to_deploy(name, str(rows[0].get("version", "")))
        raise FleetError(
            f"release {matching[0]} of {name} cannot be rolled back to ({reasons}). {again} Nothing was changed. "
            f"{_listing(apps)}"
        )
    return way


def _refusal(app: Item, release: str) -> str:
    """Return why a host would refuse to go to a release; one that never served is judged by its health check."""
    rows: t.Sequence[Item] = app["releases"]
    row = next(row for row in rows if row["id"] == release)
    return "" if row["usable"] else str(row["state"])


def _listing(apps: t.Mapping[str, Item]) -> str:
    """Return the releases of all hosts and what is known of them, a line each."""
    states: dict[str, dict[str, list[str]]] = {}
    for host, app in sorted(apps.items()):
        for row in app["releases"]:
            states.setdefault(row["id"], {}).setdefault(str(row["state"]).partition(" since ")[0], []).append(host)
    lines = [
        f"  {release}  " + "; ".join(f"{state} ({', '.join(hosts)})" for state, hosts in sorted(of.items()))
        for release, of in states.items()
    ]
    return "There are:\n" + "\n".join(lines)


def describe_targets(hosts: t.Mapping[str, Item], name: str, targets: t.Mapping[str, str]) -> str:
    """Return which hosts are going to be taken to a release, and which are left alone."""
    going: dict[str, list[str]] = {}
    staying = []
    for host, target in sorted(targets.items()):
        if _release_of(hosts[host], name) == target:
            staying.append(host)
        else:
            going.setdefault(target, []).append(host)
    parts = [f"to {release} on {', '.join(names)}" for release, names in sorted(going.items())]
    left = f"{', '.join(staying)} {'serves' if len(staying) == 1 else 'serve'} it already and " + (
        "is left alone" if len(staying) == 1 else "are left alone"
    )
    return f"{name} goes back " + "; ".join([*parts, *([left] if staying else [])]) if going else f"{name}: {left}"
