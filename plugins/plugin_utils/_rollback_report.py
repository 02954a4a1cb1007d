# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rollback asks for, and what its playbook shows of it. Pure. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

Args = t.Mapping[str, t.Any]

_NEXT = "The next run of site.yml deploys what your variables name, and goes forward again"


def explain_unnamed(name: object) -> str:
    """Return the way out for a rollback of no application; an empty text for one that is named."""
    # Which names there can be is known to the module.
    if isinstance(name, str) and name:
        return ""
    return "Name the application to roll back: -e app=NAME (and -e release=ID for another release than the one before)."


def describe(service: Args, host: str, hook: str, check: bool) -> str:
    """Return what serves now, and what is left to do."""
    name = service["name"]
    if service["previous"] == service["release"]:
        lines = [f"{name} on {host}: release {service['release']} serves already; nothing was switched."]
    else:
        version = f", version {service['version']}" if service["version"] else ""
        done = " (check mode: not done)." if check else f" in {service['seconds']:.1f} s."
        lines = [
            f"{name} on {host}: back from {service['previous'] or 'nothing'} to {service['release']}{version}{done}",
            f"{_NEXT}: change the version of {name} before.",
        ]
    ran = service.get("hooks") or []
    lines += [f"Hook {one['hook']} has run in {one['seconds']:.1f} s: {one['command']}" for one in ran]
    if hook and f"rollback.{hook}" not in [one["hook"] for one in ran]:
        lines.append(f"Hook {hook} {'would run' if check else 'runs'} on the host that rolls back last.")
    return "\n".join(lines)
