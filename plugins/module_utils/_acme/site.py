# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One wanted certificate in the course of a run, and the host that it is for. Private to flaskops.stack."""

from __future__ import annotations

import shutil
import typing as t
from dataclasses import dataclass, field

from .._nginx.certificate import covers
from .._system.host import Host
from .._system.lock import Lock
from .._system.paths import LOCKS
from .attempts import Attempts
from .lineage import Lineage, Places, moment, served_certificate
from .model import FAILED, ISSUED, KEPT, STAND_IN, Outcome, WantedCertificate

if t.TYPE_CHECKING:
    from .._nginx.request import NginxRequest
    from .authority import Fetch
    from .reachability import Network


@dataclass
class AcmeHost:
    """The host, its nginx and its network; tests hand in others."""

    host: Host
    nginx: NginxRequest
    places: Places = field(default_factory=Places)
    locks: str = LOCKS
    network: Network | None = None
    fetch: Fetch | None = None
    which: t.Callable[[str], t.Optional[str]] = shutil.which
    # The owner of files with secrets.
    root: int = 0

    @property
    def attempts(self) -> Attempts:
        """Return the failed attempts."""
        return Attempts(self.places.state)

    def lock(self, seconds: float = 600) -> Lock:
        """Return what keeps two runs, and a renewal of certbot's timer, from working at the same time."""
        return Lock(f"{self.locks}/certificates.lock", seconds, "certificates")


@dataclass
class Site:
    """A wanted certificate, what certbot has of it, and why the CA has to be asked; empty when nothing is due."""

    wanted: WantedCertificate
    lineage: Lineage
    due: str = ""
    error: str = ""
    # Whether this run has let nginx serve another certificate.
    issued: bool = False

    def outcome(self, places: Places, now: float) -> Outcome:
        """Return what became of it."""
        served = served_certificate(places, self.wanted.name)
        left_out = tuple(name for name in self.wanted.names if served and not covers(served.names, name))
        if left_out == self.wanted.names:
            # The names of the site have changed: no visitor trusts it here.
            served, left_out = None, ()
        valid = served is not None and served.not_after > now
        state = ISSUED if self.issued else KEPT if valid else FAILED if self.error else STAND_IN
        return Outcome(self.wanted.name, state, served.not_after if served else 0, self.error, left_out)


def describe(outcome: Outcome) -> str:
    """Return the error of a certificate in words, and what visitors get meanwhile."""
    # A certificate that a user got from certbot is served, also where certbot renews it in another way than the role.
    if outcome.state in (KEPT, ISSUED):
        end = moment(outcome.not_after)
        others = f", and browsers refuse it for {', '.join(outcome.left_out)}" if outcome.left_out else ""
        return f"{outcome.name}: {outcome.error}. The certificate that is there stays; it ends at {end}{others}"
    ended = f"; the last one ended at {moment(outcome.not_after)}" if outcome.not_after else ""
    return f"{outcome.name}: {outcome.error}. The site has no valid certificate of a CA{ended}"
