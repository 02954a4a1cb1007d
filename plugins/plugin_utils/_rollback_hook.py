# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide which host runs a rollback hook, once all hosts have rolled back. Pure. Private to flaskops.stack."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

# The outcome of each host, by its name: C(error), C(key) of its database, and C(lost) when it was unreachable.
Outcomes = t.Mapping[str, t.Mapping[str, t.Any]]


@dataclass(frozen=True)
class Decision:
    """The decision for a host that has rolled back."""

    run: bool = False
    # Why the hook does not run at all, or not for all.
    error: str = ""


def decide(hook: str, host: str, hosts: t.Collection[str], outcomes: Outcomes, each_host: bool) -> Decision:
    """Return what C(host) has to do: nothing as long as other hosts have not rolled back."""
    if each_host:
        return Decision(run=True)
    # Later hosts may report it, too; but there may be none, or the play may end before them (C(serial)).
    if outcomes[host]["lost"]:
        return Decision(error=_lost(hook, host))
    if not set(hosts) <= set(outcomes):
        return Decision()
    failed = sorted(name for name, outcome in outcomes.items() if outcome["error"])
    if failed:
        # When all hosts failed, each has reported its reason, and often it is the hook's name.
        return Decision(error="" if len(failed) == len(hosts) else _not_run(hook, failed))
    others = sorted(name for name, outcome in outcomes.items() if outcome["key"] != outcomes[host]["key"])
    return Decision(run=True, error=_run_for_one(hook, host, others) if others else "")


def _not_run(hook: str, failed: t.Sequence[str]) -> str:
    return (
        f"hook '{hook}' was not run on any host, because {', '.join(failed)} did not roll back, or failed. "
        f"When all have, ask for it again with the release that serves: -e release=ID -e hook={hook}"
    )


def _lost(hook: str, host: str) -> str:
    return (
        f"hook '{hook}' was not run here, and on no other host unless each has a database of its own, because it "
        f"is unknown whether {host} was rolled back. When all were, ask for it again with the release that serves: "
        f"-e release=ID -e hook={hook}"
    )


def describe_lost_amid(app: str, hook: str, host: str) -> str:
    """Return what is known of a hook whose host was lost while it ran."""
    return (
        f"{host} was lost while hook '{hook}' was run, which continues there. Whether it has succeeded is shown by "
        f"'journalctl -u flaskops-hook-{app}' there, and its output is in /run/flaskops/_hooks/{app}.log as long as "
        "it was not read. Ask for it again only when it did not: a second run would migrate down twice"
    )


def _run_for_one(hook: str, host: str, others: t.Sequence[str]) -> str:
    return (
        f"hook '{hook}' is run for the database of {host} alone. By their environment {', '.join(others)} may "
        "have another one: if so, ask for it there, with the release that serves: -e target=HOST -e release=ID "
        f"-e hook={hook}"
    )
