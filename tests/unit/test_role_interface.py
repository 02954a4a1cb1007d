# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role says of its variables is said alike in all places."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.flaskops.stack.plugins.module_utils._site.model import Location, Maintenance, Site, Static, Tls
from ansible_collections.flaskops.stack.plugins.module_utils._site.parse import DEFAULT_KEYS, SITE_KEYS, parse_site
from ansible_collections.flaskops.stack.plugins.modules import flask_release

ROLES = sorted(path.parent for path in (Path(__file__).parents[2] / "roles").glob("*/meta"))
NAMES = [role.name for role in ROLES]
Options = dict[str, dict[str, t.Any]]

# What tells one service or site from another; the rest are settings, which an application takes for its own too.
OF_ONE_SITE = {"name", "domains", "upstream"}
OF_ONE_SERVICE = {
    "name", "state", "release", "hook", "app", "directory", "virtualenv", "user", "group", "environment", "secrets",
    "version", "trusted_hops", "host_header", "keep", "site",
}  # fmt: skip


def load(role: str, path: str) -> t.Any:
    """Return a YAML file of a role."""
    return yaml.safe_load((ROLES[0].parent / role / path).read_text(encoding="utf-8"))


def options(role: str, *path: str) -> Options:
    """Return the options of a role, or those nested below one."""
    found: Options = load(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    for name in path:
        found = found[name]["options"]
    return found


def interface(nested: Options) -> dict[str, t.Any]:
    """Return options without their prose."""
    return {
        name: {
            key: interface(value) if key == "options" else value
            for key, value in option.items()
            if key != "description"
        }
        for name, option in nested.items()
    }


def flattened(nested: Options, path: str = "") -> t.Iterator[tuple[str, dict[str, t.Any]]]:
    """Yield every option, also the nested ones, with its path."""
    for name, option in nested.items():
        yield path + name, option
        yield from flattened(option.get("options", {}), f"{path}{name}.")


@pytest.mark.parametrize("role", NAMES)
def test_defaults_are_those_that_the_specification_states(role: str) -> None:
    stated = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert load(role, "defaults/main.yml") == stated


@pytest.mark.parametrize("role", NAMES)
def test_what_has_no_default_is_required(role: str) -> None:
    unclear = [name for name, option in options(role).items() if ("default" in option) == option.get("required", False)]
    assert unclear == []


@pytest.mark.parametrize("role", NAMES)
def test_every_option_has_prose_and_a_type(role: str) -> None:
    assert [
        path for path, option in flattened(options(role)) if not option.get("description") or not option.get("type")
    ] == []


@pytest.mark.parametrize("role", NAMES)
def test_every_default_is_of_its_type(role: str) -> None:
    types: dict[str, t.Any] = {
        "str": str,
        "path": str,
        "int": int,
        "bool": bool,
        "list": list,
        "dict": dict,
        "float": (int, float),
        "raw": object,
    }
    wrong = [
        path
        for path, option in flattened(options(role))
        if "default" in option
        and (
            not isinstance(option["default"], types[option["type"]])
            or option["default"] not in option.get("choices", [option["default"]])
        )
    ]
    assert wrong == []


@pytest.mark.parametrize("role", NAMES)
def test_public_variables_carry_the_name_of_their_role(role: str) -> None:
    assert [name for name in options(role) if not name.startswith((f"{role}_", "flask_"))] == []


@pytest.mark.parametrize("role", NAMES)
def test_the_prose_refers_to_options_that_exist(role: str) -> None:
    text = (ROLES[0].parent / role / "meta/argument_specs.yml").read_text(encoding="utf-8")
    known = {path for path, _option in flattened(options(role))}
    referred = {name.replace("[]", "") for name in re.findall(r"\bO\(([^):=]+)(?:=[^)]*)?\)", text)}
    assert referred <= known


def test_an_application_takes_the_settings_of_a_site() -> None:
    site = {name: option for name, option in options("nginx", "nginx_sites").items() if name not in OF_ONE_SITE}
    expected = interface(site)
    # A directory of a package has a default, and only an application has packages.
    del expected["static"]["options"]["path"]["required"]
    assert interface(options("flask", "flask_apps", "nginx")) == expected


def test_an_application_takes_the_settings_of_a_service() -> None:
    service = {n: option for n, option in options("gunicorn", "gunicorn_services").items() if n not in OF_ONE_SERVICE}
    assert interface(options("flask", "flask_apps", "gunicorn")) == interface(service)


def test_the_defaults_of_sites_are_settings_of_sites() -> None:
    site = interface(options("nginx", "nginx_sites"))
    assert interface(options("nginx", "nginx_site_defaults")) == {name: site[name] for name in DEFAULT_KEYS}


def test_the_renderer_knows_the_settings_of_sites() -> None:
    assert set(options("nginx", "nginx_sites")) == set(SITE_KEYS)
    # Refused there: it is in the virtualenv of an application.
    assert set(options("nginx", "nginx_sites", "static")) == {*Static.__dataclass_fields__, "package"}
    assert set(options("nginx", "nginx_sites", "maintenance")) == set(Maintenance.__dataclass_fields__)
    assert set(options("nginx", "nginx_sites", "tls")) == set(Tls.__dataclass_fields__)
    assert set(options("nginx", "nginx_sites", "locations")) == set(Location.__dataclass_fields__) - {"modifier"}


def test_the_renderers_defaults_are_those_that_the_specification_states() -> None:
    least: dict[str, object] = {"name": "a", "domains": ["a.test"], "upstream": ["10.0.0.1"]}
    stated = {n: option["default"] for n, option in options("nginx", "nginx_sites").items() if "default" in option}
    # The renderer has no word for "refuse": the module's own default is the same.
    assert parse_site({**stated, **least}, {}) == parse_site({**least, "foreign": "refuse"}, {})
    assert Site.foreign == ""


def test_a_deploy_without_the_role_does_what_it_does_with_it() -> None:
    """deploy.yml leaves the role's defaults to the module: other ones would make another release of equal input."""
    task = load("flask", "tasks/build.yml")[0]
    arguments = task["flaskops.stack.flask_release"]
    taken = {name: re.search(r"(?<!_)flask_(\w+)", str(text)) for name, text in arguments.items()}
    ours = {name: found.group(0) for name, found in taken.items() if found and found.group(1) == name}
    defaults = load("flask", "defaults/main.yml")
    module = {name: flask_release.SPEC[name].get("default") for name in ours if name != "apps"}
    assert len(module) > 10
    assert module == {name: defaults[variable] for name, variable in ours.items() if name != "apps"}
    assert all("default(" in str(text) for text in [*arguments.values(), task["no_log"]])
