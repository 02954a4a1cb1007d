# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases of existing code, the record of activations, and what is pruned."""

from __future__ import annotations

import os
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.application import parse_app
from ansible_collections.flaskops.stack.plugins.module_utils._build.adopt import ExistingApp
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import Settings
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._release import history as _history
from ansible_collections.flaskops.stack.plugins.module_utils._release import prune as _prune
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout, Manifest
from ansible_collections.flaskops.stack.plugins.module_utils._release.prune import (
    prune_releases,
    releases_in_use,
)
from ansible_collections.flaskops.stack.plugins.module_utils._release.release import list_releases, write_manifest
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import parse_settings

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
        ({"threads": 0}, "threads .*, not 0"),
    ],
)
def test_what_cannot_be_run_is_refused(change: dict[str, t.Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        ExistingApp.from_params({**WIKI, **change})


def test_the_manifest_names_the_secrets_and_holds_none() -> None:
    manifest = ExistingApp.from_params(WIKI).manifest()
    assert manifest.extra == {"secret_names": ["B"]}
    assert '"secret"' not in manifest.to_json()


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Keep the record in a directory of the test's."""
    monkeypatch.setattr(_history, "STATE", str(tmp_path))
    return _history.history_path("shop")


def test_activations_are_recorded_in_order_and_only_the_last_are_kept(recorded: str) -> None:
    for number in range(503):
        _history.record("shop", {"release": str(number), "when": f"{number:04}", "result": "activated"})
    entries = _history.read_history("shop")
    assert [entries[0]["release"], entries[-1]["release"], len(entries)] == ["3", "502", 500]


def test_what_cannot_be_noted_changes_nothing(recorded: str) -> None:
    _history.try_record("shop", {"release": "a"})
    assert _history.read_history("shop") == [{"release": "a"}]
    os.unlink(recorded)
    os.mkdir(recorded)
    with pytest.raises(OSError, match="directory"):
        _history.record("shop", {"release": "b"})
    _history.try_record("shop", {"release": "b"})


def test_a_torn_line_does_not_spoil_the_record(recorded: str) -> None:
    entries = _history.parse_history('{"release": "a"}\n{"rel\n[]\n{"release": "b"}\n')
    assert [entry["release"] for entry in entries] == ["a", "b"]


def test_only_what_was_activated_counts_as_such() -> None:
    entries = [
        {"release": "a", "when": "1", "result": "activated"},
        {"release": "b", "when": "2", "result": "failed"},
        {"release": "a", "when": "3", "result": "activated"},
    ]
    assert _history.activation_times(entries) == {"a": "3"}


def test_nothing_is_left_of_an_application_that_is_gone(recorded: str) -> None:
    _history.record("shop", {"release": "a"})
    _history.forget("shop")
    _history.forget("shop")
    assert not os.path.exists(os.path.dirname(recorded))


def release(layout: Layout, number: int) -> str:
    """Make a complete release directory and return its id."""
    name = f"000000{number}-00000000"
    os.makedirs(layout.release(name))
    source = {"type": "git", "location": "", "version": "", "revision": ""}
    manifest = Manifest("shop", name, "shop", "shop", source, "3", "shop:app", parse_settings({}))
    write_manifest(layout.release(name), Manifest(**{**manifest.__dict__, "built_at": f"2026-01-0{number}"}))
    return name


def test_the_oldest_go_and_the_current_and_the_one_in_use_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(str(tmp_path), "shop")
    names = [release(layout, number) for number in range(1, 7)]
    monkeypatch.setattr(_prune, "releases_in_use", lambda _layout: {names[1]})
    assert prune_releases(layout, 2, {names[0]}, []) == [names[2], names[3]]
    assert [manifest.id for manifest in list_releases(layout)] == [names[0], names[1], names[4], names[5]]


def test_one_that_was_activated_lately_is_not_old(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path), "shop")
    names = [release(layout, number) for number in range(1, 5)]
    history = [{"release": names[0], "when": "2027", "result": "activated"}]
    assert prune_releases(layout, 2, {names[3]}, history) == [names[1], names[2]]


def test_those_that_were_refused_go_first(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path), "shop")
    names = [release(layout, number) for number in range(1, 5)]
    history = [{"release": name, "when": "2026", "result": "failed"} for name in names[1:]]
    history.append({"release": names[1], "when": "2026", "result": "activated"})
    assert prune_releases(layout, 2, {names[3]}, history) == [names[2]]


def test_what_a_killed_run_has_begun_goes(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path), "shop")
    complete = release(layout, 1)
    os.makedirs(layout.release("0000002-00000000/run"))
    os.makedirs(layout.release("lost+found"))
    assert prune_releases(layout, 5, {complete}, []) == ["0000002-00000000"]
    wait_for(lambda: sorted(os.listdir(layout.releases)) == [complete, "lost+found"])


def test_what_a_run_that_was_killed_has_not_removed_goes(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path), "shop")
    complete = release(layout, 1)
    os.makedirs(os.path.join(layout.releases, ".removed-0000002-00000000-17/venv"))
    assert prune_releases(layout, 5, {complete}, []) == []
    wait_for(lambda: os.listdir(layout.releases) == [complete])


def wait_for(true: t.Callable[[], bool]) -> None:
    """Wait for what is done behind a run."""
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_process_in_a_release_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(str(tmp_path.resolve()), "shop")
    name = release(layout, 1)
    assert releases_in_use(layout) == set()
    monkeypatch.chdir(layout.release(name))
    assert releases_in_use(layout) == {name}
