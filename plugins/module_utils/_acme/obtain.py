# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Obtain all certificates that are missing or due, and let nginx serve them. Private to flaskops.stack."""

from __future__ import annotations

import os
import typing as t

from .._nginx.certificate import ISSUED_PREFIX
from .certbot import write_bundle
from .lineage import (
    former_of,
    interval_of,
    is_for_nginx,
    is_served,
    moment,
    read_lineage,
    reason_to_ask,
    refuse_broken,
    refuse_foreign,
    served_certificate,
    target_of,
    write_interval,
)
from .model import ABSENT, FAILED, AcmeError, Authority, Outcome, WantedCertificate
from .publish import check_withdrawal, is_read, publish, withdraw
from .renewal import install, unattended
from .site import AcmeHost, Site, describe

Result = t.Dict[str, t.Any]


def obtain(
    where: AcmeHost, wanted: t.Sequence[WantedCertificate], authority: Authority, check: bool, diff: bool
) -> Result:
    """Obtain and serve what is missing or due, and return the module's result; in check mode say what that is."""
    if check:
        sites = [_look(where, one, authority) for one in wanted]
        return _result(where, sites, any(_is_pending(where, site) for site in sites), [], _diff(where, sites, diff))
    with where.lock():
        sites = [_look(where, one, authority) for one in wanted]
        shown = _diff(where, sites, diff)
        bundle = write_bundle(where.places, authority)
        # certbot wants its hook to be there.
        changed = install(where.host, where.places, bundle)
        due = [site for site in sites if site.due and not site.error]
        if due:
            # Most runs find nothing due.
            from .ask import ask_all

            ask_all(where, due, authority, bundle)
        settled = [_settle(where, site, authority) for site in sites]
        formers = {site.wanted.name: former_of(where.places, site.wanted.name) for site in sites}
        warnings = _serve(where, [site for site in sites if _can_be_served(where, site)])
        for site in sites:
            if site.issued and formers[site.wanted.name]:
                warnings += _forget_former(where, site, formers[site.wanted.name], bundle)
        warnings += unattended(where.places)
        changed = changed or any(settled) or any(site.issued for site in sites)
        return _result(where, sites, changed, warnings, shown)


def _look(where: AcmeHost, wanted: WantedCertificate, authority: Authority) -> Site:
    lineage = read_lineage(where.places, wanted.name)
    due = reason_to_ask(where.places, wanted, lineage, authority, where.host.clock.time())
    site = Site(wanted, lineage, due)
    try:
        refuse_foreign(where.places, lineage)
        refuse_broken(where.places, lineage)
    except AcmeError as exc:
        site.error = str(exc)
    return site


def _is_pending(where: AcmeHost, site: Site) -> bool:
    return not site.error and (bool(site.due) or not is_served(where.places, site.lineage))


def _settle(where: AcmeHost, site: Site, authority: Authority) -> bool:
    """Let certbot renew a certificate when we would; return whether it was to do so at another time."""
    lineage = site.lineage
    if (
        site.due
        or site.error
        or lineage.settings.get("renew_before_expiry") == interval_of(lineage, authority.renew_before)
    ):
        return False
    write_interval(where.places, lineage, authority.renew_before)
    return True


def _can_be_served(where: AcmeHost, site: Site) -> bool:
    """Tell whether certbot has a certificate for exactly these names that nginx does not serve yet."""
    lineage = site.lineage
    fits = lineage.covers(site.wanted.names) and lineage.is_valid(where.host.clock.time())
    return fits and not is_served(where.places, lineage) and not _is_foreign(where, site)


def _is_foreign(where: AcmeHost, site: Site) -> bool:
    try:
        refuse_foreign(where.places, site.lineage)
    except AcmeError:
        return True
    return False


def _serve(where: AcmeHost, sites: t.Sequence[Site]) -> list[str]:
    """Let nginx serve new certificates with one reload; where it refuses, each by itself."""
    if not sites:
        return []
    try:
        warnings = publish(where.nginx, where.places, [site.lineage for site in sites])
    except AcmeError as exc:
        if len(sites) == 1:
            sites[0].error = str(exc)
            return []
        return [warning for site in sites for warning in _serve(where, [site])]
    for site in sites:
        site.issued = True
    return warnings


def _forget_former(where: AcmeHost, site: Site, former: str, bundle: str) -> list[str]:
    """Let certbot forget the certificate of a site under its former name; return a warning where it has to stay."""
    from .certbot import revoke_or_delete

    lineage = read_lineage(where.places, former)
    live = os.path.join(where.places.certbot, "live", former)
    is_ours = is_for_nginx(where.places, lineage) and not target_of(where.places, former)
    if not is_ours or is_read(where.nginx, live):
        return []
    names = lineage.certificate.names if lineage.certificate else ()
    more = sorted(set(names) - set(site.wanted.names))
    reason = f"it is also for {', '.join(more)}" if more else ""
    if not reason:
        reason = revoke_or_delete(where.host, where.places, former, "", bundle, revoke=False)
    if reason:
        text = (
            f"{site.wanted.name}: the certificate of its former name '{former}' stays with certbot, which goes on "
            f"renewing it ({reason}). Unless something else uses it, run 'certbot delete --cert-name {former}' on the "
            "host"
        )
        return [text]
    where.attempts.forget(former)
    return []


def _diff(where: AcmeHost, sites: t.Sequence[Site], diff: bool) -> list[dict[str, str]]:
    found = []
    for site in sites if diff else ():
        if _is_pending(where, site):
            served = served_certificate(where.places, site.wanted.name)
            before = f"for {', '.join(served.names)}, until {moment(served.not_after)}\n" if served else ""
            reason = site.due or "it is there and not served yet"
            after = f"for {', '.join(site.wanted.names)}: {reason}\n"
            header = where.places.current(site.wanted.name)
            found.append({"before_header": header, "after_header": header, "before": before, "after": after})
    return found


def _result(
    where: AcmeHost, sites: t.Sequence[Site], changed: bool, warnings: t.Sequence[str], diff: list[dict[str, str]]
) -> Result:
    now = where.host.clock.time()
    outcomes = [site.outcome(where.places, now) for site in sites]
    kept = [describe(one) for one in outcomes if one.error and one.state != FAILED]
    return _finish(outcomes, changed, [*warnings, *kept], diff)


def _finish(outcomes: t.Sequence[Outcome], changed: bool, warnings: list[str], diff: list[dict[str, str]]) -> Result:
    failed = [describe(one) for one in outcomes if one.state == FAILED]
    result: Result = {
        "changed": changed,
        "certificates": [
            {
                "name": one.name,
                "state": one.state,
                "not_after": moment(one.not_after) if one.not_after else "",
                "error": one.error,
            }
            for one in outcomes
        ],
        "warnings": warnings,
        "diff": diff,
    }
    if failed:
        result.update(failed=True, msg="\n".join(failed))
    return result


def remove(where: AcmeHost, names: t.Sequence[str], authority: Authority, revoke: bool, check: bool) -> Result:
    """Take certificates away from nginx and from certbot, revoked where that is wanted; return the module's result."""
    from .certbot import revoke_or_delete

    outcomes, changed = [], False
    with where.lock():
        bundle = "" if check else write_bundle(where.places, authority)
        for name in names:
            lineage = read_lineage(where.places, name)
            present = lineage.certificate is not None or bool(lineage.settings)
            there = present or target_of(where.places, name).startswith(ISSUED_PREFIX)
            changed = changed or there
            outcome = Outcome(name, ABSENT)
            outcomes.append(outcome)
            if not there or check:
                continue
            try:
                refuse_foreign(where.places, lineage)
                check_withdrawal(where.nginx, where.places, name)
                if present:
                    # nginx has a copy: where the CA cannot be asked, the site goes on with it.
                    server = lineage.settings.get("server", authority.server)
                    outcome.error = revoke_or_delete(where.host, where.places, name, server, bundle, revoke)
                if not outcome.error:
                    withdraw(where.nginx, where.places, name)
                    where.attempts.forget(name)
            except AcmeError as exc:
                outcome.error = str(exc)
            outcome.state = FAILED if outcome.error else ABSENT
    return _removed(outcomes, changed)


def _removed(outcomes: t.Sequence[Outcome], changed: bool) -> Result:
    result = _finish([], changed, [], [])
    result["certificates"] = [
        {"name": one.name, "state": one.state, "not_after": "", "error": one.error} for one in outcomes
    ]
    failed = [f"{one.name}: {one.error}" for one in outcomes if one.state == FAILED]
    if failed:
        result.update(failed=True, msg="\n".join(failed))
    return result
