# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a certificate authority, and what came of it. Pure. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from .._input.values import PRODUCTION
from .lifetime import RenewBefore

HTTP, DNS = "http", "dns"
ISSUED, KEPT, STAND_IN, FAILED, ABSENT = "issued", "kept", "stand_in", "failed", "absent"

_SITE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_HOST = re.compile(r"(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# RFC 8555 has no limit of its own; Let's Encrypt accepts as many.
_MOST_NAMES = 100


class AcmeError(ValueError):
    """A certificate that cannot be asked for, or was refused."""


@dataclass(frozen=True)
class WantedCertificate:
    """The certificate of one site: the site's name, and the host names in lower case."""

    name: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Authority:
    """The CA, and how it is asked."""

    server: str = PRODUCTION
    email: str = ""
    ca_bundle: str = ""
    eab_file: str = ""
    challenge: str = HTTP
    dns_hook: str = ""
    profile: str = ""
    check_names: bool = True
    renew_before: RenewBefore = field(default_factory=RenewBefore)


class Problem(t.NamedTuple):
    """Why a certificate was not issued; C(until) is the time before which the CA will not listen, 0 for none."""

    kind: str
    detail: str
    domain: str = ""
    until: float = 0

    def __str__(self) -> str:
        """Return it in words."""
        return f"{f'{self.domain}: ' if self.domain else ''}{self.kind}: {self.detail}"


@dataclass
class Outcome:
    """What became of one certificate."""

    name: str
    state: str = STAND_IN
    not_after: float = 0
    error: str = ""
    # Names of the site that the certificate which is served is not for.
    left_out: tuple[str, ...] = ()


def wanted_certificate(name: str, names: t.Sequence[str], challenge: str) -> WantedCertificate:
    """Return a checked certificate; raise AcmeError for names that no CA could certify in this way."""
    if not _SITE.fullmatch(name):
        raise AcmeError(f"name {name!r} must be 1 to 64 letters, digits, '.', '-' or '_' and not start with '.'")
    hosts = tuple(dict.fromkeys(_ascii(host) for host in names))
    if not 0 < len(hosts) <= _MOST_NAMES:
        raise AcmeError(f"{name}: {len(hosts)} names were given; a certificate has 1 to {_MOST_NAMES}")
    for host in hosts:
        if not _HOST.fullmatch(host) or len(host) > 253 or host.rpartition(".")[2].isdigit():
            raise AcmeError(
                f"{name}: '{host}' is no host name that a CA certifies: give a full name such as shop.example.com,"
                " or set tls.mode to self_signed or none"
            )
        if host.startswith("*.") and challenge != DNS:
            raise AcmeError(
                f"{name}: a CA gives a certificate for '{host}' only by the challenge dns: set challenge to dns and"
                " dns_hook to a program that sets the record (role nginx: nginx_acme_challenge, nginx_acme_dns_hook)"
            )
    return WantedCertificate(name, hosts)


def _ascii(host: str) -> str:
    """Return a host name as certificates have it."""
    text = host.strip().lower().rstrip(".")
    if text.isascii():
        return text
    try:
        return text.encode("idna").decode("ascii")
    except UnicodeError:
        return text
