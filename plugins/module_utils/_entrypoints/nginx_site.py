# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry point of module nginx_site: validate, swap and reload. Private to flaskops.stack."""

from __future__ import annotations

import grp
import os
import pwd
import typing as t

from .._input.printable import printable, printable_result
from .._nginx.layout import SitePaths, account_of
from .._nginx.model import NginxLayout, NginxSiteError
from .._nginx.policy import Policy, ReloadError
from .._nginx.request import NginxRequest, main_text, parse_mode, site_paths_for, wanted_files, wanted_sites
from .._nginx.transaction import manage
from .._system.command import CommandError
from .._system.paths import METRICS_UNIT
from .._system.users import find_group, find_user

Params = t.Mapping[str, t.Any]

# Of a host that has no nginx yet, in check mode.
_USUAL_USER = "www-data"


def run(params: Params, check: bool, diff: bool = False) -> dict[str, t.Any]:
    """Return the module's result, in printable characters; one that has failed says why."""
    try:
        request = request_of(params, check, diff)
        _check_metrics(params, request.layout)
        result = manage(request)
        probed = result["changed"] and not check
        _apply_metrics(params, request.layout, check, diff, result)
    except (NginxSiteError, ReloadError, CommandError, OSError) as exc:
        return {"failed": True, "msg": printable(f"Cannot manage nginx's sites: {exc}")}
    wrong, unknown = _probe(params) if probed else ([], [])
    result["warnings"] = [*result["warnings"], *unknown]
    if wrong:
        result.update(failed=True, msg="\n".join(wrong))
    return t.cast("dict[str, t.Any]", printable_result(result))


def _probe(params: Params) -> tuple[list[str], list[str]]:
    """Return the faults of the sites that applications have, and the checks that were skipped."""
    # Loaded for runs that change something: HTTP and TLS are a fifth of all that is read.
    from .._release.proxy_probe import probe_sites
    from .._system.host import Host

    return probe_sites(Host(), params["sites"] or [])


def _check_metrics(params: Params, layout: NginxLayout) -> None:
    """Refuse what the collection of metrics cannot have, before sites change."""
    if params.get("metrics") == "textfile":
        # As below.
        from .nginx_metrics import check_metrics

        check_metrics(params, layout)


def _apply_metrics(params: Params, layout: NginxLayout, check: bool, diff: bool, result: dict[str, t.Any]) -> None:
    """Set up or remove the collection of metrics, and add that to the result."""
    wanted = params.get("metrics")
    # A run without metrics only looks whether there are any to remove.
    if wanted is None or (wanted == "none" and not os.path.lexists(METRICS_UNIT)):
        return
    # Loaded for hosts that have metrics.
    from .nginx_metrics import apply_metrics

    found = apply_metrics(params, layout, check, diff)
    result["changed"] = result["changed"] or found["changed"]
    result["in_place"] = result["in_place"] and not found["changed"]
    result["diff"] = [*result["diff"], *found["diff"]]
    result["warnings"] = [*result["warnings"], *found["warnings"]]


def layout_of(params: Params, places: SitePaths) -> NginxLayout:
    """Return the layout; raise NginxSiteError for an owner, group, mode or directory that is none."""
    try:
        uid, gid = pwd.getpwnam(params["owner"]).pw_uid, grp.getgrnam(params["group"]).gr_gid
    except KeyError as exc:
        raise NginxSiteError(
            f"owner '{params['owner']}' and group '{params['group']}' must be known on this host: {exc.args[0]}"
        ) from exc
    mode = parse_mode(params["mode"])
    # An empty prefix is that with which nginx was built.
    for option in ("config", "directory_available", "directory_enabled", *(("prefix",) if params["prefix"] else ())):
        # The links of sites name what is there, and nginx takes a relative path from another directory.
        if params[option] is not None and not params[option].startswith("/"):
            raise NginxSiteError(f"{option} '{params[option]}' must be an absolute path")
    if params["keep"] < 1:
        raise NginxSiteError(f"keep {params['keep']} must be 1 or more: the version that nginx reads is one of them")
    sites = places.chosen(params["directory_enabled"], params["suffix"])
    available = os.path.normpath(params["directory_available"])
    keys = ("passwords", "further_passwords")
    asking = any(item.get(key) for item in params["sites"] or [] for key in keys)
    workers = workers_group(params) if asking else 0
    return NginxLayout(available, sites.directory, sites.suffix, params["keep"], mode, uid, gid, workers)


def workers_group(params: Params) -> int:
    """Return the id of the group that nginx's workers have; raise NginxSiteError when there is no such group."""
    # Loaded for sites with passwords only.
    from .._nginx.binary import Nginx

    nginx = Nginx(params["binary"], params["config"])
    user, group = account_of(main_text(params)) or (nginx.build.user if nginx.present else _USUAL_USER, "")
    found, owner = find_group(group or user), find_user(user)
    if found is None and owner is None and nginx.present:
        raise NginxSiteError(
            f"the passwords of sites have to be readable by nginx, whose user '{user}' does not exist: see 'user' in "
            f"{params['config']}"
        )
    return found.gr_gid if found else owner.pw_gid if owner else 0


def request_of(params: Params, check: bool, diff: bool) -> NginxRequest:
    """Return what a call of the module asks for."""
    places = site_paths_for(params)
    layout = layout_of(params, places)
    sites, origins = wanted_sites(params, layout)
    policy = Policy(frozenset(params["tolerate"]), params["strict"], origins)
    return NginxRequest(
        layout,
        params["binary"],
        os.path.normpath(params["config"]),
        params["prefix"] or "",
        sites,
        wanted_files(params, places),
        params["purge"],
        params["service"],
        policy,
        params["lock_timeout"],
        params["reload_timeout"],
        check,
        diff,
        params["start"],
        whole=params["name"] is None,
    )
