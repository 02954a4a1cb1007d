# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the target of a rollback from the history. Private to flaskops.stack.

The last entry of a release counts: one that failed, or was rolled back, is rejected as a target until it has
been deployed again and was healthy then. One that has served before and only failed since can be named, though: the
health check of the rollback decides about it.
"""

from __future__ import annotations

import typing as t

from .history import Entry, activation_times
from .model import Manifest, ReleaseError


def rejected_releases(entries: t.Iterable[Entry]) -> dict[str, str]:
    """Return why releases are rejected as targets of a rollback that names none, by id."""
    return {release: reason for release, (reason, _is_final) in _judged(entries).items()}


def refused_releases(entries: t.Iterable[Entry]) -> dict[str, str]:
    """Return why releases are refused as targets of a rollback also by their name, by id.

    A rollback runs no migrations: those of a release that has never served are not known to have run, and the database
    of one that was rolled back from may have been migrated down.
    """
    return {release: reason for release, (reason, is_final) in _judged(entries).items() if is_final}


def _judged(entries: t.Iterable[Entry]) -> dict[str, tuple[str, bool]]:
    """Return why releases are rejected, and whether that is so by their name, too; by id."""
    found: dict[str, tuple[str, bool]] = {}
    served: set[str] = set()
    for entry in entries:
        release, result, when = str(entry.get("release", "")), entry.get("result"), entry.get("when", "?")
        # Too little memory or a full disk is no fault of a release that was live before.
        if result == "failed" and (entry.get("started", True) or release not in served):
            reason = f"failed {when}: {entry.get('reason') or 'for a reason that was not recorded'}"
            found[release] = reason, release not in served or found.get(release, ("", False))[1]
        elif result == "activated":
            served.add(release)
            found.pop(release, None)
            if entry.get("what") == "rollback" and entry.get("from"):
                found[str(entry["from"])] = f"rolled back from {when}", True
            elif entry.get("from") and entry.get("from_ill"):
                reason = f"did not run well when it was replaced {when}: {entry['from_ill']}"
                found[str(entry["from"])] = reason, True
    return found


def deploy_order(entries: t.Iterable[Entry]) -> list[str]:
    """Return the releases that were activated, in the order of their last deploy; a rollback changes no order."""
    order: dict[str, None] = {}
    for entry in entries:
        release = str(entry.get("release", ""))
        if entry.get("result") == "activated" and (entry.get("what") != "rollback" or release not in order):
            order.pop(release, None)
            order[release] = None
    return list(order)


def previous_healthy(entries: t.Sequence[Entry], usable: t.Collection[str], current: str) -> str:
    """Return the release that was deployed last before the current one and was never found bad; empty when none was."""
    order, bad = deploy_order(entries), rejected_releases(entries)
    earlier = order[: order.index(current)] if current in order else order
    return next((release for release in reversed(earlier) if release in usable and release not in bad), "")


def possible_targets(entries: t.Sequence[Entry], usable: t.Collection[str], current: str) -> list[str]:
    """Return the possible targets of a rollback, newest first: the current release, then earlier ones."""
    order, bad = deploy_order(entries), rejected_releases(entries)
    earlier = order[: order.index(current)] if current in order else [one for one in order if one != current]
    candidates = [*([current] if current else []), *reversed(earlier)]
    return [release for release in candidates if release in usable and release not in bad]


def deploy_runs(entries: t.Iterable[Entry]) -> dict[str, str]:
    """Return which run of Ansible deployed each release last: ids differ where hosts do, and the run is the same."""
    return {
        str(entry["release"]): str(entry["run"])
        for entry in entries
        if entry.get("result") == "activated" and entry.get("what") == "deploy" and entry.get("run")
    }


def choose_target(
    name: str,
    releases: t.Sequence[Manifest],
    usable: t.Collection[str],
    entries: t.Sequence[Entry],
    current: str,
    asked: str,
) -> str:
    """Return the target of a rollback; raise ReleaseError, which lists the releases, when there is none."""
    listing = list_of_releases(releases, usable, entries, current)
    if not asked:
        found = previous_healthy(entries, usable, current)
        if found:
            return found
        earlier = f"deployed before {current}, healthy" if current else "healthy"
        raise ReleaseError(
            f"{name} has no release to roll back to: none that was {earlier} and still exists. {listing}"
        )
    matching = [manifest for manifest in releases if manifest.id.startswith(asked)]
    if len(matching) != 1:
        what = f"matches {len(matching)} releases" if matching else "is no release"
        gone = "" if matching else _explain_gone(name, entries, asked)
        unknown = f"'{asked}' {what} of {name}: name one by its id."
        raise ReleaseError(f"{gone or unknown} {listing}")
    _check(name, matching[0], usable, entries, listing)
    return matching[0].id


def _check(name: str, manifest: Manifest, usable: t.Collection[str], entries: t.Sequence[Entry], listing: str) -> None:
    bad = refused_releases(entries).get(manifest.id)
    if bad:
        again = how_to_deploy(name, str(manifest.source.get("version", "")))
        raise ReleaseError(f"release {manifest.id} of {name} cannot be rolled back to: {bad}. {again} {listing}")
    if manifest.id not in usable:
        raise ReleaseError(
            f"release {manifest.id} of {name} cannot run: its code or its Python is gone from the host. {listing}"
        )


def _explain_gone(name: str, entries: t.Sequence[Entry], asked: str) -> str:
    """Return what became of a release that the history has, and its host has not; an empty text for any other."""
    known = {str(entry.get("release", "")): str(entry.get("version", "")) for entry in entries}
    found = [release for release in known if release.startswith(asked)]
    if len(found) != 1:
        return ""
    bad = rejected_releases(entries).get(found[0])
    why = f" ({bad})" if bad else ""
    return f"Release {found[0]} of {name} is not on this host any more{why}. {how_to_deploy(name, known[found[0]])}"


def how_to_deploy(name: str, version: str) -> str:
    """Return the way out for a release that is refused as the target of a rollback."""
    source = f"version '{version}' of {name}" if version else f"the source of {name} that it was built from"
    return (
        f"Name another release, or deploy this one: run deploy.yml or site.yml with {source} and the variables of that "
        "time, which also runs the migrations that a rollback leaves out."
    )


def list_of_releases(
    releases: t.Sequence[Manifest], usable: t.Collection[str], entries: t.Sequence[Entry], current: str
) -> str:
    """Return the releases with their states, newest first, a line each."""
    if not releases:
        return "There is no release on this host."
    times, bad = activation_times(entries), rejected_releases(entries)
    lines = [
        f"  {manifest.id}  {describe_state(manifest.id, usable, times, bad, current)}"
        + (f", version {manifest.source['version']}" if manifest.source.get("version") else "")
        for manifest in reversed(releases)
    ]
    return "There are, newest first:\n" + "\n".join(lines)


def describe_state(
    release: str, usable: t.Collection[str], times: t.Mapping[str, str], bad: t.Mapping[str, str], current: str
) -> str:
    """Return the state of a release in a few words."""
    if release == current:
        return f"current since {times[release]}" if release in times else "current"
    if release in bad:
        return bad[release]
    if release not in usable:
        return "its code or its Python is gone"
    return f"healthy {times[release]}" if release in times else "never activated"
