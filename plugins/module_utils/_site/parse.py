# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read sites from items of C(nginx_sites). Private to flaskops.stack."""

from __future__ import annotations

import ipaddress
import re
import typing as t
import unicodedata
from dataclasses import fields

from .._input.similar import most_similar
from .._input.values import (
    SITE,
    InputError,
    UnsafeNameError,
    as_bool,
    as_int,
    as_prefix,
    check_socket_path,
    site_entries,
    with_lists,
)
from .._system.paths import TLS
from .access import check_counted, check_open, check_protected
from .error_pages import CODES, MAINTENANCE, escape
from .headers import check_passed, check_trusted
from .lines import CONTROL, LONGEST_WORD, TLS_PROFILES, quote
from .maintenance import check_gate
from .model import (
    ACME,
    FILES,
    NO_TLS,
    TLS_MODES,
    AccessRule,
    BasicAuth,
    Cache,
    ErrorText,
    Limit,
    Location,
    Maintenance,
    Mount,
    Server,
    Site,
    Static,
    Tls,
)
from .raw import answers, read_statements

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DOMAIN = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
# What browsers take for a dot (UTS 46), and letters that are names of their own since IDNA 2008.
_DOTS = re.compile("[.\u3002\uff0e\uff61]")
_KEPT = re.compile("[\u00df\u03c2\u200c\u200d]")
# RFC 9110: a field name is a token.
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_SIZE = re.compile(r"[0-9]+[kKmMgG]?")
# One count of nginx is a thousandth of a request in 32 bits.
_RATE = re.compile(r"[1-9][0-9]{0,5}r/[sm]")
_KEY = re.compile(r"client|site|header:[A-Za-z0-9-]{1,64}|cookie:[A-Za-z0-9_]{1,64}")
# What a header and a file of lines with colons take; nginx reads a line that begins with '#' as a comment.
_REALM = re.compile(r"[ !#%-\[\]-~]{1,100}")
_USER = re.compile(r"[^\x00-\x1f\x7f:#][^\x00-\x1f\x7f:]{0,127}")
# What is served as one file, and named so at the top of a site. Directories may have a dot in their names, too.
_FILE = re.compile(r"\.(?:css|gif|html?|ico|jpe?g|js|json|pdf|png|svg|txt|webmanifest|webp|xml)$")
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
# Text with variables of nginx, for which alone it takes a dollar.
_VARIABLES = re.compile(r"(?:[^$]|\$(?:[A-Za-z0-9_]+|\{[A-Za-z0-9_]+\}))*", re.DOTALL)
_LONGEST_PASSWORD = 256
# Of a site and a path in it, which name a file: its own name has 255 bytes (ext4), with what else is in it.
_LONGEST_NAME = 200
# Of proxies, one behind the other.
_MOST_HOPS = 16
_Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
_METHOD = re.compile(r"[A-Z][A-Z_-]{0,31}")
_SOCKET = re.compile(r"unix:(/[A-Za-z0-9@%+=:,./_-]+)")
_HOST_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
STATES = ("enabled", "disabled", "absent")
BALANCES = ("round_robin", "least_conn", "ip_hash", "random")
LOG_FORMATS = ("combined", "json", "off")
# Names of this collection's own sites, and of the distribution's.
RESERVED = "flaskops-default"
DISTRIBUTION_SITE = "default"
# As module nginx_site accepts it.
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,2}")
_LOCATION_KEYS = ("path", "upstream", "websockets", "buffering", "read_timeout", "body_size", "config")
_MODIFIERS = ("=", "~", "~*", "^~")
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9._~/-]*")
SITE_KEYS = tuple(field.name for field in fields(Site))
# What makes one site differ from another has no default in nginx_site_defaults.
_OWN_KEYS = frozenset(
    {
        "name",
        "state",
        "domains",
        "redirects",
        "upstream",
        "balance",
        "static",
        "cache",
        "locations",
        "mounts",
        "limits",
        "access",
        "maintenance",
        "access_log_skip",
        "config",
        "content",
        "template",
        "foreign",
        "rename_from",
    }
)
DEFAULT_KEYS = tuple(key for key in SITE_KEYS if key not in _OWN_KEYS)


def parse_site(item: t.Mapping[str, object], defaults: t.Mapping[str, object]) -> Site:
    """Return the site that an item describes; raise InputError, with its name, when there can be no such site."""
    name = str(item.get("name", ""))
    try:
        if not _NAME.fullmatch(name):
            raise InputError(
                "name must be 1 to 64 letters, digits, '.', '-' or '_' and not start with '.': it names files"
            )
        if name.startswith(RESERVED) or name == DISTRIBUTION_SITE:
            raise InputError("this name is taken by the site for unknown hosts: choose another")
        check_keys(as_mapping(defaults, "nginx_site_defaults"), DEFAULT_KEYS, "nginx_site_defaults: ")
        check_keys(item, SITE_KEYS)
        shared = with_lists(defaults, SITE, "nginx_site_defaults")
        given = {key: value for key, value in with_lists(item, SITE).items() if value is not None}
        shared_tls = shared.pop("tls", None)
        site = check_protected(check_counted(check_open(_parse(name, Reader({**shared, **given}), shared_tls))))
        check_gate(site)
        _check_file_names(site)
        if site.proxy_protocol:
            _check_balancers(site.trusted_proxies)
        return site
    except InputError as exc:
        raise InputError(f"site '{name}': {exc}") from exc


def _check_file_names(site: Site) -> None:
    """Refuse paths of mounted applications that are too long for the names of their files."""
    for mount in site.mounts:
        has_passwords = bool(mount.basic_auth and mount.basic_auth.users)
        if (has_passwords or mount.cache) and len(site.name) + len(mount.path) > _LONGEST_NAME:
            raise InputError(
                f"mounts: path '{mount.path[:40]}...' has {len(mount.path)} characters, and with "
                f"{'basic_auth' if has_passwords else 'cache'} it names a file, together with the site: choose a path "
                f"of at most {_LONGEST_NAME - len(site.name)}"
            )


def _parse(name: str, given: Reader, shared_tls: object) -> Site:
    return Site(
        name=name,
        state=given.choice("state", Site.state, STATES),
        domains=tuple(check_domain(domain) for domain in given.texts("domains")),
        redirects=tuple(check_domain(domain) for domain in given.texts("redirects")),
        upstream=_parse_servers(given),
        balance=given.choice("balance", Site.balance, BALANCES),
        static=tuple(_parse_static(entry) for entry in given.items("static")),
        body_size=check_size(given.text("body_size", Site.body_size), "body_size"),
        connect_timeout=given.number("connect_timeout", Site.connect_timeout, 1),
        read_timeout=given.number("read_timeout", Site.read_timeout, 1),
        send_timeout=given.number("send_timeout", Site.send_timeout, 1),
        buffering=given.flag("buffering", Site.buffering),
        websockets=given.flag("websockets", Site.websockets),
        behind_proxy=given.flag("behind_proxy", Site.behind_proxy),
        trusted_proxies=_parse_networks(given, "trusted_proxies"),
        trusted_hops=given.number("trusted_hops", Site.trusted_hops, 0, _MOST_HOPS),
        proxy_protocol=given.flag("proxy_protocol", Site.proxy_protocol),
        proxy_headers=_parse_headers(given.raw("proxy_headers"), "proxy_headers"),
        pass_headers=check_passed(given.texts("pass_headers")),
        trusted_headers=check_trusted(given.texts("trusted_headers")),
        access_log=given.choice("access_log", Site.access_log, LOG_FORMATS),
        access_log_skip=_parse_compared(given, "access_log_skip"),
        gzip=given.flag("gzip", Site.gzip),
        security_headers=_parse_security_headers(given),
        hsts=given.number("hsts", Site.hsts),
        error_pages=_parse_error_pages(given),
        cache=_parse_cache(given.raw("cache")),
        tls=parse_tls(name, given, shared_tls),
        ipv6=given.flag("ipv6", Site.ipv6),
        http_port=given.number("http_port", Site.http_port, 1, 65535),
        https_port=given.number("https_port", Site.https_port, 1, 65535),
        http2=given.flag("http2", Site.http2),
        http3=given.flag("http3", Site.http3),
        locations=tuple(_parse_location(entry) for entry in given.items("locations")),
        mounts=tuple(_parse_mount(entry) for entry in given.items("mounts")),
        limits=tuple(_parse_limit(entry) for entry in given.items("limits")),
        allow=_parse_networks(given, "allow"),
        deny=_parse_networks(given, "deny"),
        methods=_parse_methods(given, "methods"),
        access=tuple(_parse_access(entry) for entry in given.items("access")),
        basic_auth=_parse_basic_auth(given.raw("basic_auth")),
        maintenance=_parse_maintenance(given.raw("maintenance")),
        config=_checked_config(given, "config"),
        content=given.text("content"),
        template=given.text("template"),
        foreign=given.text("foreign"),
        rename_from=given.text("rename_from"),
    )


def _reader(value: object, known: t.Collection[str], prefix: str) -> Reader:
    """Return typed access to a nested dictionary, whose keys must be known."""
    mapping = as_mapping(value, prefix.rstrip(": "))
    check_keys(mapping, known, prefix)
    return Reader(mapping, prefix)


def _parse_servers(given: Reader) -> tuple[Server, ...]:
    return tuple(_parse_server(entry) for entry in given.items("upstream"))


def _parse_server(entry: object) -> Server:
    if isinstance(entry, str):
        return Server(check_address(entry))
    given = _reader(entry, ("server", "weight", "max_fails", "fail_timeout", "backup", "down"), "upstream: ")
    numbers = (("weight", 1, ""), ("max_fails", 0, ""), ("fail_timeout", 1, "s"))
    options = [f"{key}={given.number(key, 0, low)}{unit}" for key, low, unit in numbers if given.raw(key) is not None]
    options += [key for key in ("backup", "down") if given.flag(key, False)]
    return Server(check_address(given.text("server")), tuple(options))


def _parse_static(entry: object) -> Static:
    given = _reader(entry, ["package", *(field.name for field in fields(Static))], "static: ")
    if given.text("package"):
        raise InputError(
            f"static: package '{given.text('package')}' is in the virtualenv of an application: write the entry into "
            "nginx.static of one in flask_apps, or leave package out and name the path"
        )
    _refuse_file(given.text("url"), given.text("path"))
    # alias replaces the URL's prefix by letters: without the slash, "/static../x" would reach the parent directory.
    return Static(
        url=check_compared(check_path(given.text("url"), "static: url"), "static: url").rstrip("/") + "/",
        path=check_path(given.text("path"), "static: path").rstrip("/") + "/",
        previous=_parse_directory(given.text("previous"), "static: previous"),
        immutable=given.flag("immutable", Static.immutable),
        expires=given.number("expires", Static.expires),
    )


def _refuse_file(url: str, path: str) -> None:
    """Raise InputError for what is one file by both of its names: nginx would look for files below it."""
    if _FILE.search(url) and _FILE.search(path):
        raise InputError(
            f"static: '{path}' looks like a file, and static is for directories: to serve one file, write it into "
            f"locations as {{path: = {url}, config: 'alias {path};'}}; where it is a directory, end url and path "
            "with '/'"
        )


def _parse_directory(path: str, what: str) -> str:
    return check_path(path, what).rstrip("/") + "/" if path else ""


def _parse_maintenance(value: object) -> Maintenance:
    given = _reader({} if value is None else value, [field.name for field in fields(Maintenance)], "maintenance: ")
    flag, page = given.text("flag"), given.text("page")
    return Maintenance(
        flag=check_path(flag, "maintenance: flag") if flag else "",
        page=check_path(page, "maintenance: page") if page else "",
        retry_after=given.number("retry_after", Maintenance.retry_after),
        open=_parse_compared(given, "open", "maintenance: "),
    )


def _parse_compared(given: Reader, key: str, prefix: str = "") -> tuple[str, ...]:
    what = f"{prefix}{key}"
    return tuple(check_compared(check_path(path, what), what) for path in given.texts(key))


def _parse_networks(given: Reader, key: str, prefix: str = "") -> tuple[str, ...]:
    return tuple(check_network(network, f"{prefix}{key}") for network in given.texts(key))


def _check_balancers(networks: t.Sequence[str]) -> None:
    """Refuse networks that together cover most of all addresses: any host could then claim any address."""
    found = [_as_ipv4(ipaddress.ip_network(network)) for network in networks]
    for family, widest in ((4, 8), (6, 7)):
        members = [net for net in found if net.version == family]
        for net in ipaddress.collapse_addresses(t.cast("list[ipaddress.IPv4Network]", members)):
            if net.prefixlen < widest:
                raise InputError(
                    f"proxy_protocol: trusted_proxies has {net}, and each host that connects from there is believed "
                    f"any address of a visitor: name the addresses of the load balancers, in networks of /{widest} at "
                    "most"
                )


def _as_ipv4(net: _Network) -> _Network:
    """Return a network of IPv4 that is written as one of IPv6 (::ffff:0:0/96) as what it is, all others as they are."""
    if net.version == 4 or net.prefixlen < 96 or net.network_address.ipv4_mapped is None:
        return net
    return ipaddress.IPv4Network((net.network_address.ipv4_mapped, net.prefixlen - 96))


def _parse_methods(given: Reader, key: str, prefix: str = "") -> tuple[str, ...]:
    for method in given.texts(key):
        if not _METHOD.fullmatch(method):
            raise InputError(f"{prefix}{key}: '{method}' must be a method of HTTP in capital letters, such as GET")
    return given.texts(key)


def _parse_limit(entry: object) -> Limit:
    given = _reader(entry, [field.name for field in fields(Limit)], "limits: ")
    rate, key = given.text("rate").replace(" ", ""), given.text("key", Limit.key)
    if rate and not _RATE.fullmatch(rate):
        raise InputError(f"limits: rate '{rate}' must be requests in a second or a minute, such as 5r/s or 30r/m")
    if not _KEY.fullmatch(key):
        raise InputError(
            f"limits: key '{key}' must be client, site, header:NAME or cookie:NAME, with a name of letters, digits "
            "and '-' (of a header) or '_' (of a cookie)"
        )
    return Limit(
        path=_parse_area(given, "limits: "),
        rate=rate,
        burst=given.number("burst", Limit.burst),
        connections=given.number("connections", Limit.connections, 0, 65535),
        key=key,
    )


def _parse_access(entry: object) -> AccessRule:
    prefix = "access: "
    given = _reader(entry, [field.name for field in fields(AccessRule)], prefix)
    return AccessRule(
        path=_parse_area(given, prefix, ""),
        allow=_parse_networks(given, "allow", prefix),
        deny=_parse_networks(given, "deny", prefix),
        methods=_parse_methods(given, "methods", prefix),
    )


def _opened(value: object) -> BasicAuth | None:
    """Return an access that asks no visitor for a password, which an empty dictionary means."""
    return None if value is None else BasicAuth((), paths=())


def _parse_basic_auth(value: object, area: str = "/") -> BasicAuth | None:
    """Return who needs a password; None where the site, or an area of it, asks for none."""
    prefix = "basic_auth: "
    given = _reader({} if value in (None, "") else value, [field.name for field in fields(BasicAuth)], prefix)
    users = [_parse_user(entry) for entry in given.items("users")]
    if not users and not value:
        return None
    if not users:
        raise InputError(f"{prefix}users is empty: add a user, or leave basic_auth out")
    names = [name for name, _password in users]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{prefix}users has '{name}' twice: remove one")
    realm = given.text("realm", BasicAuth.realm)
    # nginx takes this word for none.
    if realm == "off" or not _REALM.fullmatch(realm):
        raise InputError(
            f"{prefix}realm {realm!r} must be 1 to 100 characters of ASCII without '\"', '\\' and '$', and not 'off'"
        )
    paths = [_check_area(path, f"{prefix}paths") for path in given.texts("paths")] or [area]
    opened = [_check_area(path, f"{prefix}open") for path in given.texts("open")]
    if area in opened:
        raise InputError(f"{prefix}open has '{area}', so that nothing needs a password: name the paths that need none")
    return BasicAuth(tuple(users), realm, tuple(paths), tuple(opened), _parse_networks(given, "allow", prefix))


def _parse_user(entry: object) -> tuple[str, str]:
    """Return a name and a password; errors do not show the latter."""
    prefix = "basic_auth: users: "
    given = _reader(entry, ("name", "password"), prefix)
    name, password = given.text("name"), given.text("password")
    if not _USER.fullmatch(name):
        # What is behind a colon may be the password.
        begin, colon, _rest = name.partition(":")
        shown = f"{begin}:..." if colon else begin
        raise InputError(
            f"{prefix}name {shown!r} must be 1 to 128 characters without ':' and control characters, and not begin "
            "with '#'"
        )
    if not password:
        raise InputError(f"{prefix}the password of '{name}' is empty: set one")
    if CONTROL.search(password) or len(password.encode("utf-8", "surrogatepass")) > _LONGEST_PASSWORD:
        raise InputError(
            f"{prefix}the password of '{name}' must be one line of up to {_LONGEST_PASSWORD} bytes, without control "
            "characters; is there a line break at its end?"
        )
    return name, password


def _parse_area(given: Reader, prefix: str, default: str = Limit.path) -> str:
    return _check_area(given.text("path", default), f"{prefix}path")


def is_decoded(path: str) -> bool:
    """Tell whether a URL path is written as nginx compares it."""
    return not ("//" in path or "/./" in f"{path}/" or "?" in path or "%" in path)


def check_compared(path: str, what: str) -> str:
    """Return a URL path that nginx compares as a whole; raise InputError for one that no request has for nginx."""
    if "?" in path or _ENCODED.search(path):
        raise InputError(
            f"{what} '{path}' would match no request, because nginx compares the decoded path without the query: write "
            "it without '?' and with the characters that '%' stands for"
        )
    return path


def _check_area(text: str, what: str) -> str:
    """Return a URL path that stands for all below it, without the slash at its end."""
    path = check_path(text, what)
    if not is_decoded(path):
        raise InputError(f"{what} '{path}' must be written decoded, without '%', '?', '//' and '/./'")
    return path.rstrip("/") or "/"


def _parse_location(entry: object) -> Location:
    given = _reader(entry, _LOCATION_KEYS, "locations: ")
    path = given.text("path").strip()
    modifier, _space, rest = path.partition(" ")
    modifier, rest = (modifier, rest.strip()) if modifier in _MODIFIERS else ("", path)
    if not rest or (modifier not in ("~", "~*") and rest[0] not in "/@"):
        raise InputError(
            f"locations: path '{path}' must start with '/', '@', or one of {' '.join(_MODIFIERS)} and a space"
        )
    quote(rest)
    if modifier not in ("~", "~*"):
        check_compared(rest, "locations: path")
    size = given.text("body_size")
    return Location(
        modifier,
        rest,
        _parse_servers(given),
        _checked_config(given, "config"),
        websockets=None if given.raw("websockets") is None else given.flag("websockets", False),
        buffering=None if given.raw("buffering") is None else given.flag("buffering", True),
        read_timeout=None if given.raw("read_timeout") is None else given.number("read_timeout", 0, 1),
        body_size=check_size(size, "locations: body_size") if size else "",
    )


def _parse_mount(entry: object) -> Mount:
    prefix = "mounts: "
    given = _reader(entry, [field.name for field in fields(Mount)], prefix)
    path, upstream = as_prefix("mounts: path", given.text("path")), _parse_servers(given)
    if not path or path.startswith(("/.well-known", "/flaskops-")):
        raise InputError(
            f"mounts: path '{given.text('path')}' must be below '/', and not one that nginx itself answers"
        )
    if not upstream:
        raise InputError(f"mounts: path '{path}' leads nowhere: set upstream")
    numbers: dict[str, t.Any] = {
        key: given.number(key, 1, 1)
        for key in ("connect_timeout", "read_timeout", "send_timeout")
        if given.raw(key) is not None
    }
    size = given.text("body_size")
    return Mount(
        path=path,
        upstream=upstream,
        balance=given.choice("balance", Mount.balance, BALANCES),
        body_size=check_size(size, "mounts: body_size") if size else None,
        buffering=None if given.raw("buffering") is None else given.flag("buffering", Site.buffering),
        websockets=given.flag("websockets", Mount.websockets),
        proxy_headers=_parse_headers(given.raw("proxy_headers"), "mounts: proxy_headers"),
        maintenance=_parse_maintenance(given.raw("maintenance")),
        locations=tuple(_parse_inner_location(entry, path) for entry in given.items("locations")),
        cache=_parse_cache(given.raw("cache"), path),
        basic_auth=_parse_basic_auth(given.raw("basic_auth"), path) or _opened(given.raw("basic_auth")),
        **numbers,
    )


def _parse_inner_location(entry: object, path: str) -> Location:
    """Return a location below the path of a mount, which is taken off by its being in front of another path."""
    location = _parse_location(entry)
    if location.path.startswith("@") or (answers(read_statements(location.config)) and not location.upstream):
        return location
    if location.modifier in ("~", "~*") or not _PLAIN_PATH.fullmatch(location.path):
        raise InputError(
            f"mounts: path '{path}': requests to location '{location.path}' cannot be passed on without the path: "
            "write a path of letters, digits, '.', '_', '~', '-' and '/' instead, or have config answer"
        )
    return location


def _checked_config(given: Reader, key: str) -> str:
    text = given.text(key).strip("\n")
    try:
        read_statements(text)
    except InputError as exc:
        raise InputError(f"{key} is not whole: {exc}") from exc
    return text


def _parse_headers(value: object, what: str) -> tuple[tuple[str, str], ...]:
    found = as_mapping({} if value is None else value, what)
    headers = [(check_header(str(name)), "" if text is None else str(text)) for name, text in found.items()]
    for name, text in headers:
        _check_value(text, f"{what}: the value of '{name}'")
    return tuple(headers)


def _check_value(text: str, what: str) -> None:
    """Raise InputError for a text with variables that nginx would refuse, without saying where it is."""
    size = len(quote(text).encode("utf-8", "surrogatepass"))
    if size > LONGEST_WORD:
        raise InputError(
            f"{what} has {size} bytes with its quotes, and nginx reads no word of more than {LONGEST_WORD}"
        )
    if not _VARIABLES.fullmatch(text):
        raise InputError(
            f"{what} has a '$' that begins no variable such as $host or ${{host}}: nginx takes no other one"
        )


def _parse_security_headers(given: Reader) -> tuple[tuple[str, str], ...] | None:
    """Return what deviates from the usual ones, or None when there shall be none at all."""
    value = given.raw("security_headers")
    if isinstance(value, dict):
        return _parse_headers(value, "security_headers")
    return () if given.flag("security_headers", True) else None


def _parse_error_pages(given: Reader) -> tuple[ErrorText, ...] | None:
    """Return the texts in further languages, or None when the pages are to be nginx's own."""
    value = given.raw("error_pages")
    if not isinstance(value, dict):
        try:
            return () if given.flag("error_pages", True) else None
        except InputError as exc:
            expected = "error_pages must be true, false or texts by language and status"
            raise InputError(f"{expected}, not {value!r}") from exc
    found = []
    for language, pages in value.items():
        if not isinstance(language, str) or not _LANGUAGE.fullmatch(language):
            raise InputError(
                f"error_pages: {language!r} must be a language such as 'de' or 'pt-BR', in quotes if need be"
            )
        for status, page in as_mapping(pages, f"error_pages: {language}").items():
            found.append(_parse_error_text(language, str(status), page))
    return tuple(found)


def _parse_error_text(language: str, status: str, page: object) -> ErrorText:
    prefix = f"error_pages: {language}: {status}: "
    if status not in (*CODES, MAINTENANCE):
        raise InputError(f"error_pages: {language}: '{status}' must be one of {', '.join((*CODES, MAINTENANCE))}")
    given = _reader(page, ("title", "text"), prefix)
    for key, longest in (("title", 200), ("text", 1500)):
        text = given.text(key)
        if not text or CONTROL.search(text) or len(escape(text).encode()) > longest:
            raise InputError(f"{prefix}{key} {text!r} must be 1 to {longest} bytes of text in one line")
    return ErrorText(language, status, given.text("title"), given.text("text"))


def _parse_cache(value: object, area: str = "/") -> Cache | None:
    if value is None:
        return None
    given = _reader(value, [field.name for field in fields(Cache)], "cache: ")
    if given.raw("valid") is None:
        raise InputError("cache: valid is missing: set the seconds for which answers are kept, such as 10")
    size = check_size(given.text("max_size", Cache.max_size), "cache: max_size")
    if not int(size.rstrip("kKmMgG")):
        raise InputError(f"cache: max_size '{size}' would keep nothing: choose a size such as 100m, or leave cache out")
    paths = tuple(_check_area(path, "cache: paths") for path in given.texts("paths"))
    return Cache(
        valid=given.number("valid", 0, 1, 31536000),
        paths=paths or (area,),
        bypass=tuple(_check_area(path, "cache: bypass") for path in given.texts("bypass")),
        wait=given.number("wait", Cache.wait, 0, 3600),
        max_size=size,
    )


def parse_tls(name: str, given: Reader, shared: object) -> Tls | None:
    """Return where a site has its certificate from; C(shared) is what sites have that say nothing of it."""
    known = [field.name for field in fields(Tls)]
    usual = _reader({} if shared in (None, "") else shared, known, "nginx_site_defaults.tls: ")
    value = given.raw("tls")
    own = _reader({} if value in (None, "") else value, known, "tls: ")
    mode = _own_mode(own) or _own_mode(usual)
    if not mode and value in (None, ""):
        return None
    if not _own_mode(own) and (given.text("content") or given.text("template") or (mode == ACME and _is_inside(given))):
        return None
    _check_tls(own, mode, given)
    if mode == NO_TLS:
        return None
    pair = own if _names_files(own) or not _names_files(usual) else usual
    place = f"{TLS}/{name}/current"
    return Tls(
        certificate=_tls_path(pair, "certificate") if mode == FILES else f"{place}/fullchain.pem",
        key=_tls_path(pair, "key") if mode == FILES else f"{place}/privkey.pem",
        redirect=own.flag("redirect", usual.flag("redirect", Tls.redirect)),
        profile=own.choice("profile", usual.choice("profile", Tls.profile, TLS_PROFILES), TLS_PROFILES),
        mode=mode,
    )


def _own_mode(given: Reader) -> str:
    """Return the mode that a dictionary says, in a word or by naming files; an empty text when it says none."""
    if given.raw("mode") not in (None, ""):
        return given.choice("mode", FILES, TLS_MODES)
    return FILES if _names_files(given) else ""


def _names_files(given: Reader) -> bool:
    return given.raw("certificate") is not None or given.raw("key") is not None


def _is_inside(given: Reader) -> bool:
    """Tell whether the CA of the internet does not reach a site: by default such a site has no certificate of it."""
    proxies = given.flag("behind_proxy", Site.behind_proxy) or given.texts("trusted_proxies")
    names = (*given.texts("domains"), *given.texts("redirects"))
    return bool(proxies) or all(is_local(domain.lower()) for domain in names)


def _check_tls(own: Reader, mode: str, given: Reader) -> None:
    """Raise InputError for what contradicts the mode."""
    if not mode:
        raise InputError(
            "tls: certificate and key are missing: name both files, or set mode to acme (a certificate of a CA), "
            "self_signed or none"
        )
    if mode != FILES and _names_files(own):
        named = next(key for key in ("certificate", "key") if own.raw(key) is not None)
        raise InputError(f"tls: {named} is for mode files, and mode is {mode}: leave one of them out")
    if mode == NO_TLS and own.raw("redirect") is not None and own.flag("redirect", False):
        raise InputError("tls: redirect leads to HTTPS, which mode none has not: leave one of them out")
    if mode not in (FILES, NO_TLS) and (given.text("content") or given.text("template")):
        raise InputError(
            f"tls: mode {mode} is for sites that the collection writes, and this one has content or template: name "
            "files there, and leave tls out"
        )


def _tls_path(given: Reader, key: str) -> str:
    if given.raw(key) in (None, ""):
        other = "key" if key == "certificate" else "certificate"
        raise InputError(f"tls: {key} is missing: mode files needs {key} and {other}, two files on the host")
    return check_path(given.text(key), f"tls: {key}")


def parse_sites(items: object, defaults: t.Mapping[str, object]) -> list[Site]:
    """Return the sites that items describe; raise InputError when one is impossible or two want the same."""
    sites = [parse_site(item, defaults) for item in _entries(items)]
    names: set[str] = set()
    owners: dict[tuple[int, str], str] = {}
    for site in sites:
        if site.name in names:
            raise InputError(f"two sites have the name '{site.name}': give each a name of its own")
        names.add(site.name)
        for port, host in site.claims if site.state == "enabled" else ():
            if (port, host) in owners:
                raise InputError(
                    f"sites '{owners[port, host]}' and '{site.name}' both have the domain '{host}' on port {port}: "
                    "nginx would serve the first only; remove it from one of them"
                )
            owners[port, host] = site.name
    _check_ports([site for site in sites if site.state == "enabled"])
    return sites


def _check_ports(sites: t.Iterable[Site]) -> None:
    """Raise InputError when sites of one port need different settings of what nginx has once for a port."""
    secure: dict[int, Site] = {}
    users: dict[int, Site] = {}
    for site in sites:
        _check_proxy_port(site, users)
        first = secure.setdefault(site.https_port, site) if site.tls else site
        if site.tls and first.tls and site.tls.profile != first.tls.profile:
            raise InputError(
                f"sites '{first.name}' and '{site.name}' have the tls.profile '{first.tls.profile}' and "
                f"'{site.tls.profile}' on port {site.https_port}, and nginx has one set of protocols for a port: give "
                "them the same profile, or one of them another https_port"
            )


def _check_proxy_port(site: Site, users: dict[int, Site]) -> None:
    """Raise InputError when only one of two sites of a port, but for texts of users, has the PROXY protocol."""
    if site.content or site.template:
        return
    for port in (site.http_port, *([site.https_port] if site.tls else [])):
        first = users.setdefault(port, site)
        if first.proxy_protocol != site.proxy_protocol:
            one, other = (site, first) if site.proxy_protocol else (first, site)
            raise InputError(
                f"site '{one.name}' has proxy_protocol on port {port}, and site '{other.name}' on the same port has "
                "not, and nginx expects it of all connections to a port or of none: set it for both, or give one of "
                "them other ports (http_port, https_port)"
            )


def status_port_fault(port: object, sites: t.Iterable[Site]) -> str:
    """Return why C(nginx_status_port) is impossible beside the given sites; empty when it is not."""
    try:
        number = check_range(as_int("nginx_status_port", port or 0, least=None), "nginx_status_port", 0, 65535)
    except InputError as exc:
        return str(exc)
    for site in sites if number else ():
        if site.state == "enabled" and number in [site.http_port, *([site.https_port] if site.tls else [])]:
            return f"nginx_status_port {number} is a port of site '{site.name}': choose one that no site uses"
    return ""


def _entries(items: object) -> list[t.Mapping[str, t.Any]]:
    """Return all sites of a list, or of several lists by the names of their variables."""
    named = isinstance(items, t.Mapping) and all(str(key).startswith("nginx_sites") for key in items)
    lists = t.cast("t.Mapping[str, object]", items) if named else {"nginx_sites": items}
    return [site for variable, found in lists.items() for site in site_entries(found, variable)]


def check_domain(domain: str) -> str:
    """Return a host name in lower case; raise InputError when a browser could not send it."""
    lower = domain.lower()
    if _is_ipv6(lower):
        return lower
    if not lower.isascii():
        raise InputError(f"domain '{domain}' must be written in its ASCII form{_ascii_form(lower)}")
    if len(lower) > 253 or lower == "_" or not _DOMAIN.fullmatch(lower):
        raise InputError(
            f"domain '{domain}' must be a host name such as 'shop.example.com' or '*.example.com', "
            "without scheme, port or path"
        )
    return lower


def is_local(domain: str) -> bool:
    """Tell whether a name is an address, or one that always means the host itself."""
    try:
        return bool(ipaddress.ip_address(domain.strip("[]")))
    except ValueError:
        return domain == "localhost" or domain.endswith(".localhost")


def _is_ipv6(text: str) -> bool:
    try:
        return text[:1] == "[" and text[-1:] == "]" and bool(ipaddress.IPv6Address(text[1:-1]))
    except ValueError:
        return False


def _ascii_form(domain: str) -> str:
    try:
        return f", '{'.'.join(map(_ascii_label, _DOTS.split(domain)))}'"
    except UnicodeError:
        return " ('xn--…')"


def _ascii_label(label: str) -> str:
    """Return a part of a host name as browsers send it; Python's codec, of IDNA 2003, replaces some letters."""
    if _KEPT.search(label):
        return "xn--" + unicodedata.normalize("NFC", label).encode("punycode").decode("ascii")
    return label.encode("idna").decode("ascii")


def check_address(address: str) -> str:
    """Return the address of an upstream server; raise InputError when nginx could not connect to such a thing."""
    socket, host = _SOCKET.fullmatch(address), _HOST_PORT.fullmatch(address)
    if socket:
        try:
            check_socket_path(socket.group(1))
        except UnsafeNameError as exc:
            raise InputError(str(exc)) from exc
    elif not host or (host.group("host")[0] == "[" and not _is_ipv6(host.group("host"))):
        raise InputError(
            f"upstream '{address}' must be 'unix:/path/of/a.sock', 'host:port', '10.0.0.1:8000' or '[2001:db8::1]:8000'"
        )
    elif host.group("port"):
        check_range(int(host.group("port")), f"port of upstream '{address}'", 1, 65535)
    return address


def check_network(network: str, what: str = "trusted_proxies") -> str:
    """Return an address or network as nginx reads it; raise InputError for anything else."""
    try:
        return str(ipaddress.ip_network(network, strict=False))
    except ValueError as exc:
        # As nginx ends its own lists.
        remedy = "; leave it out: allow refuses all others" if network == "all" else ""
        raise InputError(f"{what}: '{network}' must be an address or a network such as 10.0.0.0/8{remedy}") from exc


def check_header(name: str) -> str:
    """Return the name of an HTTP header; raise InputError when it cannot be one."""
    if not _HEADER.fullmatch(name) or "$" in name:
        raise InputError(f"header name {name!r} must consist of letters, digits and '-'")
    return name


def check_path(path: str, what: str) -> str:
    """Return an absolute path that nginx takes literally; raise InputError otherwise."""
    if not path.startswith("/") or "$" in path or ".." in path.split("/") or CONTROL.search(path):
        raise InputError(f"{what} {path!r} must be an absolute path without '..', '$' and control characters")
    return path


def check_size(size: str, what: str) -> str:
    """Return a size as nginx reads it; raise InputError otherwise."""
    if not _SIZE.fullmatch(size):
        raise InputError(f"{what} '{size}' must be a number of bytes, or one with the unit k, m or g, such as '16m'")
    return size


def check_range(value: int, what: str, lowest: int, highest: int) -> int:
    """Return a number within its bounds; raise InputError otherwise."""
    if not lowest <= value <= highest:
        raise InputError(f"{what} must be between {lowest} and {highest}, not {value}")
    return value


def check_keys(values: t.Mapping[str, object], known: t.Collection[str], prefix: str = "") -> None:
    """Raise InputError when a key is not among the known ones, with the one that was probably meant."""
    for key in values:
        if key not in known:
            near = most_similar(str(key), known)
            hint = f"did you mean '{near}'?" if near else f"known are {', '.join(sorted(known))}"
            raise InputError(f"{prefix}unknown key '{key}'; {hint}")


class Reader:
    """Typed access to a mapping; None stands for "not given"."""

    def __init__(self, values: t.Mapping[str, object], prefix: str = "") -> None:
        """Take the mapping, and how errors about it begin."""
        self._values = {key: value for key, value in values.items() if value is not None}
        self._prefix = prefix

    def text(self, key: str, default: str = "") -> str:
        """Return a string; numbers become one."""
        value = self._values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise InputError(f"{self._prefix}{key} must be a string, not {value!r}")
        return str(value)

    def choice(self, key: str, default: str, choices: t.Sequence[str]) -> str:
        """Return one of the accepted strings; YAML makes a boolean of a bare C(off)."""
        value = "off" if self._values.get(key) is False else self.text(key, default)
        if value not in choices:
            raise InputError(f"{self._prefix}{key} must be one of {', '.join(choices)}, not '{value}'")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Return a boolean, also when it is written as a word."""
        return as_bool(f"{self._prefix}{key}", self._values.get(key, default))

    def number(self, key: str, default: int, lowest: int = 0, highest: int = 2**31 - 1) -> int:
        """Return a whole number within its bounds."""
        number = as_int(f"{self._prefix}{key}", self._values.get(key, default), least=None)
        return check_range(number, f"{self._prefix}{key}", lowest, highest)

    def items(self, key: str) -> list[object]:
        """Return a list; a single string stands for a list of its parts between commas, as Ansible reads it."""
        value = self._values.get(key, [])
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(value, (list, tuple)):
            raise InputError(f"{self._prefix}{key} must be a list, not {value!r}")
        return list(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings."""
        for value in self.items(key):
            if not isinstance(value, str):
                raise InputError(f"{self._prefix}{key} must hold strings, not {value!r}")
        return tuple(str(value) for value in self.items(key))

    def raw(self, key: str) -> object:
        """Return what was given, or None."""
        return self._values.get(key)


def as_mapping(value: object, what: str) -> t.Mapping[str, object]:
    """Return a dictionary; raise InputError for anything else."""
    if not isinstance(value, dict):
        raise InputError(f"{what} must be a dictionary, not {value!r}")
    return t.cast("t.Mapping[str, object]", value)
