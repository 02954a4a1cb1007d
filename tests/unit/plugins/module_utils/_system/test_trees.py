# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies by hard links, and who owns what."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._system.trees import (
    chown_tree,
    hardlink_tree,
    remove_tree,
    rewrite_prefix,
    tree_size,
)


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    top = tmp_path / "releases" / "old" / "venv"
    site = top / "lib" / "python3.13" / "site-packages"
    (top / "bin").mkdir(parents=True)
    (site / "shop-1.dist-info").mkdir(parents=True)
    (top / "bin" / "flask").write_text(f"#!{top}/bin/python\n")
    (top / "bin" / "flask").chmod(0o755)
    os.symlink("/usr/bin/python3", top / "bin" / "python")
    (top / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (site / "shop.pth").write_text(f"{tmp_path}/releases/old/app/src\n")
    (site / "other.py").write_text("x = 1\n")
    return top


def test_a_copy_shares_its_files_and_keeps_links_and_modes(venv: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    hardlink_tree(str(venv), str(new))
    assert (new / "pyvenv.cfg").stat().st_ino == (venv / "pyvenv.cfg").stat().st_ino
    assert os.readlink(new / "bin" / "python") == "/usr/bin/python3"
    assert (new / "bin" / "flask").stat().st_mode & 0o777 == 0o755


def test_absolute_paths_are_moved_in_the_copy_only(venv: Path, tmp_path: Path) -> None:
    old, new = tmp_path / "releases" / "old", tmp_path / "releases" / "new"
    new.mkdir()
    hardlink_tree(str(venv), str(new / "venv"))
    rewrite_prefix(str(new / "venv"), str(old), str(new))
    site = new / "venv/lib/python3.13/site-packages"
    assert (new / "venv/bin/flask").read_text() == f"#!{new}/venv/bin/python\n"
    assert (new / "venv/bin/flask").stat().st_mode & 0o777 == 0o755
    assert (site / "shop.pth").read_text() == f"{new}/app/src\n"
    assert (site / "other.py").stat().st_nlink == 2
    assert (venv / "bin/flask").read_text() == f"#!{venv}/bin/python\n"


def test_modes_are_made_uniform_and_nothing_keeps_a_set_id_bit(tmp_path: Path) -> None:
    top = tmp_path / "x"
    (top / "d").mkdir(parents=True)
    for name, mode in (("plain", 0o600), ("run", 0o4755), ("open", 0o666)):
        (top / "d" / name).touch()
        (top / "d" / name).chmod(mode)
    (top / "d").chmod(0o777)
    os.symlink("/etc/passwd", top / "link")
    chown_tree(str(top), os.getuid(), os.getgid())
    modes = {path.name: path.stat().st_mode & 0o7777 for path in (top / "d").iterdir()}
    assert modes == {"plain": 0o644, "run": 0o755, "open": 0o644}
    assert (top / "d").stat().st_mode & 0o777 == 0o755


def test_a_tree_that_is_not_there_is_removed_as_well(tmp_path: Path) -> None:
    remove_tree(str(tmp_path / "nothing"))


def test_the_size_is_that_on_disk(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100_000)
    assert tree_size(str(tmp_path)) >= 100_000
