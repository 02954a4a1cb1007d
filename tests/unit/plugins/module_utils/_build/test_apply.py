# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.application import AppError
from ansible_collections.flaskops.stack.plugins.module_utils._build import apply as _apply_module
from ansible_collections.flaskops.stack.plugins.module_utils._build.venv import BuildError
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints import flask_release as _flask_release
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import Settings
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout


def build_that_fails(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, t.Any]]:
    """Return what is recorded of a build that fails."""
    recorded: list[dict[str, t.Any]] = []

    def fail(_plan: object, _starts_next: object) -> None:
        raise BuildError("cannot install requirements.txt\nmore")

    monkeypatch.setattr(_apply_module, "build", fail)
    monkeypatch.setattr(_apply_module, "try_record", lambda _name, entry: recorded.append(entry))
    plan: t.Any = SimpleNamespace(
        layout=layout, id="3f2a91c-1b9e02d4", revision=SimpleNamespace(revision="3f2a91c"),
        app=SimpleNamespace(name="shop", mask=str),
    )  # fmt: skip
    options: t.Any = SimpleNamespace(by="me", starts_next=False)
    with pytest.raises(BuildError):
        _apply_module._build(plan, options)
    return recorded


def test_a_build_that_fails_stands_in_the_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(str(tmp_path), "shop")
    os.makedirs(layout.releases)
    (entry,) = build_that_fails(layout, monkeypatch)
    assert (entry["result"], entry["reason"]) == ("failed", "cannot install requirements.txt")


def test_a_first_build_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert build_that_fails(Layout(str(tmp_path), "shop"), monkeypatch) == []


def test_a_build_that_fails_does_not_keep_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def apply(plan: t.Any, *_args: object) -> dict[str, t.Any]:
        if plan.app.name == "shop":
            raise AppError("app 'shop': cannot install")
        return {"name": plan.app.name, "built": True, "activated": False}

    plans = [
        SimpleNamespace(
            app=SimpleNamespace(name=name, mask=str), layout=Layout(str(tmp_path), name), id="x", warnings=[]
        )
        for name in ("shop", "blog")
    ]
    monkeypatch.setattr(_apply_module, "parse_apps", lambda *_args: [])
    monkeypatch.setattr(_apply_module, "_make_plans", lambda *_args: (plans, {}))
    monkeypatch.setattr(_apply_module, "needs_payload", lambda _plan: False)
    monkeypatch.setattr(_apply_module, "_apply", apply)
    monkeypatch.setattr(_apply_module, "_diff", lambda plan, _before: {"after": plan.app.name})
    options: t.Any = SimpleNamespace(check_mode=False, root=str(tmp_path))
    result = _apply_module.present([], {}, options)
    assert [release["name"] for release in result["releases"]] == ["blog"]
    assert (result["changed"], result["failed"], result["msg"]) == (True, True, "app 'shop': cannot install")


def two_apps(**shop: object) -> list[dict[str, t.Any]]:
    """Return the applications shop, as described, and blog."""
    common = {"app": "app:app"}
    return [{**common, "name": "shop", "source": "shop==1", **shop}, {**common, "name": "blog", "source": "blog==1"}]


def look(tmp_path: Path, apps: list[dict[str, t.Any]], sent: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return what check mode says of applications on this machine."""
    options = _apply_module.BuildOptions(str(tmp_path), 1, "uv", activate=False, check_mode=True)
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


def test_a_directory_in_the_place_of_the_switch_stops_one_application(tmp_path: Path) -> None:
    os.makedirs(Layout(str(tmp_path), "shop").current)
    result = look(tmp_path, two_apps(), {})
    assert [release["name"] for release in result["releases"]] == ["blog"]
    assert "is not a symbolic link" in result["msg"]


def test_what_fails_is_not_tried_twice_when_a_source_has_to_be_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_apply_module, "needs_payload", lambda plan: plan.app.name == "blog")
    options = _apply_module.BuildOptions(str(tmp_path), 1, "uv", activate=False, check_mode=False)
    result = _apply_module.present(two_apps(wheel_dir="/no/wheels"), {}, options)
    assert (result["wanted"], list(result["faults"]), result.get("failed")) == (["blog"], ["shop"], None)


@pytest.mark.parametrize("serve", [True, False])
def test_who_starts_a_release_next_need_not_load_it_before(monkeypatch: pytest.MonkeyPatch, serve: bool) -> None:
    keys = ("root", "lock_timeout", "uv_requirement", "activate", "by")
    params = {**dict.fromkeys(keys, ""), "serve": serve, "state": "present", "site_defaults": {}}
    monkeypatch.setattr(_flask_release, "wanted_apps", lambda _params: [])
    monkeypatch.setattr(
        _flask_release, "_present", lambda _apps, _params, options: {"starts_next": options.starts_next}
    )
    assert _flask_release.run(params, check=False) == {"starts_next": serve}


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
