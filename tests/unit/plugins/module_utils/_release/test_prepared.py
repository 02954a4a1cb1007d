# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared data that root prepared before the first deploy, and the home of an application."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._build.home import home_variable
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import Settings
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout
from ansible_collections.flaskops.stack.plugins.module_utils._release.prepared import adopt_prepared

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="gives files to others")
APP, OTHER = 40001, 40002


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(str(tmp_path), "shop")
    os.makedirs(os.path.join(layout.shared, "instance", "deep"))
    for name in ("instance/config.py", "instance/deep/app.db", "instance/theirs", "instance/for-the-group"):
        Path(layout.shared, name).write_text("")
    return layout


def owner(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_uid, status.st_gid


def test_what_belongs_to_root_alone_is_the_applications(layout: Layout) -> None:
    adopt_prepared(layout, ["instance"], APP, APP)
    names = ("", "instance", "instance/config.py", "instance/deep", "instance/deep/app.db")
    assert {owner(os.path.join(layout.shared, name)) for name in names} == {(APP, APP)}


def test_a_shared_directory_that_is_prepared_later_is_the_applications_too(layout: Layout) -> None:
    os.chown(layout.shared, APP, APP)
    adopt_prepared(layout, ["instance", "uploads"], APP, APP)
    assert owner(os.path.join(layout.shared, "instance", "deep", "app.db")) == (APP, APP)


def test_what_was_given_to_somebody_on_purpose_stays(layout: Layout) -> None:
    theirs, grouped = (os.path.join(layout.shared, "instance", name) for name in ("theirs", "for-the-group"))
    os.chown(theirs, OTHER, OTHER)
    os.chown(grouped, 0, OTHER)
    adopt_prepared(layout, ["instance"], APP, APP)
    assert (owner(theirs), owner(grouped)) == ((OTHER, OTHER), (0, OTHER))


def test_what_root_has_by_another_name_stays(layout: Layout, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("")
    os.link(victim, os.path.join(layout.shared, "instance", "hard"))
    os.symlink(victim, os.path.join(layout.shared, "instance", "link"))
    os.symlink(tmp_path, os.path.join(layout.shared, "uploads"))
    adopt_prepared(layout, ["instance", "uploads"], APP, APP)
    assert owner(str(victim)) == (0, 0)
    assert owner(str(tmp_path)) == (0, 0)


def test_nothing_is_walked_once_the_directory_is_the_applications(layout: Layout) -> None:
    for path in (layout.shared, os.path.join(layout.shared, "instance")):
        os.chown(path, APP, APP)
    adopt_prepared(layout, ["instance"], APP, APP)
    assert owner(os.path.join(layout.shared, "instance", "config.py")) == (0, 0)


@pytest.mark.parametrize(
    ("home", "sandbox", "given"),
    [
        ("/home/deployer", True, True),
        ("/root/x", True, True),
        ("/nonexistent", True, True),
        ("/nonexistent", False, True),
        ("/home/deployer", False, False),
        ("/home/deployer", {"ProtectHome": "tmpfs"}, False),
        ("/home/deployer", {"PrivateTmp": False}, True),
        ("/var/lib/deployer", True, False),
        ("/srv/shop/shared", True, False),
    ],
)
def test_a_home_that_the_sandbox_hides_is_replaced(
    monkeypatch: pytest.MonkeyPatch, home: str, sandbox: bool, given: bool
) -> None:
    entry = pwd.struct_passwd(("deployer", "x", 1001, 1001, "", home, "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: entry)
    found = home_variable(Layout("/srv", "shop"), "deployer", Settings(sandbox=sandbox), "/srv/x/app", "/srv/x/venv")
    assert found == ({"HOME": "/srv/shop/shared"} if given else {})


def test_a_home_that_holds_the_code_is_shown_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = pwd.struct_passwd(("deployer", "x", 1001, 1001, "", "/home/deployer", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: entry)
    code, venv = "/home/deployer/shop", "/home/deployer/shop/.venv"
    assert home_variable(Layout("/srv", "shop"), "deployer", Settings(), code, venv) == {}
