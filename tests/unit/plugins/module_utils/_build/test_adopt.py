# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases of existing code."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.application import parse_app
from ansible_collections.flaskops.stack.plugins.module_utils._build.adopt import ExistingApp
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import Settings
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError

WIKI: dict[str, t.Any] = {
    "name": "wiki",
    "state": "present",
    "app": "wiki:app",
    "directory": "/opt/wiki",
    "virtualenv": "/opt/wiki/.venv",
    "version": "1",
    "environment": {"A": "1"},
    "secrets": {"B": "secret"},
}


def test_settings_may_be_left_to_their_defaults() -> None:
    existing = ExistingApp.from_params(WIKI)
    assert existing.settings == Settings()
    assert (existing.user, existing.group, existing.trusted_hops, existing.keep) == ("wiki", "wiki", 1, 5)


@pytest.mark.parametrize(
    "change",
    [
        {"version": "2"},
        {"app": "wiki:app2"},
        {"directory": "/opt/wiki2"},
        {"virtualenv": "/opt/venv2"},
        {"user": "other"},
        {"environment": {"A": "2"}},
        {"secrets": {"B": "other"}},
        {"trusted_hops": 2},
        {"host_header": "X-Host"},
        {"workers": 3},
        {"health": {"path": "/up"}},
    ],
)
def test_any_change_is_another_release(change: dict[str, t.Any]) -> None:
    assert ExistingApp.from_params({**WIKI, **change}).id != ExistingApp.from_params(WIKI).id


def test_equal_input_is_the_same_release_however_it_is_written() -> None:
    same = {**WIKI, "directory": "/opt/wiki/", "workers": "0", "keep": 9, "environment": {"A": 1}}
    assert ExistingApp.from_params(same).id == ExistingApp.from_params(WIKI).id


def test_the_environment_is_read_as_that_of_an_application() -> None:
    given = {"A": True, "B": 7, "C": 1.5}
    existing = ExistingApp.from_params({**WIKI, "environment": given, "secrets": {"D": False}})
    app = parse_app({"name": "wiki", "source": "wiki", "app": "wiki:app", "environment": given}, "/srv")
    assert existing.environment == {**app.environment, "D": "false"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"app": None}, "neither 'release' nor 'app'"),
        ({"virtualenv": ""}, "neither 'release' nor 'virtualenv'"),
        ({"directory": "wiki"}, "directory 'wiki' must be an absolute path"),
        ({"app": "wiki"}, "write module:app"),
        ({"secrets": {"A": "x"}}, "'A' is in environment and in secrets"),
        ({"environment": {"A": ["x"]}}, "environment.A is a list"),
        ({"secrets": {"C": None}}, r"secrets.C is nothing \(null\)"),
        ({"threads": -1}, "threads .*, not -1"),
    ],
)
def test_what_cannot_be_run_is_refused(change: dict[str, t.Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        ExistingApp.from_params({**WIKI, **change})


def test_the_manifest_names_the_secrets_and_holds_none() -> None:
    manifest = ExistingApp.from_params(WIKI).manifest()
    assert manifest.extra == {"secret_names": ["B"]}
    assert '"secret"' not in manifest.to_json()
