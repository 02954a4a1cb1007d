# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run that was killed leaves under temporary names is gone after the next run, also an unchanged one."""

from __future__ import annotations

import errno
import os
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.application import AppError
from ansible_collections.flaskops.stack.plugins.module_utils._build import apply as _apply
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import service as _service
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.request import ServiceRequest
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.service import DeployOptions, Services
from ansible_collections.flaskops.stack.plugins.module_utils._release import assets as _assets
from ansible_collections.flaskops.stack.plugins.module_utils._release import history as _history
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout, Manifest
from ansible_collections.flaskops.stack.plugins.module_utils._release.release import write_manifest
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import parse_settings
from ansible_collections.flaskops.stack.plugins.module_utils._system.files import remove_stale_temp_files
from ansible_collections.flaskops.stack.plugins.module_utils._system.lock import Lock
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_system import simulate

OPTIONS = {"lock_timeout": 1, "uv_requirement": "uv", "activate": False, "check_mode": False}


def manifest(release: str) -> Manifest:
    source = {"type": "git", "location": "", "version": "", "revision": ""}
    return Manifest("shop", release, "u", "g", source, "", "a:b", parse_settings({}))


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Return an application whose last run was killed between making a link and renaming it."""
    monkeypatch.setattr(Layout, "lock", property(lambda self: str(tmp_path / "locks" / self.name)))
    monkeypatch.setattr(Layout, "cache", property(lambda self: str(tmp_path / "cache" / self.name)))
    monkeypatch.setattr(_history, "STATE", str(tmp_path / "history"))
    layout = Layout(str(tmp_path / "srv"), "shop")
    os.makedirs(layout.base)
    os.symlink("releases/3f2a91c-1b9e02d4", os.path.join(layout.base, ".flaskops-current-4711"))
    (tmp_path / "history" / "shop").mkdir(parents=True)
    (tmp_path / "history" / "shop" / ".flaskops-abcdef").write_text("")
    return layout


def test_only_temporary_names_are_swept_and_young_ones_if_asked(tmp_path: Path) -> None:
    for name, age in ((".flaskops-old", 3600), (".flaskops-new", 0), (".other", 3600)):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (os.stat(tmp_path).st_mtime - age,) * 2)
    (tmp_path / ".flaskops-directory").mkdir()
    remove_stale_temp_files(str(tmp_path), older_than=600)
    assert sorted(os.listdir(tmp_path)) == [".flaskops-directory", ".flaskops-new", ".other"]
    remove_stale_temp_files(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == [".flaskops-directory", ".other"]
    remove_stale_temp_files(str(tmp_path / "none"))


@pytest.mark.parametrize("present", [True, False])
def test_an_unchanged_run_of_the_services_clears_up(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, present: bool
) -> None:
    services = Services(simulate().host, [ServiceRequest(layout, present)], DeployOptions(str(tmp_path / "system"), 1))
    assert [deployment.plan.empty for deployment in services.plan()] == [True]
    assert os.listdir(layout.base)
    services.apply()
    assert not (os.path.exists(layout.base) and os.listdir(layout.base))
    # An application that is gone has no history either.
    assert not list((tmp_path / "history").glob("*/.*"))


def test_a_service_that_another_run_works_on_does_not_stop_the_others(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Layout(layout.root, "blog")
    os.makedirs(other.base)

    requests = [ServiceRequest(layout, present=True), ServiceRequest(other, present=True)]
    services = Services(simulate().host, requests, DeployOptions(str(tmp_path / "system"), 0))
    with Lock(other.lock, 0, "deploy of blog", "anna@laptop"):
        shop, blog = services.apply()
    assert (shop.error, "deploy of blog" in blog.error) == ("", True)
    # The files of a run that goes on are not cleared up.
    assert not os.listdir(layout.base)
    assert os.path.exists(other.lock)


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ({}, ""),
        ({"shop": "2222222-22222222"}, ""),
        ({"shop": "1111111-11111111"}, "2222222-22222222 serves here, and 1111111-11111111 served when this run began"),
        ({"shop": ""}, "2222222-22222222 serves here, and none served when this run began"),
    ],
)
def test_what_another_run_has_deployed_meanwhile_is_not_replaced(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: dict[str, str], said: str
) -> None:
    os.makedirs(layout.release("2222222-22222222"))
    os.symlink("releases/2222222-22222222", layout.current)
    options = DeployOptions(str(tmp_path / "system"), 0, expected=expected)
    (deployment,) = Services(
        simulate().host, [ServiceRequest(layout, present=True, release="3333333-33333333")], options
    ).plan()
    assert deployment.error.startswith(said)
    assert bool(deployment.error) == bool(said)


def test_a_unit_of_somebody_else_stops_one_service(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "system").mkdir()
    (tmp_path / "system" / "shop@3333333-33333333.service").write_text("[Service]\n")
    os.makedirs(layout.release("3333333-33333333"))
    write_manifest(layout.release("3333333-33333333"), manifest("3333333-33333333"))
    request = ServiceRequest(layout, True, "3333333-33333333", manifest("3333333-33333333"))
    (deployment,) = Services(simulate().host, [request], DeployOptions(str(tmp_path / "system"), 0)).plan()
    assert "shop@3333333-33333333.service was not written by flaskops.stack" in deployment.error


def test_a_disk_that_is_mounted_read_only_stops_one_service(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "system").mkdir()
    os.makedirs(layout.release("3333333-33333333"))
    write_manifest(layout.release("3333333-33333333"), manifest("3333333-33333333"))
    request = ServiceRequest(layout, True, "3333333-33333333", manifest("3333333-33333333"))
    real = os.statvfs(tmp_path)
    flags = {str(tmp_path / "system"): os.ST_RDONLY}
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=flags.get(path, real.f_flag)))
    (deployment,) = Services(simulate().host, [request], DeployOptions(str(tmp_path / "system"), 0)).plan()
    assert f"{tmp_path}/system cannot be changed" in deployment.error


def test_a_run_clears_up_in_all_releases(layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release, places = "3f2a91c-1b9e02d4", tmp_path / "previous"
    run, other = Path(layout.release(release), "run"), Path(layout.release("77aa01f-90b1c7e2"))
    for place in (run, other, places):
        place.mkdir(parents=True)
        (place / ".flaskops-one").symlink_to("0.sock")
        os.utime(place / ".flaskops-one", (0, 0), follow_symlinks=False)
    (places / ".flaskops-new").symlink_to("0.sock")
    monkeypatch.setattr(_assets, "PREVIOUS", str(places))
    _service._remove_stale_temp_files(ServiceRequest(layout, True, release))
    assert (os.listdir(run), os.listdir(other), os.listdir(places)) == ([], [], [".flaskops-new"])


def test_an_application_that_is_absent_leaves_no_directory(layout: Layout) -> None:
    os.makedirs(layout.releases)
    options = _apply.BuildOptions(root=layout.root, **t.cast("dict[str, t.Any]", OPTIONS))
    assert _apply.absent(["shop"], options, purge_data=False)["changed"] is True
    assert not os.path.exists(layout.base)


def test_an_absence_that_was_killed_is_finished(layout: Layout) -> None:
    options = _apply.BuildOptions(root=layout.root, **t.cast("dict[str, t.Any]", OPTIONS))
    assert _apply.absent(["shop"], options, purge_data=False)["removed"] == ["shop"]
    assert not os.path.exists(layout.base)
    assert _apply.absent(["shop"], options, purge_data=False)["changed"] is False


def test_a_directory_on_another_disk_stays_when_its_application_is_removed(layout: Layout, tmp_path: Path) -> None:
    os.rename(layout.base, tmp_path / "disk")
    os.symlink(tmp_path / "disk", layout.base)
    os.makedirs(layout.shared)
    options = _apply.BuildOptions(root=layout.root, **t.cast("dict[str, t.Any]", OPTIONS))
    assert _apply.absent(["shop"], options, purge_data=True)["removed"] == ["shop"]
    assert os.path.islink(layout.base) and os.listdir(layout.base) == []
    assert _apply.absent(["shop"], options, purge_data=True)["changed"] is False


@pytest.mark.parametrize("mounted", ["base", "shared"])
def test_a_mount_point_stays_when_its_application_is_removed(
    layout: Layout, mounted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = getattr(layout, mounted)
    os.makedirs(os.path.join(layout.shared, "uploads"))
    os.makedirs(os.path.join(place, "lost+found"))
    monkeypatch.setattr(os.path, "ismount", lambda path: path == place)
    options = _apply.BuildOptions(root=layout.root, **t.cast("dict[str, t.Any]", OPTIONS))
    assert _apply.absent(["shop"], options, purge_data=True)["removed"] == ["shop"]
    assert os.listdir(place) == ["lost+found"]
    assert _apply.absent(["shop"], options, purge_data=True)["changed"] is False


def test_a_mount_point_in_the_data_is_named(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = os.path.join(layout.shared, "uploads")
    os.makedirs(uploads)

    def busy(_path: str) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy", uploads)

    monkeypatch.setattr(_apply, "remove_tree", busy)
    options = _apply.BuildOptions(root=layout.root, **t.cast("dict[str, t.Any]", OPTIONS))
    with pytest.raises(AppError, match=f"{uploads} is a mount point.*umount {uploads}"):
        _apply.absent(["shop"], options, purge_data=True)


@pytest.mark.parametrize("place", ["maintenance", "shared", "cache"])
@pytest.mark.parametrize("kind", ["file", "loop", "dangling", "elsewhere"])
def test_an_application_with_something_else_in_the_place_of_a_directory_can_be_removed(
    layout: Layout, tmp_path: Path, place: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_apply, "end_leftovers", lambda *_: None)
    monkeypatch.setattr(_apply, "end_user", lambda _user: [])
    monkeypatch.setattr(_apply, "remove_user", lambda _user: True)
    path, data = Path(getattr(layout, place)), tmp_path / "data"
    path.parent.mkdir(exist_ok=True)
    data.mkdir()
    (data / "db").write_text("")
    if kind == "file":
        path.write_text("")
    else:
        path.symlink_to({"loop": path, "dangling": tmp_path / "gone", "elsewhere": data}[kind])
    options = _apply.BuildOptions(layout.root, 1, "uv", activate=False, check_mode=False)
    assert _apply.absent(["shop"], options, purge_data=True)["removed"] == ["shop"]
    assert not os.path.lexists(path)
    # What a link leads to is not below the directory of the application.
    assert (data / "db").exists()


@pytest.fixture
def removed_users(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the users that are removed, of whom no process runs."""
    users: list[str] = []
    monkeypatch.setattr(_apply, "end_leftovers", lambda *_: None)
    monkeypatch.setattr(_apply, "end_user", lambda _user: [])
    monkeypatch.setattr(_apply, "remove_user", users.append)
    return users


def remove(layout: Layout, purge_data: bool) -> dict[str, t.Any]:
    options = _apply.BuildOptions(layout.root, 1, "uv", activate=False, check_mode=False)
    return _apply.absent(["shop"], options, purge_data)


def test_the_link_to_data_on_another_disk_stays_with_the_data(layout: Layout, tmp_path: Path) -> None:
    os.makedirs(layout.releases)
    (tmp_path / "disk").mkdir()
    os.symlink(tmp_path / "disk", layout.shared)
    assert remove(layout, purge_data=False)["removed"] == ["shop"]
    assert os.listdir(layout.base) == ["shared"]
    assert remove(layout, purge_data=False)["changed"] is False


def test_the_link_that_a_rename_has_left_goes_with_its_application(layout: Layout) -> None:
    os.symlink(f"{layout.root}/blog/shared", layout.shared)
    assert remove(layout, purge_data=False)["removed"] == ["shop"]
    assert not os.path.lexists(layout.base)


@pytest.mark.parametrize("linked", ["shared", "shared/uploads", "shared/a/b"])
def test_data_behind_a_link_is_named_when_the_rest_is_purged(
    layout: Layout, tmp_path: Path, linked: str, removed_users: list[str]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "db").write_text("")
    link = Path(layout.base, linked)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(disk)
    (said,) = remove(layout, purge_data=True)["warnings"]
    assert f"but not the data there: {disk}." in said
    assert (disk / "db").exists()
    assert not os.path.lexists(layout.base)
    # Its number, which the data has, is not given to another one.
    assert removed_users == []


def test_links_in_the_data_to_parts_of_itself_or_to_nothing_are_no_data_elsewhere(
    layout: Layout, tmp_path: Path, removed_users: list[str]
) -> None:
    shared = Path(layout.shared)
    (shared / "a" / "b").mkdir(parents=True)
    (shared / "a" / "up").symlink_to("../a")
    (shared / "whole").symlink_to(shared / "a")
    (shared / "gone").symlink_to(tmp_path / "gone")
    if os.geteuid() == 0:
        # A link of root's to nothing may lead to a disk that is not mounted.
        os.chown(shared / "gone", 65534, -1, follow_symlinks=False)
    assert "warnings" not in remove(layout, purge_data=True)
    assert len(removed_users) == 1
