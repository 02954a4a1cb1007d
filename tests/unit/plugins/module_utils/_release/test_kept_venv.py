# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is whole of a build that failed is there for the next one."""

from __future__ import annotations

import os
import time
import typing as t
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.dependencies import Dependencies
from ansible_collections.flaskops.stack.plugins.module_utils._build import build as _build_module
from ansible_collections.flaskops.stack.plugins.module_utils._build.venv import BuildError
from ansible_collections.flaskops.stack.plugins.module_utils._release import kept_venv as _kept_venv
from ansible_collections.flaskops.stack.plugins.module_utils._release.kept_venv import (
    keep_virtualenv,
    mark_complete,
    mark_durable,
    reuse_virtualenv,
)
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout


@pytest.fixture
def cache(tmp_path: Path) -> str:
    (tmp_path / "cache").mkdir()
    return str(tmp_path / "cache")


def release(tmp_path: Path, name: str, has_virtualenv: bool = True) -> Path:
    path = tmp_path / "releases" / name
    path.mkdir(parents=True)
    if has_virtualenv:
        (path / "venv/bin").mkdir(parents=True)
        (path / "venv/bin/flask").write_text(f"#!{path}/venv/bin/python\n")
        (path / "venv/pyvenv.cfg").write_text("home = /usr/bin\n")
    return path


def test_a_virtualenv_goes_from_one_try_to_the_next(tmp_path: Path, cache: str) -> None:
    first, second = release(tmp_path, "1"), release(tmp_path, "2", has_virtualenv=False)
    mark_complete(str(first), "key")
    keep_virtualenv(str(first), cache)
    assert not (first / "venv").exists()
    assert reuse_virtualenv(str(second), cache, "key")
    assert (second / "venv/bin/flask").read_text() == f"#!{second}/venv/bin/python\n"
    assert os.listdir(cache) == []
    # And to the one after it, as old as it is.
    keep_virtualenv(str(second), cache)
    assert reuse_virtualenv(str(release(tmp_path, "3", has_virtualenv=False)), cache, "key")


def test_another_one_is_not_taken(tmp_path: Path, cache: str) -> None:
    first = release(tmp_path, "1")
    mark_complete(str(first), "key")
    keep_virtualenv(str(first), cache)
    assert not reuse_virtualenv(str(release(tmp_path, "2", has_virtualenv=False)), cache, "other key")


def test_one_that_lacks_what_no_key_names_is_not_taken(tmp_path: Path, cache: str) -> None:
    first = release(tmp_path, "1")
    mark_complete(str(first), "key")
    keep_virtualenv(str(first), cache)
    second = release(tmp_path, "2", has_virtualenv=False)
    assert not reuse_virtualenv(str(second), cache, "key", ["werkzeug"])
    (Path(cache) / "kept/venv/lib/python3.13/site-packages/Werkzeug-3.1.3.dist-info").mkdir(parents=True)
    assert reuse_virtualenv(str(second), cache, "key", ["werkzeug"])


def test_an_old_one_is_not_taken(tmp_path: Path, cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = release(tmp_path, "1")
    mark_complete(str(first), "key", time.time() - 25 * 3600)
    keep_virtualenv(str(first), cache)
    assert not reuse_virtualenv(str(release(tmp_path, "2", has_virtualenv=False)), cache, "key")


def test_half_a_virtualenv_is_not_kept(tmp_path: Path, cache: str) -> None:
    keep_virtualenv(str(release(tmp_path, "1")), cache)
    assert os.listdir(cache) == []


def test_what_a_killed_run_has_left_is_kept_only_when_it_is_on_the_disk(tmp_path: Path, cache: str) -> None:
    first = release(tmp_path, "1")
    mark_complete(str(first), "key")
    keep_virtualenv(str(first), cache, durable=True)
    assert os.listdir(cache) == []
    mark_durable(str(first), cache)
    keep_virtualenv(str(first), cache, durable=True)
    assert os.listdir(cache) == ["kept"]


def test_a_release_that_is_complete_leaves_nothing_kept(tmp_path: Path, cache: str) -> None:
    first = release(tmp_path, "1")
    mark_complete(str(first), "key")
    keep_virtualenv(str(first), cache)
    mark_durable(str(release(tmp_path, "2")), cache)
    assert os.listdir(cache) == []


def test_a_cache_on_another_file_system_gets_a_copy(
    tmp_path: Path, cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_paths: str) -> None:
        raise OSError(18, "Invalid cross-device link")

    first, second = release(tmp_path, "1"), release(tmp_path, "2", has_virtualenv=False)
    mark_complete(str(first), "key")
    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", refuse)
        _kept_venv._move(str(first / "venv"), str(tmp_path / "moved"))
    assert not (first / "venv").exists()
    assert (tmp_path / "moved/pyvenv.cfg").exists()
    assert not reuse_virtualenv(str(second), cache, "key")


def test_a_virtualenv_with_a_link_that_leads_out_is_not_kept(
    tmp_path: Path, cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next try would take it without another look."""
    path = release(tmp_path, "1")

    def plant(*_arguments: object) -> bool:
        (path / "venv/passwd").symlink_to("/etc/passwd")
        return True

    results: dict[str, object] = {
        "find_identical_build": None,
        "fetch": [],
        "_read_dependencies": Dependencies(),
        "_venv_key": "key",
    }
    for name, result in results.items():
        monkeypatch.setattr(_build_module, name, lambda *_arguments, result=result: result)
    monkeypatch.setattr(_build_module, "_fence", nullcontext)
    monkeypatch.setattr(_build_module, "_build_venv", plant)
    monkeypatch.setattr(_build_module, "chown_tree", lambda *_arguments: None)
    app = SimpleNamespace(name="shop", build_secrets={}, wanted_packages=(), runtime_requirements=(), shared=())
    plan: t.Any = SimpleNamespace(
        app=app, path=str(path), layout=Layout(str(tmp_path), "shop"), revision=None, ca_bundle="", warnings=[]
    )
    with pytest.raises(BuildError, match="'venv/passwd' is a link to '/etc/passwd'"):
        _build_module._build_contents(plan, t.cast("t.Any", SimpleNamespace(uid=os.getuid(), gid=os.getgid())), True)
    keep_virtualenv(str(path), cache)
    assert os.listdir(cache) == []
