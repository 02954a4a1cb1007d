# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry point of module flask_release: build releases, and deploy them if asked. Private to flaskops.stack."""

from __future__ import annotations

import base64
import json
import threading
import typing as t
from contextlib import suppress
from importlib import import_module

from .._app.proxy_trust import trust_warnings
from .._build.apply import FAILURES, BuildOptions, absent, present
from .._input.defaults import INHERITED
from .._input.printable import printable_result
from .._input.result import join

Params = t.Mapping[str, t.Any]


def run(params: Params, check: bool, _diff: bool = False) -> dict[str, t.Any]:
    """Return the module's result, in printable characters; one that has failed says why."""
    return t.cast("dict[str, t.Any]", printable_result(_run(params, check)))


def options_of(params: Params, check: bool) -> BuildOptions:
    """Return the options that hold for all applications of a task."""
    return BuildOptions(
        root=params["root"],
        lock_timeout=params["lock_timeout"],
        uv_requirement=params["uv_requirement"],
        activate=params["activate"],
        check_mode=check,
        by=params["by"],
        starts_next=params["serve"],
        publishes=params["publishes"] or not params["serve"],
        python_download=params["python_download"],
        python_mirror=params["python_mirror"],
    )


def serve_timeout(params: Params) -> float:
    """Return for how many seconds the deploy waits for another run."""
    own = params["serve_lock_timeout"]
    return float(params["lock_timeout"] if own is None else own)


def _run(params: Params, check: bool) -> dict[str, t.Any]:
    options = options_of(params, check)
    try:
        apps = wanted_apps(params)
        if params["state"] == "absent":
            return absent([app["name"] for app in apps], options, params["purge_data"])
        result = _present(apps, params, options)
        warnings = trust_warnings(apps, params["site_defaults"])
        return {**result, "warnings": [*result.get("warnings", []), *warnings]} if warnings else result
    except FAILURES as exc:
        return {"failed": True, "msg": str(exc)}


def wanted_apps(params: Params) -> list[dict[str, t.Any]]:
    """Return the applications with their secrets, and with the task's values where they have none."""
    apps, sealed = params["apps"], params["sealed"]
    secret = json.loads(base64.b64decode(sealed)) if sealed else {"apps": [{}] * len(apps), "defaults": {}}
    inherited = {key: {**params, **secret["defaults"]}[key] for key in INHERITED}
    given = [{key: value for key, value in app.items() if value is not None} for app in apps]
    return [{**inherited, **app, **part} for app, part in zip(given, secret["apps"])]


def _present(apps: t.Sequence[Params], params: Params, options: BuildOptions) -> dict[str, t.Any]:
    if options.starts_next:
        # A host without room for a thread reads it later.
        with suppress(RuntimeError):
            threading.Thread(target=_read_ahead, daemon=True).start()
    result = present(apps, params["sent"], options)
    if not options.starts_next or not result["releases"]:
        return result
    # A run that only builds need not read this; others have, while git and the compiler were at work.
    from .._deploy.observe import ForeignUnitError
    from .._deploy.service import DeployOptions
    from .._system.paths import UNITS
    from .flask_release_serve import deploy_built, sites_of

    deploy_options = DeployOptions(
        UNITS, serve_timeout(params), options.by, params["overlap"], params["expected"], params["run"]
    )
    try:
        sites = sites_of(apps, options.root, params["site_defaults"]) if params["probe_sites"] else {}
        return deploy_built(result, options.root, deploy_options, options.check_mode, sites)
    except (*FAILURES, ForeignUnitError) as exc:
        # What has been built, and what could not be, is to be known nevertheless.
        return join(result, {"failed": True, "msg": str(exc)})


def _read_ahead() -> None:
    import_module(".flask_release_serve", __package__)
