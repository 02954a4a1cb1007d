# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each list option of the roles, given as text, list and dictionary to all that reads it before Ansible does."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.flaskops.stack.plugins.filter.derive import FilterModule as Derive
from ansible_collections.flaskops.stack.plugins.filter.flask_packages import FilterModule as Packages
from ansible_collections.flaskops.stack.plugins.filter.nginx_site_configs import FilterModule as Sites
from ansible_collections.flaskops.stack.plugins.module_utils._app.application import identify, parse_app
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints.flask_release_serve import sites_of
from ansible_collections.flaskops.stack.plugins.module_utils._input.redact import SECRET
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import (
    ANY,
    APP,
    SITE,
    Flag,
    InputError,
    Listed,
    Text,
    Whole,
    settle_apps,
)
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import parse_settings

ROLES = Path(__file__).parents[2] / "roles"
FILTERS: dict[str, t.Callable[..., t.Any]] = {**Derive().filters(), **Packages().filters(), **Sites().filters()}
Item = dict[str, t.Any]

# What a user may write for a list of texts, and the list that it stands for.
TEXTS: dict[str, tuple[object, list[t.Any]]] = {
    "requirements": ("requirements.txt, uv.lock", ["requirements.txt", "uv.lock"]),
    "constraints": ("werkzeug<3", ["werkzeug<3"]),
    "build_constraints": ("setuptools<81", ["setuptools<81"]),
    "extra_index_url": ("https://example.com/simple", ["https://example.com/simple"]),
    "system_packages": ("libpq5, libxml2", ["libpq5", "libxml2"]),
    "packages": ("psycopg[binary]>=3", ["psycopg[binary]>=3"]),
    "shared": ("uploads, var/data", ["uploads", "var/data"]),
    "domains": ("web, www.example.com", ["web", "www.example.com"]),
    "bind": ("127.0.0.1:8000, [::1]:8000", ["127.0.0.1:8000", "[::1]:8000"]),
    "after": ("postgresql.service", ["postgresql.service"]),
    "sandbox_paths": ("/var/spool/shop", ["/var/spool/shop"]),
    "status": ("200, 301", [200, 301]),
    "build": ("npm run build", ["npm run build"]),
    "migrate": ("flask db upgrade", ["flask db upgrade"]),
    "before_switch": ("flask warm", ["flask warm"]),
    "after_switch": ("flask tell", ["flask tell"]),
    "access_log_skip": ("/healthz, /metrics", ["/healthz", "/metrics"]),
    "redirects": ("old.example.com", ["old.example.com"]),
    "trusted_proxies": ("10.0.0.0/8, 192.0.2.1", ["10.0.0.0/8", "192.0.2.1"]),
    "pass_headers": ("X-HTTP-Method-Override, x-host", ["X-HTTP-Method-Override", "x-host"]),
    "trusted_headers": ("X-Country, x-real-host", ["X-Country", "x-real-host"]),
    "upstream": ("10.0.0.1:8000, 10.0.0.2:8000", ["10.0.0.1:8000", "10.0.0.2:8000"]),
    "open": ("/status", ["/status"]),
    "paths": ("/blog/news, /blog/old", ["/blog/news", "/blog/old"]),
    "bypass": ("/blog/news/live", ["/blog/news/live"]),
    "allow": ("10.0.0.0/8, ::1", ["10.0.0.0/8", "::1"]),
    "deny": ("192.0.2.1, 2001:db8::/32", ["192.0.2.1", "2001:db8::/32"]),
    "methods": ("GET, POST", ["GET", "POST"]),
}
DICTIONARIES: dict[str, Item] = {
    "workers": {"name": "mail", "command": "celery worker"},
    "files": {"path": "app.cfg", "content": "DEBUG = false"},
    "timers": {"name": "clean", "command": "flask clean", "schedule": "daily"},
    "static": {"url": "/static/", "path": "static"},
    "locations": {"path": "/blog/admin/", "config": "allow 10.0.0.0/8;"},
    "limits": {"path": "/login", "rate": "5r/s"},
    "access": {"path": "/admin", "deny": ["192.0.2.1"]},
    "users": {"name": "alice", "password": "secret"},
    "mounts": {"path": "/blog", "upstream": ["10.0.0.3:80"]},
}
# Below another application's path, what is written there.
BELOW = "/blog"
REQUIRED: dict[str, Item] = {
    "cache": {"valid": 10},
    "basic_auth": {"users": [{"name": "alice", "password": "secret"}]},
}


def nested_options(role: str, variable: str) -> Item:
    """Return the options below a variable of a role."""
    spec = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    return t.cast(Item, spec["argument_specs"]["main"]["options"][variable]["options"])


def list_options(options: Item, path: str = "") -> dict[str, str]:
    """Return the paths of all list options and what their elements are."""
    found = {}
    for name, option in options.items():
        if option["type"] == "list":
            found[path + name] = option["elements"]
        found.update(list_options(option.get("options", {}), f"{path}{name}."))
    return found


def dictionary_options(options: Item, path: str = "") -> list[str]:
    """Return the paths of all options that are dictionaries and are in no list."""
    found = []
    for name, option in options.items():
        if option["type"] == "dict":
            found += [path + name, *dictionary_options(option.get("options", {}), f"{path}{name}.")]
    return found


def shape_options(shape: t.Mapping[str, t.Any], path: str = "") -> set[str]:
    """Return the paths of all lists that the readers know."""
    found = set()
    for name, kind in shape.items():
        if isinstance(kind, (Text, Whole, Flag)):
            continue
        if isinstance(kind, Listed):
            found.add(path + name)
        found |= shape_options((kind.inner or {}) if isinstance(kind, Listed) else kind, f"{path}{name}.")
    return found


OF_APPS = list_options(nested_options("flask", "flask_apps"))
OF_DICTIONARIES = dictionary_options(nested_options("flask", "flask_apps"))
OF_SITES = list_options(nested_options("nginx", "nginx_sites"))
OF_DEFAULTS = list_options(nested_options("nginx", "nginx_site_defaults"))
OF_SERVICES = list_options(nested_options("gunicorn", "gunicorn_services"))


def test_the_readers_know_each_list_option_of_the_roles() -> None:
    assert shape_options(APP) - {f"hooks.rollback.{ANY}"} == set(OF_APPS)
    assert shape_options(SITE) == set(OF_SITES)
    assert set(OF_DEFAULTS) <= set(OF_SITES)
    leaves = {path.rpartition(".")[2] for path in {**OF_APPS, **OF_SITES, **OF_SERVICES}}
    assert leaves == {*TEXTS, *DICTIONARIES}


def put(item: Item, path: str, value: object) -> Item:
    """Return an item with one option set, whose place may be inside of a list of dictionaries."""
    first, _dot, rest = path.partition(".")
    if not rest:
        return {**item, first: value}
    if first in DICTIONARIES:
        usual = DICTIONARIES[first]
        inner = {**usual, "path": BELOW + usual["path"]} if item.get("path") == BELOW else usual
        return {**item, first: [put(inner, rest, value)]}
    return {**item, first: put(item.get(first) or REQUIRED.get(first, {}), rest, value)}


def written(path: str) -> tuple[t.Any, list[t.Any]]:
    """Return what a user may write for a list of texts at a place, and the list that it stands for."""
    text, texts = TEXTS[path.rpartition(".")[2]]
    if re.search(r"\bmounts[.](cache|basic_auth)[.](paths|bypass|open)$", path):
        return re.sub("(^|, )/", rf"\1{BELOW}/", str(text)), [f"{BELOW}{each}" for each in texts]
    return text, texts


def place_of(path: str) -> str:
    """Return the path as errors name it, where C(put) makes one dictionary in a list."""
    return re.sub(r"\b(locations|access|mounts)[.]", r"\1[0].", path)


def an_app() -> Item:
    return {"name": "shop", "source": "./shop", "app": "shop:app", "domains": ["shop.example.com"]}


def a_site() -> Item:
    return {"name": "shop", "domains": ["shop.example.com"], "upstream": ["10.0.0.1:80"]}


def readings_of_app(app: Item) -> list[t.Any]:
    """Return what all readers of flask_apps make of an application; the filters get what a playbook gives them."""
    releases = [{"name": "shop", "path": "/srv/shop/releases/a"}]
    [settled] = settle_apps([app])
    parsed = parse_app(settled, "/srv")
    return [
        FILTERS["flask_packages"]([app]),
        FILTERS["gunicorn_services"]([app], releases),
        FILTERS["nginx_site_configs"](FILTERS["nginx_sites"]([app])),
        FILTERS["nginx_site_problems"](FILTERS["nginx_sites"]([app])),
        sites_of([settled], "/srv", {}),
        parsed,
        identify(parsed, "directory", "abc", "3.13"),
    ]


def texts_of(options: dict[str, str]) -> list[str]:
    return [path for path in options if path.rpartition(".")[2] in TEXTS]


def dictionaries_of(options: dict[str, str]) -> list[str]:
    return [path for path in options if path.rpartition(".")[2] in DICTIONARIES]


@pytest.mark.parametrize("path", texts_of(OF_APPS))
def test_a_text_of_an_application_is_a_list_as_everywhere_in_ansible(path: str) -> None:
    text, elements = written(path)
    wanted = readings_of_app(put(an_app(), path, elements))
    assert readings_of_app(put(an_app(), path, text)) == wanted
    # Each alone, too, which a comma would make two of.
    single = readings_of_app(put(an_app(), path, elements[:1]))
    assert readings_of_app(put(an_app(), path, str(elements[0]))) == single


@pytest.mark.parametrize("path", texts_of(OF_SITES))
def test_a_text_of_a_site_is_a_list(path: str) -> None:
    text, elements = written(path)
    render = FILTERS["nginx_site_configs"]
    assert render([put(a_site(), path, text)]) == render([put(a_site(), path, elements)])


@pytest.mark.parametrize("path", texts_of(OF_DEFAULTS))
def test_a_text_of_the_defaults_is_a_list(path: str) -> None:
    text, elements = written(path)
    render = FILTERS["nginx_site_configs"]
    assert render([a_site()], defaults=put({}, path, text)) == render([a_site()], defaults=put({}, path, elements))


@pytest.mark.parametrize("path", texts_of(OF_SERVICES))
def test_a_text_of_a_service_is_a_list(path: str) -> None:
    text, elements = written(path)
    assert parse_settings(put({}, path, text)) == parse_settings(put({}, path, elements))
    # As module gunicorn_service gets it, whose specification has split the text and kept its blanks.
    assert parse_settings(put({}, path, str(text).split(","))) == parse_settings(put({}, path, elements))


def refusals_of_app(app: Item) -> list[str]:
    """Return what the readers of flask_apps say about an application that they refuse."""
    releases = [{"name": "shop", "path": "/srv/shop/releases/a"}]
    said = []
    for read, error in (
        (lambda: settle_apps([app]), InputError),
        (lambda: FILTERS["flask_packages"]([app]), AnsibleFilterError),
        (lambda: FILTERS["gunicorn_services"]([app], releases), AnsibleFilterError),
        (lambda: FILTERS["nginx_sites"]([app]), AnsibleFilterError),
    ):
        with pytest.raises(error) as caught:
            read()
        said.append(str(caught.value))
    return said


@pytest.mark.parametrize("path", OF_APPS)
def test_a_dictionary_is_refused_with_the_option_the_value_and_what_to_write(path: str) -> None:
    value = DICTIONARIES.get(path.rpartition(".")[2], {"first": "s3cret", "second": "x"})
    place = place_of(path)
    for said in refusals_of_app(put(an_app(), path, value)):
        assert f"app 'shop': {place} must be a list, not a dictionary with the keys {', '.join(value)}" in said
        assert f"write '{path.rpartition('.')[2]}:' and below it '  - " in said
        assert "s3cret" not in said


@pytest.mark.parametrize("path", OF_SITES)
def test_a_dictionary_of_a_site_is_refused_likewise(path: str) -> None:
    place = place_of(path)
    [said] = FILTERS["nginx_site_problems"]([put(a_site(), path, {"server": "x"})])
    assert f"site 'shop': {place} must be a list, not a dictionary with the keys server: write" in said


@pytest.mark.parametrize("path", dictionaries_of(OF_APPS))
@pytest.mark.parametrize("value", ["web", 4, ["web"], [None]])
def test_a_text_where_dictionaries_are_meant_is_refused(path: str, value: object) -> None:
    for said in refusals_of_app(put(an_app(), path, value)):
        assert f"app 'shop': {place_of(path)}" in said
        assert "must be a list, not" in said or "must be a dictionary, not" in said


@pytest.mark.parametrize("path", [path for path in OF_APPS if OF_APPS[path] == "str"])
@pytest.mark.parametrize("value", [True, [True], [None], [{"a": 1}], [["a"]]])
def test_what_yaml_makes_of_a_word_is_no_text(path: str, value: object) -> None:
    for said in refusals_of_app(put(an_app(), path, value)):
        assert place_of(path) in said
        assert "must be a list, not true" in said or "must hold texts, not" in said


@pytest.mark.parametrize("path", OF_DICTIONARIES)
@pytest.mark.parametrize("value", ["KEY=s3cret", ["KEY=s3cret"]])
def test_a_text_where_a_dictionary_is_meant_is_refused(path: str, value: object) -> None:
    for said in refusals_of_app(put(an_app(), path, value)):
        assert f"app 'shop': {path} must be a dictionary, not " in said
        assert "s3cret" not in said or path not in SECRET


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("hooks.migrate", "flask init, flask db upgrade"),
        ("hooks.build", "rsync --include=a,b x y"),
        ("hooks.rollback.down", "flask db downgrade, 3f2a"),
        ("packages", "sqlalchemy>=2,<3"),
        ("packages", "flask[async,dotenv]"),
    ],
)
def test_a_comma_that_may_belong_to_one_element_is_refused(path: str, text: str) -> None:
    """Ansible would split a command or a requirement in two halves."""
    for said in refusals_of_app(put(an_app(), path, text)):
        assert f"app 'shop': {path} is the text " in said
        assert "whose comma may separate two elements or belong to one: write" in said


def test_a_command_of_a_rollback_is_a_list_of_one() -> None:
    given = [put(an_app(), "hooks.rollback.down", value) for value in ("flask down", ["flask down"])]
    assert readings_of_app(given[0]) == readings_of_app(given[1])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"shop": {"secrets": {"KEY": "s3cret"}}}, r" must be a list, not a dictionary with the keys shop: write"),
        ("shop", r' must be a list, not "shop": write'),
        ([["a"]], r'\[0\] must be a dictionary, not \["a"\]: write'),
        (["shop"], r'\[0\] must be a dictionary, not "shop": write'),
        ([{"domains": ["a.test"]}], r"\[0\] has no 'name', only domains: write"),
    ],
)
def test_the_lists_themselves_are_refused_alike(value: object, said: str) -> None:
    for name, more in (("flask_packages", ()), ("nginx_sites", ()), ("gunicorn_services", ([],))):
        with pytest.raises(AnsibleFilterError, match="flask_apps" + said):
            FILTERS[name](value, *more)
    for variable in ("nginx_sites", "nginx_sites_derived"):
        with pytest.raises(AnsibleFilterError, match=variable + said):
            FILTERS["nginx_site_configs"]({"nginx_sites": [], variable: value})


def test_sites_of_two_variables_are_one_list() -> None:
    sites = {"nginx_sites": [a_site()], "nginx_sites_derived": [{**a_site(), "name": "blog", "domains": ["b.test"]}]}
    configs = FILTERS["nginx_site_configs"](sites, catch_all=False)
    assert [config["name"] for config in configs] == ["shop", "blog"]


@pytest.mark.parametrize("value", ["libpq-dev, libxml2", ["libpq-dev", "libxml2"]])
def test_packages_of_the_system_are_a_list(value: object) -> None:
    assert FILTERS["flask_packages"]([], value) == ["python3-venv", "ca-certificates", "libpq-dev", "libxml2"]
    with pytest.raises(AnsibleFilterError, match="flask_packages must be a list, not a dictionary with the keys a"):
        FILTERS["flask_packages"]([], {"a": 1})


def test_packages_of_the_system_are_added_to_those_that_every_build_needs() -> None:
    defaults = ["python3-venv", "ca-certificates"]
    assert FILTERS["flask_packages"]([], defaults) == defaults
    assert FILTERS["flask_packages"]([], ["gcc"]) == [*defaults, "gcc"]
    assert FILTERS["flask_packages"]([], []) == []
