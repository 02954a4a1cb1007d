# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import re
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._build import apply as _apply_module
from ansible_collections.flaskops.stack.plugins.module_utils._build.venv import find_interpreter
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints.flask_release import options_of, serve_timeout
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import Settings
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_builds import FakeBuilds

# Those of a task that the build reads itself.
_KEYS = ("root", "lock_timeout", "uv_requirement", "python_download", "python_mirror", "activate", "by", "publishes")
PARAMS = dict.fromkeys(_KEYS, "")


def build(tmp_path: Path, builds: FakeBuilds, starts_next: bool = False, **shop: object) -> dict[str, t.Any]:
    """Return what a run says that builds the applications shop and blog."""
    options = _apply_module.BuildOptions(
        str(tmp_path), 1, "uv", activate=False, check_mode=False, by="me", starts_next=starts_next, builds=builds
    )
    return _apply_module.present(two_apps(**shop), {}, options)


def test_a_build_that_fails_stands_in_the_history(tmp_path: Path) -> None:
    builds = FakeBuilds({"shop": "cannot install requirements.txt\nmore"})
    os.makedirs(Layout(str(tmp_path), "shop").releases)
    build(tmp_path, builds)
    (entry,) = builds.recorded
    assert (entry["name"], entry["result"], entry["reason"]) == ("shop", "failed", "cannot install requirements.txt")
    assert (entry["what"], entry["by"].startswith("me")) == ("build", True)


def test_a_first_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    builds = FakeBuilds({"shop": "cannot install"})
    build(tmp_path, builds)
    assert builds.recorded == []


def test_a_build_that_fails_does_not_keep_the_others(tmp_path: Path) -> None:
    builds = FakeBuilds({"shop": "cannot install"})
    result = build(tmp_path, builds)
    assert [release["name"] for release in result["releases"]] == [*builds.built] == ["blog"]
    assert (result["changed"], result["failed"]) == (True, True)
    assert re.fullmatch(r"app 'shop', release \S+: cannot install.*", result["msg"], re.DOTALL)


@pytest.mark.parametrize(
    ("target", "serving"),
    [("releases/3f2a91c-1b9e02d4", "3f2a91c-1b9e02d4"), ("", ""), ("releases/20240101120000", "")],
)
def test_a_build_that_fails_says_what_goes_on_serving(tmp_path: Path, target: str, serving: str) -> None:
    layout = Layout(str(tmp_path), "shop")
    os.makedirs(layout.releases)
    if target:
        os.symlink(target, layout.current)
    assert build(tmp_path, FakeBuilds({"shop": "cannot install"}))["serving"] == {"shop": serving}


def test_what_nobody_can_visit_yet_is_loaded_before_it_is_started(tmp_path: Path) -> None:
    layout, builds = Layout(str(tmp_path), "shop"), FakeBuilds()
    os.makedirs(layout.releases)
    os.symlink("releases/3f2a91c-1b9e02d4", layout.current)
    build(tmp_path, builds, starts_next=True)
    assert builds.built == {"shop": True, "blog": False}


def test_each_application_is_built_under_its_lock_and_not_built_twice(tmp_path: Path) -> None:
    builds = FakeBuilds()
    assert [release["built"] for release in build(tmp_path, builds)["releases"]] == [True, True]
    assert [(what.rpartition(" ")[2], timeout, by) for what, timeout, by in builds.locked] == [
        ("shop", 1, "me"),
        ("blog", 1, "me"),
    ]
    again = build(tmp_path, builds)
    assert [release["built"] for release in again["releases"]] == [False, False]
    assert (again["changed"], builds.built) == (False, {"shop": False, "blog": False})


def test_a_disk_that_is_mounted_read_only_is_named_before_a_build_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds = FakeBuilds()
    build(tmp_path, builds)
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_flag=os.ST_RDONLY))
    # What is in place needs no disk that can be written to.
    assert not build(tmp_path, builds).get("failed")
    builds = FakeBuilds()
    result = build(tmp_path, builds)
    assert builds.built == {}
    assert re.search(r"shop cannot be changed, because the file system at / .* mounted read-only", result["msg"])
    assert "Way out" not in result["msg"]


def two_apps(**shop: object) -> list[dict[str, t.Any]]:
    """Return the applications shop, as described, and blog."""
    common = {"app": "app:app"}
    return [{**common, "name": "shop", "source": "shop==1", **shop}, {**common, "name": "blog", "source": "blog==1"}]


def look(
    tmp_path: Path, apps: list[dict[str, t.Any]], sent: dict[str, t.Any], python_download: bool = False
) -> dict[str, t.Any]:
    """Return what check mode says of applications on this machine."""
    options = _apply_module.BuildOptions(
        str(tmp_path), 1, "uv", activate=False, check_mode=True, python_download=python_download
    )
    return _apply_module.present(apps, sent, options)


@pytest.mark.parametrize(
    ("shop", "sent", "said"),
    [
        ({"python": "3.99"}, {}, "3.99"),
        ({"wheel_dir": "/no/wheels"}, {}, "'/no/wheels' is no directory"),
        ({"ca_bundle": "/no/bundle"}, {}, "/no/bundle"),
        ({"source": "/no/such/directory"}, {}, "/no/such/directory"),
        ({}, {"shop": {"error": "refused link"}}, "refused link"),
        ({"secrets": {"KEY": "hidden-word"}}, {"shop": {"error": "at hidden-word"}}, "at ********"),
    ],
)
def test_an_application_that_cannot_be_planned_does_not_stop_the_others(
    tmp_path: Path, shop: dict[str, t.Any], sent: dict[str, t.Any], said: str
) -> None:
    result = look(tmp_path, two_apps(**shop), sent)
    assert [release["name"] for release in result["releases"]] == ["blog"]
    assert result["failed"] is True
    (line,) = result["msg"].splitlines()
    assert line.startswith("app 'shop': ")
    assert said in line


@pytest.mark.parametrize(
    ("shop", "said"),
    [
        ({"source": "https://git.example.com/shop.git"}, ["git is not installed on this host yet"]),
        ({"source": "https://git.example.com/shop.git", "version": "4" * 40}, []),
        ({"python": "3.99"}, ["python3.99 is not installed on this host yet"]),
        ({}, []),
    ],
)
def test_check_mode_says_what_keeps_it_from_knowing_the_id_of_a_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: dict[str, t.Any], said: list[str]
) -> None:
    found = find_interpreter("python3")
    monkeypatch.setattr(_apply_module, "find_interpreter", lambda _wanted: found)
    monkeypatch.setenv("PATH", str(tmp_path))
    result = look(tmp_path, two_apps(**shop), {}, python_download="python" in shop)
    (release,) = [row for row in result["releases"] if row["name"] == "shop"]
    assert result.get("warnings", []) == [
        f"app 'shop': {why}, so check mode cannot know the release: a run will give it another id than {release['id']}"
        for why in said
    ]


def test_a_directory_in_the_place_of_the_switch_stops_one_application(tmp_path: Path) -> None:
    os.makedirs(Layout(str(tmp_path), "shop").current)
    result = look(tmp_path, two_apps(), {})
    assert [release["name"] for release in result["releases"]] == ["blog"]
    assert "is not a symbolic link" in result["msg"]


def test_a_link_of_another_tool_in_the_place_of_the_switch_stops_one_application(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path), "shop")
    os.makedirs(layout.base)
    os.symlink(f"{layout.releases}/20240101120000", layout.current)
    result = look(tmp_path, two_apps(), {})
    assert [release["name"] for release in result["releases"]] == ["blog"]
    assert f"{layout.current} leads to {layout.releases}/20240101120000" in result["msg"]


def test_what_fails_is_not_tried_twice_when_a_source_has_to_be_sent(tmp_path: Path) -> None:
    result = build(tmp_path, FakeBuilds(lacks=["blog"]), wheel_dir="/no/wheels")
    assert (result["wanted"], list(result["faults"]), result.get("failed")) == (["blog"], ["shop"], None)


@pytest.mark.parametrize("serve", [True, False])
def test_who_starts_a_release_next_need_not_load_it_before(serve: bool) -> None:
    assert options_of({**PARAMS, "serve": serve}, check=False).starts_next is serve


@pytest.mark.parametrize(
    ("serve", "publishes", "moves"), [(False, False, True), (True, True, True), (True, False, False)]
)
def test_an_application_is_renamed_where_its_new_name_is_published(
    tmp_path: Path, serve: bool, publishes: bool, moves: bool
) -> None:
    os.makedirs(Layout(str(tmp_path), "store").releases)
    options = options_of({**PARAMS, "root": str(tmp_path), "serve": serve, "publishes": publishes}, check=True)
    result = _apply_module.present(two_apps(rename_from="store"), {}, options)
    assert ["run site.yml" in result.get("msg", ""), len(result["releases"])] == [not moves, 1 + moves]


@pytest.mark.parametrize(("own", "waits"), [(None, 7), (3.0, 3.0), (0.0, 0.0)])
def test_a_deploy_may_wait_for_its_lock_otherwise_than_a_build(own: float | None, waits: float) -> None:
    assert serve_timeout({"lock_timeout": 7, "serve_lock_timeout": own}) == waits


@pytest.mark.parametrize(("config_file", "said"), [("", 1), ("gunicorn.conf.py", 0), ("conf/gunicorn.py", 1)])
def test_each_deploy_says_that_the_applications_own_configuration_is_not_read(
    tmp_path: Path, config_file: str, said: int
) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "gunicorn.conf.py").write_text("workers = 2\n", encoding="utf-8")
    plan: t.Any = SimpleNamespace(path=str(tmp_path), app=SimpleNamespace(settings=Settings(config_file=config_file)))
    assert len(_apply_module._own_configuration(plan)) == said
    os.unlink(tmp_path / "app" / "gunicorn.conf.py")
    assert _apply_module._own_configuration(plan) == []
