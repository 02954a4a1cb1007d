# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every combination of the options of a site that decide on its protocols, files and proxies, as the role takes them.

The unit tests render all of them; `make matrix` has the nginx of each distribution accept them.
"""

from __future__ import annotations

import itertools
import typing as t

Item = dict[str, t.Any]
Choices = t.Mapping[str, Item]

DOMAIN = "shop.example.com"
CERTIFICATE, KEY = "/etc/ssl/matrix.pem", "/etc/ssl/matrix.key"
_FILES: Item = {"certificate": CERTIFICATE, "key": KEY}
_UPSTREAM: Item = {"upstream": ["unix:/srv/shop/current/run/0.sock"]}

# By the names in what is printed: options of a site each, of which one choice is taken from every row.
TLS: Choices = {
    "plain": {"tls": {"mode": "none"}},
    "tls": {"tls": _FILES},
    "tls-beside-plain": {"tls": {**_FILES, "redirect": False}},
    "modern": {"tls": {**_FILES, "profile": "modern"}},
    "self-signed": {"tls": {"mode": "self_signed"}},
    "acme": {"tls": {"mode": "acme"}},
}
HTTP: Choices = {"http1": {"http2": False}, "http2": {}, "http3": {"http3": True}}
STATIC: Choices = {
    "app": _UPSTREAM,
    "app-static": {
        **_UPSTREAM,
        "static": [
            {"url": "/static/", "path": "/srv/shop/current/app/static", "previous": "/run/flaskops/previous/shop/0"},
            {"url": "/media", "path": "/srv/media", "immutable": True},
        ],
    },
    "files": {"static": [{"url": "/", "path": "/srv/www"}]},
}
CACHE: Choices = {"": {}, "cache": {"cache": {"valid": 10, "paths": ["/news"], "bypass": ["/news/live"]}}}
WEBSOCKETS: Choices = {"": {}, "websockets": {"websockets": True}}
MOUNT: Choices = {
    "": {},
    "mount": {
        "mounts": [
            {
                "path": "/blog",
                "upstream": ["unix:/srv/blog/current/run/0.sock"],
                "maintenance": {"flag": "/run/flaskops/blog.on", "page": "/srv/blog.html", "open": ["/blog/healthz"]},
                "read_timeout": 90,
                "body_size": "1g",
                "buffering": True,
                "cache": {"valid": 10, "bypass": ["/blog/live"]},
                "basic_auth": {"users": [{"name": "bob", "password": "builder"}], "open": ["/blog/healthz"]},
                "locations": [
                    {"path": "/blog/", "config": "proxy_set_header X-Whole yes;"},
                    {"path": "/blog/uploads/", "body_size": "2g", "buffering": False},
                    {"path": "~ ^/blog/old/", "config": "return 410;"},
                    {"path": "= /blog/chat-log", "upstream": ["10.0.0.5"], "websockets": True},
                ],
            },
            {"path": "/blog/chat", "upstream": ["10.0.0.3", "10.0.0.4"], "websockets": True, "buffering": False},
        ]
    },
}
PROXY: Choices = {
    "": {},
    "behind-proxy": {"behind_proxy": True},
    "trusted-proxies": {
        "trusted_proxies": ["10.0.0.0/8", "2001:db8::/32"],
        "trusted_hops": 2,
        "trusted_headers": ["X-Visitor-Country"],
    },
    "proxy-protocol": {"trusted_proxies": ["10.0.0.0/8", "2001:db8::/32"], "proxy_protocol": True},
}
# What is in many places of a site, with any other options.
REST: Choices = {
    "": {},
    "rest": {
        "redirects": [f"www.{DOMAIN}"],
        "access_log": "json",
        "access_log_skip": ["/healthz"],
        "error_pages": {
            "de": {404: {"title": "Nicht gefunden", "text": "Diese Seite gibt es nicht."}},
            "fr": {
                502: {"title": "Indisponible", "text": "Ce site ne répond pas."},
                "maintenance": {"title": "Maintenance", "text": "Nous revenons bientôt."},
            },
        },
        "maintenance": {"flag": "/run/flaskops/shop.on", "page": "/srv/page.html", "open": ["/healthz"]},
        "limits": [{"path": "/login", "rate": "5r/s", "burst": 10, "connections": 5, "key": "site"}],
        "methods": ["GET", "POST"],
        "security_headers": {"Permissions-Policy": "camera=()"},
        "basic_auth": {"users": [{"name": "alice", "password": "wonderland"}], "paths": ["/admin"]},
        "locations": [
            {"path": "= /ping", "config": "return 200 pong;"},
            {"path": "/other/", "upstream": ["10.0.0.2"]},
            {"path": "/socket/", "upstream": ["10.0.0.2"], "websockets": True},
            {"path": "/events", "upstream": ["10.0.0.2"], "buffering": False, "read_timeout": 3600, "body_size": "1g"},
        ],
    },
}
# Variables of the role by which every site of these may have a certificate of a CA, also behind a proxy.
ACME: Item = {"nginx_acme_challenge": "dns", "nginx_acme_dns_hook": "/usr/local/bin/hook"}
ROWS = (TLS, HTTP, STATIC, CACHE, WEBSOCKETS, MOUNT, PROXY, REST)


class Combination(t.NamedTuple):
    """A site, and the choices that it is made of."""

    choices: tuple[str, ...]
    site: Item

    @property
    def title(self) -> str:
        """Return its choices in one word."""
        return "+".join(filter(None, self.choices))

    @property
    def possible(self) -> bool:
        """Tell whether there is such a site; the role refuses all others."""
        keeps_answers = not self.site.get("cache") or bool(self.site.get("upstream"))
        return keeps_answers and (not self.needs_http3 or (self.has_tls and not self.is_proxied))

    @property
    def needs_http3(self) -> bool:
        """Tell whether nginx must know HTTP/3."""
        return bool(self.site.get("http3"))

    @property
    def has_tls(self) -> bool:
        """Tell whether the site speaks HTTPS."""
        return bool(self.site["tls"].get("mode") != "none")

    @property
    def is_proxied(self) -> bool:
        """Tell whether visitors come through something else."""
        return bool(self.site.get("behind_proxy") or self.site.get("trusted_proxies"))


def combinations() -> t.Iterator[Combination]:
    """Yield all, the impossible ones as well."""
    for parts in itertools.product(*(row.items() for row in ROWS)):
        site: Item = {"name": "shop", "domains": [DOMAIN]}
        for _name, options in parts:
            site.update(options)
        yield Combination(tuple(name for name, _options in parts), site)


def beside_each_other(found: t.Iterable[Combination]) -> list[Item]:
    """Return sites that one nginx serves together: each has a name of its own, and those of a port agree."""
    sites = []
    ports: dict[tuple[str, bool], int] = {}
    for number, combination in enumerate(found):
        site = combination.site
        kind = (site["tls"].get("profile", ""), bool(site.get("proxy_protocol")))
        offset = ports.setdefault(kind, len(ports))
        domain = f"s{number}.example.com"
        own = {"name": f"s{number}", "domains": [domain], "http_port": 8100 + offset, "https_port": 8200 + offset}
        renamed = {"redirects": [f"www.{domain}"]} if "redirects" in site else {}
        sites.append({**site, **own, **renamed})
    return sites
