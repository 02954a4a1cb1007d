# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose turn it is to run the hook of a release that all hosts of a play have left. Pure. Private to flaskops.stack."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

# What a host has said, by its name: C(error), C(key) of the database that it works with, and C(lost) when nothing.
Outcomes = t.Mapping[str, t.Mapping[str, t.Any]]


@dataclass(frozen=True)
class Decision:
    """What a host does that has gone back."""

    run: bool = False
    # Why the hook does not run at all, or not for all.
    error: str = ""


def decide(hook: str, host: str, hosts: t.Collection[str], outcomes: Outcomes, each_host: bool) -> Decision:
    """Return what C(host) has to do; as long as others have not gone back, nothing."""
    if each_host:
        return Decision(run=True)
    # Those who come later may say it, too; but there may be none, or they may not get there (C(serial)).
    if outcomes[host]["lost"]:
        return Decision(error=_lost(hook, host))
    if not set(hosts) <= set(outcomes):
        return Decision()
    failed = sorted(name for name, outcome in outcomes.items() if outcome["error"])
    if failed:
        # Where all have, each has said why, and often it is the hook's name.
        return Decision(error="" if len(failed) == len(hosts) else _not_run(hook, failed))
    others = sorted(name for name, outcome in outcomes.items() if outcome["key"] != outcomes[host]["key"])
    return Decision(run=True, error=_run_for_one(hook, host, others) if others else "")


def _not_run(hook: str, failed: t.Sequence[str]) -> str:
    return (
        f"hook '{hook}' was not run on any host, because {', '.join(failed)} did not go back, or not well. "
        f"When all have, ask for it again with the release that serves: -e release=ID -e hook={hook}"
    )


def _lost(hook: str, host: str) -> str:
    return (
        f"hook '{hook}' was not run here, and on no other host unless each has a database of its own, because nobody "
        f"knows whether {host} has gone back. When all have, ask for it again with the release that serves: "
        f"-e release=ID -e hook={hook}"
    )


def describe_lost_amid(app: str, hook: str, host: str) -> str:
    """Return what is known of a hook whose host was lost while it ran."""
    return (
        f"{host} was lost while hook '{hook}' was run, which goes on without us. Whether it has succeeded is told by "
        f"'journalctl -u flaskops-hook-{app}' there, and what it said is in /run/flaskops/_hooks/{app}.log as long as "
        "nobody has read it. Ask for it again only when it did not: twice would go back twice"
    )


def _run_for_one(hook: str, host: str, others: t.Sequence[str]) -> str:
    return (
        f"hook '{hook}' is run for the database of {host} alone. By their environment {', '.join(others)} may "
        "have another one: if so, ask for it there, with the release that serves: -e target=HOST -e release=ID "
        f"-e hook={hook}"
    )
