# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build is given to reach private packages, and what is left of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._build.build_secrets import (
    remove_secrets,
    write_deploy_key,
)

TOKEN = "glpat-hunter2"
SITE = "lib/python3.13/site-packages"


def test_the_deploy_key_is_a_file_of_the_user_alone(tmp_path: Path) -> None:
    write_deploy_key(str(tmp_path), "KEY\r\nEND", "", os.getuid(), os.getgid())
    assert (tmp_path / "deploy_key").read_text() == "KEY\nEND\n"
    assert (tmp_path / "deploy_key").stat().st_mode & 0o777 == 0o600


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    top = tmp_path / "venv"
    (top / SITE / "lib-1.dist-info").mkdir(parents=True)
    (top / "src/lib/.git").mkdir(parents=True)
    (top / SITE / "lib.py").write_text("x = 1\n")
    return top


def test_what_installers_note_of_a_source_is_masked(venv: Path) -> None:
    for place in (f"{SITE}/lib-1.dist-info/direct_url.json", "src/lib/.git/config"):
        (venv / place).write_text(f'{{"url": "file:///srv/git/{TOKEN}.git"}}')
    (venv / "src/lib/.git/config").chmod(0o600)
    remove_secrets([str(venv)], {"TOKEN": TOKEN, "SHORT": "x", "BLANKS": " " * 8, "PADDED": "     1\n"})
    for place in (f"{SITE}/lib-1.dist-info/direct_url.json", "src/lib/.git/config"):
        assert (venv / place).read_text() == '{"url": "file:///srv/git/********.git"}'
    assert (venv / "src/lib/.git/config").stat().st_mode & 0o777 == 0o600
    assert (venv / SITE / "lib.py").read_text() == "x = 1\n"


@pytest.mark.parametrize("before", [0, 4 * 2**20 - 5])
def test_a_secret_in_any_other_file_is_refused_by_its_name(venv: Path, before: int) -> None:
    (venv / SITE / "lib.py").write_bytes(b"#" * before + f"TOKEN = '{TOKEN}'\n".encode())
    with pytest.raises(OSError, match=r"venv/lib/python3\.13/site-packages/lib\.py holds the value of build_sec"):
        remove_secrets([str(venv)], {"TOKEN": TOKEN})
