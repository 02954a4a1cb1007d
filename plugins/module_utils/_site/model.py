# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a site of nginx is. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field, replace

from .._input.values import InputError
from .forwarded import ForwardedChain

# An upstream of ours; what it leads to is the release that serves.
_UPSTREAM = re.compile(r"unix:(/.+/current)/run/\d+\.sock")
# What the check of forged headers asks for where all else needs a password.
PROBE = "/.well-known/flaskops-probe"


# Where the certificate of a site comes from.
ACME, FILES, SELF_SIGNED, NO_TLS = "acme", "files", "self_signed", "none"
TLS_MODES = (ACME, FILES, SELF_SIGNED, NO_TLS)


# begin defaults: written by `make specs` from tools/specs/schema/
class SiteDefault:
    """Defaults of class Site."""

    state = "enabled"
    balance = "round_robin"
    body_size = "16m"
    connect_timeout = 5
    read_timeout = 60
    send_timeout = 60
    buffering = True
    websockets = False
    behind_proxy = False
    trusted_hops = 1
    proxy_protocol = False
    access_log = "combined"
    gzip = True
    security_headers = True
    hsts = 0
    error_pages = True
    ipv6 = True
    http_port = 80
    https_port = 443
    http2 = True
    http3 = False
    foreign = "refuse"


class StaticDefault:
    """Defaults of class Static."""

    previous = ""
    immutable = False
    expires = 31536000


class CacheDefault:
    """Defaults of class Cache."""

    wait = 5
    max_size = "100m"


class TlsDefault:
    """Defaults of class Tls."""

    redirect = True
    profile = "intermediate"


class MaintenanceDefault:
    """Defaults of class Maintenance."""

    flag = ""
    page = ""
    retry_after = 300


class LimitDefault:
    """Defaults of class Limit."""

    path = "/"
    burst = 0
    connections = 0
    key = "client"


class BasicAuthDefault:
    """Defaults of class BasicAuth."""

    realm = "Restricted"


class MountDefault:
    """Defaults of class Mount."""

    balance = "round_robin"
    websockets = False


# end defaults


# Seconds for which a WebSocket may say nothing.
SILENCE = 3600


@dataclass(frozen=True)
class Server:
    """One server of an upstream."""

    address: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Static:
    """A directory that nginx serves itself; all paths end with a slash, but for a previous directory that is none."""

    url: str
    path: str
    immutable: bool = StaticDefault.immutable
    expires: int = StaticDefault.expires
    previous: str = StaticDefault.previous


@dataclass(frozen=True)
class Location:
    """A path with rules of its own."""

    modifier: str
    path: str
    upstream: tuple[Server, ...] = ()
    config: str = ""
    websockets: bool | None = None
    buffering: bool | None = None
    read_timeout: int | None = None
    body_size: str = ""

    @property
    def key(self) -> str:
        """Return what nginx tells locations apart by."""
        return (self.modifier if self.modifier != "^~" else "") + self.path


@dataclass(frozen=True)
class Tls:
    """Where the certificate is, whether plain HTTP leads to HTTPS, and which protocols are offered."""

    certificate: str
    key: str
    redirect: bool = TlsDefault.redirect
    profile: str = TlsDefault.profile
    mode: str = FILES


@dataclass(frozen=True)
class Cache:
    """For how long nginx keeps answers of an application, and of which paths."""

    valid: int
    paths: tuple[str, ...] = ("/",)
    bypass: tuple[str, ...] = ()
    wait: int = CacheDefault.wait
    max_size: str = CacheDefault.max_size

    def __post_init__(self) -> None:
        """Refuse a cache that keeps nothing."""
        if all(any(f"{path}/".startswith(f"{off.rstrip('/')}/") for off in self.bypass) for path in self.paths):
            raise InputError(
                f"cache: bypass leaves nothing of paths {', '.join(self.paths)}: change one of them, or leave cache out"
            )


@dataclass(frozen=True)
class ErrorText:
    """What the page for a status says in a language."""

    language: str
    status: str
    title: str
    text: str


@dataclass(frozen=True)
class Maintenance:
    """What is answered while a file is there, whose name is empty when there is no such thing."""

    flag: str = MaintenanceDefault.flag
    page: str = MaintenanceDefault.page
    retry_after: int = MaintenanceDefault.retry_after
    open: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a page that would never be shown."""
        if self.page and not self.flag:
            raise InputError(
                f"maintenance: page '{self.page}' would never be shown without a flag: set flag, the file that "
                "switches maintenance on, or leave page out"
            )


@dataclass(frozen=True)
class Limit:
    """How many requests to a path are accepted, of each visitor, or of what else the key is."""

    path: str = LimitDefault.path
    rate: str = ""
    burst: int = LimitDefault.burst
    connections: int = LimitDefault.connections
    key: str = LimitDefault.key

    def __post_init__(self) -> None:
        """Refuse a limit that limits nothing."""
        if not (self.rate or self.connections):
            raise InputError(f"limits: path '{self.path}' has neither rate nor connections: set one of them")
        if self.burst and not self.rate:
            raise InputError(f"limits: path '{self.path}' has a burst without a rate: set rate, such as 5r/s")


@dataclass(frozen=True)
class AccessRule:
    """Who may ask for a path, and with which methods; empty means all visitors and all methods."""

    path: str
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a rule that says nothing."""
        if not (self.allow or self.deny or self.methods):
            raise InputError(f"access: path '{self.path}' has none of allow, deny and methods: set one of them")


@dataclass(frozen=True)
class BasicAuth:
    """Who needs a name and a password, and where."""

    # Names and passwords.
    users: tuple[tuple[str, str], ...] = field(repr=False)
    realm: str = BasicAuthDefault.realm
    paths: tuple[str, ...] = ("/",)
    open: tuple[str, ...] = ()
    # Networks that need none.
    allow: tuple[str, ...] = ()

    def is_whole(self, area: str = "/") -> bool:
        """Tell whether all of a site, or of a path, needs a password, but for the paths that are open."""
        return "/" in self.paths or area in self.paths


@dataclass(frozen=True)
class Mount:
    """A path that leads to another application; None is what the site has."""

    path: str
    upstream: tuple[Server, ...]
    balance: str = MountDefault.balance
    body_size: str | None = None
    connect_timeout: int | None = None
    read_timeout: int | None = None
    send_timeout: int | None = None
    buffering: bool | None = None
    websockets: bool = MountDefault.websockets
    proxy_headers: tuple[tuple[str, str], ...] = ()
    maintenance: Maintenance = field(default_factory=Maintenance)
    locations: tuple[Location, ...] = ()
    cache: Cache | None = None
    # None is what the site has; without users no visitor is asked.
    basic_auth: BasicAuth | None = None

    def __post_init__(self) -> None:
        """Refuse what is not below the path."""
        prefix, below = f"mounts: path '{self.path}': ", f"{self.path}/"
        for location in self.locations:
            if location.path.startswith("@"):
                raise InputError(
                    f"{prefix}locations: '{location.path}' has no path, and belongs to the locations of the site"
                )
            if location.modifier not in ("~", "~*") and not location.path.startswith(below):
                raise InputError(f"{prefix}locations: path '{location.path}' is not below it: write '{below}...'")
        kept = (*self.cache.paths, *self.cache.bypass) if self.cache else ()
        asked = (*self.basic_auth.paths, *self.basic_auth.open) if self.basic_auth else ()
        for option, paths in (("cache", kept), ("basic_auth", asked)):
            for path in paths:
                if not f"{path}/".startswith(below):
                    raise InputError(
                        f"{prefix}{option}: '{path}' is not below it: write '{below}...', or '{self.path}' for all"
                    )

    @property
    def whole(self) -> Location | None:
        """Return the location that changes what holds for the whole path."""
        found = (each for each in self.locations if each.key == f"{self.path}/")
        return next(found, None)


@dataclass(frozen=True)
class Site:
    """What a visitor reaches under some host names."""

    name: str
    state: str = SiteDefault.state
    domains: tuple[str, ...] = ()
    redirects: tuple[str, ...] = ()
    upstream: tuple[Server, ...] = ()
    balance: str = SiteDefault.balance
    static: tuple[Static, ...] = ()
    body_size: str = SiteDefault.body_size
    connect_timeout: int = SiteDefault.connect_timeout
    read_timeout: int = SiteDefault.read_timeout
    send_timeout: int = SiteDefault.send_timeout
    buffering: bool = SiteDefault.buffering
    websockets: bool = SiteDefault.websockets
    behind_proxy: bool = SiteDefault.behind_proxy
    trusted_proxies: tuple[str, ...] = ()
    trusted_hops: int = SiteDefault.trusted_hops
    proxy_protocol: bool = SiteDefault.proxy_protocol
    proxy_headers: tuple[tuple[str, str], ...] = ()
    pass_headers: tuple[str, ...] = ()
    trusted_headers: tuple[str, ...] = ()
    access_log: str = SiteDefault.access_log
    access_log_skip: tuple[str, ...] = ()
    gzip: bool = SiteDefault.gzip
    security_headers: tuple[tuple[str, str], ...] | None = ()
    hsts: int = SiteDefault.hsts
    error_pages: tuple[ErrorText, ...] | None = ()
    cache: Cache | None = None
    tls: Tls | None = None
    ipv6: bool = SiteDefault.ipv6
    http_port: int = SiteDefault.http_port
    https_port: int = SiteDefault.https_port
    http2: bool = SiteDefault.http2
    http3: bool = SiteDefault.http3
    locations: tuple[Location, ...] = ()
    mounts: tuple[Mount, ...] = ()
    limits: tuple[Limit, ...] = ()
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    access: tuple[AccessRule, ...] = ()
    basic_auth: BasicAuth | None = None
    maintenance: Maintenance = field(default_factory=Maintenance)
    config: str = ""
    content: str = ""
    template: str = ""
    foreign: str = ""
    rename_from: str = ""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.content and self.template:
            raise InputError("content and template exclude each other: keep one")
        texts = [f"{text.language} {text.status}".lower() for text in self.error_pages or ()]
        self._refuse_twice("error_pages: text for", texts)
        self._refuse_twice("domain", self.domains + self.redirects)
        if self.basic_auth and self.state == "enabled" and (self.content or self.template):
            raise InputError(
                "basic_auth has no effect on content and template, which are the whole configuration: write auth_basic "
                "and auth_basic_user_file there, and 'basic_auth: {}' for this site"
            )
        if self.mounts and self.state == "enabled" and (self.content or self.template):
            raise InputError(
                f"mounts: path '{self.mounts[0].path}' leads nowhere, because content or template is the whole "
                "configuration: write a location for it there, and leave the mount out"
            )
        if self.state != "absent" and not (self.content or self.template):
            self._check_names()
            self._check_service()

    def _check_names(self) -> None:
        if not self.domains:
            raise InputError("domains must list at least one host name")
        if self.redirects and self.domains[0].startswith("*"):
            raise InputError(
                f"redirects cannot lead to '{self.domains[0]}': put a host name without '*' first in domains"
            )
        if self.tls and self.http_port == self.https_port:
            raise InputError(f"http_port and https_port are both {self.http_port}: choose two ports")

    def _check_service(self) -> None:
        if not (self.upstream or self.static or self.locations or self.mounts or self.config):
            raise InputError("nothing is served: set upstream, static, locations, config, content or template")
        if self.cache and not self.upstream:
            raise InputError("cache needs upstream, whose answers are kept: set upstream, or leave cache out")
        if self.cache and not self.buffering:
            raise InputError("cache needs buffering: nginx keeps no answer that it streams; set buffering to true")
        if self.hsts and not (self.tls or self.from_proxy):
            raise InputError(
                "hsts needs tls, or behind_proxy where another proxy speaks HTTPS: browsers ignore it over HTTP"
            )
        for where, balance, servers in self._upstreams():
            _check_backups(where, balance, servers)
        if self.upstream and any(static.url == "/" for static in self.static):
            raise InputError(
                "static with the url '/' leaves nothing for upstream: choose a longer url, or leave one out"
            )
        self._check_mounts()
        self._check_proxy_protocol()
        self._check_http3()
        self._check_clients()
        mounted = [key for mount in self.mounts for key in (f"{mount.path}/", f"={mount.path}")]
        below = [p.key for mount in self.mounts for p in mount.locations if p != mount.whole]
        own = [*(static.url for static in self.static), *(place.key for place in self.locations)]
        self._refuse_twice("path", (*own, *mounted, *below))

    def _upstreams(self) -> t.Iterator[tuple[str, str, tuple[Server, ...]]]:
        """Yield the upstreams of all paths, with how errors about them begin and how requests are divided."""
        yield "", self.balance, self.upstream
        for location in self.locations:
            yield f"locations: path '{location.path}': ", self.balance, location.upstream
        for mount in self.mounts:
            where = f"mounts: path '{mount.path}': "
            yield where, mount.balance, mount.upstream
            for location in mount.locations:
                yield f"{where}locations: path '{location.path}': ", mount.balance, location.upstream

    def _check_mounts(self) -> None:
        self._refuse_twice("mounts: path", tuple(mount.path for mount in self.mounts))
        for mount in self.mounts:
            if mount.cache and not (self.buffering if mount.buffering is None else mount.buffering):
                raise InputError(
                    f"mounts: path '{mount.path}': cache needs buffering: nginx keeps no answer that it streams; set "
                    "buffering to true"
                )

    def _check_http3(self) -> None:
        if self.http3 and not self.tls:
            raise InputError("http3 needs tls, because HTTP/3 is always encrypted: set tls, or http3 to false")
        if self.http3 and (self.from_proxy or self.proxy_protocol):
            raise InputError(
                "http3 is impossible behind another proxy (behind_proxy, trusted_proxies), because visitors speak "
                "HTTP/3 with that proxy: set http3 to false, and turn it on there"
            )

    def _check_proxy_protocol(self) -> None:
        if not self.proxy_protocol:
            return
        if not self.trusted_proxies:
            raise InputError(
                "proxy_protocol needs trusted_proxies, the addresses of the load balancers, such as [10.0.0.0/24]: "
                "nginx takes the address of a visitor from these alone"
            )
        if self.behind_proxy:
            raise InputError(
                "proxy_protocol and behind_proxy exclude each other, because a balancer that passes connections on "
                "leaves X-Forwarded-* headers to visitors, who may forge them: leave behind_proxy out, and "
                "trusted_hops of an application at 1"
            )

    def _check_clients(self) -> None:
        self._refuse_twice("limits: path with the same key", tuple(f"{each.path} {each.key}" for each in self.limits))
        self._refuse_twice("access: path", tuple(rule.path for rule in self.access))
        by_client = ["limits"] if any(limit.key != "site" for limit in self.limits) else []
        by_client += ["allow and deny"] if any(rule.allow or rule.deny for rule in self.access_rules) else []
        asking = (self.basic_auth, *(mount.basic_auth for mount in self.mounts))
        by_client += ["basic_auth: allow"] if any(auth and auth.allow for auth in asking) else []
        if by_client and self.behind_proxy and not self.trusted_proxies:
            raise InputError(
                f"{by_client[0]} need trusted_proxies behind another proxy: without the addresses of the proxies, all "
                "visitors have the address of a proxy"
            )

    @property
    def access_rules(self) -> tuple[AccessRule, ...]:
        """Return the rules of the whole site and of its paths."""
        whole = self.allow or self.deny or self.methods
        return (*((AccessRule("/", self.allow, self.deny, self.methods),) if whole else ()), *self.access)

    @property
    def has_websockets(self) -> bool:
        """Tell whether connections are upgraded, be it below some path only."""
        below = [
            *(location.websockets for location in self.all_locations),
            *(mount.websockets for mount in self.mounts),
        ]
        return self.websockets or any(below)

    @property
    def all_locations(self) -> tuple[Location, ...]:
        """Return its locations, and those of applications that are mounted there."""
        return (*self.locations, *(location for mount in self.mounts for location in mount.locations))

    def mounted(self, mount: Mount) -> Site:
        """Return the site as it is for an application that is mounted there; it has no parts then."""
        own: dict[str, t.Any] = {
            key: value
            for key, value in vars(mount).items()
            if value is not None
            and key in ("body_size", "connect_timeout", "read_timeout", "send_timeout", "buffering")
        }
        return replace(
            self,
            static=(),
            locations=(),
            mounts=(),
            upstream=mount.upstream,
            balance=mount.balance,
            cache=mount.cache,
            websockets=mount.websockets,
            proxy_headers=(*self.proxy_headers, *mount.proxy_headers),
            **own,
        )

    def at(self, location: Location) -> Site:
        """Return the site as it is in one of its locations."""
        own: dict[str, t.Any] = {
            "websockets": location.websockets,
            "buffering": location.buffering,
            "read_timeout": location.read_timeout,
            "body_size": location.body_size or None,
        }
        if location.websockets and location.read_timeout is None:
            own["read_timeout"] = max(self.read_timeout, SILENCE)
        # What is streamed cannot be kept.
        cache = None if location.buffering is False else self.cache
        return replace(self, cache=cache, **{key: value for key, value in own.items() if value is not None})

    @property
    def from_proxy(self) -> bool:
        """Tell whether visitors come through another proxy, which says in headers who they are."""
        return self.behind_proxy or bool(self.header_proxies)

    @property
    def counts_hops(self) -> bool:
        """Tell whether the application takes the visitor's address from one of several in X-Forwarded-For."""
        return self.from_proxy and self.trusted_hops > 1

    @property
    def header_proxies(self) -> tuple[str, ...]:
        """Return the proxies whose headers are believed: one with the PROXY protocol passes on those of visitors."""
        return () if self.proxy_protocol else self.trusted_proxies

    @property
    def claims(self) -> tuple[tuple[int, str], ...]:
        """Return the pairs of port and host name that this site answers."""
        ports = (self.http_port, self.https_port) if self.tls else (self.http_port,)
        return tuple((port, host) for port in ports for host in self.domains + self.redirects)

    @staticmethod
    def _refuse_twice(what: str, values: t.Sequence[str]) -> None:
        for value in values:
            if values.count(value) > 1:
                raise InputError(f"{what} '{value}' is listed twice: remove one")


def _check_backups(where: str, balance: str, servers: t.Sequence[Server]) -> None:
    """Raise InputError for backup servers that nginx refuses; C(where) begins the error."""
    backups = ["backup" in server.options for server in servers]
    if any(backups) and balance in ("ip_hash", "random"):
        raise InputError(f"{where}balance {balance} cannot have a backup server: choose round_robin or least_conn")
    if backups and all(backups):
        raise InputError(f"{where}upstream has backup servers only: take backup out of one")


def current_of(servers: t.Iterable[Server]) -> str:
    """Return the link to the live release that servers of an application lead to; empty when they are none of ours."""
    found = next(filter(None, (_UPSTREAM.fullmatch(server.address) for server in servers)), None)
    return found.group(1) if found else ""


def chain_of(site: Site, mount: Mount | None = None) -> ForwardedChain | None:
    """Return the way to the application that a site publishes, or to that of one of its paths.

    None when there is none of ours, or no name for it.
    """
    current = current_of(mount.upstream if mount else site.upstream)
    host = site.domains[0] if site.domains else ""
    if not current or not re.fullmatch(r"[A-Za-z0-9.-]+", host) or site.state != "enabled":
        return None
    port = site.https_port if site.tls else site.http_port
    chosen, protocol = bool(site.header_proxies), site.proxy_protocol
    auth, prefix = site.basic_auth, mount.path if mount else ""
    if mount and mount.basic_auth is not None:
        auth = mount.basic_auth
    path = PROBE if auth and auth.is_whole(prefix or "/") else ""
    if mount:
        path = f"{mount.path}{path or '/'}"
    return ForwardedChain(current, host, port, bool(site.tls), site.from_proxy, chosen, protocol, path, prefix)
