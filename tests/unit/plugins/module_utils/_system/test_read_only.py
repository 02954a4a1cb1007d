# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file system that is mounted read-only is named before anything is begun."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._system.read_only import ReadOnlyError, refuse_read_only


class Status(t.NamedTuple):
    f_flag: int


def mounted(monkeypatch: pytest.MonkeyPatch, place: str, flags: int) -> None:
    monkeypatch.setattr(os, "statvfs", lambda path: Status(flags if path == place else 0))


def table(tmp_path: Path, *points: str) -> str:
    file = tmp_path / "mountinfo"
    file.write_text("".join(f"1 2 8:1 / {point} ro,relatime - ext4 /dev/sda rw\n" for point in points))
    return str(file)


def test_what_can_be_written_is_not_refused(tmp_path: Path) -> None:
    refuse_read_only([str(tmp_path), str(tmp_path / "not/made/yet")])


def test_the_mount_point_is_named_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "big disk"
    place.mkdir()
    mounted(monkeypatch, str(place), os.ST_RDONLY)
    points = ["/", str(tmp_path), str(place).replace(" ", "\\040"), f"{tmp_path}/big"]
    with pytest.raises(ReadOnlyError) as said:
        refuse_read_only(["/", str(place / "shop/releases")], table(tmp_path, *points))
    assert f"{place}/shop/releases cannot be changed, because the file system at {place} is mounted" in str(said.value)
    assert f"mount -o remount,rw {place}" in str(said.value)


@pytest.mark.parametrize("content", ["", "nonsense\n"])
def test_without_a_table_of_mounts_it_is_refused_nevertheless(
    tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted(monkeypatch, str(tmp_path), os.ST_RDONLY)
    (tmp_path / "mountinfo").write_text(content)
    for found in ("mountinfo", "missing"):
        with pytest.raises(ReadOnlyError, match="the file system at / is mounted"):
            refuse_read_only([str(tmp_path)], str(tmp_path / found))
