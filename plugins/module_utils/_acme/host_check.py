# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host says of certificates before anything changes: files that are missing, sites without TLS. Private."""

from __future__ import annotations

import os
import re
import typing as t

from .._nginx.certificate import covers
from .._nginx.layout import Included
from .._system.files import read_file
from .certbot import has_account, read_bundle, read_eab, require_hook
from .lineage import Places, served_certificate
from .model import DNS, AcmeError, Authority

# The packages that the same task installs may bring a file there.
_OF_PACKAGES = ("/usr/", "/etc/ssl/certs/")
# Where one of these words is in it, a site serves HTTPS.
_TLS = re.compile(r"^\s*(?:ssl_certificate\s|listen\s[^;#]*\sssl[\s;])", re.MULTILINE)


def file_faults(authority: Authority, places: Places, installs: bool, root: int = 0) -> list[str]:
    """Return what is wrong with the files on the host that variables of role nginx name.

    C(installs) tells that packages are about to be installed, which may bring some of them.
    """
    faults = []
    for path, check in _checks(authority, places, root):
        if installs and path.startswith(_OF_PACKAGES) and not os.path.exists(path):
            continue
        try:
            check()
        except AcmeError as exc:
            faults.append(str(exc))
    return faults


def _checks(authority: Authority, places: Places, root: int) -> list[tuple[str, t.Callable[[], object]]]:
    bundle, eab, hook = authority.ca_bundle, authority.eab_file, authority.dns_hook
    found: list[tuple[str, t.Callable[[], object]]] = []
    if bundle:
        found.append((bundle, lambda: _check_bundle(bundle, "nginx_acme_ca_bundle")))
    # Needed once: an account is kept.
    if eab and not has_account(places, authority.server):
        found.append((eab, lambda: read_eab(eab, root, "nginx_acme_eab_file")))
    if hook and authority.challenge == DNS:
        found.append((hook, lambda: require_hook(hook, root, "nginx_acme_dns_hook")))
    return found


def _check_bundle(path: str, what: str) -> None:
    read_bundle(path, what)
    # Loaded for those who have a CA of their own.
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (ssl.SSLError, OSError) as exc:
        reason = getattr(exc, "reason", None) or exc
        raise AcmeError(f"{what} {path} has no certificate that can be read ({reason}): put the CA's there") from exc


def plain_sites(
    sites: t.Mapping[str, t.Mapping[str, t.Any]], enabled: Included, places: Places, now: float
) -> list[str]:
    """Return the sites that visitors reach by plain HTTP, and that have no valid certificate of a CA yet.

    Each site has a C(former) name, which is empty for most, and the C(names) that its certificate is for.
    """
    return [
        name for name, site in sites.items() if _is_plain((name, site["former"]), site["names"], enabled, places, now)
    ]


def _is_plain(sites: t.Iterable[str], names: t.Collection[str], enabled: Included, places: Places, now: float) -> bool:
    for name in filter(None, sites):
        served = served_certificate(places, name)
        if served and served.not_after > now and all(covers(served.names, one.lower()) for one in names):
            return False
        text = _text(os.path.join(enabled.directory, name + enabled.suffix))
        if text:
            return not _TLS.search(text) or _has_mark(text)
    return False


def _has_mark(text: str) -> bool:
    """Tell whether a site has got HTTPS beside plain HTTP in an earlier run, and had no certificate then either."""
    # Loaded for sites whose certificate has not come yet.
    from .._site.acme import PLAIN_MARK

    return PLAIN_MARK in text


def _text(path: str) -> str:
    try:
        return (read_file(os.path.realpath(path)) or b"").decode("utf-8", "replace")
    except OSError:
        return ""
