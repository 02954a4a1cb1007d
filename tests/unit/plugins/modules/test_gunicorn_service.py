# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface of gunicorn_service: one set of options in the code, the documentation and the roles."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.flaskops.stack.plugins.module_utils._build.host_check import check_paths
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.request import read_requests
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import DEFAULTS, HEALTH_DEFAULTS, Settings
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError, UnsafeNameError
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout, Manifest, ReleaseError
from ansible_collections.flaskops.stack.plugins.modules import gunicorn_service

ROOT = Path(__file__).parents[4]
Options = t.Dict[str, t.Any]


def documented() -> Options:
    options: Options = yaml.safe_load(gunicorn_service.DOCUMENTATION)["options"]["services"]["suboptions"]
    return options


def role(name: str) -> Options:
    specs = yaml.safe_load((ROOT / "roles" / name / "meta" / "argument_specs.yml").read_text())
    options: Options = specs["argument_specs"]["main"]["options"]
    return options


def shape(options: Options) -> Options:
    """Return what matters of options: names, types, defaults, choices."""
    keys = ("type", "elements", "default", "choices", "required")
    return {
        name: {
            **{key: spec[key] for key in keys if key in spec},
            "options": shape(spec.get("options") or spec.get("suboptions") or {}),
        }
        for name, spec in options.items()
    }


def test_the_documentation_is_what_the_code_reads() -> None:
    assert shape(documented()) == shape(gunicorn_service.OPTIONS["services"]["options"])


def test_the_documented_defaults_are_those_of_the_settings() -> None:
    options = documented()
    assert {key: options[key]["default"] for key in DEFAULTS if key != "health"} == {
        key: value for key, value in DEFAULTS.items() if key != "health"
    }
    assert {key: spec["default"] for key, spec in options["health"]["suboptions"].items()} == HEALTH_DEFAULTS


def test_the_role_takes_what_the_module_takes() -> None:
    assert shape(role("gunicorn")["gunicorn_services"]["options"]) == shape(documented())


def test_an_application_takes_the_settings_that_a_service_takes() -> None:
    taken = shape(role("flask")["flask_apps"]["options"]["gunicorn"]["options"])
    assert taken == {name: spec for name, spec in shape(documented()).items() if name in DEFAULTS}


def test_every_return_value_is_documented() -> None:
    contains = yaml.safe_load(gunicorn_service.RETURN)["services"]["contains"]
    assert all(spec["description"] and spec["type"] for spec in contains.values())


WIKI = {"name": "wiki", "app": "wiki:app", "directory": "/opt/wiki", "virtualenv": "/opt/venv"}


@pytest.mark.parametrize(
    ("services", "error", "says"),
    [
        ([{**WIKI, "name": "Wiki"}], UnsafeNameError, "'Wiki'"),
        ([{**WIKI, "name": "../x"}], UnsafeNameError, "lower-case"),
        ([WIKI, WIKI], InputError, "name 'wiki' twice"),
        ([{**WIKI, "threads": -1}], InputError, "service 'wiki': threads .*, not -1"),
        (
            [{**WIKI, "bind": ["127.0.0.1:1"]}, {**WIKI, "name": "b", "bind": ["127.0.0.1:1"]}],
            InputError,
            "127.0.0.1:1' twice",
        ),
        ([{"name": "a", "release": "/srv/b/releases/3f2a91c-1b9e02d4"}], InputError, "<root>/a/releases/<id>"),
        ([{"name": "a", "release": "/srv/a/releases/v1"}], InputError, "<root>/a/releases/<id>"),
        ([{**WIKI, "name": "a" * 31, "instances": 1}], UnsafeNameError, "socket path"),
    ],
)
def test_bad_input_is_refused_before_anything_changes(
    services: list[Options], error: type[Exception], says: str
) -> None:
    root = "/srv" if error is not UnsafeNameError or "socket" not in says else "/srv/" + "x" * 60
    with pytest.raises(error, match=says):
        read_requests(services, root, check=True)


def test_without_check_mode_code_and_release_have_to_be_there() -> None:
    with pytest.raises(InputError, match="directory '/opt/wiki' does not exist"):
        read_requests([WIKI], "/srv", check=False)
    missing = "/srv/a/releases/3f2a91c-1b9e02d4"
    with pytest.raises(ReleaseError, match="build it with role flask again"):
        read_requests([{"name": "a", "release": missing}], "/srv", check=False)
    assert read_requests([{"name": "a", "release": missing}], "/srv", check=True)[0].release == "3f2a91c-1b9e02d4"


@pytest.mark.parametrize(
    ("release", "asked"),
    [
        ("3f2a91c", "3f2a91c"),
        ("/srv/a/releases/3f2a91c-1b9e02d4", "3f2a91c-1b9e02d4"),
        ("/srv/a/releases/3f2a91c-1b9e02d4/", "3f2a91c-1b9e02d4"),
        ("3f2a91c/", "3f2a91c"),
        # One that names nothing is refused later, and never stands for the release before.
        ("/", "/"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_rollback_goes_to_the_release_that_is_named(release: str | None, asked: str) -> None:
    service = {"name": "a", "state": "rolled_back", "release": release}
    assert read_requests([service], "/srv", check=True)[0].asked == asked


def test_a_release_with_a_setting_of_a_later_version_is_refused(tmp_path: Path) -> None:
    layout, release = Layout(str(tmp_path), "shop"), "3f2a91c-1b9e02d4"
    source = {"type": "git", "location": "", "version": "", "revision": ""}
    manifest = Manifest("shop", release, "shop", "shop", source, "3.13", "shop:app", Settings())
    values = json.loads(manifest.to_json())
    values["settings"]["colour"] = "red"
    os.makedirs(layout.release(release))
    Path(layout.release(release), "release.json").write_text(json.dumps(values), encoding="utf-8")
    service = {"name": "shop", "release": layout.release(release)}
    with pytest.raises(InputError, match=r"setting gunicorn\.colour, which this version .* the version that built it"):
        read_requests([service], str(tmp_path), check=True)


def test_a_path_of_the_sandbox_has_to_be_there(tmp_path: Path) -> None:
    settings = Settings(sandbox_paths=(str(tmp_path / "none"),))
    with pytest.raises(InputError, match=r"sandbox_paths '.*/none' does not exist on this host"):
        check_paths(settings)
    check_paths(settings, below=str(tmp_path))
    (tmp_path / "none").mkdir()
    check_paths(settings)


@pytest.mark.parametrize("root", ["srv", "/srv %i", "/srv/a b"])
def test_a_root_that_systemd_would_read_otherwise_is_refused(root: str) -> None:
    with pytest.raises(InputError, match="root"):
        read_requests([], root, check=True)


def test_a_current_that_is_no_link_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "wiki" / "current").mkdir(parents=True)
    with pytest.raises(InputError, match="is not a symbolic link"):
        read_requests([WIKI], str(tmp_path), check=True)


@pytest.mark.parametrize("secret", ["first\nsecond", 'it\'s "quoted"', "back\\slash"])
def test_secrets_are_not_in_the_log_of_the_host(secret: str) -> None:
    module: t.Any = object.__new__(gunicorn_service.Module)
    module.params = {"services": [{"name": "shop", "secrets": {"KEY": secret}}]}
    module.no_log_values = {secret}
    logged: list[str] = []
    module.log = logged.append
    module._log_invocation()
    assert logged == [
        "Invoked with {'services': [{'name': 'shop', 'secrets': {'KEY': 'VALUE_SPECIFIED_IN_NO_LOG_PARAMETER'}}]}"
    ]
