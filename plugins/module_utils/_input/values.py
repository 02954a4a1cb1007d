# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read values that a user wrote, with errors that name them. Private to flaskops.stack.

Numbers, flags and lists are read here for all options, as Ansible reads them: one string is a list of one. YAML makes
something else of a word or a number without quotes, and filters read variables before any argument specification was
applied to them.
"""

from __future__ import annotations

import datetime
import json
import posixpath
import re
import typing as t
from dataclasses import dataclass

from .redact import is_secret, mask_urls

# A size of systemd.resource-control(5): bytes, with K, M, G or T; a percentage; or no limit.
_SIZE = re.compile(r"[0-9]+[KMGT]?|[0-9]+(?:\.[0-9]+)?%|infinity")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_QUOTA = re.compile(r"[0-9]+%")
_WHOLE = re.compile(r"[+-]?[0-9]+(?:\.0+)?")
_TRUE, _FALSE = {"true", "yes", "on", "1", "y", "t"}, {"false", "no", "off", "0", "n", "f"}

# A longer value is cut in an error.
_LONGEST = 120

# sockaddr_un.sun_path holds 108 bytes with its terminating NUL (unix(7)).
MAX_SOCKET_PATH = 107

# Of a path in a release: what is longer is too long for Linux (4,096 bytes), or for what walks over it.
_DEEPEST, _LONGEST_PATH, _LONGEST_NAME = 100, 2048, 255

# The directories of CAs (ACME) that have a word.
PRODUCTION = "https://acme-v02.api.letsencrypt.org/directory"
STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
_DIRECTORIES = {"": PRODUCTION, "production": PRODUCTION, "staging": STAGING}
_DIRECTORY = re.compile(r"https://(?:\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]]+)(?::([0-9]{1,5}))?/\S*")
_WITH_USER = re.compile(r"[a-zA-Z]+://[^\s/?#]*@.*", re.DOTALL)

# useradd(8) accepts 32 characters; a unit name and a path take all of these.
_NAME = re.compile(r"[a-z][a-z0-9-]{0,29}[a-z0-9]|[a-z]")


class InputError(ValueError):
    """A value that cannot be used as what it was written for."""


class UnsafeNameError(ValueError):
    """A name or a path that the stack cannot use."""


def directory_url(text: str, what: str) -> str:
    """Return the URL of a CA's directory; raise InputError for one without TLS, or none."""
    url = _DIRECTORIES.get(text, text)
    if _WITH_USER.fullmatch(url):
        raise InputError(
            f"{what} has a user name or password in it, which would stand in lists of processes and logs: leave them"
            " out. A CA that knows its users takes their keys from eab_file (nginx_acme_eab_file)"
        )
    found = _DIRECTORY.fullmatch(url)
    if not found or int(found.group(1) or 443) > 65535:
        raise InputError(
            f"{what} '{text}' must be the https:// URL of a CA's directory, 'staging' for the one that Let's "
            "Encrypt offers for tests, or empty for Let's Encrypt"
        )
    return url


def read_whole(value: object) -> int | None:
    """Return the whole number that a value stands for, None when it is no number; Jinja gives some as texts."""
    if isinstance(value, str):
        text = value.strip()
        return int(text.partition(".")[0]) if _WHOLE.fullmatch(text) else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def read_flag(value: object) -> bool | None:
    """Return the truth value that a value stands for, None when it is none."""
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return bool(value) if value in (0, 1) else None
    word = value.strip().lower() if isinstance(value, str) else ""
    return word in _TRUE if word in _TRUE | _FALSE else None


@dataclass(frozen=True)
class Text:
    """A text option."""

    # A value, as a user writes it in YAML.
    example: str
    # It is shown nowhere.
    secret: bool = False


@dataclass(frozen=True)
class Whole:
    """An option that is a whole number."""


@dataclass(frozen=True)
class Flag:
    """An option that is true or false."""


Scalar = t.Union[Text, Whole, Flag]


def scalar(value: object, kind: Scalar, path: str) -> str | int | bool:
    """Return the value of the option C(path); raise InputError, which says what to write, for what cannot be one."""
    if isinstance(kind, Whole):
        return as_int(path, value, least=None)
    return _text(value, kind, path) if isinstance(kind, Text) else as_bool(path, value)


def _text(value: object, kind: Text, path: str) -> str:
    plain_date = isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)
    if plain_date or (isinstance(value, (str, int, float)) and not isinstance(value, bool)):
        return str(value)
    found = "another type" if kind.secret else shown(value)
    structure = isinstance(value, (t.Mapping, list, tuple))
    why = "write" if structure else "YAML reads some words without quotes as something else. Write it in quotes, as"
    raise InputError(f"{path} must be a text, not {found}: {why} {path.rpartition('.')[2]}: '{kind.example}'")


def shown(value: object, path: str = "") -> str:
    """Return a value as an error about the option C(path) shows it."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, t.Mapping):
        # Its values may be secrets.
        return f"a dictionary with the keys {', '.join(map(str, value))}" if value else "an empty dictionary"
    if is_secret(path):
        return "a text or list"
    text = mask_urls(json.dumps(value, default=str, ensure_ascii=False))
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def as_int(key: str, value: object, least: int | None = 0) -> int:
    """Return a whole number of at least C(least)."""
    number = read_whole(value)
    if number is None or (least is not None and number < least):
        bound = "" if least is None else f", {least} or more"
        raise InputError(f"{key} must be a whole number{bound}, not {shown(value)}")
    return number


def as_bool(key: str, value: object) -> bool:
    """Return a truth value."""
    flag = read_flag(value)
    if flag is None:
        raise InputError(f"{key} must be true or false, not {shown(value)}")
    return flag


def as_line(key: str, value: object) -> str:
    """Return a text of one line without control characters: it goes into a unit file or a header."""
    if isinstance(value, (bool, list, tuple, dict)) or value is None:
        raise InputError(f"{key} '{value}' must be a text")
    text = str(value)
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise InputError(f"{key} {text!r} must be one line without control characters")
    return text


def as_prefix(key: str, value: object) -> str:
    """Return a URL path without the slash at its end; empty for none. It goes into a header and into C(SCRIPT_NAME)."""
    text = as_line(key, value).strip().rstrip("/")
    if text and (not _PREFIX.fullmatch(text) or {".", ".."} & set(text.split("/"))):
        raise InputError(
            f"{key} '{text}' must be a URL path such as /blog, of letters, digits, '.', '_', '~' and '-' between its "
            "slashes"
        )
    return text


def as_size(key: str, value: object) -> str:
    """Return a limit of memory as systemd reads it; empty for none."""
    text = as_line(key, value).strip()
    if text and not _SIZE.fullmatch(text):
        raise InputError(f"{key} '{text}' must be a size such as 512M or 2G, a percentage of memory, or empty")
    return text


def as_quota(key: str, value: object) -> str:
    """Return a share of processor time as systemd reads it; empty for no limit."""
    text = as_line(key, value).strip()
    if text and not _QUOTA.fullmatch(text):
        raise InputError(f"{key} '{text}' must be a percentage of one CPU such as 150%, or empty")
    return text


def as_mapping(key: str, value: object) -> dict[str, object]:
    """Return a dictionary with texts as keys."""
    if value is None or value == "":
        return {}
    if not isinstance(value, t.Mapping):
        raise InputError(f"{key} '{value}' must be a dictionary")
    return {str(name): content for name, content in value.items()}


def as_variables(key: str, value: object) -> dict[str, str]:
    """Return variables of the environment as texts; errors do not show a value, which may be a secret."""
    if value is None or value == "":
        return {}
    if not isinstance(value, t.Mapping):
        raise InputError(f"{key} must be a dictionary, not {_kind(value)}")
    return {str(name): _variable(f"{key}.{name}", content) for name, content in value.items()}


def _variable(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise InputError(
        f"{name} is {_kind(value)}, and an environment variable is a text: write '' for an empty one, and use the "
        "filter to_json for a list or a dictionary"
    )


def _kind(value: object) -> str:
    if value is None:
        return "nothing (null)"
    if isinstance(value, t.Mapping):
        return "a dictionary"
    return "a list" if isinstance(value, (list, tuple)) else type(value).__name__


def refuse_unknown(what: str, given: t.Iterable[str], known: t.Collection[str]) -> None:
    """Raise InputError for keys that are unknown: most are typing errors."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise InputError(f"{what} has no setting '{unknown[0]}': choose from {', '.join(sorted(known))}")


def check_name(name: str) -> str:
    """Return C(name) when it is safe as a user, a unit and a path; raise UnsafeNameError otherwise."""
    if not _NAME.fullmatch(name):
        raise UnsafeNameError(
            f"name '{name}' must be 1 to 31 lower-case letters, digits or '-', start with a letter "
            "and not end with '-': it becomes a system user, a unit name and a path"
        )
    return name


def check_root(root: str, option: str = "root") -> str:
    """Return the directory of all applications when units of systemd can name it; raise InputError otherwise."""
    if not posixpath.isabs(root) or any(char.isspace() or char in "%\\\"'$" for char in root):
        raise InputError(f"{option} '{root}' must be an absolute path without blanks, quotes, '%', '$' and backslashes")
    return root


def check_socket_path(path: str) -> str:
    """Return C(path) when a unix socket can have it; raise UnsafeNameError otherwise."""
    size = len(path.encode("utf-8", "surrogateescape"))
    if size > MAX_SOCKET_PATH:
        raise UnsafeNameError(
            f"socket path '{path}' has {size} bytes; Linux accepts {MAX_SOCKET_PATH}: choose a shorter name or root"
        )
    return path


def length_fault(path: str) -> str:
    """Return what is too long in a path of a release; an empty text when nothing is."""
    parts = path.split("/")
    if len(parts) > _DEEPEST:
        return f"{len(parts)} directories deep: at most {_DEEPEST} are possible"
    # Bytes that are no UTF-8 travel as surrogates.
    longest = max(len(part.encode("utf-8", "surrogateescape")) for part in parts)
    if longest > _LONGEST_NAME or len(path.encode("utf-8", "surrogateescape")) > _LONGEST_PATH:
        return (
            f"a path of {len(path)} characters: it may have {_LONGEST_PATH} bytes, and {_LONGEST_NAME} between two "
            "slashes"
        )
    return ""


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

# By any name.
ANY = "*"

# begin shapes: written by `make specs` from tools/specs/schema/
SITE: Shape = {
    "domains": Listed("shop.example.com"),
    "redirects": Listed("www.example.com"),
    "upstream": Listed("unix:/run/shop/gunicorn.sock", mixed=True),
    "static": Listed(
        "{url: /static/, path: static}",
        {"url": Text("/static/"), "path": Text("static"), "package": Text("flask-admin")},
    ),
    "read_timeout": Whole(),
    "trusted_proxies": Listed("10.0.0.0/8"),
    "proxy_headers": {},
    "pass_headers": Listed("X-HTTP-Method-Override"),
    "trusted_headers": Listed("X-Visitor-Country"),
    "access_log_skip": Listed("/healthz"),
    "cache": {"paths": Listed("/news"), "bypass": Listed("/news/live")},
    "tls": {},
    "locations": Listed(
        "{path: /admin/}", {"upstream": Listed("unix:/run/shop/gunicorn.sock", mixed=True), "read_timeout": Whole()}
    ),
    "mounts": Listed(
        "{path: /blog, upstream: [127.0.0.1:8000]}",
        {
            "path": Text("/blog"),
            "upstream": Listed("unix:/run/shop/gunicorn.sock", mixed=True),
            "read_timeout": Whole(),
            "proxy_headers": {},
            "maintenance": {"open": Listed("/status")},
            "locations": Listed(
                "{path: /admin/}",
                {"upstream": Listed("unix:/run/shop/gunicorn.sock", mixed=True), "read_timeout": Whole()},
            ),
            "cache": {"paths": Listed("/news"), "bypass": Listed("/news/live")},
            "basic_auth": {
                "realm": Text("Staging"),
                "users": Listed(
                    "{name: alice, password: '{{ vault_alice }}'}", {"password": Text("{{ vault_alice }}", secret=True)}
                ),
                "paths": Listed("/admin"),
                "open": Listed("/healthz"),
                "allow": Listed("10.0.0.0/8"),
            },
        },
    ),
    "limits": Listed("{path: /login, rate: 5r/s, burst: 10}", {"path": Text("/login")}),
    "allow": Listed("10.0.0.0/8"),
    "deny": Listed("10.0.0.1"),
    "methods": Listed("GET"),
    "access": Listed(
        "{path: /admin}", {"allow": Listed("10.0.0.0/8"), "deny": Listed("10.0.0.1"), "methods": Listed("GET")}
    ),
    "basic_auth": {
        "realm": Text("Staging"),
        "users": Listed(
            "{name: alice, password: '{{ vault_alice }}'}", {"password": Text("{{ vault_alice }}", secret=True)}
        ),
        "paths": Listed("/admin"),
        "open": Listed("/healthz"),
        "allow": Listed("10.0.0.0/8"),
    },
    "maintenance": {"open": Listed("/status")},
}
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
    "requirements": Listed("requirements.txt"),
    "packages": Listed("psycopg[binary]>=3", commas=True),
    "constraints": Listed("werkzeug<3", commas=True),
    "build_constraints": Listed("setuptools<81", commas=True),
    "prerelease": Flag(),
    "system_packages": Listed("libpq5"),
    "index_url": Text("https://pypi.example.com/simple"),
    "extra_index_url": Listed("https://download.pytorch.org/whl/cpu", commas=True),
    "ca_bundle": Text("/etc/ssl/certs/ca-certificates.crt"),
    "wheel_dir": Text("/srv/wheels"),
    "gunicorn_requirement": Text("gunicorn>=23"),
    "build_timeout": Whole(),
    "source_max_mib": Whole(),
    "build_environment": {},
    "build_secrets": {},
    "build_with_deploy_key": Flag(),
    "environment": {},
    "secrets": {},
    "files": Listed(
        "{path: app.cfg, template: app.cfg.j2, secret: true}",
        {
            "path": Text("config/app.cfg"),
            "content": Text("DEBUG = false", secret=True),
            "template": Text("app.cfg.j2"),
            "src": Text("app.cfg"),
            "secret": Flag(),
            "mode": Text("0640"),
        },
    ),
    "shared": Listed("uploads"),
    "trusted_hops": Whole(),
    "host_header": Text("X-Original-Host"),
    "keep": Whole(),
    "compress": Flag(),
    "rename_from": Text("store"),
    "domains": Listed("shop.example.com"),
    "gunicorn": {
        "timeout": Whole(),
        "extra": {},
        "instances": Whole(),
        "bind": Listed("127.0.0.1:8000"),
        "after": Listed("postgresql.service"),
        "sandbox_paths": Listed("/var/spool/shop"),
        "health": {"status": Listed("200")},
        "asset_grace": Whole(),
        "idle": Text("15m"),
    },
    "hooks": {
        "build": Listed("flask db upgrade", mixed=True, commas=True),
        "migrate": Listed("flask db upgrade", mixed=True, commas=True),
        "before_switch": Listed("flask db upgrade", mixed=True, commas=True),
        "after_switch": Listed("flask db upgrade", mixed=True, commas=True),
        "rollback": {"*": Listed("flask db upgrade", mixed=True, commas=True)},
    },
    "workers": Listed(
        "{name: mail, command: celery worker}", {}, hint=" (how many processes gunicorn has is gunicorn.workers)"
    ),
    "timers": Listed("{name: clean, command: flask clean, schedule: daily}", {}),
    "mount": {"site": Text("shop"), "path": Text("/blog")},
    "nginx": {
        "redirects": Listed("www.example.com"),
        "static": Listed(
            "{url: /static/, path: static}",
            {"url": Text("/static/"), "path": Text("static"), "package": Text("flask-admin")},
        ),
        "read_timeout": Whole(),
        "trusted_proxies": Listed("10.0.0.0/8"),
        "proxy_headers": {},
        "pass_headers": Listed("X-HTTP-Method-Override"),
        "trusted_headers": Listed("X-Visitor-Country"),
        "access_log_skip": Listed("/healthz"),
        "cache": {"paths": Listed("/news"), "bypass": Listed("/news/live")},
        "tls": {},
        "locations": Listed(
            "{path: /admin/}", {"upstream": Listed("unix:/run/shop/gunicorn.sock", mixed=True), "read_timeout": Whole()}
        ),
        "mounts": Listed(
            "{path: /blog, upstream: [127.0.0.1:8000]}",
            {
                "path": Text("/blog"),
                "upstream": Listed("unix:/run/shop/gunicorn.sock", mixed=True),
                "read_timeout": Whole(),
                "proxy_headers": {},
                "maintenance": {"open": Listed("/status")},
                "locations": Listed(
                    "{path: /admin/}",
                    {"upstream": Listed("unix:/run/shop/gunicorn.sock", mixed=True), "read_timeout": Whole()},
                ),
                "cache": {"paths": Listed("/news"), "bypass": Listed("/news/live")},
                "basic_auth": {
                    "realm": Text("Staging"),
                    "users": Listed(
                        "{name: alice, password: '{{ vault_alice }}'}",
                        {"password": Text("{{ vault_alice }}", secret=True)},
                    ),
                    "paths": Listed("/admin"),
                    "open": Listed("/healthz"),
                    "allow": Listed("10.0.0.0/8"),
                },
            },
        ),
        "limits": Listed("{path: /login, rate: 5r/s, burst: 10}", {"path": Text("/login")}),
        "allow": Listed("10.0.0.0/8"),
        "deny": Listed("10.0.0.1"),
        "methods": Listed("GET"),
        "access": Listed(
            "{path: /admin}", {"allow": Listed("10.0.0.0/8"), "deny": Listed("10.0.0.1"), "methods": Listed("GET")}
        ),
        "basic_auth": {
            "realm": Text("Staging"),
            "users": Listed(
                "{name: alice, password: '{{ vault_alice }}'}", {"password": Text("{{ vault_alice }}", secret=True)}
            ),
            "paths": Listed("/admin"),
            "open": Listed("/healthz"),
            "allow": Listed("10.0.0.0/8"),
        },
        "maintenance": {"open": Listed("/status")},
    },
}
# end shapes

SITES = Listed("{name: shop, domains: [shop.example.com], upstream: [127.0.0.1:8000]}", SITE)
APPS = Listed("{name: shop, source: ./shop, app: 'shop:app', domains: [shop.example.com]}", APP)
COMMAND: Listed = APP["hooks"]["build"]


def split_text(text: str) -> list[str]:
    """Return the parts between commas, which is how Ansible makes a list of a text."""
    return [part.strip() for part in text.split(",") if part.strip()]


def with_lists(item: object, shape: Shape, path: str = "") -> dict[str, t.Any]:
    """Return a dictionary whose list options are lists; raise InputError, which says what to write, for others.

    C(path) is how a user names the dictionary. A value of None stays: it stands for "not given".
    """
    if not isinstance(item, t.Mapping):
        raise InputError(f"{path or 'an entry'} must be a dictionary, not {shown(item, path)}")
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
    return found if kind.mixed else [_element(element, kind, path) for element in found]


def to_list(value: object, kind: Listed, path: str) -> list[object]:
    """Return a list, whose elements are not looked at; raise InputError for what is none."""
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, str) and not value.strip():
        return []
    if isinstance(value, (t.Mapping, bool)) or kind.inner is not None:
        raise InputError(f"{path} must be a list, not {shown(value, path)}{kind.hint}: {_advice(kind, path)}")
    text = str(value)
    if kind.commas and "," in text:
        raise InputError(
            f"{path} is the text {shown(value)}, whose comma may separate two elements or belong to one: "
            + _advice(kind, path)
        )
    return t.cast("list[object]", split_text(text))


def _element(element: object, kind: Listed, path: str) -> str:
    """Return an element as a text, as Ansible converts it; YAML makes a boolean or nothing of some words."""
    if isinstance(element, bool) or not isinstance(element, (str, int, float)):
        raise InputError(f"{path} must hold texts, not {shown(element)}: {_advice(kind, path)}")
    return str(element)


def _advice(kind: Listed, path: str) -> str:
    key = path.rpartition(".")[2]
    return f"write '{key}:' and below it '  - {kind.example}', a line for each element"


def settle_apps(apps: object, variable: str = "flask_apps") -> list[dict[str, t.Any]]:
    """Return applications whose list options are lists; raise InputError, which names the application."""
    return [_settled_app(item, place) for place, item in _entries(apps, APPS, variable)]


def _settled_app(item: t.Mapping[str, t.Any], place: str) -> dict[str, t.Any]:
    try:
        return with_lists(item, APP)
    except InputError as exc:
        named = isinstance(item["name"], str)
        raise InputError(f"app '{item['name']}': {exc}" if named else f"{place}: {exc}") from None


def site_entries(sites: object, variable: str = "nginx_sites") -> list[t.Mapping[str, t.Any]]:
    """Return sites that have a name; raise InputError for anything else. What is in a site is not looked at."""
    return [item for _place, item in _entries(sites, SITES, variable)]


def _entries(value: object, kind: Listed, variable: str) -> list[tuple[str, t.Mapping[str, t.Any]]]:
    """Return dictionaries that have a name, and how errors name their places."""
    if isinstance(value, str) and value.strip():
        raise InputError(f"{variable} must be a list, not {shown(value)}: {_advice(kind, variable)}")
    found = [] if value is None else to_list(value, kind, variable)
    places = [f"{variable}[{number}]" for number in range(len(found))]
    return [(place, _entry(item, kind, place)) for place, item in zip(places, found)]


def _entry(item: object, kind: Listed, place: str) -> t.Mapping[str, t.Any]:
    if not isinstance(item, t.Mapping):
        raise InputError(f"{place} must be a dictionary, not {shown(item)}: write '- {kind.example}'")
    # YAML makes false of a bare 'no', and that is told of its type.
    if item.get("name") in (None, ""):
        keys = ", ".join(map(str, item)) or "no key"
        raise InputError(f"{place} has no 'name', only {keys}: write '- {kind.example}'")
    return item


def as_list(key: str, value: object, example: str) -> list[object]:
    """Return a list; a text alone is a list of one, or of its parts between commas."""
    found = elements(value, Listed(example, mixed=True), key)
    # What Ansible itself split at commas has kept its blanks.
    return [element.strip() if isinstance(element, str) else element for element in found]


def with_defaults(params: t.Mapping[str, t.Any], options: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """Return the arguments of a module; Ansible gives no default to one that is null, as that of an unset variable."""
    # It makes an empty path of null.
    nothing = {key: (None, "") if options[key]["type"] == "path" else (None,) for key in params if key in options}
    return {
        key: options[key].get("default") if value in nothing.get(key, ()) else value for key, value in params.items()
    }


def to_plain(value: t.Any) -> t.Any:
    """Return a value in JSON's own types: what Ansible wraps or decrypts on access is taken out of its wrapping."""
    if isinstance(value, t.Mapping):
        return {str(key): to_plain(content) for key, content in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(element) for element in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)
