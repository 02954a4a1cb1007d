# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The logs of a new site are as closed as those that were rotated."""

from __future__ import annotations

import grp
import os
import stat
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.conf import load
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.log_files import make_logs


def written(tmp_path: Path, text: str) -> None:
    """Make the logs of a configuration."""
    config = load("/nginx.conf", lambda _path: text.encode(), lambda _pattern: [])
    make_logs(config, str(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="files are given to other users")
def test_new_logs_are_readable_by_nginx_and_administrators_only(tmp_path: Path) -> None:
    written(tmp_path, f"user daemon; http {{ access_log {tmp_path}/shop.log combined; error_log errors.log; }}")
    for name in ("shop.log", "errors.log"):
        found = (tmp_path / name).stat()
        assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o640, 1)
        assert grp.getgrgid(found.st_gid).gr_name == "adm"


def test_what_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "kept.log").write_text("line")
    (tmp_path / "kept.log").chmod(0o604)
    (tmp_path / "link.log").symlink_to(tmp_path / "elsewhere")
    written(tmp_path, f"http {{ access_log {tmp_path}/kept.log; error_log {tmp_path}/link.log; }}")
    assert stat.S_IMODE((tmp_path / "kept.log").stat().st_mode) == 0o604
    assert sorted(os.listdir(tmp_path)) == ["kept.log", "link.log"]


def test_what_nginx_alone_can_make_is_left_to_it(tmp_path: Path) -> None:
    written(
        tmp_path, "http { access_log none/at/all.log; error_log stderr; access_log /dev/stdout; access_log $host.log; }"
    )
    make_logs(None, "/")
    assert os.listdir(tmp_path) == []
