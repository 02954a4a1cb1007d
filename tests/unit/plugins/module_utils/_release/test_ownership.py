# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application that gets another user: its data changes hands while no process uses it, and at no other time."""

from __future__ import annotations

import grp
import os
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._release import ownership as _ownership
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout
from ansible_collections.flaskops.stack.plugins.module_utils._release.ownership import (
    check_owner,
    check_place,
    transfer_ownership,
)
from ansible_collections.flaskops.stack.plugins.module_utils._release.shared import Owner
from ansible_collections.flaskops.stack.plugins.module_utils._system.account import UserError
from ansible_collections.flaskops.stack.plugins.module_utils._system.files import NoDirectoryError

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="gives files to others")
OLD, NEW, OTHER = 40001, 40002, 40003


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Return an application that runs and has data, of which a part was made by another user."""
    layout = Layout(str(tmp_path), "shop")
    os.makedirs(os.path.join(layout.shared, "instance"))
    (tmp_path / "victim").write_text("")
    os.symlink("releases/x", layout.current)
    for name in ("instance/db", "instance/backup"):
        Path(layout.shared, name).write_text("")
    os.symlink(tmp_path / "victim", os.path.join(layout.shared, "link"))
    os.link(tmp_path / "victim", os.path.join(layout.shared, "hard"))
    for path in (layout.shared, *(os.path.join(layout.shared, name) for name in ("instance", "instance/db", "link"))):
        os.chown(path, OLD, OLD, follow_symlinks=False)
    os.chown(os.path.join(layout.shared, "instance/backup"), OTHER, OTHER)
    return layout


def owner(layout: Layout, name: str = "") -> tuple[int, int]:
    status = os.lstat(os.path.join(layout.shared, name))
    return status.st_uid, status.st_gid


def test_data_in_use_is_refused_with_the_way_out(layout: Layout) -> None:
    with pytest.raises(UserError, match=r"Set user: 40001; or .*-e app=shop") as said:
        check_owner(layout, "no-such-user", uses_data=True)
    assert layout.shared in str(said.value)


def test_data_that_nobody_uses_may_change_hands(layout: Layout) -> None:
    os.unlink(layout.current)
    check_owner(layout, "no-such-user", uses_data=True)
    transfer_ownership(layout, Owner("new", NEW, NEW))
    assert {owner(layout, name) for name in ("", "instance", "instance/db", "link")} == {(NEW, NEW)}
    assert owner(layout, "instance/backup") == (OTHER, OTHER)


def test_what_others_own_stays_theirs_by_whatever_name_it_is_there(layout: Layout, tmp_path: Path) -> None:
    transfer_ownership(layout, Owner("new", NEW, NEW))
    assert (tmp_path / "victim").stat().st_uid == 0


def test_another_group_of_the_same_user_disturbs_nobody(layout: Layout) -> None:
    transfer_ownership(layout, Owner("old", OLD, NEW))
    assert {owner(layout, name) for name in ("", "instance", "instance/db")} == {(OLD, NEW)}


def test_what_the_administrator_owns_stays_hers(layout: Layout) -> None:
    os.chown(layout.shared, 0, 0)
    check_owner(layout, "no-such-user", uses_data=True)
    transfer_ownership(layout, Owner("new", NEW, NEW))
    assert (owner(layout), owner(layout, "instance")) == ((0, 0), (OLD, OLD))


def test_an_application_without_data_changes_its_user_freely(layout: Layout, tmp_path: Path) -> None:
    empty = Layout(str(tmp_path), "empty")
    os.makedirs(empty.shared)
    os.symlink("releases/x", empty.current)
    os.chown(empty.shared, OLD, OLD)
    check_owner(empty, "no-such-user", uses_data=False)
    with pytest.raises(UserError):
        check_owner(empty, "no-such-user", uses_data=True)
    check_owner(Layout(str(tmp_path), "none"), "no-such-user", uses_data=True)


@pytest.mark.parametrize(
    ("owner_of", "mode", "writer"),
    [(OLD, 0o755, "user '40001'"), (0, 0o777, "all users"), (0, 0o2775, "group '40002'")],
)
@pytest.mark.parametrize("place", ["root", "base"])
def test_a_directory_in_which_another_user_could_exchange_releases_is_refused(
    layout: Layout, place: str, owner_of: int, mode: int, writer: str
) -> None:
    check_place(layout)
    path = getattr(layout, place)
    os.chown(path, owner_of, NEW)
    os.chmod(path, mode)
    with pytest.raises(UserError) as said:
        check_place(layout)
    assert f"{path} can be written to by {writer}" in str(said.value)
    assert f"chown root:root {path}" in str(said.value)
    os.chown(path, 0, 0)
    os.chmod(path, 0o755)
    check_place(layout)


@pytest.mark.parametrize("is_link", [True, False])
def test_a_directory_around_it_counts_also_behind_a_link(tmp_path: Path, is_link: bool) -> None:
    around = tmp_path / "data"
    (around / "web").mkdir(parents=True)
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv/shop").symlink_to("../data/web")
    layout = Layout(str(tmp_path / "srv"), "shop") if is_link else Layout(str(around), "web")
    check_place(layout)
    os.chown(around, OLD, OLD)
    with pytest.raises(UserError, match=f"{around} can be written to by user '{OLD}'"):
        check_place(layout)


def test_the_group_that_installs_software_may_write_around_it(layout: Layout) -> None:
    os.chown(layout.root, 0, grp.getgrnam("staff").gr_gid)
    os.chmod(layout.root, 0o2775)
    check_place(layout)


def test_a_place_that_only_root_can_change_is_none_of_anybody_elses(layout: Layout, tmp_path: Path) -> None:
    check_place(Layout(str(tmp_path / "missing"), "shop"))
    os.chmod(layout.root, 0o1777)
    check_place(layout)
    os.chown(layout.root, 0, NEW)
    os.chmod(layout.root, 0o755)
    check_place(layout)


@pytest.mark.parametrize("place", ["", "releases", "shared"])
def test_what_is_in_the_place_of_a_directory_is_named(tmp_path: Path, place: str) -> None:
    layout = Layout(str(tmp_path), "shop")
    path = Path(layout.base, place)
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    with pytest.raises(NoDirectoryError, match=f"^{path} is a file and has to be a directory"):
        check_place(layout)
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(NoDirectoryError, match=f"^{path} is a link .* leads in a circle"):
        check_place(layout)


@pytest.mark.parametrize("place", ["sockets.target.wants", "hooks"])
def test_what_is_in_the_place_of_a_directory_of_all_applications_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    path = tmp_path / place
    monkeypatch.setattr(_ownership, "DIRECTORIES", (str(tmp_path), str(path)))
    path.write_text("")
    with pytest.raises(NoDirectoryError, match=f"^{path} is a file and has to be a directory"):
        check_place(Layout(str(tmp_path), "shop"))
