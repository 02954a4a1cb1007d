# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables with faults: each is named with what it belongs to and what is accepted, all at once and in a few lines."""

from __future__ import annotations

import contextlib
import copy
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.flaskops.stack.plugins.filter.nginx_site_configs import FilterModule as SiteFilters
from ansible_collections.flaskops.stack.plugins.plugin_utils._input_check import (
    check_variables,
    joined,
    load_schema,
    misnamed_variables,
)
from ansible_collections.flaskops.stack.plugins.plugin_utils._input_rules import check_rules

Item = dict[str, t.Any]
Path_ = tuple[t.Any, ...]

OPTIONS = load_schema()
SHOP: Item = {"name": "shop", "source": "./shop", "app": "shop:app"}
LEAST: dict[str, Item] = {"flask_apps": SHOP, "gunicorn_services": {"name": "shop"}, "nginx_sites": {"name": "shop"}}
# Lists whose entries have no name.
NAMELESS: dict[str, Item] = {"nginx_firewall_allow": {"port": 2222}}
LABELS = {"flask_apps": "app 'shop': ", "gunicorn_services": "service 'shop': ", "nginx_sites": "site 'shop': "}
INNER: dict[str, Item] = {
    "workers": {"name": "mail", "command": "celery worker"},
    "timers": {"name": "clean", "command": "flask clean", "schedule": "daily"},
    "static": {"url": "/static/", "path": "static"},
    "locations": {"path": "/admin/"},
    "access": {"path": "/admin"},
    "users": {"name": "alice", "password": "secret"},
    "mounts": {"path": "/blog", "upstream": ["10.0.0.3:80"]},
    "mount": {"site": "shop", "path": "/blog"},
    "tls": {"certificate": "/c.pem", "key": "/k.pem"},
    "cache": {"valid": 10},
    "files": {"path": "config.toml"},
}
# What no option of a type can be.
WRONG: dict[str, list[t.Any]] = {
    "str": [True, ["a"], {"a": 1}],
    "path": [True, ["a"], {"a": 1}],
    "int": ["five", "10m", 1.5, True, [], {}],
    "float": ["soon", True, []],
    "bool": ["maybe", 2, [], {}],
    "dict": ["abc", 5, ["a"], True],
    "list": [{"a": 1}, True],
    "raw": [],
}
# What Ansible accepts, too.
RIGHT: dict[str, list[t.Any]] = {
    "str": ["x", 5, 3.12],
    "path": ["/x"],
    "int": [5, "5", " 5", 5.0, -1],
    "float": [5, "5", 0.5, "0.5"],
    "bool": [True, False, "yes", "off", 1, 0, "t"],
    "dict": [{}, None],
    "list": [[], None],
    "raw": [1, "x", [], {}],
}


def option_paths(options: Item, path: Path_ = ()) -> t.Iterator[tuple[Path_, Item]]:
    """Yield all options with their paths; 0 stands for the element of a list."""
    for name, option in options.items():
        yield (*path, name), option
        inner = (*path, name, 0) if option["type"] == "list" else (*path, name)
        yield from option_paths(option.get("options", {}), inner)


def put(item: Item, path: Path_, value: object) -> Item:
    """Return an item with another value at a path, and what is required beside it."""
    item = copy.deepcopy(item)
    place: t.Any = item
    for number, key in enumerate(path[:-1]):
        if key != 0 and key not in place:
            inner = copy.deepcopy(INNER.get(key, {"current": "/c", "host": "a.test"} if key == "site" else {}))
            place[key] = [inner] if path[number + 1] == 0 else inner
        place = place[key]
    place[path[-1]] = value
    return item


def value_of(variable: str, path: Path_, value: object) -> object:
    """Return the value of a variable with another value at a path below it."""
    if not path:
        return value
    item = put({**LEAST, **NAMELESS}.get(variable, {}), path, value)
    return [item] if variable in LEAST or variable in NAMELESS else item


def all_options() -> list[tuple[str, Path_, Item]]:
    """Return all options of all variables."""
    found: list[tuple[str, Path_, Item]] = []
    for variable, option in OPTIONS.items():
        found.append((variable, (), option))
        found += [(variable, path, nested) for path, nested in option_paths(option.get("options", {}))]
    return found


ALL = all_options()
IDS = [".".join(map(str, (variable, *path))) for variable, path, _option in ALL]


def written(path: Path_) -> str:
    """Return a path as a user reads it."""
    return ".".join(map(str, path)).replace(".0", "[0]")


@pytest.mark.parametrize(("variable", "path", "option"), ALL, ids=IDS)
def test_each_wrong_type_of_each_option_is_named(variable: str, path: Path_, option: Item) -> None:
    for value in [*WRONG[option["type"]], *(["no such choice"] if "choices" in option else [])]:
        faults = check_variables({variable: value_of(variable, path, value)}, OPTIONS)
        assert faults, value
        if path == ("name",):
            continue
        label = LABELS.get(variable, "") if path else ""
        inside = (variable, *([0] if path and variable in NAMELESS else []), *path)
        where = written(path if variable in LABELS and path else inside)
        assert [fault.startswith(label + where) for fault in faults] == [True], faults
        assert " must be " in faults[0] or " must hold " in faults[0]
        assert len(faults[0].encode()) < 400
        assert "Python" not in faults[0]


@pytest.mark.parametrize(("variable", "path", "option"), ALL, ids=IDS)
def test_what_a_user_may_write_is_accepted(variable: str, path: Path_, option: Item) -> None:
    values: list[t.Any] = option["choices"] if "choices" in option else RIGHT[option["type"]]
    if path and not option.get("required"):
        values = [*values, None]
    if option["type"] == "list" and option["elements"] in ("str", "raw"):
        values = [*values, "one", ["one", "two"], ""]
    for value in values:
        # What is required is missing in an empty dictionary.
        if (option.get("required") and value is None) or (
            value == {} and path and path[-1] in ("tls", "site", "cache", "mount")
        ):
            continue
        given = {variable: value_of(variable, path, value)}
        assert check_variables(given, OPTIONS) == [], value


@pytest.mark.parametrize(("variable", "path", "option"), ALL, ids=IDS)
def test_what_ansible_would_refuse_is_refused(variable: str, path: Path_, option: Item) -> None:
    """An empty text stands for nothing, and a date is what YAML makes of a text: these two Ansible refuses alone."""
    validator = ArgumentSpecValidator({variable: OPTIONS[variable]})
    values = [value for known in (*WRONG.values(), *RIGHT.values()) for value in known if value is not None]
    for value in [*values, "x y", "a, b", [None], [{}], ["a"], {"a": 1}, -1, "-1"]:
        given = value_of(variable, path, value)
        try:
            refused = bool(validator.validate({variable: copy.deepcopy(given)}).error_messages)
        except TypeError:
            # Some values are too wrong for it.
            refused = True
        if refused:
            assert check_variables({variable: given}, OPTIONS), value


@pytest.mark.parametrize(("variable", "path", "option"), ALL, ids=IDS)
def test_an_unknown_option_is_named_and_so_is_the_one_that_was_meant(variable: str, path: Path_, option: Item) -> None:
    if not path or option.get("required") or len(path[-1]) < 4:
        return
    wrong = path[-1][:-1] + "xx" if len(path[-1]) > 6 else path[-1][:-1]
    faults = check_variables({variable: value_of(variable, (*path[:-1], wrong), 1)}, OPTIONS)
    assert len(faults) == 1
    assert f"{wrong}': did you mean '" in faults[0]


@pytest.mark.parametrize(
    ("app", "said"),
    [
        ({"domain": "a.test"}, "app 'shop': unknown option 'domain': did you mean 'domains'?"),
        ({"state": "absent"}, "run 'ansible-playbook flaskops.stack.remove -e app=NAME'"),
        ({"keep": "five"}, "app 'shop': keep must be a whole number, not \"five\""),
        ({"secrets": "abc"}, "app 'shop': secrets must be a dictionary, not a text or list"),
        ({"build_timeout": "10m"}, 'build_timeout must be a whole number, not "10m": write the seconds, 600'),
        (
            {"gunicorn": {"timeout": "30s"}},
            "app 'shop': gunicorn.timeout must be a whole number, not \"30s\": write the seconds, 30",
        ),
        ({"nginx": {"static": [{"path": "static"}]}}, "app 'shop': nginx.static[0].url is missing: set it"),
        ({"timeout": 30}, "app 'shop': unknown option 'timeout': write it as gunicorn.timeout"),
        ({"gunicorn": {"worker_class": "gevnt"}}, "gevent, tornado, not \"gevnt\"; did you mean 'gevent'?"),
        (
            {"zzz": 1},
            "app 'shop': unknown option 'zzz': 'ansible-doc -t role flaskops.stack.flask' lists all options",
        ),
        ({"python_mirror": "x"}, "'python_mirror': it is for the whole host: set the variable flask_python_mirror"),
        ({"acme": True}, "unknown option 'acme': it is for the whole host: set the variable nginx_acme"),
        ({"nginx": {"acme": True}}, "'nginx.acme': it is for the whole host: set the variable nginx_acme"),
        ({"gunicorn": {"root": "/opt"}}, "'gunicorn.root': it is for the whole host: set the variable gunicorn_root"),
        ({"gunicorn": {"health": {"zz": 1}}}, "choose from host, path, status, successes, timeout, watch"),
    ],
)  # fmt: skip
def test_the_sentence_says_what_to_write(app: Item, said: str) -> None:
    (fault,) = check_variables({"flask_apps": [{**SHOP, **app}]}, OPTIONS)
    assert fault.endswith(said)


def test_a_required_option_with_a_typing_error_is_one_fault() -> None:
    faults = check_variables({"flask_apps": [{"naem": "shop", "sorce": "./shop", "app": "shop:app"}]}, OPTIONS)
    assert faults == [
        "flask_apps[0]: unknown option 'naem': did you mean 'name'?",
        "flask_apps[0]: unknown option 'sorce': did you mean 'source'?",
    ]


@pytest.mark.parametrize(
    ("variables", "meant"),
    [
        ({"flask_app": [SHOP]}, ["flask_apps"]),
        ({"flask_app": "{{ shops }}"}, ["flask_apps"]),
        ({"nginx_sites_default": {"http2": True}, "nginx_site_defaults": {}}, ["nginx_site_defaults"]),
        ({"nginx_acme_emial": "me@example.com", "nginx_acme_email": ""}, ["nginx_acme_email"]),
        # Of another role, or of the user's own.
        ({"flask_app": "shop", "gunicorn_service": "shop.service", "flask_env": "x", "nginx_user": "www"}, []),
        ({"flask_app": [SHOP], "flask_apps": [SHOP]}, []),
        ({"nginx_sites_derived": [], "gunicorn_services_derived": [], "nginx_sites": [], "site": []}, []),
    ],
)
def test_a_variable_with_a_typing_error_is_named(variables: Item, meant: list[str]) -> None:
    said = misnamed_variables(variables, OPTIONS)
    assert [sentence.partition(": did you mean ")[2] for sentence in said] == [f"{name}?" for name in meant]
    assert all(sentence.startswith(next(iter(variables))) for sentence in said)


@pytest.mark.parametrize("variable", ["flask_root", "gunicorn_root"])
def test_the_directory_of_applications_is_a_path_that_units_can_name(variable: str) -> None:
    for value in ("srv", "./srv", "/srv/my apps", "/srv/%n", "/srv/$HOME"):
        (fault,) = check_variables({variable: value}, OPTIONS)
        assert fault.startswith(f"{variable} '{value}' must be an absolute path without")
    assert check_variables({variable: "/opt/apps"}, OPTIONS) == check_variables({variable: ""}, OPTIONS) == []


@pytest.mark.parametrize("value", ["abc", {"shop": SHOP}, 5, True])
def test_a_list_of_applications_is_meant(value: object) -> None:
    (fault,) = check_variables({"flask_apps": value}, OPTIONS)
    assert fault.startswith("flask_apps must be a list, not ")
    assert "- {name: shop, source: ./shop" in fault


def test_no_value_that_may_be_secret_is_shown() -> None:
    given = {"secrets": "hush-1", "environment": ["hush-2"], "build_secrets": "hush-3", "deploy_key": ["hush-4"]}
    app = {**SHOP, **given, "index_url": ["https://user:hush-5@example.com"], "token": "hush-6"}
    faults = check_variables(
        {"flask_apps": [app], "gunicorn_services": [{"name": "shop", "secrets": "hush-7"}]}, OPTIONS
    )
    assert len(faults) == 7
    assert "hush" not in "".join(faults)


def test_a_service_may_have_a_dictionary_as_text() -> None:
    assert check_variables({"gunicorn_services": [{"name": "shop", "environment": '{"A": "b"}'}]}, OPTIONS) == []


def test_all_faults_together_are_less_than_a_kilobyte() -> None:
    apps = [{**SHOP, "name": f"shop-{number}", "domain": "a.test", "keep": "x" * 500} for number in range(50)]
    faults = check_variables({"flask_apps": apps}, OPTIONS)
    assert len(faults) == 100
    text = joined(faults)
    assert len(text.encode()) < 1000
    assert text.endswith(f"... and {101 - len(text.splitlines())} more")
    assert joined(["ü" * 2000]).count("\n") == 0
    assert len(joined(["ü" * 2000]).encode()) < 1000
    assert joined(["one", "one", "two \x1b[2J"]) == "one\ntwo \\x1b[2J"


def test_the_examples_have_no_fault() -> None:
    examples = Path(__file__).parents[4] / "examples/inventories"
    hosts = yaml.safe_load((examples / "several-apps.yml").read_text(encoding="utf-8"))
    (variables,) = [found for found in _dictionaries(hosts) if "flask_apps" in found]
    assert check_variables({name: value for name, value in variables.items() if name in OPTIONS}, OPTIONS) == []


def _dictionaries(value: object) -> t.Iterator[Item]:
    if isinstance(value, dict):
        yield value
        for content in value.values():
            yield from _dictionaries(content)


def test_all_that_contradicts_a_rule_is_said_at_once() -> None:
    apps = [
        {**SHOP, "domains": "a.test"},
        {**SHOP, "name": "blog", "app": "blog app", "domains": "a.test", "trusted_hops": -1},
        {**SHOP, "name": "wiki", "domains": "c.test", "nginx": {"static": [{"url": "static", "path": "x"}]}},
    ]
    faults = check_rules(apps, [{"name": "api", "domains": ["b c"]}], {}, "/srv")
    assert [fault.partition(":")[0] for fault in faults] == [
        "app 'blog'",
        "domain 'a.test' is claimed by 'shop' and 'blog'",
        "site 'wiki'",
        "site 'api'",
    ]


def test_what_concerns_several_is_said_when_each_is_right() -> None:
    twice = [{**SHOP, "domains": "a.test"}, {**SHOP, "domains": "b.test"}]
    assert "2 times" in check_rules(twice, [], {}, "/srv")[0]
    site = {"name": "other", "domains": ["a.test"], "upstream": ["127.0.0.1:8000"]}
    (fault,) = check_rules([{**SHOP, "domains": "a.test"}], [site], {}, "/srv")
    assert "both have the domain 'a.test'" in fault
    assert check_rules([{**SHOP, "domains": "a.test"}], [], {}, "/srv") == []


SITES = [(variable, path) for variable, path, _option in ALL if variable in ("nginx_sites", "nginx_site_defaults")]


@pytest.mark.parametrize(("variable", "path"), SITES, ids=[".".join(map(str, (name, *path))) for name, path in SITES])
def test_no_value_of_a_site_ends_in_an_error_of_python_where_a_filter_is_used_alone(variable: str, path: Path_) -> None:
    configs = SiteFilters().filters()["nginx_site_configs"]
    for value in ["", "x y", True, False, 0, -1, 3.12, {}, {"a": None}, [], [None], [{}], ["a"], [1], b"x"]:
        site: object = [{"name": "a", "domains": ["a.test"], "upstream": ["10.0.0.1:80"]}]
        variables = {"nginx_sites": site, "nginx_site_defaults": {}, variable: value_of(variable, path, value)}
        with contextlib.suppress(AnsibleFilterError):
            configs(variables["nginx_sites"], defaults=variables["nginx_site_defaults"])
