# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hostile build leaves where root looks later: nothing waits, nothing is read without end, nothing leads out."""

from __future__ import annotations

import os
import resource
import signal
import socket
import typing as t
from contextlib import nullcontext
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._build.adopt import _python_version
from ansible_collections.flaskops.stack.plugins.module_utils._build.fetch import text_reader
from ansible_collections.flaskops.stack.plugins.module_utils._build.source_copy import is_editable
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints.flask_status import disk_usage
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout
from ansible_collections.flaskops.stack.plugins.module_utils._release.ownership import transfer_ownership
from ansible_collections.flaskops.stack.plugins.module_utils._release.prepared import adopt_prepared
from ansible_collections.flaskops.stack.plugins.module_utils._release.shared import Owner, link_instance, link_shared
from ansible_collections.flaskops.stack.plugins.module_utils._system.files import read_file
from ansible_collections.flaskops.stack.plugins.module_utils._system.host import Clock
from ansible_collections.flaskops.stack.plugins.module_utils._system.trees import (
    chown_tree,
    hardlink_tree,
    remove_tree,
    rewrite_prefix,
    tree_size,
)

SITE = "lib/python3.13/site-packages"
OWNER = Owner("nobody", os.getuid(), os.getgid())


def plant_fifo(path: Path) -> None:
    os.mkfifo(path)


def plant_endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def plant_huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**40)


def plant_socket(path: Path) -> None:
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(path.name)


PLANTS = (plant_fifo, plant_endless, plant_huge, plant_socket)
Plant = t.Callable[[Path], None]


@pytest.fixture(autouse=True)
def bounds() -> t.Iterator[None]:
    """Let a test that waits, or reads without end, fail instead of taking the machine with it."""

    def late(*_: object) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, late)
    memory = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, memory[1]))
    signal.alarm(30)
    yield
    signal.alarm(0)
    resource.setrlimit(resource.RLIMIT_AS, memory)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    top = tmp_path / "venv"
    (top / "bin").mkdir(parents=True)
    (top / SITE / "x-1.dist-info").mkdir(parents=True)
    (top / "pyvenv.cfg").write_text("home = /usr/bin\n")
    return top


def deep(top: Path, levels: int = 1500) -> Path:
    """Make directories as deep as that, which no path can name."""
    top.mkdir()
    place = os.open(top, os.O_RDONLY)
    for _level in range(levels):
        os.mkdir("d", dir_fd=place)
        inner = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(place)
    return top


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("name", ["__editable__x.py", "x.pth", "x-1.dist-info/direct_url.json"])
def test_a_copy_of_a_virtualenv_is_refused_or_made_without_what_was_planted(
    venv: Path, plant: Plant, name: str
) -> None:
    plant(venv / SITE / name)
    # A link has no path in it to be replaced.
    refused = nullcontext() if plant is plant_endless else pytest.raises(OSError, match=name)
    with t.cast("t.ContextManager[object]", refused):
        rewrite_prefix(str(venv), "/srv/a/releases/1", "/srv/a/releases/2")
    assert os.path.lexists(venv / SITE / name)


@pytest.mark.parametrize("plant", PLANTS)
def test_the_settings_of_a_virtualenv_may_be_planted(venv: Path, plant: Plant) -> None:
    (venv / "pyvenv.cfg").unlink()
    plant(venv / "pyvenv.cfg")
    assert _python_version(str(venv)) == ""


@pytest.mark.parametrize("plant", PLANTS)
def test_what_is_noted_of_a_package_may_be_planted(venv: Path, plant: Plant) -> None:
    plant(venv / SITE / "x-1.dist-info/direct_url.json")
    with pytest.raises(OSError, match=r"direct_url\.json"):
        is_editable(str(venv), "/srv/a/app")


@pytest.mark.parametrize("text", ["[]", "1", '{"dir_info": 5, "url": []}', '{"dir_info": {"editable": 1}, "url": {}}'])
def test_what_is_noted_of_a_package_may_have_another_form(venv: Path, text: str) -> None:
    (venv / SITE / "x-1.dist-info/direct_url.json").write_text(text)
    assert not is_editable(str(venv), "/srv/a/app")


@pytest.mark.parametrize("text", ["not json", "[" * 100_000])
def test_what_is_noted_of_a_package_may_be_no_json(venv: Path, text: str) -> None:
    (venv / SITE / "x-1.dist-info/direct_url.json").write_text(text)
    with pytest.raises(OSError, match=r"direct_url\.json is no JSON"):
        is_editable(str(venv), "/srv/a/app")


@pytest.mark.parametrize("plant", PLANTS)
def test_a_project_file_may_be_planted_by_a_hook(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path / "pyproject.toml")
    with pytest.raises(OSError, match=r"pyproject\.toml"):
        text_reader(str(tmp_path))("pyproject.toml")


@pytest.mark.parametrize("plant", [plant_fifo, plant_endless, plant_huge, plant_socket])
def test_no_file_of_a_host_is_waited_for(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path / "x")
    with pytest.raises(OSError, match="x"):
        read_file(str(tmp_path / "x"))


def test_a_file_that_an_administrator_has_switched_off_is_empty(tmp_path: Path) -> None:
    (tmp_path / "x").symlink_to("/dev/null")
    assert read_file(str(tmp_path / "x")) == b""


def test_links_inside_of_a_source_are_read(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/prod.txt").write_text("flask\n")
    (tmp_path / "requirements/live").symlink_to("../live")
    (tmp_path / "live").symlink_to("requirements/prod.txt")
    (tmp_path / "all").symlink_to("./requirements")
    read = text_reader(str(tmp_path))
    assert [read(path) for path in ("live", "requirements/live", "all/live", "requirements/../live", "none")] == [
        *["flask\n"] * 4,
        None,
    ]


@pytest.mark.parametrize("target", ["/etc/hostname", "../../secret", "up/secret", "x"])
def test_links_that_lead_out_of_a_source_are_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "top" / "in").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret\n")
    (tmp_path / "top/in/up").symlink_to("../..")
    (tmp_path / "top/in/x").symlink_to(target)
    with pytest.raises(OSError, match="leads out of"):
        text_reader(str(tmp_path / "top"))("in/x")


@pytest.mark.parametrize("plant", [plant_fifo])
def test_a_tree_with_what_no_release_holds_is_not_given_to_root(tmp_path: Path, plant: Plant) -> None:
    (tmp_path / "d").mkdir()
    plant(tmp_path / "d/x")
    with pytest.raises(OSError, match="d/x is a FIFO: a release holds files"):
        chown_tree(str(tmp_path), os.getuid(), os.getgid(), os.getuid())


def test_a_socket_that_a_build_has_left_is_removed(tmp_path: Path) -> None:
    plant_socket(tmp_path / "x")
    chown_tree(str(tmp_path), os.getuid(), os.getgid(), os.getuid())
    assert os.listdir(tmp_path) == []


def test_a_file_of_somebody_else_keeps_its_owner_and_mode(tmp_path: Path) -> None:
    (tmp_path / "victim").touch(0o600)
    (tmp_path / "top").mkdir()
    os.link(tmp_path / "victim", tmp_path / "top/x")
    with pytest.raises(OSError, match=r"top/x is a file of another user \(uid"):
        chown_tree(str(tmp_path / "top"), os.getuid(), os.getgid(), os.getuid() + 1)
    assert (tmp_path / "victim").stat().st_mode & 0o777 == 0o600


def test_nobody_is_given_a_file_that_has_another_name(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("x = 1\n")
    (tmp_path / "victim").chmod(0o600)
    (tmp_path / "top").mkdir()
    os.link(tmp_path / "victim", tmp_path / "top/x")
    chown_tree(str(tmp_path / "top"), os.getuid(), os.getgid())
    assert (tmp_path / "victim").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "top/x").stat().st_nlink == 1
    assert (tmp_path / "top/x").read_text() == "x = 1\n"
    assert os.listdir(tmp_path / "top") == ["x"]


def test_trees_that_are_too_deep_are_refused_and_removed(tmp_path: Path) -> None:
    top = deep(tmp_path / "top")
    uid, gid = os.getuid(), os.getgid()
    for work in (
        lambda: chown_tree(str(top), uid, gid),
        lambda: tree_size(str(top)),
        lambda: hardlink_tree(str(top), str(tmp_path / "copy")),
    ):
        with pytest.raises(OSError, match="levels deep"):
            work()
    assert disk_usage(Clock(), str(top)) > 0
    remove_tree(str(tmp_path / "copy"))
    remove_tree(str(top))
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.getuid() != 0, reason="gives files to another user")
def test_data_that_is_too_deep_is_not_handed_over_by_half_without_a_word(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path), "shop")
    os.mkdir(layout.base)
    deep(Path(layout.shared))
    os.chown(layout.shared, 12345, 12345)
    with pytest.raises(OSError, match="levels deep"):
        transfer_ownership(layout, Owner("nobody", 12346, 12346))
    assert os.stat(layout.shared).st_uid == 12345
    remove_tree(layout.shared)


def test_no_shared_directory_leads_out_of_the_code(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path), "shop")
    app, victim = tmp_path / "shop/releases/x/app", tmp_path / "victim"
    app.mkdir(parents=True)
    (victim / "data").mkdir(parents=True)
    (victim / "data/kept").touch()
    (app / "var").symlink_to(victim)
    with pytest.raises(OSError, match="leads out of"):
        link_shared(layout, ["var/data"], str(app), OWNER)
    assert (victim / "data/kept").exists()


def test_a_shared_directory_below_a_link_inside_of_the_code_is_linked(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path), "shop")
    app = tmp_path / "shop/releases/x/app"
    (app / "real").mkdir(parents=True)
    (app / "var").symlink_to("real")
    link_shared(layout, ["var/data"], str(app), OWNER)
    assert os.readlink(app / "real/data") == os.path.join(layout.shared, "var/data")


def test_no_instance_folder_leads_out_of_the_virtualenv(venv: Path, tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (venv / "var").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="leads out of"):
        link_instance(Layout(str(tmp_path), "shop"), ["instance"], ["shop"], str(venv))
    assert os.listdir(tmp_path / "victim") == []


@pytest.mark.skipif(os.getuid() != 0, reason="gives files to another user")
def test_a_link_in_shared_data_does_not_lead_to_files_that_root_prepared_elsewhere(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path), "shop")
    (tmp_path / "etc/ssl").mkdir(parents=True)
    (tmp_path / "etc/ssl/key").touch(0o600)
    os.makedirs(layout.shared)
    os.chown(layout.shared, 12345, 12345)
    os.symlink(tmp_path / "etc", os.path.join(layout.shared, "var"))
    adopt_prepared(layout, ["var/ssl"], 12345, 12345)
    assert (tmp_path / "etc/ssl/key").stat().st_uid == 0
    assert (tmp_path / "etc/ssl").stat().st_uid == 0
