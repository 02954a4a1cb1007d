# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load what certbot has renewed, and remember what it could not renew. Private to flaskops.stack."""

from __future__ import annotations

import os
import typing as t

from .._nginx.certificate import ISSUED_PREFIX
from .attempts import Attempt
from .certbot import read_log
from .lineage import Lineage, is_for_nginx, is_served, orphans, read_lineage, served_certificate, target_of
from .model import AcmeError
from .problems import BROKEN, failed_renewals
from .publish import publish
from .site import AcmeHost

_NOT_RENEWED = "certbot has not renewed it: "

Say = t.Callable[[str], None]


def load_renewed(where: AcmeHost, names: t.Sequence[str], say: Say) -> bool:
    """Let nginx serve the renewed certificates of sites; return whether it has accepted all of them."""
    accepted = True
    for name in names:
        lineage = read_lineage(where.places, name)
        now = where.host.clock.time()
        if lineage.certificate is None or not lineage.is_valid(now) or is_served(where.places, lineage):
            continue
        try:
            for warning in publish(where.nginx, where.places, [lineage]):
                say(f"{name}: {warning}")
        except (AcmeError, OSError) as exc:
            accepted = False
            server, names_of = lineage.settings.get("server", ""), lineage.certificate.names
            reason = f"the renewed certificate was not loaded: {exc}"
            where.attempts.write(name, Attempt(now, reason, server, names_of))
            say(f"{name}: {reason}")
        else:
            where.attempts.forget(name)
            say(f"{name}: nginx serves the renewed certificate")
    return accepted


def sites_of(where: AcmeHost) -> list[str]:
    """Return the sites whose certificate certbot renews.

    A site that waits for its first one may have a certificate of other files. What certbot has under its name may
    belong to other programs then.
    """
    try:
        names = sorted(os.listdir(where.places.tls))
    except FileNotFoundError:
        return []
    copied = [name for name in names if target_of(where.places, name).startswith(ISSUED_PREFIX)]
    return [name for name in copied if _is_of_site(where, read_lineage(where.places, name))]


def _is_of_site(where: AcmeHost, lineage: Lineage) -> bool:
    """Tell whether a site follows what certbot has under its name; one that a user has got may be for other names."""
    if is_for_nginx(where.places, lineage):
        return True
    served = served_certificate(where.places, lineage.name)
    return not lineage.settings.get("renew_hook") and served is not None and lineage.covers(served.names)


def settle(where: AcmeHost, say: Say) -> bool:
    """Do after a run of certbot what its hook could not, and record which certificates it has not renewed."""
    names, now = sites_of(where), where.host.clock.time()
    failed = failed_renewals(read_log(where.places))
    for name in names:
        last = where.attempts.read(name)
        # Somebody has mended them; a new certificate may come in months.
        if last and last.reason.startswith(_NOT_RENEWED + BROKEN) and name not in failed:
            where.attempts.forget(name)
    for name, reason in failed.items():
        if name in names or name in orphans(where.places):
            settings = read_lineage(where.places, name).settings
            text = _NOT_RENEWED + reason
            where.attempts.write(name, Attempt(now, text, settings.get("server", "")))
            say(f"{name}: {text}")
    return load_renewed(where, names, say)
