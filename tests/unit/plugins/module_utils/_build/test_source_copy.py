# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A build leaves the source as it is, unless what it installs is imported from there."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.dependencies import needs_source
from ansible_collections.flaskops.stack.plugins.module_utils._build.source_copy import build_copy, is_editable


@pytest.fixture
def release(tmp_path: Path) -> Path:
    app = tmp_path / "app" / "shop"
    app.mkdir(parents=True)
    (app / "pages.py").write_text("1\n")
    (tmp_path / "app" / "link").symlink_to("shop")
    return tmp_path


def install(release: Path, editable: bool) -> None:
    """Do what an installer does, and leave what build tools leave."""
    info = release / "venv/lib/python3.13/site-packages/shop-1.0.dist-info"
    info.mkdir(parents=True)
    url = f"file://{release}/app"
    (info / "direct_url.json").write_text(json.dumps({"url": url, "dir_info": {"editable": True} if editable else {}}))
    (release / "app/build").mkdir()
    (release / "app/shop.egg-info").mkdir()
    (release / "app/shop/pages.py").write_text("changed\n")


def build(release: Path, work: t.Callable[[], None]) -> list[str]:
    with build_copy(str(release / "app"), str(release / "venv"), os.getuid(), os.getgid()):
        work()
    return sorted(os.listdir(release / "app"))


def test_what_a_build_leaves_and_changes_is_gone(release: Path) -> None:
    assert build(release, lambda: install(release, editable=False)) == ["link", "shop"]
    assert (release / "app/shop/pages.py").read_text() == "1\n"
    assert sorted(os.listdir(release)) == ["app", "venv"]


@pytest.mark.skipif(os.getuid() != 0, reason="gives files to root")
def test_what_is_imported_from_there_stays(release: Path) -> None:
    assert build(release, lambda: install(release, editable=True)) == ["build", "link", "shop", "shop.egg-info"]
    assert sorted(os.listdir(release)) == ["app", "venv"]


@pytest.mark.parametrize(
    ("url", "editable", "answer"),
    [
        ("file:///srv/a/app", True, True),
        ("file:///srv/a/app/packages/core", True, True),
        ("file:///srv/a/app", False, False),
        ("file:///srv/a/app-2", True, False),
        ("https://example.com/a.git", False, False),
    ],
)
def test_only_an_editable_installation_of_the_source_counts(
    tmp_path: Path, url: str, editable: bool, answer: bool
) -> None:
    info = tmp_path / "lib/python3.9/site-packages/a-1.dist-info"
    info.mkdir(parents=True)
    (info / "direct_url.json").write_text(json.dumps({"url": url, "dir_info": {"editable": editable}}))
    assert is_editable(str(tmp_path), "/srv/a/app") is answer


@pytest.mark.parametrize(
    ("packages", "answer"),
    [
        ((), False),
        (("flask>=3", "psycopg[binary]"), False),
        (("shop @ https://example.com/shop.whl",), False),
        ((".[web]",), True),
        (("./packages/core",), True),
        (("core @ file:packages/core",), True),
    ],
)
def test_a_listed_package_may_be_in_the_source(packages: tuple[str, ...], answer: bool) -> None:
    assert needs_source(packages) is answer
