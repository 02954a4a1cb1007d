# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines that limit requests and refuse visitors and methods, by path. Private to flaskops.stack.

nginx compares its own form of a path, decoded and without C(//) and C(..), and the application gets the path as it was
sent. A path with C(..) may be another one for the application than for nginx, so all rules of a site apply to it;
browsers resolve it before they send it.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import typing as t

from .._input.values import InputError
from .forwarded import OWN_ADDRESS, PROBE_ADDRESSES
from .lines import Lines, block, geo_block, literal, quote, variable
from .maintenance import ACME
from .model import PROBE, AccessRule, BasicAuth, Limit, Location, Site
from .passwords import password_path
from .raw import read_statements
from .syntax import descend, parse

# An entry for an address takes 128 bytes. nginx takes memory only for entries that it makes.
_ZONE = "10m"
# Whether the path was sent with "..", and nginx's own form of it.
_TARGET = "$flaskops_dots$uri"


def check_counted(site: Site) -> Site:
    """Return the site; raise InputError for a limit that nginx would never look at, because C(return) comes first."""
    for limit in site.limits:
        for location in site.all_locations:
            if _covers(location, limit.path) and _returns(location.config):
                raise InputError(
                    f"limits: path '{limit.path}' is answered by 'return' in locations, before nginx counts the "
                    "request: leave this limit out, or answer with an upstream or try_files"
                )
        if _returns(site.config):
            raise InputError(
                "limits: config answers all requests by 'return', before nginx counts them: leave the limits out, or "
                "move 'return' into one of locations"
            )
    return site


def check_open(site: Site) -> Site:
    """Return the site; raise InputError for a rule that lets nobody in: a network in both lists is denied."""
    for rule in site.access_rules:
        denied = [ipaddress.ip_network(network) for network in rule.deny]
        if rule.allow and all(_is_inside(ipaddress.ip_network(network), denied) for network in rule.allow):
            raise InputError(
                f"deny has all networks of allow for path '{rule.path}', so that nobody is let in: leave deny out, "
                "because allow refuses all others, or narrow it"
            )
    return site


def check_protected(site: Site) -> Site:
    """Return the site; raise InputError for an answer that nginx gives before it asks for a password."""
    others = [location for mount in site.mounts if not mount.basic_auth for location in mount.locations]
    _refuse_tellers(site.basic_auth, (*site.locations, *others))
    for mount in site.mounts:
        _refuse_tellers(mount.basic_auth, mount.locations)
    if has_passwords(site) and _tells(site.config):
        raise InputError(
            "basic_auth: config answers by 'return', before nginx asks for a password: answer with a file (alias, "
            "try_files) or an upstream"
        )
    return site


def has_passwords(site: Site) -> bool:
    """Tell whether a site asks for passwords, or an application that is mounted there."""
    return bool(site.basic_auth or any(mount.basic_auth and mount.basic_auth.users for mount in site.mounts))


def _refuse_tellers(auth: BasicAuth | None, locations: t.Iterable[Location]) -> None:
    paths = auth.paths if auth else ()
    for location in locations:
        if _tells(location.config) and any(_overlaps(location, path) for path in paths):
            raise InputError(
                f"basic_auth: location '{location.path}' is answered by 'return', before nginx asks for a password: "
                "answer with a file (alias, try_files) or an upstream"
            )


def _tells(config: str) -> bool:
    """Tell whether lines answer with a text of the user's own: redirects and refusals say nothing."""
    return any(item.name == "return" and item.args and item.args[0].startswith("2") for item in descend(parse(config)))


def _overlaps(location: Location, path: str) -> bool:
    """Tell whether a location may answer for a path, or for one below it."""
    if location.modifier in ("~", "~*") or location.path.startswith("@"):
        return True
    area, place = f"{path.rstrip('/')}/", f"{location.path.rstrip('/')}/"
    return place.startswith(area) or (location.modifier != "=" and area.startswith(place))


def _covers(location: Location, path: str) -> bool:
    if location.modifier == "=":
        return location.path.rstrip("/") == path.rstrip("/")
    return location.modifier in ("", "^~") and f"{path.rstrip('/')}/".startswith(location.path)


def _returns(config: str) -> bool:
    return any(statement.words[0] == "return" for statement in read_statements(config))


def access_blocks(site: Site) -> list[Lines]:
    """Return what stands beside the servers of a site: what is counted, and what is refused."""
    counts = [lines for number, limit in enumerate(site.limits) for lines in _limit_blocks(site, limit, number)]
    rules = site.access_rules
    nets = [_network_block(site, rule, number) for number, rule in _with_networks(rules)]
    refusals = [*_denied_blocks(site, rules), *_method_blocks(site, rules)]
    return [*counts, *_retry_blocks(site), *nets, *refusals, *_password_blocks(site)]


def _area(path: str) -> str:
    """Return the regular expression for a request to a path or below it, as C(_TARGET) writes it."""
    return f"(?:1|0{literal(path)}(?:/|$))" if path != "/" else "[01]"


def _exempt(prefixes: t.Iterable[str] = (), before: str = "") -> Lines:
    return [f'{quote(f"~^{before}0" + literal(prefix))} "";' for prefix in (ACME, *prefixes)]


def _limit_blocks(site: Site, limit: Limit, number: int) -> list[Lines]:
    key = variable(site, f"key{number}")
    # A page has many files, which cost little: they count where the limit is one of their directory.
    below = f"{limit.path.rstrip('/')}/"
    files = [static.url for static in site.static if static.url.startswith(below) and static.url != below]
    kind, _colon, name = limit.key.partition(":")
    counted = {"client": "$binary_remote_addr", "site": "site"}.get(kind) or variable(site, f"sent{number}")
    lines = ['default "";', *_exempt(files), f"{quote('~^' + _area(limit.path))} {counted};"]
    # nginx counts nothing for an empty text.
    found = [block(f'map "{_TARGET}" {key}', lines)]
    if name:
        given = f"$http_{name.lower().replace('-', '_')}" if kind == "header" else f"$cookie_{name}"
        # The end of a long value, which tells signed tokens apart.
        found.insert(0, block(f"map {given} {counted}", ["default $remote_addr;", '"~(.{1,128})$" "=$1";']))
    zones = []
    if limit.rate:
        zones += [f"limit_req_zone {key} zone={_zone(site, limit, 'rate')}:{_ZONE} rate={limit.rate};"]
    if limit.connections:
        zones += [f"limit_conn_zone {key} zone={_zone(site, limit, 'conn')}:{_ZONE};"]
    return [*found, zones]


def _zone(site: Site, limit: Limit, kind: str) -> str:
    # nginx refuses to load a zone of a known name with another key or size.
    content = repr((site.name, site.limits.index(limit), kind, limit.path, limit.key, limit.rate, _ZONE))
    return f"flaskops-{kind}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _retry_blocks(site: Site) -> list[Lines]:
    """Return the map of C(Retry-After), which is empty for requests that no limit has refused."""
    if not site.limits:
        return []
    waits = {limit: _seconds(limit) for limit in site.limits}
    slowest = sorted(site.limits, key=lambda limit: -waits[limit])
    seconds, found = str(waits[slowest[0]]), []
    if _has_several_waits(site):
        seconds = variable(site, "wait")
        lines = [f"{quote('~^' + _area(limit.path))} {waits[limit]};" for limit in slowest]
        found = [block(f'map "{_TARGET}" {seconds}', ["default 1;", *lines])]
    refused = ['default "";', f"~REJECTED {seconds};"]
    return [*found, block(f'map "$limit_req_status $limit_conn_status" {variable(site, "retry")}', refused)]


def _has_several_waits(site: Site) -> bool:
    return len({_seconds(limit) for limit in site.limits}) > 1


def _seconds(limit: Limit) -> int:
    count, _separator, unit = limit.rate.partition("r/")
    return math.ceil((60 if unit == "m" else 1) / int(count)) if limit.rate else 1


def _with_networks(rules: t.Sequence[AccessRule]) -> list[tuple[int, AccessRule]]:
    return list(enumerate(rule for rule in rules if rule.allow or rule.deny))


def _network_block(site: Site, rule: AccessRule, number: int) -> Lines:
    # The narrowest network counts, so what deny has as a whole must not be in it again.
    denied = [ipaddress.ip_network(network) for network in rule.deny]
    allowed = [network for network in rule.allow if not _is_inside(ipaddress.ip_network(network), denied)]
    values = {**dict.fromkeys(allowed, "0"), **dict.fromkeys(rule.deny, "1")}
    return geo_block(variable(site, f"net{number}"), "1" if rule.allow else "0", values)


def _is_inside(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
    others: t.Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network],
) -> bool:
    return any(
        network.version == other.version
        and int(other.network_address) <= int(network.network_address)
        and int(network.broadcast_address) <= int(other.broadcast_address)
        for other in others
    )


def _denied_blocks(site: Site, rules: t.Sequence[AccessRule]) -> list[Lines]:
    named = _with_networks(rules)
    if not named:
        return []
    nets = "".join(variable(site, f"net{number}") for number, _rule in named)
    marks = [("." * number + "1" + "." * (len(named) - number - 1), rule.path) for number, rule in named]
    lines = [f"{quote(f'~^{mark} ' + _area(path))} 1;" for mark, path in marks]
    exempt = _exempt(before="." * len(named) + " ")
    return [block(f'map "{nets} {_TARGET}" {variable(site, "denied")}', ['default "";', *exempt, *lines])]


def _method_blocks(site: Site, rules: t.Sequence[AccessRule]) -> list[Lines]:
    lines = []
    for rule in rules:
        if rule.methods:
            accepted = _accepted(rule.methods)
            others = f"~^(?!(?:{'|'.join(accepted)}) )[^ ]+ "
            lines.append(f"{quote(others + _area(rule.path))} {quote(', '.join(accepted))};")
    if not lines:
        return []
    exempt = _exempt(before="[^ ]+ ")
    return [block(f'map "$request_method {_TARGET}" {variable(site, "accepts")}', ['default "";', *exempt, *lines])]


def _password_blocks(site: Site) -> list[Lines]:
    """Return the maps with what a request needs a password for, C(off) where it needs none, and with which file."""
    if not has_passwords(site):
        return []
    below = f"(?:{'|'.join(literal(mount.path) for mount in site.mounts)})?" if site.mounts else ""
    found = _realm_blocks(site, site.basic_auth, "", below) if site.basic_auth else []
    if not _has_own_passwords(site):
        return found
    theirs = ("off", '""')
    if site.basic_auth:
        theirs = (variable(site, "realm"), quote(password_path(site)))
    realm, users = [f"default {theirs[0]};"], [f"default {theirs[1]};"]
    # The longest path that a request is below counts, as for nginx itself.
    for number, mount in sorted(enumerate(site.mounts), key=lambda pair: -len(pair[1].path)):
        asked, file = theirs if mount.basic_auth is None else ("off", '""')
        if mount.basic_auth and mount.basic_auth.users:
            found += _realm_blocks(site, mount.basic_auth, str(number), literal(mount.path), mount.path)
            asked, file = variable(site, f"realm{number}"), quote(password_path(site, mount))
        place = quote(f"~^[01]{literal(mount.path)}(?:/|$)")
        realm.append(f"{place} {asked};")
        users.append(f"{place} {file};")
    return [
        *found,
        block(f'map "{_TARGET}" {_asked(site)}', realm),
        block(f'map "{_TARGET}" {variable(site, "users")}', users),
    ]


def _asked(site: Site) -> str:
    # The languages of error pages have a map of the other name.
    return variable(site, "realms" if site.error_pages else "asked")


def _has_own_passwords(site: Site) -> bool:
    return any(mount.basic_auth is not None for mount in site.mounts)


def _realm_blocks(site: Site, auth: BasicAuth, number: str, below: str, area: str = "/") -> list[Lines]:
    """Return the map with what a request needs a password for by the rules of a site, or of an area of it."""
    known = variable(site, f"known{number}")
    geo = [geo_block(known, "0", dict.fromkeys(auth.allow, "1"))] if auth.allow else []
    exempt = [literal(ACME), *(f"{literal(path)}(?:/|$)" for path in auth.open)]
    lines = ["default off;", *(f"{quote(f'~^[^ ]* 0{expression}')} off;" for expression in exempt)]
    # The check of forged headers comes from this host, and so do visitors by a proxy here, but with another address.
    senders = "|".join(map(literal, PROBE_ADDRESSES))
    probe = quote(f"~^{literal(OWN_ADDRESS)},(?:{senders}),. 0{below}{literal(PROBE)}$")
    lines += [f"{probe} off;"] if auth.is_whole(area) else []
    lines += ['"~^[^ ]*,1 " off;'] if auth.allow else []
    lines += [f"{quote(f'~^[^ ]* {_area(path)}')} {quote(auth.realm)};" for path in auth.paths]
    asks = f"$realip_remote_addr,$remote_addr,{known if auth.allow else '0'} {_TARGET}"
    return [*geo, block(f'map "{asks}" {variable(site, f"realm{number}")}', lines)]


def password_lines(site: Site) -> Lines:
    """Return the lines of a server that ask for a password."""
    if not has_passwords(site):
        return []
    if _has_own_passwords(site):
        return [f"auth_basic {_asked(site)};", f"auth_basic_user_file {variable(site, 'users')};"]
    return [f"auth_basic {variable(site, 'realm')};", f"auth_basic_user_file {quote(password_path(site))};"]


def open_lines(site: Site) -> Lines:
    """Return the lines of a location that all visitors may see, such as the page for errors."""
    return ["auth_basic off;"] if has_passwords(site) else []


def _accepted(methods: t.Sequence[str]) -> list[str]:
    known = list(dict.fromkeys(methods))
    return known if "GET" not in known or "HEAD" in known else [*known, "HEAD"]


def refusal_lines(site: Site) -> Lines:
    """Return the lines of a server that refuse visitors and methods, before anything else answers."""
    rules = site.access_rules
    # Remembered from here on: a page for errors has another path.
    lines: Lines = [f"set $flaskops_wait {variable(site, 'wait')};"] if _has_several_waits(site) else []
    if _with_networks(rules):
        lines += block(f"if ({variable(site, 'denied')})", ["return 403;"])
    if any(rule.methods for rule in rules):
        lines += block(f"if ({variable(site, 'accepts')})", ["return 405;"])
    return ["", *lines] if lines else []


def limit_lines(site: Site) -> Lines:
    """Return the lines of a server that count requests."""
    lines = []
    for limit in site.limits:
        if limit.rate:
            burst = f" burst={limit.burst} nodelay" if limit.burst else ""
            lines.append(f"limit_req zone={_zone(site, limit, 'rate')}{burst};")
        if limit.connections:
            lines.append(f"limit_conn {_zone(site, limit, 'conn')} {limit.connections};")
    return lines


def limit_status_lines(site: Site) -> Lines:
    """Return the lines with the status of requests that are too many, which a user's own lines may replace."""
    return ["limit_req_status 429;", "limit_conn_status 429;"] if site.limits else []


def access_headers(site: Site) -> Lines:
    """Return the headers of refused requests; they are empty, and not sent, with all other answers."""
    lines = [f"add_header Retry-After {variable(site, 'retry')} always;"] if site.limits else []
    if any(rule.methods for rule in site.access_rules):
        lines.append(f"add_header Allow {variable(site, 'accepts')} always;")
    return lines
