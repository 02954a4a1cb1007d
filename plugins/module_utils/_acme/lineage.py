# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What certbot keeps of a certificate: the newest one, its key, and how it renews it. Private to flaskops.stack."""

from __future__ import annotations

import os
import re
import stat
import time
import typing as t
from dataclasses import dataclass, field

from .._nginx.certificate import Certificate, CertificateError, directory_of, read_certificate
from .._system.files import read_file, write_file
from .._system.paths import CERTIFICATES, CHALLENGES, RENEWAL, TLS, UNITS
from .lifetime import HOUR, RenewBefore
from .model import DNS, AcmeError, Authority, WantedCertificate

# As Python's configobj reads them; users may have edited what certbot has written.
_SETTING = re.compile(
    r"""^[ \t]*([a-z_]+)[ \t]*=[ \t]*(?:"([^"\n]*)"|'([^'\n]*)'|([^#\n]*?))[ \t\r]*(?:#.*)?$""", re.MULTILINE
)
_INTERVAL = re.compile(r"^[ \t]*renew_before_expiry[ \t]*=.*(?:\n|\Z)", re.MULTILINE)
CHAIN, KEY = "fullchain.pem", "privkey.pem"
HOOK = "deploy-hook"
# Where the link of a site leads while it has a self-signed certificate.
STAND_IN = "stand-in"


@dataclass(frozen=True)
class Places:
    """Where certificates and what belongs to them are; tests name other directories."""

    certbot: str = "/etc/letsencrypt"
    log: str = "/var/log/letsencrypt/letsencrypt.log"
    tls: str = TLS
    challenges: str = CHALLENGES
    state: str = CERTIFICATES
    renewal: str = RENEWAL
    units: str = UNITS

    @property
    def hook(self) -> str:
        """Return the program that certbot runs after a renewal."""
        return os.path.join(self.renewal, HOOK)

    def current(self, name: str) -> str:
        """Return the link through which nginx reads a site's certificate."""
        return os.path.join(self.tls, name, "current")

    def settings(self, name: str) -> str:
        """Return the file in which certbot keeps how it renews a certificate."""
        return os.path.join(self.certbot, "renewal", f"{name}.conf")

    def account(self, server: str) -> str:
        """Return the directory of certbot's accounts at a CA."""
        return os.path.join(self.certbot, "accounts", server.partition("://")[2].rstrip("/"))


@dataclass(frozen=True)
class Lineage:
    """The newest certificate that certbot has under a name; without one C(certificate) is None."""

    name: str
    certificate: Certificate | None = None
    chain: bytes = b""
    key: bytes = b""
    settings: t.Mapping[str, str] = field(default_factory=dict)

    @property
    def directory(self) -> str:
        """Return the name of the directory that holds a copy for nginx: it says what is in it."""
        return directory_of(self.chain, self.key)

    @property
    def lifetime(self) -> float:
        """Return the seconds that it is valid for."""
        return self.certificate.not_after - self.certificate.not_before if self.certificate else 0

    def covers(self, names: t.Iterable[str]) -> bool:
        """Tell whether the certificate is for exactly these names."""
        return self.certificate is not None and set(self.certificate.names) == set(names)

    def is_valid(self, now: float) -> bool:
        """Tell whether it has not ended."""
        return self.certificate is not None and self.certificate.not_after > now


def read_lineage(places: Places, name: str) -> Lineage:
    """Return what certbot has under a name."""
    live = os.path.join(places.certbot, "live", name)
    chain, key = _read(os.path.join(live, CHAIN)), _read(os.path.join(live, KEY))
    # A directory, or a link to nothing, in renewal/ belongs to no certificate; certbot ignores it, too.
    text = _read(places.settings(name)).decode("utf-8", "replace")
    settings = {key: double or single or plain for key, double, single, plain in _SETTING.findall(text)}
    try:
        certificate = read_certificate(chain) if chain and key else None
    except CertificateError:
        certificate = None
    return Lineage(name, certificate, chain, key, settings)


def _read(path: str) -> bytes:
    """Return the content of the regular file that a path leads to, empty for anything else; certbot's are links."""
    try:
        return read_file(os.path.realpath(path)) or b"" if stat.S_ISREG(os.stat(path).st_mode) else b""
    except OSError:
        return b""


def target_of(places: Places, name: str) -> str:
    """Return what a site's link leads to; empty when there is none."""
    try:
        return os.readlink(places.current(name))
    except OSError:
        return ""


def former_of(places: Places, name: str) -> str:
    """Return the name that a site had when certbot got the certificate which nginx reads in its place; else nothing."""
    target = target_of(places, name)
    return os.path.basename(target) if os.path.dirname(target) == os.path.join(places.certbot, "live") else ""


def orphans(places: Places) -> list[str]:
    """Return the certificates that certbot renews for nginx, and that no site has."""
    try:
        found = sorted(os.listdir(os.path.dirname(places.settings(""))))
    except OSError:
        return []
    names = [base[: -len(".conf")] for base in found if base.endswith(".conf")]
    used = {former_of(places, name) for name in _list(places.tls)}
    alone = [name for name in names if name not in used and not target_of(places, name)]
    return [name for name in alone if is_for_nginx(places, read_lineage(places, name))]


def is_for_nginx(places: Places, lineage: Lineage) -> bool:
    """Tell whether certbot renews a certificate for nginx: with our deploy hook."""
    return lineage.settings.get("renew_hook") == places.hook


def _list(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def is_served(places: Places, lineage: Lineage) -> bool:
    """Tell whether nginx has been given this certificate."""
    directory = os.path.dirname(places.current(lineage.name))
    whole = all(os.path.isfile(os.path.join(directory, lineage.directory, base)) for base in (CHAIN, KEY))
    return target_of(places, lineage.name) == lineage.directory and whole


def served_certificate(places: Places, name: str) -> Certificate | None:
    """Return the certificate of a CA that nginx has for a site; None when there is none, or a self-signed one."""
    link = places.current(name)
    try:
        if STAND_IN in os.path.basename(os.readlink(link)):
            return None
        return read_certificate(read_file(os.path.realpath(os.path.join(link, CHAIN))) or b"")
    except (OSError, CertificateError):
        return None


def refuse_foreign(places: Places, lineage: Lineage) -> None:
    """Raise AcmeError for a certificate that another program or user has asked certbot for, and does something with."""
    hook = lineage.settings.get("renew_hook", "")
    if hook not in ("", places.hook):
        raise AcmeError(
            f"{lineage.name}: certbot has a certificate of this name already, with a deploy hook of others ('{hook}');"
            f" it stays as it is. Rename the site, or, where nothing needs that certificate any more, run"
            f" 'certbot delete --cert-name {lineage.name}' and then this again"
        )


def refuse_broken(places: Places, lineage: Lineage) -> None:
    """Raise AcmeError for what certbot cannot renew.

    It would take it for none, and each time get a certificate of another name, or throw the new one away.
    """
    name = lineage.name
    if lineage.settings:
        for kind in ("cert", "privkey", "chain", "fullchain"):
            path = lineage.settings.get(kind) or os.path.join(places.certbot, "live", name, f"{kind}.pem")
            if not os.path.islink(path) or not os.path.exists(path):
                raise AcmeError(
                    f"certbot cannot renew this certificate: {path} is not a link to a file in"
                    f" {places.certbot}/archive, as after a copy that has followed links. Run 'certbot delete"
                    f" --cert-name {name}' and then this again"
                )
    for kind in ("archive", "live") if not lineage.settings else ():
        path = os.path.join(places.certbot, kind, name)
        if _list(path):
            raise AcmeError(
                f"certbot cannot renew this certificate: {path} is there without {places.settings(name)}. Move away"
                f" what {places.certbot}/archive and {places.certbot}/live have of '{name}', and run this again"
            )


def reason_to_ask(places: Places, wanted: WantedCertificate, lineage: Lineage, authority: Authority, now: float) -> str:
    """Return why the CA has to be asked for a certificate; empty when nothing is due."""
    certificate, settings = lineage.certificate, lineage.settings
    if certificate is None:
        return "there is none yet"
    if not lineage.covers(wanted.names):
        return f"the names change: it is for {', '.join(certificate.names)}"
    if certificate.not_after - now <= authority.renew_before.of(lineage.lifetime):
        return f"it ends at {moment(certificate.not_after)}"
    return _reason_to_renew_otherwise(places, settings, authority)


def _reason_to_renew_otherwise(places: Places, settings: t.Mapping[str, str], authority: Authority) -> str:
    """Return why certbot could not renew a certificate as it should; empty when it can."""
    if settings.get("server") != authority.server:
        return f"the CA changes: it is of {settings.get('server', 'another one')}"
    if not os.path.isdir(os.path.join(places.account(authority.server), settings.get("account", ""))):
        return "the account that certbot would renew it with is gone"
    if settings.get("required_profile", "") != authority.profile:
        return f"the profile changes: it has {settings.get('required_profile') or 'the usual one'}"
    if _renewed_by(settings) != _renewed_by(wanted_settings(places, authority)):
        return "certbot would renew it in another way"
    return ""


def wanted_settings(places: Places, authority: Authority) -> dict[str, str]:
    """Return the settings by which certbot is to renew a certificate."""
    if authority.challenge == DNS:
        how = {"authenticator": "manual", "manual_auth_hook": f"{authority.dns_hook} auth"}
    else:
        how = {"authenticator": "webroot", "webroot_path": places.challenges}
    return {"renew_hook": places.hook, **how}


def _renewed_by(settings: t.Mapping[str, str]) -> tuple[str, ...]:
    keys = ("renew_hook", "authenticator", "manual_auth_hook", "webroot_path")
    # certbot writes lists with a comma behind each item.
    return tuple(settings.get(key, "").rstrip(",").strip('"') for key in keys)


def interval_of(lineage: Lineage, renew_before: RenewBefore) -> str:
    """Return how long before its end certbot is to renew a certificate, as its settings say it."""
    return f"{renew_before.of(lineage.lifetime) / HOUR:.0f} hours"


def write_interval(places: Places, lineage: Lineage, renew_before: RenewBefore) -> None:
    """Make certbot renew a certificate when we would: before 4.0 it does so 30 days before the end, at any lifetime."""
    path = places.settings(lineage.name)
    text = (read_file(path) or b"").decode("utf-8", "surrogateescape")
    line = f"renew_before_expiry = {interval_of(lineage, renew_before)}\n"
    mode = stat.S_IMODE(os.stat(path).st_mode) if os.path.exists(path) else 0o644
    write_file(path, (line + _INTERVAL.sub("", text)).encode("utf-8", "surrogateescape"), mode)


def moment(seconds: float) -> str:
    """Return a time in words."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
