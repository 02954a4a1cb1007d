# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Derive services from applications and sites from services. Private to flaskops.stack."""

from __future__ import annotations

import posixpath
import re
import typing as t
from collections import Counter
from urllib.parse import unquote

from .._input.defaults import DEFAULTS
from .._input.values import SITE, InputError, as_prefix, with_lists
from .._release.shared_files import Place, covers, is_shared, located, shared_places
from .._site.headers import is_for_proxies
from .._site.lines import cache_lines, literal
from .._site.model import Site, Static, chain_of
from .._site.parse import Reader, check_compared, check_path, is_decoded, parse_site
from .._system.paths import PREVIOUS

App = t.Mapping[str, t.Any]

# How long nginx waits where gunicorn never kills a worker: a day, as nginx has no value for "never".
_ENDLESS = 86400
# What an application below a path of another one's site may say of nginx: passed on, or with the path before it.
_PASSED = ("balance", "body_size", "connect_timeout", "send_timeout", "buffering", "websockets", "proxy_headers")
_OF_MOUNTS = (
    *_PASSED,
    "read_timeout",
    "static",
    "maintenance",
    "limits",
    "access",
    "allow",
    "deny",
    "methods",
    "access_log_skip",
    "locations",
    "cache",
    "basic_auth",
)
# What begins the path of a location, as nginx has it.
_MODIFIERS = ("=", "~", "~*", "^~")
# Where a regular expression begins anew, but for a class of characters.
_ANCHOR = re.compile(r"(?<![\\\[])\^")


class DeriveError(ValueError):
    """Applications that contradict each other."""


def check_apps(apps: t.Sequence[App]) -> None:
    """Raise DeriveError when two applications claim one name or one domain."""
    _refuse_repeated((app["name"] for app in apps), "name", "give each application a name of its own")
    claims = [(host.lower(), app["name"]) for app in apps for host in _hosts(app)]
    for host, count in Counter(host for host, _name in claims).items():
        owners = [name for claimed, name in claims if claimed == host]
        if count > 1:
            raise DeriveError(
                f"domain '{host}' is claimed by {' and '.join(repr(name) for name in owners)}: "
                "nginx can send a host name to one application only; remove it from all but one"
            )
    check_mounts(apps)


def check_mounts(apps: t.Sequence[App]) -> None:
    """Raise DeriveError for an application that cannot be below a path of another one's site."""
    known = {app["name"]: app for app in apps}
    taken: dict[tuple[str, str], str] = {}
    for app in apps:
        if not app.get("mount"):
            continue
        name, site, path = app["name"], str(app["mount"].get("site")), _mount_path(app)
        below = known.get(site)
        if below is None or not below.get("domains"):
            others = ", ".join(f"'{other['name']}'" for other in apps if other.get("domains")) or "none"
            raise DeriveError(
                f"app '{name}': mount.site '{site}' is no application of flask_apps with domains; there are: {others}. "
                "For a site of nginx_sites, write the path into its mounts"
            )
        if (site, path) in taken:
            raise DeriveError(
                f"apps '{taken[site, path]}' and '{name}' are both mounted at '{path}' of '{site}': choose another "
                "path for one of them"
            )
        taken[site, path] = name
        hops, needed = _hops(app), _hops(below)
        if hops not in (0, needed):
            raise DeriveError(
                f"app '{name}': trusted_hops is {hops}, and that of '{site}', whose site leads to it, is {needed}: set "
                f"it to {needed}"
            )


def _mount_path(app: App) -> str:
    """Return the path of a mounted application; raise DeriveError for one that has what is of a whole site."""
    name = app["name"]
    if app.get("domains"):
        raise DeriveError(
            f"app '{name}' has domains and mount: an application is either a site of its own or below a path of "
            "another one; remove one of them"
        )
    given = [key for key, value in (app.get("nginx") or {}).items() if value is not None and key not in _OF_MOUNTS]
    if given:
        raise DeriveError(
            f"app '{name}': nginx.{given[0]} concerns a whole site: set it for '{app['mount'].get('site')}', below "
            f"which this application is mounted. It may have {', '.join(_OF_MOUNTS)} itself"
        )
    try:
        path = as_prefix("mount.path", app["mount"].get("path"))
    except InputError as exc:
        raise DeriveError(f"app '{name}': {exc}") from None
    if not path:
        raise DeriveError(f"app '{name}': mount.path must be below '/', such as /{name}")
    return path


def _hosts(app: App) -> list[str]:
    nginx = app.get("nginx") or {}
    return [*(app.get("domains") or []), *(nginx.get("redirects") or [])]


def _refuse_repeated(values: t.Iterable[str], what: str, remedy: str) -> None:
    for value, count in Counter(values).items():
        if count > 1:
            raise DeriveError(f"flask_apps has the {what} '{value}' {count} times: {remedy}")


def derive_services(
    apps: t.Sequence[App],
    releases: t.Sequence[t.Mapping[str, t.Any]],
    defaults: t.Mapping[str, object] | None = None,
    partial: bool = False,
) -> list[dict[str, t.Any]]:
    """Return the C(gunicorn_services) that run the given releases; C(defaults) are those of the sites.

    C(partial) says that some may be missing, because they could not be built.
    """
    paths = {release["name"]: release["path"] for release in releases}
    unbuilt = [app["name"] for app in apps if app["name"] not in paths]
    if unbuilt and not partial:
        raise DeriveError(f"no release of {', '.join(unbuilt)}: run role flaskops.stack.flask on this host first")
    return [
        {
            "name": app["name"],
            "release": paths[app["name"]],
            **derive_chain(app, _root(paths[app["name"]]), defaults, apps),
        }
        for app in apps
        if app["name"] in paths
    ]


def _root(release: str) -> str:
    return posixpath.dirname(posixpath.dirname(posixpath.dirname(release)))


def derive_chain(
    app: App, root: str, defaults: t.Mapping[str, object] | None = None, apps: t.Sequence[App] = ()
) -> dict[str, t.Any]:
    """Return how visitors reach an application, as far as that can be known, as the key C(site) of a service.

    C(apps) are those whose sites may lead to it.
    """
    try:
        below = _site_of(app, apps)
        if not below.get("domains"):
            return {}
        site = parse_site(_derive_site(below, root, _settle_defaults(defaults), apps), defaults or {})
        mount = None
        if app.get("mount"):
            path = _mount_path(app)
            mount = next(found for found in site.mounts if found.path == path)
        chain = chain_of(site, mount)
    except (InputError, DeriveError, KeyError, TypeError, ValueError, AttributeError, StopIteration):
        # To say so is the business of those who publish it.
        return {}
    return {"site": chain.to_json()} if chain else {}


def _site_of(app: App, apps: t.Sequence[App]) -> App:
    """Return the application whose site leads to another one."""
    if not app.get("mount"):
        return app
    return next((other for other in apps if other["name"] == app["mount"].get("site")), {})


def derive_sites(
    apps: t.Sequence[App],
    root: str,
    services: t.Sequence[t.Mapping[str, t.Any]] | None = None,
    defaults: t.Mapping[str, object] | None = None,
) -> list[dict[str, t.Any]]:
    """Return the C(nginx_sites) that publish the applications that have domains.

    C(apps) are what C(settle_apps) makes of flask_apps, here and below.
    C(services) are the results of the deploys: the site of one that failed is left as it is. A site leads to all that
    are mounted there, also to one that failed: an earlier release may serve. C(defaults) are applied to the result
    later, as to all sites: here they say what must not take their place.
    """
    settled = _settle_defaults(defaults)
    check_apps(apps)
    named = {app["name"] for app in apps}
    well = named if services is None else {service["name"] for service in services if not service.get("error")}
    return [_derive_site(app, root, settled, apps) for app in apps if app.get("domains") and app["name"] in well]


def _settle_defaults(defaults: t.Mapping[str, object] | None) -> dict[str, t.Any]:
    """Return those that the value of an application is compared or joined with."""
    try:
        given = with_lists(defaults or {}, SITE)
        timeout = Reader(given).number("read_timeout", Site.read_timeout, 1)
    except InputError as exc:
        raise DeriveError(f"nginx_site_defaults: {exc}") from None
    shared = {key: given.get(key) or {} for key in ("proxy_headers", "basic_auth")}
    return {"read_timeout": timeout, "trusted_headers": given.get("trusted_headers") or [], **shared}


def _derive_site(app: App, root: str, defaults: t.Mapping[str, t.Any], apps: t.Sequence[App] = ()) -> dict[str, t.Any]:
    base = posixpath.join(root, app["name"])
    site = {
        "name": app["name"],
        "domains": list(app["domains"]),
        "upstream": _sockets(app, base),
        **_read_timeout(app, defaults["read_timeout"]),
        **({"behind_proxy": True, "trusted_hops": _hops(app)} if _hops(app) > 1 else {}),
        **({"rename_from": app["rename_from"]} if app.get("rename_from") else {}),
        **_given(app, base, defaults),
    }
    _trust_host_header(site, app, defaults)
    for other in apps:
        if other.get("mount") and other["mount"].get("site") == app["name"]:
            _mount(site, other, posixpath.join(root, other["name"]), defaults)
            _trust_host_header(site, other, defaults)
    return site


def _trust_host_header(site: dict[str, t.Any], app: App, defaults: t.Mapping[str, t.Any]) -> None:
    """Have nginx take the header with the host from other proxies alone, where these set it."""
    header, key = app.get("host_header") or "", "trusted_headers"
    known = site.get(key, defaults[key])
    if _hops(app) > 1 and is_for_proxies(header) and header.lower() not in {name.lower() for name in known}:
        site[key] = [*known, header]


def _sockets(app: App, base: str) -> list[str]:
    instances = int((app.get("gunicorn") or {}).get("instances") or 1)
    return [f"unix:{base}/current/run/{number}.sock" for number in range(instances)]


def _mount(site: dict[str, t.Any], app: App, base: str, defaults: t.Mapping[str, t.Any]) -> None:
    """Add an application to the site below a path of which it is."""
    path, given = _mount_path(app), _given(app, base, {**defaults, "proxy_headers": {}, "basic_auth": {}})
    closing = given["maintenance"]
    opened = [path + place for place in closing.get("open") or []]
    timeout = given.get("read_timeout") or _read_timeout(app, 0)["read_timeout"]
    mount = {
        "path": path,
        "upstream": _sockets(app, base),
        "read_timeout": max(int(timeout), _read_timeout(app, 0)["read_timeout"]),
        "maintenance": {**closing, "open": opened},
        **{key: given[key] for key in _PASSED if key in given},
    }
    locations = [{**entry, "path": _moved(app, path, entry.get("path"))} for entry in given.get("locations") or []]
    _extend(mount, "locations", locations)
    for key, places in (("cache", ("paths", "bypass")), ("basic_auth", ("paths", "open"))):
        if isinstance(given.get(key), t.Mapping):
            below = {name: [_below(path, place) for place in given[key].get(name) or []] for name in places}
            mount[key] = {**given[key], **{name: found for name, found in below.items() if found}}
    site["mounts"] = [*(site.get("mounts") or []), mount]
    static = [{**entry, "url": path + str(entry.get("url"))} for entry in given.get("static") or []]
    _extend(site, "static", static)
    _extend(site, "limits", [{**entry, "path": _below(path, entry.get("path"))} for entry in given.get("limits") or []])
    rule = {key: given[key] for key in ("allow", "deny", "methods") if given.get(key)}
    rules = [{**entry, "path": _below(path, entry.get("path"))} for entry in given.get("access") or []]
    _extend(site, "access", [*([{"path": path, **rule}] if rule else []), *rules])
    _extend(site, "access_log_skip", [path + place for place in given.get("access_log_skip") or []])
    auth, health = site.get("basic_auth", defaults["basic_auth"]), _health_path(app.get("gunicorn") or {})
    if auth and isinstance(auth, t.Mapping) and health != "/" and is_decoded(health):
        site["basic_auth"] = {**auth, "open": [*(auth.get("open") or []), path + health]}


def _moved(app: App, path: str, place: object) -> str:
    """Return the path of a location, as nginx takes it, below another one."""
    text = str(place or "").strip()
    modifier, space, rest = text.partition(" ")
    modifier, rest = (modifier, rest.strip()) if space and modifier in _MODIFIERS else ("", text)
    if text.startswith("@"):
        return text
    if modifier not in ("~", "~*"):
        return f"{modifier} {path}{rest}".strip()
    if _ANCHOR.search(rest[1:]):
        raise DeriveError(
            f"app '{app['name']}': nginx.locations '{text}' begins in several places ('^'), and the application is "
            f"below {path}: put what may follow into brackets, such as ~ ^(?:/a|/b)"
        )
    return f"{modifier} ^{literal(path)}{rest[1:]}" if rest.startswith("^") else text


def _below(path: str, place: object) -> str:
    return f"{path}{'' if place in (None, '', '/') else place}"


def _extend(site: dict[str, t.Any], key: str, entries: t.Sequence[t.Any]) -> None:
    if entries:
        site[key] = [*(site.get(key) or []), *entries]


def _hops(app: App) -> int:
    hops = app.get("trusted_hops")
    return 1 if hops is None else int(hops)


def _read_timeout(app: App, default: int) -> dict[str, int]:
    """Return how long nginx waits for an answer where that is more than the default: no less than gunicorn gives it."""
    timeout = _seconds(app.get("gunicorn") or {}, "timeout")
    given = (app.get("nginx") or {}).get("read_timeout")
    if given is not None and int(given) < timeout:
        raise DeriveError(
            f"app '{app['name']}': nginx.read_timeout {given} s is less than gunicorn.timeout "
            f"{timeout} s: visitors would get 504 for requests that still run; raise the first or lower the second"
        )
    _check_locations(app, timeout)
    least = timeout or _ENDLESS
    return {"read_timeout": least} if least > default else {}


def _check_locations(app: App, timeout: int) -> None:
    for location in (app.get("nginx") or {}).get("locations") or []:
        seconds = Reader(location, "locations: ").number("read_timeout", timeout)
        if seconds < timeout and not location.get("upstream"):
            raise DeriveError(
                f"app '{app['name']}': read_timeout {seconds} s of nginx.locations '{location.get('path')}' is less "
                f"than gunicorn.timeout {timeout} s: visitors would get 504 for requests that still run; raise the "
                "first or lower the second"
            )


def _seconds(gunicorn: t.Mapping[str, t.Any], key: str) -> int:
    value = gunicorn.get(key)
    return int(t.cast("int", DEFAULTS[key]) if value is None else value)


def _let_watch(given: dict[str, t.Any], path: str, defaults: t.Mapping[str, t.Any]) -> None:
    """Change what an application says of its site so that a check of its health is answered by itself."""
    if isinstance(given.get("cache"), dict):
        given["cache"] = {**given["cache"], "bypass": [*(given["cache"].get("bypass") or []), path]}
    auth = given.get("basic_auth", defaults["basic_auth"])
    if auth and isinstance(auth, t.Mapping):
        given["basic_auth"] = {"open": [path], **auth}


def _given(app: App, base: str, defaults: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return what the application says of its site, with places on the host."""
    gunicorn = app.get("gunicorn") or {}
    given = {key: value for key, value in (app.get("nginx") or {}).items() if value is not None}
    path = _health_path(gunicorn)
    if path != "/":
        given.setdefault("access_log_skip", [path])
    if path != "/" and is_decoded(path):
        _let_watch(given, path, defaults)
    given["maintenance"] = {**_maintenance(base, gunicorn), **(given.get("maintenance") or {})}
    places = shared_places(given.get("static"), app.get("shared"), base)
    if places and app.get("mount"):
        # All of its paths lead to the application anyway.
        given["static"] = [entry for entry in given["static"] if not is_shared(entry, places)]
    elif places:
        given["locations"] = _shared_locations(given["static"], places, given.get("locations") or [])
        given["static"] = [entry for entry in given["static"] if not is_shared(entry, places)]
    if "static" in given:
        previous = f"{PREVIOUS}/{app['name']}" if _seconds(gunicorn, "asset_grace") else ""
        given["static"] = [_locate(entry, base, previous) for entry in given["static"]]
    own = _own_headers(app)
    if own:
        given["proxy_headers"] = {**own, **given.get("proxy_headers", defaults["proxy_headers"])}
    return given


def _own_headers(app: App) -> dict[str, str]:
    """Return the headers that the application believes and that nginx alone may set."""
    prefix = (app.get("gunicorn") or {}).get("prefix")
    # No proxy in front says it: without this, a visitor could.
    host = {app["host_header"]: "$flaskops_host"} if app.get("host_header") and _hops(app) <= 1 else {}
    return {**host, **({"X-Forwarded-Prefix": str(prefix).rstrip("/")} if prefix and not app.get("mount") else {})}


def _shared_locations(
    static: t.Sequence[t.Mapping[str, t.Any]], places: t.Sequence[Place], own: t.Sequence[t.Mapping[str, t.Any]]
) -> list[dict[str, t.Any]]:
    """Return the user's own locations, and those of files that the application answers for: nginx may not read them."""
    found = [dict(location) for location in own]
    paths = [str(location.get("path", "")).split() for location in own]
    for place in places:
        # The innermost one, whose path is the longest.
        entry = max((entry for entry in static if covers(entry, place)), key=lambda entry: len(str(entry["url"])))
        given = Reader(entry, "static: ")
        caching = cache_lines(given.flag("immutable", Static.immutable), given.number("expires", Static.expires))
        found.append(
            {"path": f"^~ {place[0]}", "config": "\n".join(["location ~ /\\. {", "    return 404;", "}", *caching])}
        )
        # Without it nginx would lead from the path without the slash to the one with it; the first may be a page.
        page = ["=", place[0].rstrip("/")]
        found += [] if page in paths else [{"path": " ".join(page)}]
    return found


def _locate(entry: t.Mapping[str, t.Any], base: str, previous: str) -> dict[str, t.Any]:
    """Make the path of a static location absolute: it is relative to the application's code, now and before."""
    path = entry.get("path")
    if not path and not entry.get("package"):
        # To say that it is missing is the business of those who read the site.
        return dict(entry)
    place = located(entry, base)
    inner = place[len(f"{base}/current/") :] if place != path and place.startswith(f"{base}/current/") else ""
    if not place.startswith("/"):
        inner = posixpath.join("app", place)
    before = {"previous": posixpath.join(previous, inner)} if previous and inner else {}
    kept = {key: value for key, value in entry.items() if key != "package"}
    return {**before, **kept, "path": posixpath.join(f"{base}/current/app", place)}


def _health_path(gunicorn: t.Mapping[str, t.Any]) -> str:
    """Return the path of the health check as nginx compares it; that of the front page where no rule can name it."""
    path = unquote(str((gunicorn.get("health") or {}).get("path") or "/").partition("?")[0])
    try:
        return check_compared(check_path(path, "health.path"), "health.path")
    except InputError:
        return "/"


def _maintenance(base: str, gunicorn: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return where the flag and the page of an application are, and that its health can be asked for all the same."""
    path = _health_path(gunicorn)
    directory = f"{base}/maintenance"
    # A health path that is the front page would leave that open to all visitors.
    return {"flag": f"{directory}/on", "page": f"{directory}/page.html", "open": [path] if path != "/" else []}
