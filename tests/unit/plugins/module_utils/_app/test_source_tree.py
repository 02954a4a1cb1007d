# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files a source consists of, and what is refused."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.source import SourceError
from ansible_collections.flaskops.stack.plugins.module_utils._app.source_tree import (
    DIRECTORY,
    FILE,
    HARDLINK,
    LINK,
    OTHER,
    ArchiveEntry,
    is_ignored,
    plan_tree,
    tree_digest,
)
from ansible_collections.flaskops.stack.plugins.module_utils._build.archive import extract


def files(*paths: str) -> list[ArchiveEntry]:
    return [ArchiveEntry(path, FILE) for path in paths]


def paths(entries: list[ArchiveEntry]) -> list[str]:
    return [entry.path for entry in entries]


@pytest.mark.parametrize(
    ("entries", "strip", "subdirectory", "expected"),
    [
        (files("./a", "b//c"), False, "", ["a", "b/c"]),
        (files("shop-1/a", "shop-1/b/c"), True, "", ["a", "b/c"]),
        (files("shop-1/a", "shop-1/b/c"), False, "", ["shop-1/a", "shop-1/b/c"]),
        (files("a", "b/c"), True, "", ["a", "b/c"]),
        (files("a"), True, "", ["a"]),
        (files("top/web/a", "top/api/b"), True, "web", ["a"]),
        (files("web/x/a", "webber/b"), False, "web/x", ["a"]),
        ([ArchiveEntry("d", DIRECTORY), *files("d/a")], False, "", ["d", "d/a"]),
        ([ArchiveEntry("l", LINK, "a"), *files("a"), ArchiveEntry("z", DIRECTORY)], False, "", ["z", "a", "l"]),
    ],
)
def test_paths_are_plain_and_links_come_last(
    entries: list[ArchiveEntry], strip: bool, subdirectory: str, expected: list[str]
) -> None:
    assert paths(plan_tree(entries, "x", strip, subdirectory)) == expected


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (ArchiveEntry("../a", FILE), "outside of the release"),
        (ArchiveEntry("a/../../b", FILE), "outside of the release"),
        (ArchiveEntry("/etc/passwd", FILE), "outside of the release"),
        (ArchiveEntry("a\0b", FILE), "outside of the release"),
        (ArchiveEntry("dev", OTHER), "a device, pipe or socket"),
        (ArchiveEntry("l", LINK, "/etc/passwd"), "outside of the release"),
        (ArchiveEntry("l", LINK, "../x"), "outside of the release"),
        (ArchiveEntry("d/l", LINK, "../../x"), "outside of the release"),
        (ArchiveEntry("l", LINK, "d/../../x"), "outside of the release"),
        (ArchiveEntry("d/l", LINK, "e/../a"), "outside of the release"),
        (ArchiveEntry("l", LINK, ""), "outside of the release"),
        (ArchiveEntry("h", HARDLINK, "nothing"), "which is no file in it"),
        (ArchiveEntry("h", HARDLINK, "../../etc/shadow"), "outside of the release"),
    ],
)
def test_what_would_leave_the_release_is_refused(entry: ArchiveEntry, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        plan_tree([*files("ok"), entry], "x.tar")


def test_nothing_is_written_through_a_link() -> None:
    with pytest.raises(SourceError, match="below 'd', which is no directory"):
        plan_tree([ArchiveEntry("d", LINK, "other"), *files("d/a", "other/b")], "x.tar")


@pytest.mark.parametrize(("path", "target"), [("l", "a"), ("d/l", "../a"), ("d/e/l", "../../a"), ("l", "./d/a")])
def test_links_that_stay_inside_are_kept(path: str, target: str) -> None:
    assert path in paths(plan_tree([*files("a", "d/a"), ArchiveEntry(path, LINK, target)], "x"))


def test_an_empty_source_is_refused() -> None:
    with pytest.raises(SourceError, match="holds no file"):
        plan_tree([ArchiveEntry("d", DIRECTORY)], "x")


def test_a_subdirectory_that_is_a_submodule_is_refused_as_such() -> None:
    entries = [ArchiveEntry("app.py", FILE), ArchiveEntry("libs/", DIRECTORY), ArchiveEntry("libs/shop/", DIRECTORY)]
    with pytest.raises(SourceError, match=r"'libs/shop' is empty in x\. Is it a submodule .*the repository of the sub"):
        plan_tree(entries, "x", subdirectory="libs/shop")


def test_a_missing_subdirectory_is_refused_with_those_that_exist() -> None:
    with pytest.raises(SourceError, match="whose directories are api, web"):
        plan_tree(files("web/a", "api/b", "c"), "x", subdirectory="wep")


def test_the_digest_depends_on_content_and_mode_but_not_on_order_or_time() -> None:
    one, two = ArchiveEntry("a", FILE), ArchiveEntry("b", FILE, executable=True)
    digest = tree_digest([(one, "1"), (two, "2")])
    assert tree_digest([(replace(two, mtime=7), "2"), (one, "1"), (ArchiveEntry("d", DIRECTORY), "")]) == digest
    others = [
        [(one, "1"), (two, "3")],
        [(one, "1"), (replace(two, executable=False), "2")],
        [(one, "1"), (replace(two, path="c"), "2")],
        [(one, "1")],
    ]
    assert all(tree_digest(other) != digest for other in others)


@pytest.mark.parametrize(
    "name", [".git", "__pycache__", "a.pyc", ".venv", "venv", "node_modules", ".tox", "x.egg-info"]
)
def test_caches_and_environments_are_left_out(name: str) -> None:
    assert is_ignored(name)


def make_tar(path: Path, mode: str) -> None:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data, flags in (("shop-1/web.py", b"x = 1\n", 0o644), ("shop-1/bin/run", b"#!/bin/sh\n", 0o700)):
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(data), flags, 1_700_000_000
            tar.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("shop-1/link.py")
        link.type, link.linkname = tarfile.SYMTYPE, "web.py"
        tar.addfile(link)
        hard = tarfile.TarInfo("shop-1/hard.py")
        hard.type, hard.linkname = tarfile.LNKTYPE, "shop-1/web.py"
        tar.addfile(hard)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_files_are_written_with_modes_links_and_times(tmp_path: Path, mode: str) -> None:
    make_tar(tmp_path / "x.tar", mode)
    top = tmp_path / "out"
    top.mkdir()
    extract(str(tmp_path / "x.tar"), str(top), "x.tar", True, "")
    assert (top / "web.py").read_text() == "x = 1\n"
    assert (top / "hard.py").read_text() == "x = 1\n"
    assert os.readlink(top / "link.py") == "web.py"
    assert (top / "bin/run").stat().st_mode & 0o777 == 0o755
    assert (top / "web.py").stat().st_mode & 0o777 == 0o644
    assert (top / "web.py").stat().st_mtime == 1_700_000_000


def test_zip_files_are_written(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as zipped:
        zipped.writestr("shop/web.py", "x = 1\n")
        link = zipfile.ZipInfo("shop/link.py")
        link.external_attr = 0o120777 << 16
        zipped.writestr(link, "web.py")
    top = tmp_path / "out"
    top.mkdir()
    extract(str(tmp_path / "x.zip"), str(top), "x.zip", True, "")
    assert (top / "web.py").read_text() == "x = 1\n"
    assert os.readlink(top / "link.py") == "web.py"


@pytest.mark.parametrize("data", [b"", b"not an archive", b"PK\x03\x04broken", b"\x1f\x8b\x08broken"])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.tar.gz").write_bytes(data)
    (tmp_path / "out").mkdir()
    with pytest.raises(SourceError, match=r"x\.tar\.gz (cannot be read as an archive|holds no file)"):
        extract(str(tmp_path / "x.tar.gz"), str(tmp_path / "out"), "x.tar.gz", True, "")
