# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A full disk is named, with what helps; other failures are not taken for one."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._system.command import CommandError
from ansible_collections.flaskops.stack.plugins.module_utils._system.disk_space import explain_full_disk


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        CommandError("uv said:\n  error: write failed: No space left on device (os error 28)"),
    ],
)
def test_the_file_system_is_named_by_its_mount_point(tmp_path: Path, failure: Exception) -> None:
    said = explain_full_disk(failure, [str(tmp_path / "not/made/yet"), "/"])
    assert said.startswith("the disk is full: the file system at /")
    assert "MiB free" in said and "lower 'keep'" in said


@pytest.mark.parametrize("failure", [OSError(errno.EACCES, "Permission denied"), CommandError("no such package")])
def test_another_failure_is_none(tmp_path: Path, failure: Exception) -> None:
    assert explain_full_disk(failure, [str(tmp_path)]) == ""


def test_what_was_said_shows_no_password_of_an_index() -> None:
    said = explain_full_disk(CommandError("https://me:geheim@index.test/ No space left on device"), ["/"])
    assert "index.test" in said and "geheim" not in said
