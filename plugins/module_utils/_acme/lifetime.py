# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a certificate is to be renewed. Pure. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t

DAY, HOUR = 86400, 3600
# As certbot does it since 4.0, and as Let's Encrypt advises: a third of the lifetime, and half of a short one.
_SHORT = 10 * DAY
# With more, each run would renew the certificate that the last one has brought.
_MOST = 2 / 3
_FORM = re.compile(r"([1-9][0-9]{0,3})(d|h|%)?")


class RenewBefore(t.NamedTuple):
    """How long before its end a certificate is renewed: a share of its lifetime or seconds, or the default."""

    share: float = 0
    seconds: float = 0

    def of(self, lifetime: float) -> float:
        """Return the seconds before the end of a certificate with this lifetime, in whole hours."""
        wanted = self.seconds or lifetime * (self.share or (1 / 2 if lifetime < _SHORT else 1 / 3))
        return max(min(wanted, lifetime * _MOST) // HOUR, 1) * HOUR


def parse_renew_before(text: str) -> RenewBefore:
    """Return what C(30d), C(48h) or C(33%) says; raise ValueError for anything else."""
    if not text:
        return RenewBefore()
    match = _FORM.fullmatch(text.replace(" ", ""))
    if match is None or (match.group(2) == "%" and int(match.group(1)) > 100 * _MOST):
        raise ValueError(
            f"renew_before '{text}' must be days (30d), hours (48h) or a share of the lifetime up to 66%, such as 33%"
        )
    number, unit = int(match.group(1)), match.group(2)
    if unit == "%":
        return RenewBefore(share=number / 100)
    return RenewBefore(seconds=float(number * (HOUR if unit == "h" else DAY)))
