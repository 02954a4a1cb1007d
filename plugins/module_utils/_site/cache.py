# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines with which nginx keeps answers of an application. Private to flaskops.stack.

An answer is for all visitors who ask for the same, so the key has all that the application is told of a request, but
for what C(Vary) covers and the address of the visitor. Requests that say who asks are left out.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import typing as t

from .._system.paths import ANSWERS
from .lines import Lines, block, forwarded, literal, quote, sent_value, trusted_values, variable
from .model import Cache, Mount, Site, current_of
from .raw import Statement

# nginx joins several of these, so a user's own come in addition to ours.
_ADDED = ("proxy_cache_bypass", "proxy_no_cache")
_VARIABLE = re.compile(r"\$\{?([A-Za-z0-9_]+)")
# Variables that say nothing of what is asked for, or what is in the key or sent to the application anyway.
_HARMLESS = frozenset(
    [
        "connection",
        "connection_requests",
        "flaskops_host",
        "flaskops_id",
        "flaskops_xhost",
        "flaskops_xid",
        "flaskops_xproto",
        "host",
        "hostname",
        "msec",
        "pid",
        "proxy_add_x_forwarded_for",
        "realip_remote_addr",
        "remote_addr",
        "remote_port",
        "request_id",
        "request_length",
        "request_uri",
        "scheme",
        "server_addr",
        "server_name",
        "server_port",
        "time_iso8601",
        "time_local",
    ]
)


def has_cache(site: Site) -> bool:
    """Tell whether answers of a site are kept, or of an application that is mounted there."""
    return bool(site.cache or any(mount.cache for mount in site.mounts))


def _zone(site: Site, mount: Mount | None = None) -> str:
    """Return the name of the zone, and of the directory, with the answers of a site or of a mounted application."""
    return f"flaskops-answers-{site.name}{mount.path.replace('/', '@') if mount else ''}"


def cache_blocks(site: Site) -> list[Lines]:
    """Return what stands beside the servers of a site: where answers are kept, and of which paths."""
    if not has_cache(site):
        return []
    kept = [(_zone(site, mount), mount.cache) for mount in site.mounts if mount.cache]
    kept = [*([(_zone(site), site.cache)] if site.cache else []), *kept]
    # A path that was sent with ".." may be another one for the application.
    at_path = variable(site, "cache")
    # For a private request there is no cache: with one, nginx makes GET of HEAD and takes out Range and If-None-Match.
    private = ["default off;", f'"" {at_path};']
    seen = ["default $upstream_cache_status;", *(f'"~^[^ ].* 1 {literal(zone)}$" BYPASS;' for zone, _cache in kept)]
    return [
        [_path_line(zone, cache) for zone, cache in kept],
        block(f'map "$flaskops_dots$uri" {at_path}', ["default off;", *_path_lines(site)]),
        block(f"map $flaskops_private {variable(site, 'zone')}", private),
        block(f'map "$upstream_addr $flaskops_private {at_path}" {variable(site, "kept")}', seen),
    ]


def _path_line(zone: str, cache: Cache) -> str:
    # Answers that no visitor asks for are removed, so that none is served that is much too old.
    inactive = max(2 * cache.valid, 60)
    # nginx refuses to load a zone of a known name with another size of keys, other levels or another directory.
    limits = f"keys_zone={zone}:10m max_size={cache.max_size} inactive={inactive}s use_temp_path=off"
    return f"proxy_cache_path {quote(posixpath.join(posixpath.dirname(ANSWERS), zone))} levels=1:2 {limits};"


def _path_lines(site: Site) -> Lines:
    """Return of which paths answers are kept, and in which zone; the first line that a path matches counts."""
    lines: Lines = []
    mounts = site.mounts if any(mount.cache for mount in site.mounts) else ()
    for mount in sorted(mounts, key=lambda mount: -len(mount.path)):
        lines += _paths_of(mount.cache, _zone(site, mount)) if mount.cache else []
        lines += [f"{quote(_below(mount.path))} off;"]
    return lines + (_paths_of(site.cache, _zone(site)) if site.cache else [])


def _paths_of(cache: Cache, zone: str) -> Lines:
    lines = [f"{quote(_below(path))} off;" for path in dict.fromkeys(cache.bypass)]
    return lines + [f"{quote(_below(path))} {quote(zone)};" for path in dict.fromkeys(cache.paths)]


def _below(path: str) -> str:
    return f"~^0{literal(path.rstrip('/'))}(?:/|$)"


def cache_header_lines(site: Site) -> Lines:
    """Return the header that says where an answer comes from; it is empty, and not sent, where nothing is kept."""
    return [f"add_header X-Cache-Status {variable(site, 'kept')} always;"] if has_cache(site) else []


def kept_lines(site: Site, above: t.Sequence[Statement], own: t.Sequence[Statement] = ()) -> Lines:
    """Return the lines of a location whose answers are kept; C(above) and C(own) are those of the user around them."""
    if not site.cache:
        return []
    link = current_of(site.upstream)
    own_conditions = [f"{statement.text};" for statement in above if statement.words[0] in _ADDED]
    moved = " $flaskops_moved" if link else ""
    return [
        f"proxy_cache {variable(site, 'zone')};",
        f"proxy_cache_key {quote(_key(site, bool(link), above, own))};",
        f"proxy_cache_valid 200 {site.cache.valid}s;",
        # For a moment, so that they take the place of an answer that is too old, and no visitor waits for each of them.
        "proxy_cache_valid 301 308 404 410 1s;",
        "proxy_cache_methods GET HEAD;",
        "proxy_cache_bypass $flaskops_private;",
        f"proxy_no_cache $flaskops_private $flaskops_unkept $upstream_http_set_cookie{moved};",
        *own_conditions,
        # One request for what many ask for at once. When what is kept is too old, the others get that meanwhile. The
        # one does not: a visitor who comes alone would get an answer that is older than it may be.
        "proxy_cache_lock on;",
        f"proxy_cache_lock_age {site.read_timeout}s;",
        f"proxy_cache_lock_timeout {site.cache.wait}s;",
        "proxy_cache_use_stale updating error timeout;",
    ]


def without_overridden(lines: t.Iterable[str], taken: t.Collection[str]) -> Lines:
    """Leave out what the user's own lines take the place of, but never who is left out of the cache."""
    return [line for line in lines if line.split()[0] in _ADDED or line.split()[0] not in taken]


def _key(site: Site, is_release: bool, above: t.Sequence[Statement], own: t.Sequence[Statement]) -> str:
    """Return all that the answer depends on: with a deploy, the release is another one, and so are all keys."""
    host = forwarded(site, "host", "$flaskops_host", "$flaskops_xhost")
    scheme = forwarded(site, "proto", "$scheme", "$flaskops_xproto")
    # Answers that were kept by other rules are not served any more.
    rules = hashlib.sha256(repr(site.cache).encode()).hexdigest()[:8]
    parts = [rules, scheme, host, *(["$flaskops_root"] if is_release else []), "$request_uri"]
    # A user's line may lead to another path.
    parts += ["$uri$is_args$args"] if above or own else []
    return " ".join([*parts, *dict.fromkeys(_sent_values(site, (*above, *own)))])


def _sent_values(site: Site, statements: t.Iterable[Statement]) -> t.Iterator[str]:
    """Yield the values of headers for the application that differ between requests for the same URL."""
    yield from map(sent_value, site.pass_headers)
    yield from trusted_values(site)
    values = [value for _name, value in site.proxy_headers]
    values += [item.words[2] for item in statements if item.words[0] == "proxy_set_header" and len(item.words) > 2]
    yield from (value for value in values if set(_VARIABLE.findall(value)) - _HARMLESS)
