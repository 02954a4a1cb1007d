# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases: names, manifests and what is pruned."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import HealthSettings, Settings
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import (
    Layout,
    Manifest,
    ReleaseError,
    is_release_id,
    plan_prune,
    release_id,
)
from ansible_collections.flaskops.stack.plugins.module_utils._release.release import (
    current_id,
    is_foreign_link,
    list_releases,
    own_releases,
    read_manifest,
    write_manifest,
)
from ansible_collections.flaskops.stack.plugins.module_utils._release.releases import describe_others, find_applications

MANIFEST = Manifest(
    name="shop",
    id="3f2a91c-1b9e02d4",
    user="shop",
    group="shop",
    source={"type": "git", "location": "https://git.example.com/shop.git", "version": "main", "revision": "3f" * 20},
    python="3.13.5",
    app="shop:create_app()",
    settings=Settings(),
    shared=("instance",),
    built_at="2026-01-02T03:04:05.000000Z",
)


def test_paths_are_those_of_the_documented_layout() -> None:
    layout = Layout("/srv", "shop")
    assert layout.current == "/srv/shop/current"
    assert layout.shared == "/srv/shop/shared"
    assert layout.release("a") == "/srv/shop/releases/a"
    assert layout.socket("a", 1) == "/srv/shop/releases/a/run/1.sock"
    assert layout.lock == "/run/flaskops/_locks/shop.lock"


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_manifest(str(tmp_path), MANIFEST)
    assert read_manifest(str(tmp_path)) == MANIFEST


def test_a_directory_without_manifest_is_unfinished(tmp_path: Path) -> None:
    assert read_manifest(str(tmp_path)) is None
    assert read_manifest(str(tmp_path / "missing")) is None


def test_what_a_later_version_added_is_kept() -> None:
    later = replace(MANIFEST, extra={"workers": ["celery"]})
    assert Manifest.from_json(later.to_json()) == later


def test_settings_that_an_earlier_version_did_not_have_get_their_defaults() -> None:
    values = json.loads(MANIFEST.to_json())
    values["settings"] = {"workers": 3, "bind": ["127.0.0.1:8000"], "health": {"status": [200]}}
    found = Manifest.from_json(json.dumps(values))
    assert found.settings == Settings(workers=3, bind=("127.0.0.1:8000",), health=HealthSettings(status=(200,)))
    assert found.unknown_settings == ()


def test_version_1_0_can_run_a_release_that_has_none_of_the_later_settings() -> None:
    former = {
        *("access_log", "after", "allow_public_bind", "asset_grace", "bind", "cpu_quota", "drain_timeout", "extra"),
        *("graceful_timeout", "health", "instances", "keepalive", "log_level", "max_requests", "max_requests_jitter"),
        *("memory_high", "memory_max", "open_files", "preload", "sandbox", "sandbox_paths", "socket_group"),
        *("tasks_max", "timeout", "worker_class", "workers"),
    }
    settings = json.loads(replace(MANIFEST, settings=Settings()).to_json())["settings"]
    # It refuses a setting that it does not know, and 0 threads.
    assert set(settings) == former
    later = replace(MANIFEST, settings=Settings(threads=3, idle="15m"))
    assert set(json.loads(later.to_json())["settings"]) == former | {"threads", "idle"}
    assert Manifest.from_json(later.to_json()) == later


def test_settings_of_a_later_version_are_named() -> None:
    values = json.loads(MANIFEST.to_json())
    values["settings"] = {**values["settings"], "colour": "red", "health": {"path": "/up", "depth": 2}}
    found = Manifest.from_json(json.dumps(values))
    assert found.settings.health.path == "/up"
    assert found.unknown_settings == ("colour", "health.depth")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "schema"),
        ('{"schema": 2}', "schema '2'"),
        ('{"schema": 1, "name": "shop"}', "lacks app, group, id"),
    ],
)
def test_what_is_no_manifest_is_refused(text: str, message: str) -> None:
    with pytest.raises(ReleaseError, match=message):
        Manifest.from_json(text)


def test_equal_input_has_the_equal_id_in_any_order() -> None:
    assert release_id("a" * 40, {"x": 1, "y": {"b": 1, "a": 2}}) == release_id(
        "a" * 40, {"y": {"a": 2, "b": 1}, "x": 1}
    )


@pytest.mark.parametrize("revision", ["a" * 40, "0123456789abcdef" * 4, "httpbin==0.10.2", ""])
def test_an_id_begins_with_the_revision_or_its_hash(revision: str) -> None:
    identity = release_id(revision, {})
    assert is_release_id(identity)
    if len(revision) in (40, 64):
        assert identity.startswith(revision[:7])


def test_any_difference_is_another_id() -> None:
    ids = [release_id("a" * 40, {"x": 1}), release_id("a" * 40, {"x": 2}), release_id("a" * 39 + "b", {"x": 1})]
    assert len(set(ids)) == 3


@pytest.mark.parametrize(
    ("keep", "protected", "removed"),
    [
        (5, (), []),
        (2, (), ["a", "b"]),
        (2, ("a",), ["b"]),
        (1, ("a", "b", "c"), []),
        (0, (), ["a", "b", "c"]),
    ],
)
def test_prune_keeps_the_newest_and_the_protected(keep: int, protected: tuple[str, ...], removed: list[str]) -> None:
    assert plan_prune(["a", "b", "c", "d"], keep, protected) == removed


def test_releases_are_listed_oldest_first_and_unfinished_ones_not_at_all(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path), "shop")
    for identity, built in (
        ("1111111-11111111", "2026-03"),
        ("2222222-22222222", "2026-01"),
        ("3333333-33333333", "2026-02"),
    ):
        os.makedirs(layout.release(identity))
        write_manifest(layout.release(identity), replace(MANIFEST, id=identity, built_at=built))
    os.makedirs(layout.release("4444444-44444444"))
    assert [m.id[0] for m in list_releases(layout)] == ["2", "3", "1"]
    assert [m.id[0] for m in list_releases(layout, {"2222222-22222222": "2026-04"})] == ["3", "1", "2"]


def test_what_another_tool_has_beside_the_releases_is_not_among_them(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path), "shop")
    assert own_releases(layout) == []
    for name in ("1111111-11111111", ".removed-2222222-22222222-7"):
        os.makedirs(layout.release(name))
    assert own_releases(layout) == [layout.releases]
    os.makedirs(tmp_path / "theirs/releases/20240101120000")
    assert [found.name for found in find_applications(str(tmp_path))] == ["shop"]
    os.makedirs(layout.release("20240101120000"))
    assert {os.path.basename(path) for path in own_releases(layout)} == {
        *("1111111-11111111", ".removed-2222222-22222222-7"),
    }


@pytest.mark.parametrize(
    ("target", "foreign"),
    [
        ("releases/1111111-11111111", False),
        ("/srv/shop/releases/1111111-11111111", False),
        ("/srv/shop/releases/20240101120000", True),
        ("../code", True),
    ],
)
def test_a_current_that_leads_elsewhere_is_of_another_tool(tmp_path: Path, target: str, foreign: bool) -> None:
    layout = Layout(str(tmp_path), "shop")
    assert not is_foreign_link(layout)
    os.makedirs(layout.base)
    os.symlink(target, layout.current)
    assert is_foreign_link(layout) is foreign


def test_a_file_where_an_application_could_be_has_no_releases(tmp_path: Path) -> None:
    (tmp_path / "readme").touch()
    assert list_releases(Layout(str(tmp_path), "readme")) == []


def test_current_is_the_name_that_the_link_points_to(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path), "shop")
    assert current_id(layout) is None
    os.makedirs(layout.base)
    os.symlink("releases/3f2a91c-1b9e02d4", layout.current)
    assert current_id(layout) == "3f2a91c-1b9e02d4"


def test_of_an_application_that_is_not_there_those_that_are_are_named(tmp_path: Path) -> None:
    assert describe_others(str(tmp_path), "shop") == "there are: none"
    for name in ("shop", "blog"):
        (tmp_path / name / "releases" / "3f2a91c-1b9e02d4").mkdir(parents=True)
    assert describe_others(str(tmp_path), "shpo") == "there are: blog, shop (did you mean shop?)"
    assert describe_others(str(tmp_path), "wiki") == "there are: blog, shop"


def test_a_link_in_a_circle_is_no_application(tmp_path: Path) -> None:
    # It stopped every run for the applications beside it.
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "blog").mkdir()
    (tmp_path / "blog" / "releases").symlink_to("releases")
    (tmp_path / "shop" / "releases" / "3f2a91c-1b9e02d4").mkdir(parents=True)
    assert [layout.name for layout in find_applications(str(tmp_path))] == ["shop"]
    for name in ("loop", "blog"):
        assert list_releases(Layout(str(tmp_path), name)) == []
        assert own_releases(Layout(str(tmp_path), name)) == []
