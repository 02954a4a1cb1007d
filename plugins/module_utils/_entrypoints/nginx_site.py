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
from .._nginx.layout import SitePaths
from .._nginx.model import NginxLayout, NginxSiteError
from .._nginx.policy import Policy, ReloadError
from .._nginx.request import NginxRequest, site_paths_for, wanted_files, wanted_sites
from .._nginx.transaction import manage
from .._release.proxy_probe import probe_sites
from .._system.command import CommandError
from .._system.host import Host

Params = t.Mapping[str, t.Any]


def run(params: Params, check: bool, diff: bool = False) -> dict[str, t.Any]:
    """Return the module's result, in printable characters; one that has failed says why."""
    try:
        result = manage(request_of(params, check, diff))
    except (NginxSiteError, ReloadError, CommandError, OSError) as exc:
        remedy = "; the play needs 'become: true'" if isinstance(exc, PermissionError) and os.geteuid() != 0 else ""
        return {"failed": True, "msg": printable(f"Cannot manage nginx's sites: {exc}{remedy}")}
    probed = result["changed"] and not check
    wrong, unknown = probe_sites(Host(), params["sites"] or [] if probed else [])
    result["warnings"] = [*result["warnings"], *unknown]
    if wrong:
        result.update(failed=True, msg="\n".join(wrong))
    return t.cast("dict[str, t.Any]", printable_result(result))


def layout_of(params: Params, places: SitePaths) -> NginxLayout:
    """Return the layout; raise InputError for an owner, group or mode that is none."""
    try:
        uid, gid = pwd.getpwnam(params["owner"]).pw_uid, grp.getgrnam(params["group"]).gr_gid
        mode = int(params["mode"], 8)
    except (KeyError, ValueError) as exc:
        raise NginxSiteError(f"owner, group and mode must be known and octal: {exc}") from exc
    if params["keep"] < 1:
        raise NginxSiteError(f"keep {params['keep']} must be 1 or more: the version that nginx reads is one of them")
    sites = places.chosen(params["directory_enabled"], params["suffix"])
    available = os.path.normpath(params["directory_available"])
    return NginxLayout(available, sites.directory, sites.suffix, params["keep"], mode, uid, gid)


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
    )
