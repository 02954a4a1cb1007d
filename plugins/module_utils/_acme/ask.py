# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the CA for certificates that are missing or due, and look at what comes back. Private to flaskops.stack."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._system.command import CommandError
from . import authority as directory
from .attempts import Attempt
from .certbot import has_account, issue, require_certbot, require_hook, require_profiles
from .lineage import Lineage, moment, read_lineage, write_interval
from .model import DNS, AcmeError, Authority, WantedCertificate
from .problems import NO_ACCOUNT, UNREACHABLE
from .reachability import Network, leads_elsewhere
from .site import AcmeHost, Site


@dataclass
class _Run:
    """What has failed in this run: names, or the CA for all sites."""

    failed: set[str] = field(default_factory=set)
    stopped: str = ""


def ask_all(where: AcmeHost, sites: t.Sequence[Site], authority: Authority, bundle: str) -> None:
    """Ask for the certificates of all sites, one after the other; one that fails gets an error, the others go on."""
    try:
        require_certbot(where.which)
        _check_hook(authority, where.root)
        known = has_account(where.places, authority.server)
        directory.look_at(authority, bundle, known, where.fetch or directory.fetch)
        require_profiles(where.host, authority.profile)
    except (AcmeError, CommandError) as exc:
        for site in sites:
            _fail(where, site, authority, str(exc))
        return
    run = _Run()
    for site in sites:
        try:
            _ask(where, site, authority, bundle, run)
        except (AcmeError, CommandError, OSError) as exc:
            _fail(where, site, authority, str(exc))


def _check_hook(authority: Authority, root: int) -> None:
    if authority.challenge != DNS:
        return
    if not authority.dns_hook:
        raise AcmeError("the challenge dns needs dns_hook, a program that sets the record (nginx_acme_dns_hook)")
    require_hook(authority.dns_hook, root)


def _ask(where: AcmeHost, site: Site, authority: Authority, bundle: str, run: _Run) -> None:
    """Ask for one certificate; what fails is not asked for again in this run."""
    wanted, now = site.wanted, where.host.clock.time()
    if run.stopped:
        _fail(where, site, authority, run.stopped)
        return
    again = [name for name in wanted.names if name in run.failed]
    if again:
        _fail(where, site, authority, f"the CA was not asked: {', '.join(again)} has failed in this run already")
        return
    last = where.attempts.read(wanted.name)
    if last and last.forbids(authority.server, wanted.names, now):
        # Not recorded anew: the first refusal says why.
        site.error = f"the CA was not asked, it wants no request before {moment(last.until)}: {last.reason}"
        return
    if authority.check_names and authority.challenge != DNS:
        elsewhere = leads_elsewhere(where.network or Network(), where.places.challenges, wanted.names)
        if elsewhere:
            run.failed.update(elsewhere)
            _fail(where, site, authority, f"the CA was not asked: {'; '.join(elsewhere.values())}")
            return
    problems = issue(where.host, where.places, wanted, authority, bundle, site.lineage.certificate is None, where.root)
    if problems:
        run.failed.update(filter(None, (one.domain for one in problems)))
        who = "the CA cannot be reached" if problems[0].kind == UNREACHABLE else "the CA has given no certificate"
        reason = f"{who}: {'; '.join(map(str, problems))}"
        _fail(where, site, authority, reason, max(one.until for one in problems))
        # The next site would be told the same.
        run.stopped = site.error if problems[0].kind in (UNREACHABLE, NO_ACCOUNT) else ""
        return
    _accept(where, site, authority)


def _fail(where: AcmeHost, site: Site, authority: Authority, reason: str, until: float = 0) -> None:
    site.error = reason.rstrip(".")
    attempt = Attempt(where.host.clock.time(), site.error, authority.server, site.wanted.names, until)
    where.attempts.write(site.wanted.name, attempt)


def _accept(where: AcmeHost, site: Site, authority: Authority) -> None:
    """Take what certbot has got, unless it is not what was asked for: its exit status does not tell."""
    lineage = read_lineage(where.places, site.wanted.name)
    wrong = _wrong(site.wanted, site.lineage, lineage, where.host.clock.time())
    if wrong:
        raise AcmeError(f"certbot has ended without an error, but {wrong}; see {where.places.log}")
    write_interval(where.places, lineage, authority.renew_before)
    where.attempts.forget(site.wanted.name)
    site.lineage = lineage


def _wrong(wanted: WantedCertificate, before: Lineage, after: Lineage, now: float) -> str:
    """Return what is wrong with a new certificate."""
    if after.certificate is None:
        return "there is no certificate with its key"
    if after.chain == before.chain:
        return "the certificate is the one that was there before"
    if not after.covers(wanted.names):
        return f"the certificate is for {', '.join(after.certificate.names) or 'no host'}"
    if after.certificate.not_after <= now:
        return f"the certificate ended at {moment(after.certificate.not_after)}; is the clock of this host right?"
    return ""
