# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write sites as nginx configuration, right for nginx 1.18 to the newest. Private to flaskops.stack.

Variables named C($flaskops_*) come from C(flaskops.conf) of role nginx, but for those that a site's own maps define.
"""

from __future__ import annotations

import hashlib
import re
import typing as t
from dataclasses import replace

from .._input.values import InputError
from .access import (
    access_blocks,
    access_headers,
    has_passwords,
    limit_lines,
    limit_status_lines,
    open_lines,
    password_lines,
    refusal_lines,
)
from .acme import PLAIN_MARK, Acme, check_sites, has_acme, plain_until_issued, self_signed, with_acme
from .cache import cache_blocks, cache_header_lines, kept_lines, without_overridden
from .error_pages import error_lines, error_location, error_maps, has_pages
from .lines import (
    HTTP3,
    KEEPALIVE_MIN,
    PATIENCE,
    REJECT_HANDSHAKE,
    UPSTREAM_KEEPALIVE,
    Lines,
    Port,
    Version,
    answer_headers,
    block,
    cache_lines,
    certificate_lines,
    claim_lines,
    file_headers,
    forwarded,
    geo_block,
    gzip_lines,
    hsts_lines,
    hsts_maps,
    http3_lines,
    id_lines,
    link_lines,
    literal,
    location_lines,
    log_lines,
    mount_lines,
    packed_lines,
    place_lines,
    plain_port,
    proxy_lines,
    quote,
    real_ip_lines,
    release_lines,
    request_headers,
    secure_listen_lines,
    tls_lines,
    tls_port,
    variable,
)
from .maintenance import (
    challenge_first_lines,
    challenge_first_location,
    challenge_gate,
    challenge_lines,
    closed_locations,
    gate_lines,
)
from .model import Location, Mount, Server, Site, Static, chain_of, current_of
from .parse import DISTRIBUTION_SITE, RESERVED, parse_sites
from .passwords import password_file, place_of
from .raw import (
    Statement,
    answers,
    directive_key,
    has_long_word,
    header_lines,
    may_answer,
    overridden,
    read_statements,
)
from .syntax import descend, parse

NEWEST: Version = (9999,)
# How many static locations share a worker's open files, and how many each of them has.
_OPEN_FILES = ((10, 32), (40, 8))
OPEN_FILES = _OPEN_FILES[0][1]
_WELL_KNOWN = "/.well-known/"
# One in X-Forwarded-For, with a port or without. Between quotation marks, commas would separate nothing.
_ADDRESS = r"\s*[\w.:%\[\]-]+\s*"
_PREFIX_HEADER = "proxy_set_header x-forwarded-prefix"

_NOTE = "# Managed by flaskops.stack: changes made here are lost with the next run."


def site_configs(
    items: t.Sequence[t.Mapping[str, object]],
    defaults: t.Mapping[str, object],
    version: str,
    catch_all: bool,
    warn: t.Callable[[str], None] | None = None,
    acme: Acme | None = None,
    modules: t.Collection[str] = (),
    plain: t.Collection[str] = (),
) -> list[dict[str, t.Any]]:
    """Return what module nginx_site is to do for items of C(nginx_sites); raise InputError when they are impossible.

    C(modules) are directives of modules that not every nginx has, see C(STATIC_MODULES). C(plain) are sites that
    visitors reach by plain HTTP now, and that have no certificate of the CA yet: they keep that until it has come.
    """
    acme = acme or Acme()
    sites = parse_sites(items, with_acme(defaults, acme))
    numbers = parse_version(version)
    quic = _with_http3(sites)
    if quic and not catch_all:
        raise InputError(
            f"site '{quic[0].name}': http3 needs nginx_catch_all, whose site opens the UDP port for all workers of "
            "nginx and refuses unknown host names there: set nginx_catch_all to true, or http3 to false"
        )
    held = next((site for site in sites if site.has_websockets and site.state == "enabled"), None) if quic else None
    if warn and held:
        warn(
            f"site '{quic[0].name}' has http3, and site '{held.name}' has websockets: while a WebSocket keeps a worker "
            "of nginx alive after a reload, about half of the new HTTP/3 connections fail"
        )
    check_sites(sites, acme)
    answers_ca = acme.enabled or any(has_acme(site) for site in sites)
    wanted = _catch_alls(sites, defaults, numbers, answers_ca) if catch_all else []
    waiting = {site.name: plain_until_issued(site) for site in sites if site.name in plain}
    open_files = _open_files(sites)
    return wanted + [_wanted(site, numbers, modules, open_files, waiting.get(site.name)) for site in sites]


def _open_files(sites: t.Iterable[Site]) -> int:
    """Return how many files each static location keeps open in a worker of nginx, which may have 1,024 by default."""
    count = sum(len(site.static) for site in sites if site.state == "enabled")
    return next((files for most, files in _OPEN_FILES if count <= most), 0)


def _with_http3(sites: t.Iterable[Site]) -> list[Site]:
    return [site for site in sites if site.http3 and site.tls and site.state == "enabled"]


def parse_version(text: str) -> Version:
    """Return V(1.26.3) as numbers that compare; without a number, the newest version."""
    return tuple(int(part) for part in re.findall(r"\d+", text)) or NEWEST


def _wanted(
    site: Site, version: Version, modules: t.Collection[str], open_files: int, waiting: Site | None
) -> dict[str, t.Any]:
    wanted: dict[str, t.Any] = {"name": site.name, "state": site.state}
    wanted.update(foreign=site.foreign, rename_from=site.rename_from)
    if site.state != "absent":
        wanted["template"] = site.template
        text = "" if site.template else site.content or render_site(site, version, modules, open_files=open_files)
        wanted["content"] = text
        if waiting:
            plain = render_site(waiting, version, modules, open_files=open_files, is_waiting=True)
            wanted.update(content=plain, when_issued=text)
        wanted.update(_passwords(site) if site.state == "enabled" else {})
        wanted["self_signed"] = self_signed(site)
    chain, chains = chain_of(site), [chain_of(site, mount) for mount in site.mounts]
    wanted["chain"] = chain.to_json() if chain else {}
    wanted["chains"] = [found.to_json() for found in chains if found]
    return {key: value for key, value in wanted.items() if value}


def _catch_alls(
    sites: t.Sequence[Site], defaults: t.Mapping[str, object], version: Version, answers_ca: bool
) -> list[dict[str, t.Any]]:
    """Return a site for each port in use, so that two uses of the role on a host do not contend for one."""
    enabled = [site for site in sites if site.state == "enabled"]
    usual = parse_sites([{"name": "usual", "state": "absent"}], defaults)[0]
    ports = [
        replace(usual, http_port=s.http_port, https_port=s.https_port, tls=s.tls, proxy_protocol=s.proxy_protocol)
        for s in enabled
    ]
    plain = {plain_port(site) for site in ports}
    secure = {tls_port(site) for site in ports if site.tls}
    _refuse_both(enabled)
    found = [{"name": DISTRIBUTION_SITE, "state": "disabled", "foreign": "unmodified"}] if enabled else []
    for port in sorted(plain | secure, key=lambda port: port.number):
        name = RESERVED if port.number == 80 else f"{RESERVED}-{port.number}"
        content = render_catch_all(port, version, answers_ca)
        found.append({"name": name, "state": "enabled", "content": content})
    return found + _quic_catch_alls(_with_http3(sites))


def _refuse_both(sites: t.Sequence[Site]) -> None:
    """Refuse a port that is for HTTP and for HTTPS."""
    secure = {site.https_port: site.name for site in sites if site.tls}
    for site in sites:
        if site.http_port in secure:
            raise InputError(
                f"port {site.http_port} is the http_port of site '{site.name}' and the https_port of site "
                f"'{secure[site.http_port]}': choose two ports"
            )


def _quic_catch_alls(sites: t.Sequence[Site]) -> list[dict[str, t.Any]]:
    """Return a site for each UDP port: of its own, because sites of another use of the role may have no HTTP/3."""
    found = []
    for number in sorted({site.https_port for site in sites}):
        here = [site for site in sites if site.https_port == number]
        port = replace(tls_port(here[0]), ipv6=any(site.ipv6 for site in here))
        name = f"{RESERVED}-{number}-quic"
        found.append({"name": name, "state": "enabled", "content": render_quic_catch_all(port)})
    return found


def _passwords(site: Site) -> dict[str, t.Any]:
    """Return the files with passwords, by the options of module nginx_site."""
    asking = [mount for mount in site.mounts if mount.basic_auth and mount.basic_auth.users]
    below = [{"place": place_of(mount), "passwords": password_file(site, mount)} for mount in asking]
    return {"passwords": password_file(site), "further_passwords": below}


def render_site(
    site: Site,
    version: Version,
    modules: t.Collection[str] = (),
    *,
    open_files: int = OPEN_FILES,
    is_waiting: bool = False,
) -> str:
    """Return the file of a site; raise InputError when this nginx cannot serve it.

    Each static location keeps C(open_files) of its release open. One that C(is_waiting) for its first certificate,
    see C(plain_until_issued), says so in a comment.
    """
    if site.http3 and version < HTTP3:
        raise InputError(
            f"site '{site.name}': http3 needs nginx 1.25 or newer, and this host has {'.'.join(map(str, version))}: "
            "set http3 to false for this host"
        )
    ca_first = _answers_ca_first(site, read_statements(site.config), is_waiting)
    servers = [*_redirect_servers(site, version), _main_server(site, version, modules, open_files, ca_first)]
    maps = [*_trust_maps(site), *access_blocks(site), *_log_maps(site), *error_maps(site), *cache_blocks(site)]
    maps += hsts_maps(site)
    parts = [[_NOTE, *([PLAIN_MARK] if is_waiting else [])], *maps, *_upstreams(site, version), *servers]
    return "\n".join("\n".join(part) + "\n" for part in parts)


def render_catch_all(port: Port, version: Version, answers_ca: bool = False) -> str:
    """Return the site that refuses requests for unknown host names on one port, but for those of a CA."""
    # A name that no host has: "_" and none at all are those of many other catch-alls, and would be taken twice.
    lines = [*port.lines(version, " default_server"), f"server_name {RESERVED}.invalid;"]
    # The first server of a port decides on the protocols and session cache of all of them.
    if port.tls and version >= REJECT_HANDSHAKE:
        lines += ["ssl_reject_handshake on;", *tls_lines(port.profile)]
    elif port.tls:
        # nginx wants a certificate; one that cannot be loaded when a visitor comes refuses the handshake as well.
        lines += ["ssl_certificate $flaskops_none;", "ssl_certificate_key $flaskops_none;"]
        lines += tls_lines(port.profile)
    lines += ["server_tokens off;", *log_lines(RESERVED, "combined", "crit"), *PATIENCE]
    lines += challenge_gate() if answers_ca and not port.tls else ["return 444;"]
    return "\n".join([_NOTE, "", *block("server", lines)]) + "\n"


def render_quic_catch_all(port: Port) -> str:
    """Return the site that refuses handshakes for unknown host names on a UDP port, and opens it for all workers."""
    lines = [*port.quic_lines(" reuseport default_server"), f"server_name {RESERVED}.invalid;"]
    lines += ["ssl_reject_handshake on;", *tls_lines(port.profile), "server_tokens off;"]
    lines += [*log_lines(RESERVED, "combined", "crit"), *PATIENCE, "return 444;"]
    return "\n".join([_NOTE, "", *block("server", lines)]) + "\n"


def _trust_maps(site: Site) -> list[Lines]:
    """Return maps that believe X-Forwarded-* only from the proxies that are trusted."""
    hops = [_hops_map(site)] if site.counts_hops else []
    if not site.header_proxies:
        return hops
    peer = variable(site, "peer")
    geo = geo_block(peer, "0", dict.fromkeys(site.header_proxies, "1"), "$realip_remote_addr")
    believed = {
        **({} if hops else {"for": ("$remote_addr", "$proxy_add_x_forwarded_for")}),
        "proto": ("$scheme", "$flaskops_xproto"),
        "host": ("$flaskops_host", "$flaskops_xhost"),
        "id": ("$request_id", "$flaskops_xid"),
    }
    maps = [
        block(f"map {peer} {variable(site, what)}", [f"default {own};", f"1 {theirs};"])
        for what, (own, theirs) in believed.items()
    ]
    return [geo, *maps, *hops]


def _hops_map(site: Site) -> Lines:
    """Return the map that gives the application as many addresses as it counts, also of those who come past a proxy."""
    key, pattern = "$http_x_forwarded_for", rf"{_ADDRESS}(?:,{_ADDRESS}){{{site.trusted_hops - 2},}}$"
    if site.header_proxies:
        key, pattern = f"{variable(site, 'peer')}:{key}", f"1:{pattern}"
    own = ", ".join(["$remote_addr"] * site.trusted_hops)
    chosen = [f"default {quote(own)};", f"{quote(f'~^{pattern}')} $proxy_add_x_forwarded_for;"]
    return block(f"map {quote(key)} {variable(site, 'for')}", chosen)


def _log_condition(site: Site) -> str:
    return variable(site, "logged") if site.access_log_skip and site.access_log != "off" else ""


def _log_maps(site: Site) -> list[Lines]:
    """Return the map that leaves out requests for some paths, but for those that failed."""
    condition = _log_condition(site)
    skipped = [f"{quote(f'~^[1-3][0-9][0-9] {literal(path)}$')} 0;" for path in site.access_log_skip]
    return [block(f'map "$status $uri" {condition}', ["default 1;", *skipped])] if condition else []


def _upstreams(site: Site, version: Version) -> list[Lines]:
    found = [_upstream(_upstream_name(site), site.upstream, site.balance, version)] if site.upstream else []
    for number, mount in enumerate(site.mounts):
        found.append(_upstream(_mount_name(site, number), mount.upstream, mount.balance, version))
        for place, location in enumerate(mount.locations):
            if location.upstream:
                found.append(_upstream(_mount_name(site, number, place), location.upstream, mount.balance, version))
    for number, location in enumerate(site.locations):
        if location.upstream:
            found.append(_upstream(_upstream_name(site, number), location.upstream, site.balance, version))
    return found


def _upstream_name(site: Site, number: int | None = None) -> str:
    return f"flaskops-{_folded(site)}" if number is None else f"flaskops.{number}.{_folded(site)}"


def _mount_name(site: Site, number: int, place: int | None = None) -> str:
    return f"flaskops.mount{number}.{'' if place is None else f'{place}.'}{_folded(site)}"


def _folded(site: Site) -> str:
    """Return a name for upstreams of a site, which nginx compares without regard to case."""
    name = site.name.lower()
    return name if name == site.name else f"{name}.{hashlib.sha256(site.name.encode()).hexdigest()[:12]}"


def _upstream(name: str, servers: t.Sequence[Server], balance: str, version: Version) -> Lines:
    methods = {"least_conn": ["least_conn;"], "ip_hash": ["ip_hash;"], "random": ["random two least_conn;"]}
    lines = methods.get(balance, []) if len(servers) > 1 else []
    # All processes of nginx share what they know of a server's failures.
    lines = ([f"zone {name} 64k;"] if len(servers) > 1 else []) + lines
    lines += [f"server {' '.join((server.address, *_options(server, len(servers) > 1)))};" for server in servers]
    # A kept connection would stay with the old release after the switch, and race with its end.
    return block(f"upstream {name}", lines + (["keepalive 0;"] if version >= UPSTREAM_KEEPALIVE else []))


def _options(server: Server, among_others: bool) -> tuple[str, ...]:
    # A socket of this host that does not answer says so at once. By default nginx would leave it out for ten seconds
    # after one failure or one slow answer, and refuse all requests once that has met every socket.
    is_own = among_others and server.address.startswith("unix:")
    known = any(option.startswith("max_fails=") for option in server.options)
    return server.options if known or not is_own else (*server.options, "max_fails=0")


def _redirect_servers(site: Site, version: Version) -> list[Lines]:
    """Return the servers that lead to the canonical host name, and to HTTPS."""
    canonical = site.domains[0] if site.domains else ""
    plain = forwarded(site, "proto", "http", "$flaskops_xproto") + f"://{canonical}$flaskops_port"
    if not site.tls:
        return [_redirect(site, version, site.redirects, plain, tls=False)] if site.redirects else []
    port = "" if site.https_port == 443 else f":{site.https_port}"
    found = []
    if site.tls.redirect:
        found.append(_redirect(site, version, site.domains, f"https://$host{port}", tls=False))
        plain = f"https://{canonical}{port}"
    if site.redirects:
        found.append(_redirect(site, version, site.redirects, plain, tls=False))
        found.append(_redirect(site, version, site.redirects, f"https://{canonical}$flaskops_port", tls=True))
    return found


def _redirect(site: Site, version: Version, names: t.Sequence[str], target: str, tls: bool) -> Lines:
    lines = secure_listen_lines(site, version) if tls else plain_port(site).lines(version)
    lines += [f"server_name {' '.join(names)};"]
    lines += [*(certificate_lines(site) if tls else []), "server_tokens off;", *log_lines(site.name, site.access_log)]
    # Redirects log the visitor, too.
    lines += real_ip_lines(site) if site.proxy_protocol else []
    lines += [*PATIENCE, *(hsts_lines(site)[1:] + http3_lines(site)[1:] if tls else []), ""]
    lines += [*challenge_lines(), ""] if has_acme(site) and not tls else []
    return block("server", lines + block("location /", [f"return 301 {target}$request_uri;"]))


def _main_server(site: Site, version: Version, modules: t.Collection[str], open_files: int, ca_first: bool) -> Lines:
    """Return the server that answers; C(ca_first): a CA, also where the user's own lines say something else."""
    own = read_statements(site.config)
    lines = [] if site.tls and site.tls.redirect else plain_port(site).lines(version)
    lines += secure_listen_lines(site, version) if site.tls else []
    lines = [*_without(lines, overridden(own)), f"server_name {' '.join(site.domains)};", ""]
    common = [
        "server_tokens off;",
        "absolute_redirect off;",
        *log_lines(site.name, site.access_log, condition=_log_condition(site)),
    ]
    common += [*certificate_lines(site), *real_ip_lines(site), f"client_max_body_size {site.body_size};", *PATIENCE]
    # A reload would cut requests that come on idle connections at this moment.
    common += ["keepalive_min_timeout 5s;"] if version >= KEEPALIVE_MIN else []
    common += [*id_lines(site), *gzip_lines(site)]
    common += [*(claim_lines(site) + proxy_lines(site) if _may_proxy(site) else []), *_headers(site)]
    common += error_lines() if has_pages(site, overridden(own)) else []
    common += [*limit_status_lines(site), *password_lines(site)]
    # The gate stands before the user's own lines, which may answer, too.
    lines += [
        *_without(common, overridden(own)),
        *limit_lines(site),
        *refusal_lines(site),
        *gate_lines(site.maintenance, site.mounts),
    ]
    lines += challenge_first_lines() if ca_first else []
    lines += ["", *_raw(site.config)] if site.config else []
    shared = [*_added_headers(site, own), *open_lines(site)]
    lines += closed_locations(site, shared)
    lines += error_location(site, shared) if has_pages(site, overridden(own)) else []
    if ca_first:
        lines += ["", *challenge_first_location(_open_to_ca(site, own))]
    elif _answers_ca(site, own):
        lines += ["", *challenge_lines(_open_to_ca(site, own))]
    for number, static in enumerate(site.static):
        lines += _static_locations(site, static, number, own, modules, open_files)
    for number, mount in enumerate(site.mounts):
        lines += _mount_locations(site, mount, number, own)
    for number, location in enumerate(site.locations):
        lines += ["", *_location(site, location, number, own)]
    return block("server", lines + _root_location(site, own))


def _answers_ca(site: Site, own: t.Sequence[Statement]) -> bool:
    """Tell whether the main server has a location for what a CA asks for.

    No rule about visitors applies to this path, so the application must not answer it where there are rules.
    """
    needs = has_acme(site) and not (site.tls and site.tls.redirect)
    has_rules = has_passwords(site) or bool(site.access_rules or site.limits)
    return (needs or has_rules) and not _is_well_known_taken(site, own)


def _answers_ca_first(site: Site, own: t.Sequence[Statement], is_waiting: bool) -> bool:
    """Tell whether a CA is led past the user's own lines, which may answer in the place of our location.

    A site that waits for its first certificate would wait in vain when another location answers for C(/.well-known/).
    """
    # What a file says that config includes is known on the host alone.
    has_rules = any(item.words[0] in ("if", "include", "return", "rewrite") for item in own)
    if is_waiting:
        return has_rules or not _answers_ca(site, own)
    is_plain = has_acme(site) and not (site.tls and site.tls.redirect)
    return is_plain and has_rules and _answers_ca(site, own)


def _open_to_ca(site: Site, own: t.Sequence[Statement]) -> Lines:
    """Return the lines of a location that a CA sees, also where the user's own lines ask who a visitor is."""
    asks = {item.words[0] for item in own} if has_acme(site) else set()
    lines = open_lines(site)
    lines += ["auth_basic off;"] if asks & {"auth_basic", "include"} and not lines else []
    lines += ["auth_request off;"] if "auth_request" in asks else []
    return lines + (["allow all;"] if asks & {"allow", "deny", "include"} else [])


def _is_well_known_taken(site: Site, own: t.Sequence[Statement]) -> bool:
    """Tell whether the user has said who answers for C(/.well-known/), or for the part of it that CAs ask for."""
    paths = [place.path for place in site.locations if place.modifier in ("", "^~")]
    paths += [static.url for static in site.static] + [mount.path for mount in site.mounts]
    paths += [item.words[-1] for item in own if item.words[0] == "location"]
    return any(f"{path.rstrip('/')}/".startswith(_WELL_KNOWN) for path in paths)


def _raw(text: str) -> Lines:
    # str.splitlines() knows ends of lines that nginx does not: the rest of a comment would be a line of its own.
    return [text] if has_long_word(text) else [line.rstrip("\r") for line in text.split("\n")]


def _without(lines: t.Iterable[str], taken: t.Collection[str]) -> Lines:
    """Leave out what the user's own lines take the place of: nginx refuses most directives when they come twice."""
    return [line for line in lines if directive_key(line.rstrip(";").split()) not in taken]


def _may_proxy(site: Site) -> bool:
    return bool(site.upstream or site.locations or site.mounts or site.config)


def _headers(site: Site) -> Lines:
    sent = request_headers(site) if _may_proxy(site) else []
    return [*sent, *answer_headers(site), *access_headers(site), *cache_header_lines(site)]


def _inherited_headers(site: Site, own: t.Sequence[Statement]) -> Lines:
    """Return all that the server block says about headers, with the user's lines in the place of ours."""
    return _without(_headers(site), overridden(own)) + header_lines(own)


def _static_locations(
    site: Site,
    static: Static,
    number: int,
    own: t.Sequence[Statement],
    modules: t.Collection[str],
    open_files: int,
) -> Lines:
    lines = file_headers(_added_headers(site, own))
    lines += cache_lines(static.immutable, static.expires)
    lines += packed_lines(site, modules)
    hidden = _hidden(static.url)
    own_lines = [*lines, *fallback(static, number), "", *block(f"location {hidden}", ["return 404;"])]
    # "^~" keeps regular expressions of other locations away; below "/" they must still be tried.
    opening = f"location {'' if static.url == '/' else '^~ '}{quote(static.url)}"
    found = ["", *block(opening, [*place_lines(site, static, open_files), *own_lines])]
    return found + previous_location(static, number, hidden, lines)


def _hidden(url: str) -> str:
    """Return the condition of nginx for files below a URL that visitors must not see."""
    if url == "/":
        return r"~ /\.(?!well-known/)"
    # A URL with a part such as ".well-known" is there for all to see.
    return "~ " + (quote(rf"^{literal(url)}(?:.*/)?\.") if "/." in url else r"/\.")


def fallback(static: Static, number: int) -> Lines:
    """Return the lines of a static location that look for a missing file in the previous release."""
    if not static.previous:
        return []
    # Also what is missing there has the site's own page for it.
    return [f"error_page 404 = {_previous(number)};", "recursive_error_pages on;"]


def previous_location(static: Static, number: int, hidden: str, lines: t.Iterable[str]) -> Lines:
    """Return the location with the files of the previous release; C(hidden) is what visitors must not see of it."""
    if not static.previous:
        return []
    inner = [
        *block(f"if ($uri {hidden})", ["return 404;"]),
        f"root {quote(static.previous)};",
        *link_lines(static.previous),
        # Also where nginx.conf turns it on for all sites: the link changes with each switch.
        "open_file_cache off;",
        f"rewrite {quote('^' + literal(static.url) + '(.*)$')} /$1 break;",
        # Files only: an index or a redirect to a directory would lead to another location.
        "try_files $uri =404;",
        *lines,
    ]
    return ["", *block(f"location {_previous(number)}", inner)]


def _previous(number: int) -> str:
    return f"@flaskops_previous_{number}"


def _added_headers(site: Site, own: t.Sequence[Statement]) -> Lines:
    return [line for line in _inherited_headers(site, own) if line.startswith("add_header ")]


def _location(site: Site, location: Location, number: int, above: t.Sequence[Statement]) -> Lines:
    own = read_statements(location.config)
    here = site.at(location)
    has_other_headers = bool(location.config) or here.websockets != site.websockets
    lines = _inherited_headers(here, above) if has_other_headers else []
    lines = _without([*lines, *location_lines(here, location)], overridden(own))
    if location.upstream:
        lines += _release_lines(site, location.upstream, location.config)
        lines += [f"proxy_pass http://{_upstream_name(site, number)};"]
    elif site.upstream and not answers(own):
        lines += _release_lines(site, site.upstream, location.config)
        lines += _kept_lines(here, location.config, above, own)
        lines += [f"proxy_pass http://{_upstream_name(site)};"]
    path = location.path if location.path.startswith("@") else quote(location.path)
    opening = " ".join(part for part in ("location", location.modifier, path) if part)
    return block(opening, [*lines, *_raw(location.config)])


def _mount_locations(site: Site, mount: Mount, number: int, own: t.Sequence[Statement]) -> Lines:
    """Return the locations of a path that leads to another application, which gets the rest of it."""
    path, whole, inner = f"{mount.path}/", mount.whole, site.mounted(mount)
    text = whole.config if whole else ""
    theirs = read_statements(text)
    here = inner.at(whole) if whole else inner
    lines = [*_gone_lines(mount), *mount_lines(mount)]
    lines += _mount_headers(site, replace(mount, websockets=here.websockets), own)
    lines += _added_headers(site, own) if text else []
    if whole:
        lines = [line for line in lines if line not in _replaced(mount, whole)] + location_lines(here, whole)
        lines = _without(lines, overridden(theirs) - {_PREFIX_HEADER})
    if whole and whole.upstream:
        place = mount.locations.index(whole)
        lines += [
            *_release_lines(site, whole.upstream, text),
            f"proxy_pass http://{_mount_name(site, number, place)}/;",
        ]
    elif not answers(theirs):
        lines += _release_lines(site if site.cache else here, mount.upstream, text)
        lines += [*_kept_lines(here, text, own, theirs), f"proxy_pass http://{_mount_name(site, number)}/;"]
    lines += _raw(text) if text else []
    for place, location in enumerate(mount.locations):
        lines += _inner_location(site, mount, number, place, own) if location != whole else []
    slash = block(f"location = {quote(mount.path)}", [f"return 308 {quote(path + '$is_args$args')};"])
    # "^~" keeps regular expressions of other locations away.
    return ["", *slash, "", *block(f"location ^~ {quote(path)}", lines)]


def _gone_lines(mount: Mount) -> Lines:
    """Return what answers for an application that was removed: it is not there, instead of being out of order."""
    current = current_of(mount.upstream)
    return block(f"if (!-e {quote(current)})", ["return 404;"]) if current else []


def _replaced(mount: Mount, location: Location) -> Lines:
    """Return the lines of a mount in whose place a location has other ones."""
    plain = replace(
        mount,
        body_size=None if location.body_size else mount.body_size,
        buffering=None if location.buffering is not None else mount.buffering,
        read_timeout=None if location.websockets or location.read_timeout is not None else mount.read_timeout,
    )
    return [line for line in mount_lines(mount) if line not in mount_lines(plain)]


def _inner_location(site: Site, mount: Mount, number: int, place: int, above: t.Sequence[Statement]) -> Lines:
    """Return a location of a mounted application, which is in that of its path, and has what is said there."""
    location = mount.locations[place]
    own, here = read_statements(location.config), site.mounted(mount).at(location)
    lines: Lines = []
    if location.config or here.websockets != mount.websockets:
        lines += _mount_headers(site, replace(mount, websockets=here.websockets), above)
        lines += _added_headers(site, above)
    lines = _without([*lines, *location_lines(here, location)], overridden(own) - {_PREFIX_HEADER})
    # No rewrite: limits and passwords are those of the path that was asked for.
    rest = location.path[len(mount.path) :]
    kept = [] if location.upstream or answers(own) else _kept_lines(here, location.config, above, own)
    # That of the whole path would hold here, too.
    lines += ["proxy_cache off;"] if mount.cache and not kept and "proxy_cache" not in overridden(own) else []
    if location.upstream:
        lines += _release_lines(site, location.upstream, location.config)
        lines += [f"proxy_pass http://{_mount_name(site, number, place)}{rest};"]
    elif not answers(own):
        lines = [*_gone_lines(mount), *lines, *_release_lines(here, mount.upstream, location.config)]
        lines += [*kept, f"proxy_pass http://{_mount_name(site, number)}{rest};"]
    opening = " ".join(part for part in ("location", location.modifier, quote(location.path)) if part)
    return ["", *block(opening, [*lines, *_raw(location.config)])]


def _mount_headers(site: Site, mount: Mount, own: t.Sequence[Statement]) -> Lines:
    """Return the request headers for an application below a path, with the user's lines in the place of ours.

    But for the path itself, which no line of the user replaces.
    """
    ours = _PREFIX_HEADER
    lines = _without(request_headers(site, mount), overridden(own) - {ours})
    found = [line for line in header_lines(own) if line.startswith("proxy_set_header ")]
    return lines + [line for line in found if not line.lower().startswith(f"{ours} ")]


def _release_lines(site: Site, servers: t.Iterable[Server], text: str) -> Lines:
    """Return what tells the access log the release, where none of the user's lines looks for files."""
    return [] if _looks_for_files(text) else release_lines(site, servers)


def _kept_lines(site: Site, text: str, above: t.Sequence[Statement], own: t.Sequence[Statement]) -> Lines:
    """Return what keeps the answers of a location; without the release in the key a deploy would not end their use."""
    if _looks_for_files(text):
        return []
    return without_overridden(kept_lines(site, above, own), overridden(above) | overridden(own))


def _looks_for_files(text: str) -> bool:
    return any(directive.name in ("root", "alias", "try_files") for directive in descend(parse(text)))


def _root_location(site: Site, own: t.Sequence[Statement]) -> Lines:
    """Return what answers all other paths, unless that is said elsewhere."""
    taken = {*(static.url for static in site.static), *(place.key for place in site.locations)}
    if "/" in taken or any(statement.words == ("location", "/") for statement in own):
        return []
    if site.upstream:
        lines = [*release_lines(site, site.upstream), *_kept_lines(site, "", own, [])]
        lines += [f"proxy_pass http://{_upstream_name(site)};"]
        return ["", *block("location /", lines)]
    return [] if may_answer(own) else ["", *block("location /", ["return 404;"])]
