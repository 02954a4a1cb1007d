# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build and deploy in one module: half the time of a deploy is the start of modules. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

from .._app.derive import derive_chain
from .._deploy.report import report
from .._deploy.request import read_requests
from .._deploy.service import DeployOptions, Services
from .._input.result import join
from .._system.host import Host


def sites_of(
    apps: t.Sequence[t.Mapping[str, t.Any]], root: str, defaults: t.Mapping[str, t.Any]
) -> dict[str, dict[str, t.Any]]:
    """Return by name how visitors reach applications, where that is known; C(defaults) are those of the sites."""
    chains = {app["name"]: derive_chain(app, root, defaults, apps) for app in apps}
    return {name: chain["site"] for name, chain in chains.items() if chain}


def deploy_built(
    built: dict[str, t.Any],
    root: str,
    options: DeployOptions,
    check: bool,
    sites: t.Mapping[str, t.Any] | None = None,
) -> dict[str, t.Any]:
    """Hand over to the releases that were built, and return the result of both.

    C(sites) says by name how visitors reach an application. Where one host has to migrate for all, the action plugin
    sees to it: C(unserved) are the services left to it.
    """
    wanted = [
        {"name": name, "release": path, **({"site": site} if site else {})}
        for name, path, site in (
            (release["name"], release["path"], (sites or {}).get(release["name"])) for release in built["releases"]
        )
    ]
    services = Services(Host(), read_requests(wanted, root, check), options)
    if not check and services.due_migrations():
        return {**built, "unserved": wanted}
    return join(built, report(services.plan() if check else services.apply()))
