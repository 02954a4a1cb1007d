# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry point of module nginx_certificate: obtain, serve and remove certificates. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

from .._acme.lifetime import parse_renew_before
from .._acme.model import ABSENT, AcmeError, Authority, wanted_certificate
from .._acme.obtain import obtain, remove
from .._acme.publish import nginx_request
from .._acme.site import AcmeHost
from .._input.printable import printable, printable_result
from .._input.values import directory_url
from .._nginx.model import NginxSiteError
from .._system.command import CommandError
from .._system.host import Host

Params = t.Mapping[str, t.Any]


def run(params: Params, check: bool, diff: bool = False) -> dict[str, t.Any]:
    """Return the module's result, in printable characters; one that has failed says why."""
    try:
        where = AcmeHost(Host(), nginx_request(params["directory_enabled"], params["suffix"]))
        result = manage(where, params, check, diff)
    except (AcmeError, NginxSiteError, CommandError, OSError, ValueError) as exc:
        return {"failed": True, "msg": printable(f"Cannot manage the certificates: {exc}")}
    return t.cast("dict[str, t.Any]", printable_result(result))


def manage(where: AcmeHost, params: Params, check: bool, diff: bool) -> dict[str, t.Any]:
    """Check what is wanted before anything changes, and do it."""
    authority, items = authority_of(params), params["certificates"]
    names = [str(item["name"]) for item in items]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise AcmeError(f"certificates names {', '.join(doubles)} twice: a site has one certificate")
    if params["state"] == ABSENT:
        for name in names:
            wanted_certificate(name, ["stand.in"], authority.challenge)
        return remove(where, names, authority, params["revoke"], check)
    wanted = [wanted_certificate(item["name"], item["names"] or [], authority.challenge) for item in items]
    return obtain(where, wanted, authority, check, diff)


def authority_of(params: Params) -> Authority:
    """Return the CA, and how it is asked."""
    return Authority(
        directory_url(params["directory_url"], "directory_url"),
        params["email"],
        params["ca_bundle"] or "",
        params["eab_file"] or "",
        params["challenge"],
        params["dns_hook"] or "",
        params["profile"],
        params["check_names"],
        parse_renew_before(params["renew_before"]),
    )
