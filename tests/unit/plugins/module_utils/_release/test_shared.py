# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories that outlive releases."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout
from ansible_collections.flaskops.stack.plugins.module_utils._release.shared import (
    Owner,
    ShareError,
    link_instance,
    link_shared,
    make_shared,
)

OWNER = Owner("nobody", os.getuid(), os.getgid())


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / "shop" / "app").mkdir(parents=True)
    return Layout(str(tmp_path), "shop")


def test_missing_directories_are_made_for_the_application_only(layout: Layout) -> None:
    make_shared(layout, ["instance", "var/data"], OWNER)
    for path in ("", "instance", "var", "var/data"):
        assert os.stat(os.path.join(layout.shared, path)).st_mode & 0o777 == 0o750


def test_those_that_are_there_stay_as_they_are(layout: Layout) -> None:
    os.makedirs(os.path.join(layout.shared, "uploads"), mode=0o700)
    make_shared(layout, ["uploads"], OWNER)
    assert os.stat(os.path.join(layout.shared, "uploads")).st_mode & 0o777 == 0o700


def test_a_link_that_the_user_put_there_is_not_followed(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir(mode=0o755)
    os.makedirs(layout.shared)
    os.symlink(tmp_path / "victim", os.path.join(layout.shared, "uploads"))
    with pytest.raises(ShareError, match="cannot be a shared directory"):
        make_shared(layout, ["uploads/x"], OWNER)
    assert os.listdir(tmp_path / "victim") == []


def test_data_behind_a_link_to_another_disk_is_refused_with_what_works(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    os.symlink(tmp_path / "disk", layout.shared)
    with pytest.raises(ShareError) as said:
        make_shared(layout, ["uploads"], OWNER)
    assert f"{layout.shared} is a link to {tmp_path}/disk" in str(said.value)
    assert f"mount that at {layout.shared}" in str(said.value)
    assert os.listdir(tmp_path / "disk") == []


def test_links_lead_from_the_code_to_the_shared_directories(layout: Layout) -> None:
    app = os.path.join(layout.base, "app")
    make_shared(layout, ["instance", "static/media"], OWNER)
    os.makedirs(os.path.join(app, "instance"))
    link_shared(layout, ["instance", "static/media"], app, OWNER)
    link_shared(layout, ["instance", "static/media"], app, OWNER)
    assert os.readlink(os.path.join(app, "static/media")) == os.path.join(layout.shared, "static/media")
    assert os.readlink(os.path.join(app, "instance")) == os.path.join(layout.shared, "instance")


def test_what_the_source_ships_is_dropped_when_there_is_data(layout: Layout) -> None:
    app = os.path.join(layout.base, "app")
    make_shared(layout, ["uploads"], OWNER)
    Path(layout.shared, "uploads", "mine").touch()
    os.makedirs(os.path.join(app, "uploads"))
    Path(app, "uploads", "shipped").touch()
    found = link_shared(layout, ["uploads"], app, OWNER)
    assert os.listdir(os.path.join(app, "uploads")) == ["mine"]
    assert found["uploads"].names == ("shipped",)
    assert not link_shared(layout, ["uploads"], app, OWNER)


def test_a_file_cannot_be_shared(layout: Layout) -> None:
    Path(layout.base, "app", "db.sqlite").touch()
    make_shared(layout, ["db.sqlite"], OWNER)
    with pytest.raises(ShareError, match="only a directory can be shared"):
        link_shared(layout, ["db.sqlite"], os.path.join(layout.base, "app"), OWNER)


def test_an_installed_package_finds_its_instance_folder(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    link_instance(layout, ["instance"], ["shop.web"], str(tmp_path))
    link_instance(layout, ["instance"], ["shop.web"], str(tmp_path))
    assert sorted(os.listdir(tmp_path / "var")) == ["shop-instance", "shop.web-instance"]
    link_instance(layout, ["instance"], ["wsgi", "shop.web.app"], str(tmp_path / "other"))
    names = ["shop-instance", "shop.web-instance", "shop.web.app-instance", "wsgi-instance"]
    assert sorted(os.listdir(tmp_path / "other/var")) == names
    assert os.readlink(tmp_path / "var" / "shop-instance") == os.path.join(layout.shared, "instance")


def test_without_an_instance_folder_nothing_is_linked(layout: Layout, tmp_path: Path) -> None:
    link_instance(layout, ["uploads"], ["shop"], str(tmp_path))
    assert not (tmp_path / "var").exists()
