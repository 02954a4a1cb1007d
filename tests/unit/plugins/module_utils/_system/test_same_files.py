# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases share the files that they have in common, and no others."""

from __future__ import annotations

import compileall
import os
import shutil
import stat
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._system.same_files import share_data, share_installed

SITE = "lib/python3.13/site-packages/shop"


def fill(top: Path, files: t.Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
    return top


@pytest.fixture
def old(tmp_path: Path) -> Path:
    top = fill(tmp_path / "old", {f"{SITE}/__init__.py": "x = 1\n", f"{SITE}/big.so": "b" * 3_000_000, "a/b": "text"})
    os.utime(top / SITE / "__init__.py", (1_000_000_000, 1_000_000_000))
    compileall.compile_dir(str(top), quiet=1)
    return top


@pytest.fixture
def new(old: Path, tmp_path: Path) -> Path:
    top = tmp_path / "new"
    return fill(top, {f"{SITE}/__init__.py": "x = 1\n", f"{SITE}/big.so": "b" * 3_000_000, "a/b": "text"})


def is_shared(old: Path, new: Path, name: str) -> bool:
    return (old / name).stat().st_ino == (new / name).stat().st_ino


def compiled(top: Path) -> list[Path]:
    return sorted((top / SITE / "__pycache__").iterdir())


def test_equal_files_are_shared_with_what_is_compiled_of_them(old: Path, new: Path) -> None:
    share_installed(str(new), str(old))
    assert all(is_shared(old, new, name) for name in (f"{SITE}/__init__.py", f"{SITE}/big.so", "a/b"))
    assert [path.stat().st_ino for path in compiled(new)] == [path.stat().st_ino for path in compiled(old)]


def test_what_is_compiled_is_right_for_the_shared_module(old: Path, new: Path) -> None:
    share_installed(str(new), str(old))
    before = compiled(new)[0].stat()
    compileall.compile_dir(str(new), quiet=1)
    assert compiled(new)[0].stat().st_ino == before.st_ino, "Python found it outdated"


@pytest.mark.parametrize(
    "text", ["x = 2\n", "x = 11\n", "", "x = 1\r"], ids=["same size", "longer", "empty", "last byte"]
)
def test_a_changed_module_keeps_its_own_file_and_is_compiled_anew(old: Path, new: Path, text: str) -> None:
    (new / SITE / "__init__.py").write_text(text)
    share_installed(str(new), str(old))
    assert (new / SITE / "__init__.py").read_bytes() == text.encode()
    assert not (new / SITE / "__pycache__").exists()
    assert (old / SITE / "__init__.py").read_text() == "x = 1\n"


def test_the_last_byte_of_a_large_file_counts(old: Path, new: Path) -> None:
    (new / SITE / "big.so").write_text("b" * 2_999_999 + "c")
    share_installed(str(new), str(old))
    assert (new / SITE / "big.so").read_text().endswith("c")
    assert (old / SITE / "big.so").read_text().endswith("b")


def test_what_only_one_of_them_has_stays_as_it_is(old: Path, new: Path) -> None:
    fill(new, {"only/new": "1", ".hidden/x": "1"})
    fill(old, {"only-old": "1", "hidden/x": "1"})
    share_installed(str(new), str(old))
    assert (new / "only/new").stat().st_nlink == 1
    assert (new / ".hidden/x").stat().st_nlink == 1
    assert not (new / "only-old").exists()


def test_other_rights_are_not_taken_over(old: Path, new: Path) -> None:
    (new / "a/b").chmod(0o755)
    share_installed(str(new), str(old))
    assert not is_shared(old, new, "a/b")


@pytest.mark.parametrize("mode", [0o4755, 0o666, 0o600])
def test_a_file_with_rights_that_no_release_gives_is_not_shared(old: Path, new: Path, mode: int) -> None:
    (old / "a/b").chmod(mode)
    (new / "a/b").chmod(mode)
    share_installed(str(new), str(old))
    assert not is_shared(old, new, "a/b")


def test_a_secret_file_is_not_shared_with_one_that_everybody_reads(old: Path, new: Path) -> None:
    (new / "a/b").chmod(0o640)
    share_data(str(new), str(old))
    assert stat.S_IMODE((new / "a/b").stat().st_mode) == 0o640


def test_links_and_special_files_are_left_alone(old: Path, new: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("text")
    for top in (old, new):
        os.symlink(tmp_path / "secret", top / "link")
        os.mkfifo(top / "fifo")
    share_installed(str(new), str(old))
    assert os.readlink(new / "link") == str(tmp_path / "secret")
    assert (tmp_path / "secret").stat().st_nlink == 1


def test_a_link_where_the_other_tree_has_a_directory_is_not_followed(old: Path, new: Path, tmp_path: Path) -> None:
    shutil.move(old / "a", tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", old / "a")
    share_installed(str(new), str(old))
    assert (new / "a/b").stat().st_nlink == 1


def test_a_planted_directory_of_compiled_files_is_not_followed(old: Path, new: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", new / SITE / "__pycache__")
    share_installed(str(new), str(old))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_modules_of_the_code_keep_their_time_as_they_are_compiled_already(old: Path, new: Path) -> None:
    share_data(str(new), str(old))
    assert not is_shared(old, new, f"{SITE}/__init__.py")
    assert is_shared(old, new, "a/b")


def test_a_file_system_without_hard_links_keeps_two_copies(
    old: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_words: object, **_more: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    share_installed(str(new), str(old))
    assert (new / "a/b").read_text() == "text"
