# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the certificates of a host are. Only reads. Private to flaskops.stack."""

from __future__ import annotations

import os
import re
import typing as t

from .attempts import Attempts
from .lifetime import DAY, HOUR
from .lineage import Places, is_served, moment, orphans, read_lineage, served_certificate

_HOURS = re.compile(r"(\d+) hours")
# certbot's timer runs twice a day, and may have been off for a night.
_SLACK = 2 * DAY


def certificate_states(
    now: float, places: Places | None = None, names: t.Sequence[str] | None = None
) -> list[dict[str, t.Any]]:
    """Return each site's certificate of a CA, or its self-signed one, with the days that are left and what is wrong."""
    where = places or Places()
    try:
        found = sorted(os.listdir(where.tls))
    except OSError:
        found = []
    wanted = [name for name in found if names is None or name in names]
    states = [_state(where, name, now) for name in wanted if os.path.islink(where.current(name))]
    return states + [_orphan(where, name, now) for name in orphans(where) if names is None or name in names]


def _orphan(places: Places, name: str, now: float) -> dict[str, t.Any]:
    """Return the state of a certificate whose site is gone."""
    lineage, last = read_lineage(places, name), Attempts(places.state).read(name)
    end = lineage.certificate.not_after if lineage.certificate else 0
    begun = lineage.certificate.not_before if lineage.certificate else 0
    failed = last if last and last.when > begun + 2 * HOUR else None
    why = f" ({failed.reason})" if failed else ""
    return {
        "name": name,
        "issued": lineage.certificate is not None,
        "not_after": moment(end) if end else "",
        "days": int((end - now) // DAY) if end else 0,
        "failed": moment(failed.when) if failed else "",
        "problem": f"no site has it, and certbot goes on renewing it: 'certbot delete --cert-name {name}'{why}",
    }


def _state(places: Places, name: str, now: float) -> dict[str, t.Any]:
    served, lineage = served_certificate(places, name), read_lineage(places, name)
    last = Attempts(places.state).read(name)
    begun = lineage.certificate.not_before if lineage.certificate else 0
    # A certificate that came later has settled it; CAs date them back by an hour.
    failed = last if last and (last.when > begun + 2 * HOUR or not is_served(places, lineage)) else None
    problem = failed.reason if failed else ""
    left = served.not_after - now if served else 0
    if served and not problem:
        problem = _overdue(lineage.settings, left, served.not_after - served.not_before)
    return {
        "name": name,
        "issued": served is not None,
        "not_after": moment(served.not_after) if served else "",
        "days": int(left // DAY) if served else 0,
        "failed": moment(failed.when) if failed else "",
        "problem": problem,
    }


def _overdue(settings: t.Mapping[str, str], left: float, lifetime: float) -> str:
    """Return a hint where a certificate was not renewed in time."""
    found = _HOURS.fullmatch(settings.get("renew_before_expiry", ""))
    before = int(found.group(1)) * HOUR if found else 0
    if before and left < before - min(_SLACK, lifetime / 10):
        return "it was not renewed: see 'systemctl status certbot.timer certbot.service'"
    return ""
