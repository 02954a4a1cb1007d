# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry point of module gunicorn_service: deploy, roll back, run hooks. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

from .._deploy.observe import ForeignUnitError
from .._deploy.report import report
from .._deploy.request import read_requests
from .._deploy.service import DeployOptions, Services
from .._input.hooks import HookError
from .._input.printable import printable_result
from .._input.values import InputError, UnsafeNameError
from .._release.model import ReleaseError
from .._system.account import UserError
from .._system.command import CommandError
from .._system.host import Host

_ERRORS = (CommandError, ForeignUnitError, HookError, OSError, ReleaseError, InputError, UnsafeNameError, UserError)

Params = t.Mapping[str, t.Any]


def run(params: Params, check: bool, _diff: bool = False) -> dict[str, t.Any]:
    """Return the module's result, in printable characters; one that has failed says why."""
    try:
        result = _run(params, check)
    except _ERRORS as exc:
        result = {"failed": True, "msg": f"Cannot run the services: {exc}", "services": []}
    return t.cast("dict[str, t.Any]", printable_result(result))


def _run(params: Params, check: bool) -> dict[str, t.Any]:
    """Run the services, or only their migrations, or hooks of releases that were left."""
    asked = [{**service, "site": service["site"] if params["probe_sites"] else None} for service in params["services"]]
    requests = read_requests(asked, params["root"], check)
    options = DeployOptions(
        params["unit_directory"],
        params["lock_timeout"],
        params["by"],
        params["overlap"],
        params["expected"],
        params["run"],
    )
    services = Services(Host(), requests, options)
    if params["migrate"]:
        return services.migrate(params["migrate"])
    if params["left"]:
        return services.run_rollback_hooks(params["left"])
    due = services.due_migrations() if params["fleet"] and not check else []
    due = [service for service in due if service["name"] not in params["migrated"]]
    if due:
        return {"changed": False, "services": [], "migrations": due}
    answer = report(services.plan() if check else services.apply(params["migrated"]))
    return {**answer, **({"left": services.pending_rollback_hooks} if services.pending_rollback_hooks else {})}
