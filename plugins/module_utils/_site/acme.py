# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of CAs (ACME): what the role says of them, and which sites can have one. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, replace

from .._input.values import InputError, as_bool, directory_url
from .model import ACME, SELF_SIGNED, Site
from .parse import is_local

_EMAIL = re.compile(r"[^\s@,;]+@((?:[A-Za-z0-9_-]+\.)+[A-Za-z0-9-]+)")
# Let's Encrypt refuses them as those of a person.
_EXAMPLES = ("example.com", "example.org", "example.net")
_WORD = re.compile(r"[A-Za-z0-9._-]+")
_COMMAND = re.compile(r"[A-Za-z0-9/._+@:,-]+")
_PATH = re.compile(r"/[^\x00-\x1f\x7f]+")
CHALLENGES = ("http", "dns")
# Names below these have no owner in the internet: RFC 6761, 6762, 8375 and 9476, and ICANN's decision on .internal.
_PRIVATE = ("alt", "example", "home.arpa", "internal", "invalid", "local", "localhost", "onion", "test")
# In the configuration of a site that plain HTTP has served, as long as its first certificate has not come.
PLAIN_MARK = "# Plain HTTP goes on serving this site until a CA has issued its certificate."
# What Let's Encrypt puts into one certificate.
_MOST_NAMES = 100


@dataclass(frozen=True)
class Acme:
    """The variables nginx_acme_* of role nginx."""

    # Whether sites without tls have a certificate of the CA.
    enabled: bool = False
    email: str = ""
    directory: str = ""
    ca_bundle: str = ""
    eab_file: str = ""
    challenge: str = CHALLENGES[0]
    dns_hook: str = ""
    profile: str = ""
    check_names: bool = True

    @property
    def is_public(self) -> bool:
        """Tell whether the CA gives certificates for names of the internet only."""
        return "letsencrypt.org" in directory_url(self.directory, "nginx_acme_directory")

    def request(self, sites: t.Iterable[Site]) -> dict[str, t.Any]:
        """Return the arguments of module nginx_certificate; nothing where no site needs it."""
        found = [{"name": site.name, "names": list(names_of(site))} for site in sites if has_acme(site)]
        if not found:
            return {}
        given = {
            "email": self.email,
            "directory_url": self.directory,
            "ca_bundle": self.ca_bundle,
            "eab_file": self.eab_file,
            "dns_hook": self.dns_hook,
            "profile": self.profile,
        }
        said: dict[str, t.Any] = {key: value for key, value in given.items() if value}
        said.update({} if self.check_names else {"check_names": False})
        return {"certificates": found, "challenge": self.challenge, **said}

    def on_host(self, sites: t.Iterable[Site], directory_enabled: object = "", suffix: object = "") -> dict[str, t.Any]:
        """Return what the host is asked of the certificates before anything changes; nothing where no site needs it."""
        found = [site for site in sites if has_acme(site)]
        asked = self.request(found)
        if not asked:
            return {}
        known = ("directory_url", "ca_bundle", "eab_file", "challenge", "dns_hook")
        places = {"directory_enabled": directory_enabled, "suffix": suffix}
        return {
            "sites": {site.name: {"former": site.rename_from, "names": list(names_of(site))} for site in found},
            **{key: asked[key] for key in known if key in asked},
            **{key: str(value) for key, value in places.items() if value},
        }


def names_of(site: Site) -> tuple[str, ...]:
    """Return the names that the certificate of a site is for."""
    return (*site.domains, *site.redirects)


def has_acme(site: Site) -> bool:
    """Tell whether a site that is published has a certificate of a CA."""
    return site.state == "enabled" and site.tls is not None and site.tls.mode == ACME


def self_signed(site: Site) -> dict[str, t.Any]:
    """Return what the host is told of the certificate that it makes for a site; nothing when it makes none."""
    if site.state != "enabled" or site.tls is None or site.tls.mode not in (ACME, SELF_SIGNED):
        return {}
    return {"names": list(names_of(site)), "until_issued": site.tls.mode == ACME}


def read_acme(variables: t.Mapping[str, object]) -> Acme:
    """Return what variables of the role say, by their names; raise InputError for what cannot be."""

    def text(name: str) -> str:
        value = variables.get(f"nginx_acme_{name}")
        if value is not None and (isinstance(value, bool) or not isinstance(value, (str, int))):
            raise InputError(f"nginx_acme_{name} must be a text, not {value!r}")
        return "" if value is None else str(value).strip()

    def flag(name: str, default: bool) -> bool:
        value = variables.get(name)
        return default if value in (None, "") else as_bool(name, value)

    email = text("email")
    acme = Acme(
        enabled=bool(email) or flag("nginx_acme", False),
        email=email,
        directory=text("directory"),
        ca_bundle=text("ca_bundle"),
        eab_file=text("eab_file"),
        challenge=text("challenge") or Acme.challenge,
        dns_hook=text("dns_hook"),
        profile=text("profile"),
        check_names=flag("nginx_acme_check_names", Acme.check_names),
    )
    _check_contact(acme)
    _check_access(acme)
    return acme


def _check_contact(acme: Acme) -> None:
    if acme.email:
        found = _EMAIL.fullmatch(acme.email)
        if not found:
            raise InputError(f"nginx_acme_email '{acme.email}' must be one address, such as admin@your-domain.org")
        if acme.is_public and found.group(1).lower().endswith(_EXAMPLES):
            raise InputError(
                f"nginx_acme_email '{acme.email}' is an example, which the CA refuses: write an address that is read, "
                "or set nginx_acme: true without an address"
            )
    directory_url(acme.directory, "nginx_acme_directory")
    if acme.profile and not _WORD.fullmatch(acme.profile):
        raise InputError(f"nginx_acme_profile '{acme.profile}' must be a name such as 'shortlived'")


def _check_access(acme: Acme) -> None:
    for name, path in (("ca_bundle", acme.ca_bundle), ("eab_file", acme.eab_file), ("dns_hook", acme.dns_hook)):
        if path and (not _PATH.fullmatch(path) or ".." in path.split("/")):
            raise InputError(
                f"nginx_acme_{name} '{path}' must be the absolute path of a file on the host, without '..'"
            )
    if acme.dns_hook and not _COMMAND.fullmatch(acme.dns_hook):
        raise InputError(
            f"nginx_acme_dns_hook '{acme.dns_hook}' is run by a shell: rename the file to one of letters, digits, '.', "
            "'-' and '_'"
        )
    if acme.challenge not in CHALLENGES:
        raise InputError(f"nginx_acme_challenge must be one of {', '.join(CHALLENGES)}, not '{acme.challenge}'")
    if acme.challenge == "dns" and not acme.dns_hook:
        raise InputError(
            "nginx_acme_challenge dns needs nginx_acme_dns_hook, the program on the host that sets the records"
        )
    if acme.challenge == "http" and acme.dns_hook:
        raise InputError("nginx_acme_dns_hook is for nginx_acme_challenge dns: set that, or leave the hook out")


def certificate_packages(sites: t.Iterable[Site]) -> list[str]:
    """Return the packages of the distribution that the certificates of sites need."""
    made = [site for site in sites if self_signed(site)]
    return [*(["openssl"] if made else []), *(["certbot"] if any(map(has_acme, made)) else [])]


def with_acme(defaults: t.Mapping[str, t.Any], acme: Acme) -> t.Mapping[str, t.Any]:
    """Return nginx_site_defaults with what the role says of sites without tls; what they say themselves counts more."""
    if not acme.enabled or not isinstance(defaults, t.Mapping):
        return defaults
    tls = defaults.get("tls") or {}
    if not isinstance(tls, t.Mapping) or {"mode", "certificate", "key"} & set(tls):
        return defaults
    return {**defaults, "tls": {**tls, "mode": ACME}}


def check_sites(sites: t.Iterable[Site], acme: Acme) -> None:
    """Raise InputError for a site that can have no certificate of the CA."""
    for site in sites:
        fault = _fault(site, acme) if has_acme(site) else ""
        if fault:
            raise InputError(f"site '{site.name}': tls.mode acme: {fault}")


def plain_until_issued(site: Site) -> Site | None:
    """Return the site that visitors of plain HTTP are to have until its certificate has come, beside HTTPS.

    None where there is no other one.
    """
    if site.tls is None or not site.tls.redirect or not has_acme(site):
        return None
    return replace(site, tls=replace(site.tls, redirect=False))


def _fault(site: Site, acme: Acme) -> str:
    if site.from_proxy and acme.challenge == "http":
        return (
            "visitors, and the CA with them, reach another proxy first: have that proxy speak HTTPS and set tls.mode "
            "to none, self_signed or files here, or set nginx_acme_challenge to dns"
        )
    names = names_of(site)
    if acme.is_public and len(names) > _MOST_NAMES:
        return f"it has {len(names)} names, and a certificate has {_MOST_NAMES} at most: divide the site"
    return next(filter(None, (_fault_of_name(name, acme) for name in names)), "")


def _fault_of_name(name: str, acme: Acme) -> str:
    others = "set tls.mode to self_signed or none"
    if is_local(name):
        return f"no CA gives a certificate for '{name}': {others}, or give that name a site of its own"
    if name.startswith("*.") and acme.challenge == "http":
        return (
            f"a CA gives a certificate for '{name}' only when it can ask the DNS: set nginx_acme_challenge to dns with "
            "nginx_acme_dns_hook, name files of your own (tls.mode files), or list the names one by one"
        )
    if acme.is_public and not _is_public(name):
        return (
            f"no public CA gives a certificate for '{name}', which is no name of the internet: {others}, or set "
            "nginx_acme_directory to a CA of your own"
        )
    if acme.is_public and "_" in name:
        return f"no public CA gives a certificate for '{name}', because of its '_': {others}, or rename it"
    return ""


def _is_public(name: str) -> bool:
    bare = name[2:] if name.startswith("*.") else name
    return "." in bare and not any(bare == private or bare.endswith(f".{private}") for private in _PRIVATE)


def plain_sites(
    sites: t.Iterable[Site], items: t.Iterable[t.Mapping[str, t.Any]], defaults: t.Mapping[str, t.Any]
) -> list[str]:
    """Return the sites that are plain HTTP and could have a certificate of a CA, unless the user has said so."""
    if (defaults.get("tls") or {}).get("mode"):
        return []
    opted_out = {item.get("name") for item in items if item.get("tls")}
    return [
        site.name
        for site in sites
        if site.state == "enabled"
        and site.tls is None
        and site.name not in opted_out
        and not (site.from_proxy or site.content or site.template)
        and any(_is_public(name) and not is_local(name) for name in site.domains)
    ]
