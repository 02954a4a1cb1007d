# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A commit of a repository as a tar file."""

from __future__ import annotations

import os
import subprocess
import tarfile
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.source import SourceError
from ansible_collections.flaskops.stack.plugins.module_utils._build.git import (
    Git,
    Repository,
    archive_commit,
    describe_commit,
    list_refs,
    refresh,
)
from ansible_collections.flaskops.stack.plugins.module_utils._system.command import CommandError, Result
from ansible_collections.flaskops.stack.plugins.module_utils._system.lock import Lock, LockedError


def git(directory: Path, *words: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run(["git", "-C", str(directory), *identity, *words], check=True, capture_output=True)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a repository with one commit."""
    path = tmp_path / "source"
    path.mkdir()
    (path / "app.py").write_text("app = 1\n")
    git(path, "init", "--quiet", "--initial-branch=main")
    git(path, "add", ".")
    git(path, "commit", "--quiet", "--message=first")
    return path


@pytest.fixture
def mirror(source: Path, tmp_path: Path) -> Path:
    """Return the mirror that the first build has made."""
    path, scratch = tmp_path / "cache" / "git", str(tmp_path / "scratch")
    repository = Repository(str(source))
    commit = list_refs(repository, scratch)["refs/heads/main"]
    archive_commit(repository, commit, "main", str(path), scratch, str(tmp_path / "tar"))
    return path


def refreshed(source: Path, mirror: Path, program: Git | None = None) -> dict[str, str]:
    return refresh(Repository(str(source)), str(mirror), str(mirror.parent / "scratch"), program or Git())


def asked(source: Path, mirror: Path) -> dict[str, str]:
    return list_refs(Repository(str(source)), str(mirror.parent / "scratch"))


def test_one_question_gets_what_is_new_and_its_name(source: Path, mirror: Path, tmp_path: Path) -> None:
    git(source, "commit", "--quiet", "--allow-empty", "--message=second")
    git(source, "tag", "--annotate", "--message=v2", "v2")
    known = refreshed(source, mirror)
    assert known == asked(source, mirror)
    assert known["HEAD"] == known["refs/heads/main"] == known["refs/tags/v2"]
    source.rename(tmp_path / "away")
    scratch, tar = str(tmp_path / "scratch"), str(tmp_path / "tar")
    archive_commit(Repository(str(source)), known["HEAD"], "main", str(mirror), scratch, tar)


def test_what_the_server_has_no_more_or_has_otherwise_is_so_here(source: Path, mirror: Path) -> None:
    git(source, "branch", "feature")
    git(source, "branch", "dir/one")
    assert "refs/heads/feature" in refreshed(source, mirror)
    git(source, "commit", "--quiet", "--amend", "--message=changed")
    git(source, "branch", "--delete", "--force", "feature", "dir/one")
    git(source, "branch", "dir")
    git(source, "checkout", "--quiet", "-b", "trunk")
    git(source, "commit", "--quiet", "--allow-empty", "--message=second")
    known = refreshed(source, mirror)
    assert known == asked(source, mirror)
    assert known["HEAD"] == known["refs/heads/trunk"] != known["refs/heads/main"]
    assert sorted(known) == ["HEAD", "refs/heads/dir", "refs/heads/main", "refs/heads/trunk"]


def test_a_mirror_that_is_not_there_or_broken_knows_nothing(source: Path, mirror: Path, tmp_path: Path) -> None:
    assert refreshed(source, tmp_path / "none") == {}
    assert refreshed(tmp_path / "nowhere", mirror) == {}
    (mirror / "HEAD").unlink()
    assert refreshed(source, mirror) == {}


def test_who_asks_while_another_fetches_does_without_the_mirror(source: Path, mirror: Path) -> None:
    with Lock(f"{mirror}.lock", 1):
        assert refreshed(source, mirror, Git(query_wait=0)) == {}
    assert refreshed(source, mirror) == asked(source, mirror)


def test_who_builds_waits_for_one_who_asks(source: Path, mirror: Path, tmp_path: Path) -> None:
    git(source, "commit", "--quiet", "--allow-empty", "--message=second")
    commit = asked(source, mirror)["HEAD"]
    scratch, tar = str(tmp_path / "scratch"), str(tmp_path / "tar")
    with Lock(f"{mirror}.lock", 1), pytest.raises(LockedError):
        archive_commit(Repository(str(source)), commit, "main", str(mirror), scratch, tar, Git(build_wait=0))
    archive_commit(Repository(str(source)), commit, "main", str(mirror), scratch, tar)


LEFT = ("objects/pack/tmp_pack_x", "objects/pack/tmp_idx_x", "packed-refs.lock", "refs/heads/main.lock")


def leave_behind(mirror: Path) -> None:
    for name in LEFT:
        (mirror / name).write_text("x")


def left_behind(mirror: Path) -> list[str]:
    return [name for name in LEFT if (mirror / name).exists()]


def test_what_a_run_that_was_killed_has_left_in_the_mirror_is_swept(source: Path, mirror: Path) -> None:
    inode = mirror.stat().st_ino
    git(source, "commit", "--quiet", "--allow-empty", "--message=second")
    child = os.fork()
    if not child:
        Lock(f"{mirror}.lock", 1).__enter__()
        leave_behind(mirror)
        os._exit(1)
    os.waitpid(child, 0)
    assert refreshed(source, mirror) == asked(source, mirror)
    assert (left_behind(mirror), mirror.stat().st_ino) == ([], inode)


class Late(Git):
    """A git whose fetches are killed at their time-out."""

    def run(self, argv: t.Sequence[str], timeout: float, env: t.Mapping[str, str]) -> Result:
        if "fetch" not in argv:
            return super().run(argv, timeout, env)
        # The words that say where the mirror is.
        leave_behind(Path(next(word for word in argv if word.startswith("--git-dir="))[len("--git-dir=") :]))
        raise CommandError("'git fetch' did not end within 60 s")


def test_what_git_has_left_at_its_time_out_is_swept(source: Path, mirror: Path) -> None:
    assert (refreshed(source, mirror, Late()), left_behind(mirror)) == ({}, [])
    assert refreshed(source, mirror) == asked(source, mirror)


@pytest.mark.parametrize("reachable", [True, False])
def test_a_commit_without_its_files_is_fetched_again(
    source: Path, mirror: Path, tmp_path: Path, reachable: bool
) -> None:
    """A small fetch writes object by object, the commit first; one that was killed can leave that alone."""
    (source / "new.py").write_text("new")
    git(source, "add", "new.py")
    git(source, "commit", "--quiet", "--message=second")
    commit = asked(source, mirror)["HEAD"]
    if not reachable:
        git(source, "reset", "--quiet", "--hard", "HEAD~1")
        git(source, "config", "uploadpack.allowAnySHA1InWant", "true")
    text = subprocess.run(["git", "cat-file", "commit", commit], cwd=source, check=True, stdout=subprocess.PIPE).stdout
    subprocess.run(["git", "hash-object", "-t", "commit", "-w", "--stdin"], cwd=mirror, check=True, input=text)
    tar = tmp_path / "tar"
    archive_commit(Repository(str(source)), commit, commit, str(mirror), str(tmp_path / "scratch"), str(tar))
    with tarfile.open(tar) as archive:
        assert "new.py" in archive.getnames()


def test_a_branch_may_be_named_like_half_a_pack(source: Path, mirror: Path) -> None:
    (mirror / "refs" / "heads" / "tmp_new").write_text(asked(source, mirror)["HEAD"])
    refreshed(source, mirror, Late())
    assert (mirror / "refs" / "heads" / "tmp_new").exists()


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


def test_a_repository_of_sha_256_is_fetched(tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch=main", "--object-format=sha256")
    git(path, "commit", "--quiet", "--allow-empty", "--message=first")
    mirror, scratch = tmp_path / "cache" / "git", str(tmp_path / "scratch")
    commit = list_refs(Repository(str(path)), scratch)["HEAD"]
    archive_commit(Repository(str(path)), commit, "", str(mirror), scratch, str(tmp_path / "tar"))
    assert refreshed(path, mirror)["HEAD"] == commit


def test_git_lfs_leaves_its_pointers(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source / ".gitattributes").write_text("*.bin filter=lfs\n")
    (source / "logo.bin").write_text("version https://git-lfs.github.com/spec/v1\n")
    git(source, "add", ".")
    git(source, "commit", "--quiet", "--message=logo")
    # As its package for Debian configures it, with what it does in a repository that has no server.
    config = '[filter "lfs"]\nrequired = true\nsmudge = test $GIT_LFS_SKIP_SMUDGE && cat\n'
    (tmp_path / "config").write_text(config)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    scratch, tar = str(tmp_path / "scratch"), tmp_path / "tar"
    commit = list_refs(Repository(str(source)), scratch)["HEAD"]
    archive_commit(Repository(str(source)), commit, "", str(tmp_path / "cache" / "git"), scratch, str(tar))
    with tarfile.open(tar) as found:
        assert "logo.bin" in found.getnames()


def test_only_a_tag_that_may_be_a_version_describes_a_commit(source: Path, mirror: Path) -> None:
    git(source, "tag", "v1.2")
    git(source, "tag", "--annotate", "--message=now", "latest")
    commit = refreshed(source, mirror)["HEAD"]
    assert describe_commit(str(mirror), commit) == f"v1.2-0-g{commit[:7]}"


def test_a_bundle_behind_a_scheme_is_named_with_its_path_alone(source: Path, tmp_path: Path) -> None:
    git(source, "bundle", "create", "--quiet", str(tmp_path / "shop.bundle"), "--all")
    with pytest.raises(SourceError, match="by its path alone, such as /srv/git/shop"):
        list_refs(Repository(f"file://{tmp_path}/shop.bundle"), str(tmp_path / "scratch"))
    assert list_refs(Repository(f"{tmp_path}/shop.bundle"), str(tmp_path / "scratch"))
