# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A commit of a repository as a tar file."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._source_git import Repository, archive_commit, list_refs
from ansible_collections.flaskops.stack.plugins.module_utils._source_spec import SourceError


def git(directory: Path, *words: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run(["git", "-C", str(directory), *identity, *words], check=True, capture_output=True)


def test_the_history_that_is_kept_is_closed_to_others(tmp_path: Path) -> None:
    source, mirror, tar = tmp_path / "source", tmp_path / "cache" / "git", tmp_path / "tar"
    source.mkdir()
    (source / "app.py").write_text("app = 1\n")
    git(source, "init", "--quiet", "--initial-branch=main")
    git(source, "add", ".")
    git(source, "commit", "--quiet", "--message=first")
    repository = Repository(str(source))
    commit = list_refs(repository, str(tmp_path / "scratch"))["refs/heads/main"]
    archive_commit(repository, commit, "refs/heads/main", str(mirror), str(tmp_path / "scratch"), str(tar))
    assert mirror.stat().st_mode & 0o777 == 0o700
    with tarfile.open(tar) as found:
        assert found.getnames() == ["app.py"]


def test_two_runs_do_not_take_each_other_the_key(tmp_path: Path) -> None:
    scratch = tmp_path / "run" / "shop"
    other = tmp_path / "run" / "shop.1"
    killed = tmp_path / "run" / "shop.4194305"
    for directory in (other, killed):
        directory.mkdir(parents=True)
        (directory / "key").write_text("secret")
    (tmp_path / "origin").mkdir()
    with pytest.raises(SourceError):
        list_refs(Repository(str(tmp_path / "origin")), str(scratch))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["shop.1"]
    assert (other / "key").exists()
