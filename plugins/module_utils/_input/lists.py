# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read options as Ansible does: one string is a list of one. Private to flaskops.stack.

Filters and the derivation of sites read variables before any argument specification was applied to them.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .values import Flag, InputError, Text, Whole, scalar, shown


@dataclass(frozen=True)
class Listed:
    """A list option."""

    # One element, as a user writes it in YAML.
    example: str
    # Elements are dictionaries, and these are the lists in them.
    inner: Shape | None = None
    # Elements may be something else than texts: what reads them checks them.
    mixed: bool = False
    # One element may hold a comma itself, so that a text with commas can be one or several.
    commas: bool = False
    # What else may have been meant by a value that is no list.
    hint: str = ""


# The options of a dictionary that are read before Ansible does, and the dictionaries that have some.
Shape = t.Mapping[str, t.Any]

_UPSTREAM = Listed("unix:/run/shop/gunicorn.sock", mixed=True)

_SITE: Shape = {
    "redirects": Listed("www.example.com"),
    "static": Listed("{url: /static/, path: static}", {"url": Text("/static/"), "path": Text("static")}),
    "read_timeout": Whole(),
    "trusted_proxies": Listed("10.0.0.0/8"),
    "pass_headers": Listed("X-HTTP-Method-Override"),
    "locations": Listed("{path: /admin/}", {"upstream": _UPSTREAM}),
    "maintenance": {"open": Listed("/status")},
    "tls": {},
    "proxy_headers": {},
}
SITE: Shape = {"domains": Listed("shop.example.com"), "upstream": _UPSTREAM, **_SITE}
SITES = Listed("{name: shop, domains: [shop.example.com], upstream: [127.0.0.1:8000]}", SITE)

COMMAND = Listed("flask db upgrade", mixed=True, commas=True)
# By any name.
ANY = "*"
# Dictionaries whose values are shown nowhere.
SECRET = ("environment", "secrets", "build_environment", "build_secrets")

APP: Shape = {
    "name": Text("shop"),
    "source": Text("./shop"),
    "source_type": Text("git"),
    "version": Text("v1.10"),
    "subdirectory": Text("web"),
    "checksum": Text("sha256:..."),
    "deploy_key": Text("{{ vault_deploy_key }}", secret=True),
    "known_hosts": Text("git.example.com ssh-ed25519 AAAA..."),
    "app": Text("shop:app"),
    "user": Text("shop"),
    "group": Text("shop"),
    "python": Text("3.12"),
    "installer": Text("uv"),
    "index_url": Text("https://pypi.example.com/simple"),
    "ca_bundle": Text("/etc/ssl/certs/ca-certificates.crt"),
    "wheel_dir": Text("/srv/wheels"),
    "gunicorn_requirement": Text("gunicorn>=23"),
    "build_timeout": Whole(),
    "source_max_mib": Whole(),
    "build_with_deploy_key": Flag(),
    "trusted_hops": Whole(),
    "host_header": Text("X-Original-Host"),
    "keep": Whole(),
    "rename_from": Text("store"),
    "domains": SITE["domains"],
    "requirements": Listed("requirements.txt"),
    "packages": Listed("psycopg[binary]>=3", commas=True),
    "shared": Listed("uploads"),
    **{key: {} for key in SECRET},
    "gunicorn": {
        "timeout": Whole(),
        "instances": Whole(),
        "asset_grace": Whole(),
        "extra": {},
        "bind": Listed("127.0.0.1:8000"),
        "after": Listed("postgresql.service"),
        "sandbox_paths": Listed("/var/spool/shop"),
        "health": {"status": Listed("200")},
    },
    "hooks": {
        **dict.fromkeys(("build", "migrate", "before_switch", "after_switch"), COMMAND),
        "rollback": {ANY: COMMAND},
    },
    "workers": Listed(
        "{name: mail, command: celery worker}", {}, hint=" (how many processes gunicorn has is gunicorn.workers)"
    ),
    "timers": Listed("{name: clean, command: flask clean, schedule: daily}", {}),
    "nginx": _SITE,
}
APPS = Listed("{name: shop, source: ./shop, app: 'shop:app', domains: [shop.example.com]}", APP)


def split_text(text: str) -> list[str]:
    """Return the parts between commas, which is how Ansible makes a list of a text."""
    return [part.strip() for part in text.split(",") if part.strip()]


def with_lists(item: object, shape: Shape, path: str = "") -> dict[str, t.Any]:
    """Return a dictionary whose list options are lists; raise InputError, which says what to write, for others.

    C(path) is how a user names the dictionary. A value of None stays: it stands for "not given".
    """
    if not isinstance(item, t.Mapping):
        found = "a text or list" if path in SECRET else shown(item)
        raise InputError(f"{path or 'an entry'} must be a dictionary, not {found}")
    prefix = f"{path}." if path else ""
    return {key: _settled(value, shape.get(key, shape.get(ANY)), f"{prefix}{key}") for key, value in item.items()}


def _settled(value: t.Any, kind: Listed | Shape | None, path: str) -> t.Any:
    if kind is None or value is None:
        return value
    if isinstance(kind, Listed):
        return elements(value, kind, path)
    if isinstance(kind, (Text, Whole, Flag)):
        return scalar(value, kind, path)
    # An empty text stands for nothing, as a template may give it.
    return value if value == "" else with_lists(value, kind, path)


def elements(value: object, kind: Listed, path: str) -> list[t.Any]:
    """Return what is in the list option C(path); None for an option that is not given."""
    if value is None:
        return []
    found = to_list(value, kind, path)
    if kind.inner is not None:
        return [with_lists(element, kind.inner, f"{path}[{number}]") for number, element in enumerate(found)]
    return found if kind.mixed else [_text(element, kind, path) for element in found]


def to_list(value: object, kind: Listed, path: str) -> list[object]:
    """Return a list, whose elements are not looked at; raise InputError for what is none."""
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, str) and not value.strip():
        return []
    if isinstance(value, (t.Mapping, bool)) or kind.inner is not None:
        raise InputError(f"{path} must be a list, not {shown(value)}{kind.hint}: {_advice(kind, path)}")
    text = str(value)
    if kind.commas and "," in text:
        raise InputError(
            f"{path} is the text {shown(value)}, whose comma may separate two elements or belong to one: "
            + _advice(kind, path)
        )
    return t.cast("list[object]", split_text(text))


def _text(element: object, kind: Listed, path: str) -> str:
    """Return an element as a text, as Ansible converts it; YAML makes a boolean or nothing of some words."""
    if isinstance(element, bool) or not isinstance(element, (str, int, float)):
        raise InputError(f"{path} must hold texts, not {shown(element)}: {_advice(kind, path)}")
    return str(element)


def _advice(kind: Listed, path: str) -> str:
    key = path.rpartition(".")[2]
    return f"write '{key}:' and below it '  - {kind.example}', a line for each element"


def settle_apps(apps: object, variable: str = "flask_apps") -> list[dict[str, t.Any]]:
    """Return applications whose list options are lists; raise InputError, which names the application."""
    return _entries(apps, APPS, variable, "app")


def settle_sites(sites: object, variable: str = "nginx_sites") -> list[dict[str, t.Any]]:
    """Return sites whose list options are lists; raise InputError, which names the site."""
    return _entries(sites, SITES, variable, "site")


def _entries(value: object, kind: Listed, variable: str, what: str) -> list[dict[str, t.Any]]:
    if isinstance(value, str) and value.strip():
        raise InputError(f"{variable} must be a list, not {shown(value)}: {_advice(kind, variable)}")
    found = [] if value is None else to_list(value, kind, variable)
    return [_entry(item, kind, f"{variable}[{number}]", what) for number, item in enumerate(found)]


def _entry(item: object, kind: Listed, place: str, what: str) -> dict[str, t.Any]:
    if not isinstance(item, t.Mapping):
        raise InputError(f"{place} must be a dictionary, not {shown(item)}: write '- {kind.example}'")
    # YAML makes false of a bare 'no', and that is told of its type.
    if item.get("name") in (None, ""):
        keys = ", ".join(map(str, item)) or "no key"
        raise InputError(f"{place} has no 'name', only {keys}: write '- {kind.example}'")
    try:
        return with_lists(item, kind.inner or {})
    except InputError as exc:
        named = isinstance(item["name"], str)
        raise InputError(f"{what} '{item['name']}': {exc}" if named else f"{place}: {exc}") from None


def as_list(key: str, value: object, example: str) -> list[object]:
    """Return a list; a text alone is a list of one, or of its parts between commas."""
    found = elements(value, Listed(example, mixed=True), key)
    # What Ansible itself split at commas has kept its blanks.
    return [element.strip() if isinstance(element, str) else element for element in found]
