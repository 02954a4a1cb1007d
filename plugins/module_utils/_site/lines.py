# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines that a server block of nginx needs. Private to flaskops.stack."""

from __future__ import annotations

import hashlib
import posixpath
import re
import typing as t
from dataclasses import dataclass

from .._input.values import InputError
from .headers import claims, visitor_headers
from .model import ACME, SELF_SIGNED, Location, Mount, Server, Site, Static, current_of

Version = t.Tuple[int, ...]
CONTROL = re.compile(r"[\x00-\x1f\x7f]")

Lines = t.List[str]

# The first versions with: "http2 on", HTTP/3, ssl_reject_handshake, connections to upstreams kept open by default,
# keepalive_min_timeout.
HTTP2_DIRECTIVE: Version = (1, 25, 1)
HTTP3: Version = (1, 25, 0)
REJECT_HANDSHAKE: Version = (1, 19, 4)
UPSTREAM_KEEPALIVE: Version = (1, 29, 7)
KEEPALIVE_MIN: Version = (1, 27, 4)

# ngx_conf_read_token(): a word has to fit into the buffer for reading.
LONGEST_WORD = 4095
# Directives of modules that not every nginx has.
STATIC_MODULES = ("brotli_static", "zstd_static")
_LOGS = "/var/log/nginx"
REQUEST_ID = "X-Request-ID"
# Sent with each answer unless the application sends its own; the variables are empty then.
_SECURITY = {
    "X-Content-Type-Options": "$flaskops_nosniff",
    "X-Frame-Options": "$flaskops_frame",
    "Referrer-Policy": "$flaskops_referrer",
}
_GZIP_TYPES = (
    "application/atom+xml application/javascript application/json application/ld+json application/manifest+json "
    "application/rss+xml application/vnd.ms-fontobject application/wasm application/xml font/otf font/ttf image/bmp "
    "image/svg+xml image/x-icon text/calendar text/css text/javascript text/markdown text/plain text/xml"
)
_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
# Mozilla's profiles, 5.7; the ciphers of TLS 1.3 are OpenSSL's own.
_PROFILES = {
    "intermediate": ["ssl_protocols TLSv1.2 TLSv1.3;", f"ssl_ciphers {_CIPHERS};"],
    "modern": ["ssl_protocols TLSv1.3;"],
}
TLS_PROFILES = tuple(_PROFILES)
# The curves are named because OpenSSL's default has more than the profiles allow.
_TLS = [
    "ssl_prefer_server_ciphers off;",
    "ssl_ecdh_curve X25519:prime256v1:secp384r1;",
    "ssl_session_timeout 1d;",
    "ssl_session_cache shared:flaskops:10m;",
    "ssl_session_tickets off;",
]
# What the variables say where no application has answered, as in C(flaskops.conf): a map costs nginx a moment.
_OF_FILES = {
    "$flaskops_nosniff": "nosniff",
    "$flaskops_frame": "SAMEORIGIN",
    "$flaskops_referrer": "strict-origin-when-cross-origin",
    "$flaskops_echo": "$flaskops_id",
}
_VARIABLE = re.compile(r"\$flaskops_\w+")
# Names of sites with which a variable would be one of C(flaskops.conf), or of another site's page during maintenance.
_OF_OTHERS = re.compile(
    "alt svc|error (?:body|language|reason|retry|text|title)|log (?:agent|host|referer|status|uri)|quic port"
    r"|\w+_closed (?:language|text|title)"
)
_RELEASE = "set $flaskops_root $realpath_root;"
_CURRENT = re.compile(r"/.+/current/(?:app|site-packages|packages/[^/]+)/")
_IN_RELEASE = re.compile(r"(?P<current>/.+/current)/(?P<tree>app|site-packages)(?P<below>(?:/.*)?)")
# A visitor who sends or reads this slowly is cut off.
PATIENCE = ["client_header_timeout 15s;", "client_body_timeout 30s;", "send_timeout 30s;"]


def block(opening: str, lines: t.Iterable[str]) -> Lines:
    """Return a block with its lines indented."""
    return [f"{opening} {{", *(f"    {line}" if line else "" for line in lines), "}"]


def geo_block(name: str, default: str, values: t.Mapping[str, str], address: str = "") -> Lines:
    """Return the block with the values of networks; C(address) is a variable, if it is not the visitor's address."""
    whole = ("0.0.0.0/0", "::/0")
    lines = [f"default {default};"]
    if any(network in values for network in whole):
        # For nginx the default is a value of both, and it warns of a network that comes twice.
        lines = [f"{network} {values.get(network, default)};" for network in whole]
    lines += [f"{network} {value};" for network, value in values.items() if network not in whole]
    return block(" ".join(filter(None, ("geo", address, name))), lines)


def quote(value: str) -> str:
    """Return a value as one quoted word of nginx's configuration; variables in it stay variables."""
    if CONTROL.search(value):
        raise InputError(f"{value!r} must not contain line breaks or other control characters")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def literal(path: str) -> str:
    """Return the regular expression for nothing but this path."""
    return re.escape(path).replace("\\-", "-")


@dataclass(frozen=True)
class Port:
    """A port that servers of one or more sites share."""

    number: int
    tls: bool
    ipv6: bool
    http2: bool
    profile: str = ""
    proxy_protocol: bool = False

    def lines(self, version: Version, more: str = "") -> Lines:
        """Return what makes a server listen on it."""
        http2 = self.tls and self.http2
        options = (" ssl" if self.tls else "") + (" http2" if http2 and version < HTTP2_DIRECTIVE else "")
        options += (" proxy_protocol" if self.proxy_protocol else "") + more
        listen = [f"listen {self.number}{options};"] + ([f"listen [::]:{self.number}{options};"] if self.ipv6 else [])
        return listen + (["http2 on;"] if http2 and version >= HTTP2_DIRECTIVE else [])

    def quic_lines(self, more: str = "") -> Lines:
        """Return what makes a server listen on it for HTTP/3."""
        listen = [f"listen {self.number} quic{more};"]
        return listen + ([f"listen [::]:{self.number} quic{more};"] if self.ipv6 else [])


def log_lines(name: str, log_format: str, level: str = "error", condition: str = "") -> Lines:
    """Return where a site logs; the distribution rotates C(/var/log/nginx/*.log).

    A request is in the access log when C(condition) is empty, or a variable that is neither empty nor 0.
    """
    formats = {"combined": " combined", "json": " flaskops_json"}
    access = f"{_LOGS}/{name}.access.log{formats[log_format]}" if log_format in formats else "off"
    access += f" if={condition}" if condition and access != "off" else ""
    return [f"access_log {access};", f"error_log {_LOGS}/{name}.error.log {level};"]


def variable(site: Site, what: str) -> str:
    """Return the name of a variable that belongs to one site."""
    name = site.name.replace("-", "_")
    # Long names do not fit nginx's variables_hash_bucket_size, 64 by default; a variable takes no other characters.
    if not re.fullmatch("[a-z0-9-]{1,16}", site.name) or _OF_OTHERS.fullmatch(f"{name} {what}"):
        name = "x" + hashlib.sha256(site.name.encode()).hexdigest()[:12]
    return f"$flaskops_{name}_{what}"


def forwarded(site: Site, what: str, own: str, theirs: str) -> str:
    """Return the variable with our own or the outer proxy's view of the visitor."""
    if site.header_proxies or (what == "for" and site.counts_hops):
        return variable(site, what)
    return theirs if site.behind_proxy else own


def plain_port(site: Site) -> Port:
    """Return the port of a site for HTTP."""
    return Port(site.http_port, tls=False, ipv6=site.ipv6, http2=False, proxy_protocol=site.proxy_protocol)


def tls_port(site: Site) -> Port:
    """Return the port of a site for HTTPS."""
    profile = site.tls.profile if site.tls else ""
    return Port(site.https_port, True, site.ipv6, site.http2, profile, site.proxy_protocol)


def secure_listen_lines(site: Site, version: Version) -> Lines:
    """Return what makes a server of a site listen for HTTPS."""
    port = tls_port(site)
    return [*port.lines(version), *(port.quic_lines() if site.http3 else [])]


def tls_lines(profile: str) -> Lines:
    """Return the protocols, ciphers, curves and session cache of a profile."""
    return [*_PROFILES[profile], *_TLS]


def certificate_lines(site: Site) -> Lines:
    """Return what HTTPS needs."""
    if not site.tls:
        return []
    files = [f"ssl_certificate {quote(site.tls.certificate)};", f"ssl_certificate_key {quote(site.tls.key)};"]
    return [*files, *tls_lines(site.tls.profile)]


def real_ip_lines(site: Site) -> Lines:
    """Return what makes the visitor's address of that of a trusted proxy."""
    if not site.trusted_proxies:
        return []
    trusted = [f"set_real_ip_from {network};" for network in site.trusted_proxies]
    if site.proxy_protocol:
        return [*trusted, "real_ip_header proxy_protocol;"]
    return [*trusted, "real_ip_header X-Forwarded-For;", "real_ip_recursive on;"]


def gzip_lines(site: Site) -> Lines:
    """Return what is compressed."""
    if not site.gzip:
        return ["gzip off;"]
    settings = ["gzip on;", "gzip_vary on;", "gzip_proxied any;", "gzip_comp_level 5;", "gzip_min_length 1024;"]
    return [*settings, f"gzip_types {_GZIP_TYPES};"]


def packed_lines(site: Site, modules: t.Collection[str]) -> Lines:
    """Return what serves copies of files that are compressed already, in each format that this nginx has."""
    return [
        f"{name} on;" for name in ("gzip_static", *STATIC_MODULES) if name in ("gzip_static", *modules) and site.gzip
    ]


def proxy_lines(site: Site) -> Lines:
    """Return how requests are passed on."""
    return [
        "proxy_http_version 1.1;",
        "proxy_redirect off;",
        # Room for all headers that are set or taken out.
        "proxy_headers_hash_max_size 2048;",
        "proxy_headers_hash_bucket_size 128;",
        f"proxy_connect_timeout {site.connect_timeout}s;",
        f"proxy_read_timeout {site.read_timeout}s;",
        f"proxy_send_timeout {site.send_timeout}s;",
        *_buffering_lines(site),
        "proxy_buffer_size 16k;",
        "proxy_buffers 8 16k;",
        # Not "non_idempotent": a request that may change something is sent once.
        "proxy_next_upstream error timeout;",
        "proxy_next_upstream_tries 3;",
        "proxy_next_upstream_timeout 10s;",
    ]


def _buffering_lines(site: Site) -> Lines:
    buffering = "on" if site.buffering else "off"
    return [f"proxy_buffering {buffering};", f"proxy_request_buffering {buffering};"]


def location_lines(here: Site, location: Location) -> Lines:
    """Return the lines with a location's own settings; C(here) is the site as it is there."""
    lines = [f"client_max_body_size {here.body_size};"] if location.body_size else []
    lines += [] if location.buffering is None else _buffering_lines(here)
    has_timeout = location.websockets or location.read_timeout is not None
    return [*lines, *([f"proxy_read_timeout {here.read_timeout}s;"] if has_timeout else [])]


def mount_lines(mount: Mount) -> Lines:
    """Return how requests are passed on to an application below a path, where that is not what the site has."""
    chosen = {
        "client_max_body_size": mount.body_size,
        "proxy_connect_timeout": mount.connect_timeout and f"{mount.connect_timeout}s",
        "proxy_read_timeout": mount.read_timeout and f"{mount.read_timeout}s",
        "proxy_send_timeout": mount.send_timeout and f"{mount.send_timeout}s",
    }
    if mount.buffering is not None:
        chosen.update(dict.fromkeys(("proxy_buffering", "proxy_request_buffering"), "on" if mount.buffering else "off"))
    lines = [f"{name} {value};" for name, value in chosen.items() if value]
    # Applications set their cookies for all of a domain: each would lose its session to the other's.
    below = literal(mount.path)
    return [*lines, f"proxy_cookie_path {quote(f'~^/(?!{below[1:]}(?:/|$))(.*)$')} {quote(f'{mount.path}/$1')};"]


def request_headers(site: Site, mount: Mount | None = None) -> Lines:
    """Return the complete set: a location that sets one header inherits none."""
    websockets = mount.websockets if mount else site.websockets
    further = dict(site.proxy_headers)
    if mount:
        # Last, in the place of what the site passes on: the application believes it.
        for name, value in (*mount.proxy_headers, ("X-Forwarded-Prefix", mount.path)):
            further = {other: said for other, said in further.items() if other.lower() != name.lower()}
            further[name] = value
    forwarded_host = forwarded(site, "host", "$flaskops_host", "$flaskops_xhost")
    scheme = forwarded(site, "proto", "$scheme", "$flaskops_xproto")
    headers = {
        "Host": "$flaskops_host",
        "X-Real-IP": "$remote_addr",
        "X-Forwarded-For": forwarded(site, "for", "$remote_addr", "$proxy_add_x_forwarded_for"),
        "X-Forwarded-Proto": scheme,
        "X-Forwarded-Host": forwarded_host,
        "X-Scheme": scheme,
        REQUEST_ID: "$flaskops_id",
        "Connection": "$flaskops_conn" if websockets else "close",
        **({"Upgrade": "$flaskops_upgrade"} if websockets else {}),
        # A request header "Proxy" would become the environment variable HTTP_PROXY (httpoxy).
        "Proxy": "",
        **visitor_headers(
            site.pass_headers,
            site.trusted_headers,
            bool(site.header_proxies),
            site.from_proxy and not site.header_proxies,
        ),
    }
    ours = {name.lower() for name in further}
    wanted = [*((name, value) for name, value in headers.items() if name.lower() not in ours), *further.items()]
    return [f"proxy_set_header {name} {_word(value)};" for name, value in wanted]


def _word(value: str) -> str:
    return value if re.fullmatch(r"\$?[A-Za-z0-9_]+", value) else quote(value)


def answer_headers(site: Site) -> Lines:
    """Return the security headers: the usual ones yield to the application, chosen ones overrule it."""
    lines: Lines = []
    if site.security_headers is not None:
        changed = {name.lower() for name, _value in site.security_headers}
        lines = [
            f"add_header {name} {value} always;" for name, value in _SECURITY.items() if name.lower() not in changed
        ]
        for name, value in site.security_headers:
            if value:
                lines += [f"proxy_hide_header {name};", f"add_header {name} {quote(value)} always;"]
    return lines + echo_lines(site) + hsts_lines(site) + http3_lines(site)


def file_headers(lines: t.Iterable[str]) -> Lines:
    """Return lines with headers as they are where nginx answers with a file."""
    return [_VARIABLE.sub(lambda found: _OF_FILES.get(found.group(), found.group()), line) for line in lines]


def id_lines(site: Site) -> Lines:
    """Return what takes the id of a request from another proxy, where a site believes it."""
    return [f"set $flaskops_id {forwarded(site, 'id', '', '$flaskops_xid')};"] if site.from_proxy else []


def claim_lines(site: Site) -> Lines:
    """Return what takes all else that proxies say of a visitor from those that are trusted.

    By C(set), as maps would need a variable more for each header of each site: nginx has room for few.
    """
    if not site.header_proxies:
        return []
    taken = [f"set {claim} {sent_value(name)};" for name, claim in claims(site.trusted_headers).items()]
    return ["uninitialized_variable_warn off;", *block(f"if ({variable(site, 'peer')})", taken)]


def sent_value(name: str) -> str:
    """Return the variable with a request header as it was sent."""
    return f"$http_{name.lower().replace('-', '_')}"


def trusted_values(site: Site) -> list[str]:
    """Return what the application is sent in further headers of other proxies."""
    if not site.header_proxies:
        return [sent_value(name) for name in site.trusted_headers] if site.from_proxy else []
    known = {name.lower(): claim for name, claim in claims(site.trusted_headers).items()}
    return [known[name.lower()] for name in site.trusted_headers]


def echo_lines(site: Site) -> Lines:
    """Return what tells the visitor the id of the request, unless the site has another one for the application."""
    changed = {name.lower() for name, _value in (*site.proxy_headers, *(site.security_headers or ()))}
    return [] if REQUEST_ID.lower() in changed else [f"add_header {REQUEST_ID} $flaskops_echo always;"]


def hsts_lines(site: Site) -> Lines:
    """Return what makes browsers stay with HTTPS; it overrules the application."""
    # Visitors who come by another proxy see its certificate.
    if not site.hsts or (site.tls and site.tls.mode == SELF_SIGNED and not site.from_proxy):
        return []
    name, value = "Strict-Transport-Security", f'"max-age={site.hsts}"'
    if site.tls and site.tls.mode == ACME:
        value = variable(site, "hsts")
    return [f"proxy_hide_header {name};", f"add_header {name} {value} always;"]


def hsts_maps(site: Site) -> list[Lines]:
    """Return the map with what HSTS says: nothing while the certificate is self-signed, and no other text here then."""
    if not site.hsts or not site.tls or site.tls.mode != ACME:
        return []
    # A map looks for the word in the file, which is beside the certificate.
    other = f"include {posixpath.dirname(site.tls.certificate)}/no-hsts*.conf;"
    return [block(f"map hsts {variable(site, 'hsts')}", [f'default "max-age={site.hsts}";', other])]


def http3_lines(site: Site) -> Lines:
    """Return what tells browsers of HTTP/3, in answers over HTTPS, unless the site has other words for it."""
    name = "Alt-Svc"
    if not site.http3 or name.lower() in {name.lower() for name, _value in site.security_headers or ()}:
        return []
    return [f"proxy_hide_header {name};", f"add_header {name} $flaskops_alt_svc always;"]


def cache_lines(immutable: bool, seconds: int) -> Lines:
    """Return how long browsers keep static files: all of them for long, or those whose names have a fingerprint."""
    caching = f"public, max-age={seconds}, immutable"
    if immutable:
        return [f'add_header Cache-Control "{caching}";']
    return [f'set $flaskops_kept "{caching}";', "add_header Cache-Control $flaskops_cache;"]


def release_lines(site: Site, servers: t.Iterable[Server]) -> Lines:
    """Return what tells the access log, and the cache, which release a request is led to, at the time when it is.

    Only sockets are in the directory, so a user's line that looks for files finds none.
    """
    current = current_of(servers) if site.access_log == "json" or site.cache else ""
    return [f"root {quote(current + '/run')};", _RELEASE] if current else []


def place_lines(site: Site, static: Static, open_files: int) -> Lines:
    """Return where the files of a static location are, and what tells the access log which release they are of.

    nginx keeps up to C(open_files) of them open. It must not do so by a path through C(current), which leads to other
    files after a switch: it asks with each request where that leads, and opens files by the path with the release's id.
    """
    found = _IN_RELEASE.fullmatch(static.path[: -len(static.url)]) if static.path.endswith(static.url) else None
    if found is None:
        through = _CURRENT.match(static.path) is not None
        told = [_RELEASE] if through and site.access_log == "json" else []
        kept = ["open_file_cache off;"] if through else []
        return [f"alias {quote(static.path)};", *link_lines(static.path), *kept, *told]
    caching = [f"open_file_cache max={open_files} inactive=10s;", "open_file_cache_errors on;"]
    return [
        f"root {quote(found['current'])};",
        # With "set" alone nginx would look twice where the path leads.
        *block(
            'if ($realpath_root ~ "^(.+)$")',
            [f'set $flaskops_root "$1/{found["tree"]}";', f"root {quote('$flaskops_root' + found['below'])};"],
        ),
        *block('if ($flaskops_root = "")', ["return 404;"]),
        'disable_symlinks if_not_owner "from=$flaskops_root/";',
        *([*caching, "open_file_cache_valid 10s;"] if open_files else ["open_file_cache off;"]),
    ]


def link_lines(path: str) -> Lines:
    """Return what keeps links of a release from leading to files of other users, as a second fence.

    A release is built only when none of its links leads out of it; those that are older were not looked at.
    """
    found = re.match(r"/(?:.+/current|run/flaskops/previous/[^/]+)/(?:app|site-packages|packages/[^/]+)/", path)
    # nginx takes quotes in the middle of a word as they are, and would look for a path that begins with one.
    return [f"disable_symlinks if_not_owner {quote(f'from={found.group()}')};"] if found else []
