# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application that logs to a file leaves nothing in the journal: the error says which file that is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.own_logs import own_logs


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    for number, name in enumerate(["shop.log", "instance/app.log", "instance/logs/old.log", "a/b/c.log", "data.db"]):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("said\n")
        os.utime(path, (100 + number, 100 + number))
    (tmp_path / "empty.log").touch()
    return tmp_path


def test_logs_that_were_written_since_the_start_are_named_the_last_one_first(shared: Path) -> None:
    paths = [str(shared / name) for name in ("instance/logs/old.log", "instance/app.log", "shop.log")]
    assert own_logs(str(shared), 100) == paths
    assert own_logs(str(shared), 101) == paths[:2]
    assert own_logs(str(shared), 200) == []


@pytest.mark.parametrize("place", ["log", "logs", "var/log", "data/logs"])
def test_directories_of_logs_are_searched(tmp_path: Path, place: str) -> None:
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "app.log").write_text("said\n")
    assert own_logs(str(tmp_path), 0) == [str(tmp_path / place / "app.log")]


@pytest.mark.parametrize("place", ["uploads", "media", "instance/uploads"])
def test_what_visitors_have_uploaded_is_no_log(shared: Path, place: str) -> None:
    (shared / place).mkdir(parents=True)
    (shared / place / "visitor.log").write_text("said\n")
    assert own_logs(str(shared), 200) == []


def test_what_is_no_file_is_left_out(shared: Path, tmp_path: Path) -> None:
    os.mkfifo(shared / "pipe.log")
    (shared / "link.log").symlink_to("/etc/passwd")
    (shared / "instance" / "directory.log").mkdir()
    assert not {"pipe.log", "link.log", "directory.log"} & {Path(path).name for path in own_logs(str(shared), 0)}
    assert own_logs(str(tmp_path / "absent"), 0) == []


def test_a_name_with_other_characters_than_a_terminal_shows_is_in_no_error(shared: Path) -> None:
    for name in ("red\x1b[31m.log", "two\nlines.log", "no-utf-8\udcff.log"):
        (shared / name).write_text("said\n")
    assert own_logs(str(shared), 200) == []
