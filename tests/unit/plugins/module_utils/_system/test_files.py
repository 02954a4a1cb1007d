# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._system.files import check_directories, write_file


def test_an_error_names_the_file_that_the_disk_had_no_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> t.NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "f").write_text("before")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=rf"No space left on device: '{tmp_path}/f'"):
        write_file(f"{tmp_path}/f", b"after")
    assert os.listdir(tmp_path) == ["f"]
    assert (tmp_path / "f").read_text() == "before"


def test_a_directory_that_is_there_or_can_be_made_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    check_directories([str(tmp_path / name) for name in ("real", "link", "link/new", "new/er/still")])


@pytest.mark.parametrize("below", ["", "/releases", "/releases/one"])
def test_what_is_in_the_place_of_a_directory_is_named_with_the_way_out(tmp_path: Path, below: str) -> None:
    place = tmp_path / "shop"
    place.write_text("")
    with pytest.raises(OSError, match=f"^{place} is a file and has to be a directory: .*'mv {place} {place}.old'"):
        check_directories([f"{place}{below}"])
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(OSError, match=f"^{place} is no directory and has to be one: .*'mv "):
        check_directories([f"{place}{below}"])
    place.unlink()
    place.symlink_to("/mnt/gone/shop")
    with pytest.raises(OSError, match=f"^{place} is a link to /mnt/gone/shop, .*not there: .*mount.*'rm {place}'"):
        check_directories([f"{place}{below}"])
    place.unlink()
    place.symlink_to("shop")
    with pytest.raises(OSError, match=f"^{place} is a link .*leads in a circle: 'rm {place}'"):
        check_directories([f"{place}{below}"])
    place.unlink()
    (tmp_path / "file").write_text("")
    place.symlink_to("file")
    with pytest.raises(OSError, match=f"^{place} is a link to file, .*no directory"):
        check_directories([f"{place}{below}"])
