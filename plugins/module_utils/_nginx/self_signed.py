# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Self-signed certificates of sites, for good or until a CA has issued one. Private to flaskops.stack.

The configuration of a site names C(DIRECTORY/SITE/current), a link to C(stand-in) or to what a CA has issued.
C(stand-in) is itself a link to a directory with certificate and key, so that one rename changes both. A site that has
the certificate of a CA already, from other files, goes on with a copy of it until the wanted one has come.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import shutil
import stat
import time
import typing as t

from .._system.files import read_file, read_link, replace_link, sync_directory, write_file
from .._system.paths import RENEWAL
from .certificate import ISSUED_PREFIX, Certificate, CertificateError, covers, read_certificate
from .host import NginxHost
from .model import CURRENT, ENABLED, CertificateChange, NginxPlan, NginxSiteError, WantedSite
from .tree import list_directory, read_node, remove_leftovers

if t.TYPE_CHECKING:
    from .published import Pair, Paths

CERTIFICATE, KEY = "fullchain.pem", "privkey.pem"
# The configuration of a site includes it where it says for how long browsers must use HTTPS.
NO_HSTS = "no-hsts.conf"
_NO_HSTS_TEXT = b'# This certificate is self-signed: browsers are not told to insist on HTTPS.\nhsts "";\n'
STAND_IN = "stand-in"
_KEPT = ".stand-in-"
# Where certbot keeps what it has been given, and how it renews that.
_LIVE, _SETTINGS = "/etc/letsencrypt/live", "/etc/letsencrypt/renewal"
_DAYS = 3650
# It is made anew this long before its end.
_RENEW_BEFORE = 90 * 86400
# RFC 5280 allows a common name of 64 characters.
_LONGEST_NAME = 64
_PEM = re.compile(r"-----BEGIN (CERTIFICATE|(?:EC )?PRIVATE KEY)-----.+?-----END \1-----\n", re.DOTALL)
_CONFIG = """[req]
distinguished_name = subject
prompt = no
x509_extensions = leaf
[subject]
CN = {name}
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
subjectAltName = @names
[names]
"""


def plan_certificates(
    host: NginxHost,
    directory: str,
    sites: t.Sequence[WantedSite],
    published: t.Mapping[str, t.Sequence[Paths]],
    plan: NginxPlan,
) -> None:
    """Add to a plan what has to be done for the certificates of its sites; raise NginxSiteError where it cannot be.

    C(published) has the files of certificates that sites have now, where they are to have others.
    """
    for site in sites:
        if site.state == ENABLED and site.self_signed:
            _plan_one(host, directory, site, published.get(site.name, ()), plan)
    gone = [str(site["name"]) for site in plan.sites if site["state"] == "absent"]
    plan.obsolete += [path for name in gone if os.path.isdir(path := os.path.join(directory, name))]
    # That of a former name is taken along when the new name has its own.
    renamed = {site.rename_from for site in sites}
    plan.left_certificates = [name for name in gone if name not in renamed and _is_renewed(directory, name)]


def without_certificate(directory: str, sites: t.Sequence[WantedSite]) -> list[str]:
    """Return the directories with certificates of sites that are to have none from here any more.

    What certbot renews stays: its hook would bring it again.
    """
    known = [site for site in sites if site.state == ENABLED and site.content is not None and not site.version]
    paths = [os.path.join(directory, site.name) for site in known if not site.self_signed]
    return [path for path in paths if os.path.isdir(path) and not _is_renewed(directory, os.path.basename(path))]


def _is_renewed(directory: str, name: str) -> bool:
    """Tell whether the certificate of a site is of a CA, and certbot renews it for nginx."""
    if read_link(os.path.join(directory, name, CURRENT)) in (None, STAND_IN):
        return False
    return RENEWAL.encode() in (read_node(os.path.join(_SETTINGS, f"{name}.conf")).content or b"")


def _plan_one(host: NginxHost, directory: str, site: WantedSite, published: t.Sequence[Paths], plan: NginxPlan) -> None:
    place = os.path.join(directory, site.name)
    link = os.path.join(place, CURRENT)
    current = read_link(link)
    if current is None and os.path.lexists(link):
        raise NginxSiteError(f"{link} is not a link: move it away; the site's certificate is made anew")
    entry: dict[str, str | bool] = {"name": site.name, "path": link, "changed": False}
    plan.certificates.append(
        {**entry, "until_issued": site.until_issued, "state": "self_signed", "reason": ""},
    )
    is_issued = site.until_issued and current not in (None, STAND_IN) and _is_for(link, site.self_signed)
    issued = link if is_issued else _issued_before(directory, site) if current is None else ""
    kept = _kept(host, site, published, issued)
    if is_issued and not kept:
        plan.certificates[-1]["state"] = "issued"
        return
    reason, before = _fault(place, site.self_signed)
    if current == STAND_IN and not (reason or kept):
        return
    files = _make(host, site) if reason else _read(place)
    # A path of links that ends nowhere cannot be tested: where it ends, nothing may be made.
    is_broken = current is not None and not os.path.isdir(link)
    if kept or issued:
        target, reason, after, found = _of_other_files(kept) if kept else _of_former_name(issued)
        plan.certificates[-1].update(state="issued", changed=True, reason=reason)
        plan.changes.append(CertificateChange(place, target, files, "", after, found, is_broken))
        return
    after = _describe(files[CERTIFICATE]) if files else f"for {', '.join(site.self_signed)}\n"
    reason = reason or "the link current does not lead to it"
    plan.certificates[-1].update(changed=True, reason=reason)
    plan.changes.append(CertificateChange(place, STAND_IN, files, before, after, is_broken=is_broken))


def _kept(host: NginxHost, site: WantedSite, published: t.Sequence[Paths], issued: str) -> Pair | None:
    """Return the certificate that a site has from other files, where it is better than what a CA has issued before."""
    if not site.until_issued or not published:
        return None
    # Loaded for sites that change.
    from .published import find_published, is_better

    pair = find_published(published, site.self_signed, host.time())
    before = read_file(os.path.join(issued, CERTIFICATE)) if issued else None
    return pair if pair and (before is None or is_better(pair, before, site.self_signed, host.time())) else None


def _of_other_files(kept: Pair) -> tuple[str, str, str, dict[str, bytes]]:
    """Return where the link to the certificate leads, why, how it is described, and its files."""
    reason = f"the site has that of {kept.source} until a CA has issued one"
    return kept.directory, reason, _describe(kept.chain), {CERTIFICATE: kept.chain, KEY: kept.key}


def _of_former_name(issued: str) -> tuple[str, str, str, dict[str, bytes]]:
    found = {name: read_file(os.path.join(issued, name)) or b"" for name in (CERTIFICATE, KEY)}
    return issued, "the site had another name", f"{issued}\n", found


def _has_files(place: str) -> bool:
    return all(os.path.isfile(os.path.join(place, name)) for name in (CERTIFICATE, KEY))


def _is_for(place: str, names: t.Sequence[str]) -> bool:
    """Tell whether a certificate and its key are there, and for a name of the site: its names may have changed."""
    if not _has_files(place):
        return False
    try:
        certificate = read_certificate(read_file(os.path.join(place, CERTIFICATE)) or b"")
    except CertificateError:
        return True  # nginx may read what we cannot
    return any(covers(certificate.names, name.lower()) for name in names)


def _issued_before(directory: str, site: WantedSite) -> str:
    """Return where the certificate of a CA is that the site had under its former name; '' when it had none."""
    if not (site.rename_from and site.until_issued):
        return ""
    former = read_link(os.path.join(directory, site.rename_from, CURRENT))
    # The directory of the former name goes, and what nginx loads of it with it.
    kept = os.path.join(_LIVE, site.rename_from)
    return kept if former not in (None, STAND_IN) and _has_files(kept) else ""


def _read(place: str) -> dict[str, bytes]:
    """Return the files of a stand-in; none where one of them is missing."""
    found = {name: read_file(os.path.join(place, STAND_IN, name)) for name in (CERTIFICATE, KEY, NO_HSTS)}
    return {name: data for name, data in found.items() if data is not None} if None not in found.values() else {}


def _fault(place: str, names: t.Sequence[str]) -> tuple[str, str]:
    """Return why the stand-in of a site has to be made anew, '' when it has not, and how it is described."""
    target = read_link(os.path.join(place, STAND_IN)) or ""
    files = _read(place) if target.startswith(_KEPT) else {}
    if not files:
        return "there is none", ""
    if target != _directory_name(files):
        return "its files were changed", ""
    try:
        certificate = read_certificate(files[CERTIFICATE])
    except CertificateError as exc:
        return str(exc), ""
    return _fault_of(certificate, place, names), _describe(files[CERTIFICATE])


def _fault_of(certificate: Certificate, place: str, names: t.Sequence[str]) -> str:
    if set(certificate.names) != {_in_certificate(name) for name in names}:
        return "the names of the site have changed"
    if certificate.not_after < time.time() + _RENEW_BEFORE:
        return f"it ends on {_day(certificate)}"
    status = os.stat(os.path.join(place, STAND_IN, KEY))
    is_private = status.st_uid == os.geteuid() and not stat.S_IMODE(status.st_mode) & 0o077
    return "" if is_private else "others could read its key"


def _day(certificate: Certificate) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(certificate.not_after))


def _describe(data: bytes) -> str:
    certificate = read_certificate(data)
    return f"for {', '.join(certificate.names)}\nuntil {_day(certificate)}\n"


def _in_certificate(name: str) -> str:
    """Return a name of a site as C(read_certificate) tells it."""
    address = _address(name)
    return name if not address or address.version == 4 else address.packed.hex()


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return None


def _directory_name(files: t.Mapping[str, bytes]) -> str:
    return _KEPT + hashlib.sha256(files[CERTIFICATE] + files[KEY]).hexdigest()[:12]


def _make(host: NginxHost, site: WantedSite) -> dict[str, bytes]:
    """Return a new certificate and its key; nothing where the host has no openssl(1) yet."""
    if not host.find_program("openssl"):
        return {}
    entries = [f"{'IP' if _address(name) else 'DNS'}.{number} = {name.strip('[]')}" for number, name in _numbered(site)]
    common = site.self_signed[0] if len(site.self_signed[0]) <= _LONGEST_NAME else site.name
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256", "-days", str(_DAYS)]
    # The key is written to a pipe: it is on no disk before it has its mode.
    command = ["openssl", "req", "-x509", "-new", *curve, "-config", "/dev/stdin", "-keyout", "/dev/stdout"]
    result = host.run(command, stdin=_CONFIG.format(name=common) + "\n".join([*entries, ""]))
    found = {kind[-len("PRIVATE KEY") :]: text.encode() for kind, text in _blocks(result.out)}
    if result.rc != 0 or set(found) != {"CERTIFICATE", "PRIVATE KEY"}:
        raise NginxSiteError(f"openssl could not make a certificate for site '{site.name}': {result.err.strip()}")
    return {CERTIFICATE: found["CERTIFICATE"], KEY: found["PRIVATE KEY"], NO_HSTS: _NO_HSTS_TEXT}


def _numbered(site: WantedSite) -> t.Iterator[tuple[int, str]]:
    return enumerate(dict.fromkeys(site.self_signed), 1)


def _blocks(text: str) -> t.Iterator[tuple[str, str]]:
    return ((match.group(1), match.group()) for match in _PEM.finditer(text))


def write_certificates(changes: t.Iterable[CertificateChange]) -> None:
    """Write new certificates and point the links to them; what nginx has loaded stays in its memory."""
    for change in changes:
        os.makedirs(change.directory, mode=0o755, exist_ok=True)
        remove_leftovers([change.directory])
        if change.files:
            _write_stand_in(change)
        if change.target.startswith(ISSUED_PREFIX):
            _write_files(os.path.join(change.directory, change.target), change.found)
        replace_link(change.target, change.path)


def _write_stand_in(change: CertificateChange) -> None:
    name = _directory_name(change.files)
    _write_files(os.path.join(change.directory, name), change.files)
    replace_link(name, os.path.join(change.directory, STAND_IN))
    for base in list_directory(change.directory):
        if base.startswith(_KEPT) and base != name:
            shutil.rmtree(os.path.join(change.directory, base))


def _write_files(place: str, files: t.Mapping[str, bytes]) -> None:
    os.makedirs(place, mode=0o755, exist_ok=True)
    for file, data in files.items():
        write_file(os.path.join(place, file), data, 0o600 if file == KEY else 0o644)
    sync_directory(os.path.dirname(place))


def remove_certificates(directories: t.Iterable[str]) -> None:
    """Remove the certificates of sites that are gone; what a CA has issued is kept where it is."""
    for directory in directories:
        shutil.rmtree(directory)
        sync_directory(os.path.dirname(directory))
