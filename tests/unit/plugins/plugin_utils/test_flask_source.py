# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources on the controller: what they are and what is sent of them."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.source import SourceError
from ansible_collections.flaskops.stack.plugins.module_utils._build.archive import extract
from ansible_collections.flaskops.stack.plugins.plugin_utils._flask_source import (
    Found,
    directory_digest,
    explain_packed,
    list_directory,
    look,
    pack,
)


def git(top: Path, *words: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.com", "-c", "init.defaultBranch=main"]
    return subprocess.run(
        ["git", "-C", top, *identity, *words], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "shop"
    (top / "shop").mkdir(parents=True)
    (top / "shop" / "__init__.py").write_text("x = 1\n")
    (top / "run").write_text("#!/bin/sh\n")
    (top / "run").chmod(0o755)
    for name in ("__pycache__", ".venv", "node_modules"):
        (top / name).mkdir()
        (top / name / "x.py").touch()
    return top


@pytest.fixture
def repository(tree: Path) -> Path:
    (tree / ".gitignore").write_text("*.log\n.venv\nnode_modules\n__pycache__\n")
    git(tree, "init", "-q")
    git(tree, "add", "-A")
    git(tree, "commit", "-qm", "one")
    git(tree, "tag", "v1.0")
    return tree


def names(top: Path) -> list[str]:
    return [entry.path for entry in list_directory(str(top))]


def found(**item: str) -> Found | None:
    return look(item, os.path.realpath)


def test_caches_and_environments_of_a_directory_are_left_out(tree: Path) -> None:
    assert names(tree) == ["run", "shop/__init__.py"]


def test_of_a_work_tree_all_is_taken_that_git_would_add(repository: Path) -> None:
    (repository / "new.py").touch()
    (repository / "x.log").touch()
    (repository / "run").unlink()
    assert names(repository) == [".gitignore", "new.py", "shop/__init__.py"]


def test_of_a_submodule_nothing_is_taken_that_git_ignores(repository: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / ".gitignore").write_text(".env\n")
    git(library, "init", "-q")
    git(library, "add", "-A")
    git(library, "commit", "-qm", "one")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library), "libs/a")
    git(repository, "clone", "-q", str(library), "libs/untracked")
    for name in ("a", "untracked"):
        (repository / "libs" / name / ".env").write_text("PASSWORD=1\n")
        (repository / "libs" / name / "new.py").touch()
    taken = [name for name in names(repository) if name.startswith("libs/")]
    assert taken == [f"libs/{name}/{file}" for name in ("a", "untracked") for file in (".gitignore", "new.py")]


def test_a_directory_inside_of_a_work_tree_is_taken_alone(repository: Path) -> None:
    assert names(repository / "shop") == ["__init__.py"]


def test_a_directory_that_git_ignores_is_taken_as_it_is(repository: Path) -> None:
    assert names(repository / "node_modules") == ["x.py"]


def test_the_revision_of_a_directory_is_its_content(tree: Path) -> None:
    before = directory_digest(str(tree))
    os.utime(tree / "run", (1, 1))
    assert directory_digest(str(tree)) == before
    (tree / "run").chmod(0o644)
    assert directory_digest(str(tree)) != before


def test_the_same_content_is_packed_to_the_same_bytes(tree: Path, tmp_path: Path) -> None:
    here = found(source=f"{tree}/")
    assert here is not None
    assert here.type == "directory"
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    pack(here, one)
    os.utime(tree / "run", (1, 1))
    pack(here, two)
    assert Path(one).read_bytes() == Path(two).read_bytes()


def test_what_is_packed_comes_out_again(tree: Path, tmp_path: Path) -> None:
    os.symlink("shop/__init__.py", tree / "link")
    here = found(source=f"{tree}/")
    assert here is not None
    (tmp_path / "out").mkdir()
    extract(pack(here, str(tmp_path / "x")), str(tmp_path / "out"), "x", False, "")
    assert directory_digest(str(tmp_path / "out")) == here.revision


def test_a_directory_that_changes_meanwhile_is_not_sent(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="changed while it was read"):
        pack(Found("directory", str(tree), "0" * 64), str(tmp_path / "x"))


def test_a_link_out_of_the_directory_is_refused(tree: Path) -> None:
    os.symlink("/etc/passwd", tree / "evil")
    with pytest.raises(SourceError, match="the link 'evil' to '/etc/passwd'"):
        found(source=f"{tree}/")


def test_a_work_tree_is_a_directory_unless_a_version_is_wanted(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    (repository / "run").write_text("#!/bin/sh\nexit\n")
    # Not described by it: it is no version.
    git(repository, "tag", "-am", "now", "latest")
    here, tagged = found(source=str(repository)), found(source=str(repository), version="v1.0")
    assert here is not None
    assert here.type == "directory"
    assert tagged == Found("git", str(repository), commit, "v1.0", f"v1.0-0-g{commit[:7]}")


def test_a_version_of_a_directory_that_is_no_repository_is_refused(tree: Path, repository: Path) -> None:
    for path in (repository / "shop", tree.parent):
        with pytest.raises(SourceError, match=r"not the top of a git repository.* set 'subdirectory'"):
            found(source=str(path), version="v1.0")


def test_a_work_tree_that_git_refuses_is_not_taken_with_what_it_ignores(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(repository.parent))
    # What git asks for a directory of another user's, whoever runs this test.
    program = repository.parent / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nPATH='{os.environ['PATH']}' GIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec git \"$@\"\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    for path in (repository, repository / "shop"):
        with pytest.raises(SourceError, match=r"(?s)cannot tell which files .*safe\.directory"):
            found(source=str(path))
    assert found(source=str(repository.parent)) is not None


@pytest.mark.parametrize("name", ["shop-1-py3-none-any.whl", "shop.7z", "app.py"])
def test_a_file_that_is_no_archive_is_refused_with_what_to_write(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(SourceError, match=rf"{name}' is a file whose name is not that of an archive \(.*wheel_dir"):
        found(source=str(tmp_path / name))
    assert found(source=str(tmp_path / name), source_type="archive") is not None


def test_a_bare_repository_is_git(repository: Path, tmp_path: Path) -> None:
    git(repository, "clone", "-q", "--bare", ".", str(tmp_path / "shop.git"))
    here = found(source=str(tmp_path / "shop.git"))
    assert here is not None
    assert (here.type, here.revision) == ("git", git(repository, "rev-parse", "HEAD"))
    (tmp_path / "out").mkdir()
    extract(pack(here, str(tmp_path / "x")), str(tmp_path / "out"), "x", False, "")
    assert (tmp_path / "out" / "shop" / "__init__.py").read_text() == "x = 1\n"


@pytest.mark.parametrize(
    ("version", "message"), [("v1.1", "near it are 'v1.0'"), ("f" * 40, "has no commit ffffffffff")]
)
def test_a_version_that_does_not_exist_is_refused(repository: Path, version: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        found(source=str(repository), version=version)


def test_an_archive_is_known_by_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(b"data")
    checksum = hashlib.sha256(b"data").hexdigest()
    assert found(source=str(path)) == Found("archive", str(path), checksum)
    assert found(source=str(path), checksum=f"sha256:{checksum}") is not None
    with pytest.raises(SourceError, match="it has changed"):
        found(source=str(path), checksum="sha256:" + "0" * 64)


@pytest.mark.parametrize(
    ("name", "kind"), [("x.tar.gz", "auto"), ("x", "auto"), ("x", "archive"), ("x", "git"), ("x", "directory")]
)
def test_a_source_that_is_a_fifo_is_not_waited_for(tmp_path: Path, name: str, kind: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(SourceError, match=rf"{name}' on the controller: .*{name} is a FIFO"):
        found(source=str(tmp_path / name), source_type=kind)


@pytest.mark.parametrize(
    "source",
    [
        "httpbin",
        "https://git.example.com/x.git",
        "git@git.example.com:x.git",
        "/nowhere/on/this/controller",
        "file:///x.git",
    ],
)
def test_what_is_not_on_the_controller_is_left_to_the_host(source: str) -> None:
    assert found(source=source) is None


@pytest.mark.parametrize(
    ("source", "kind"), [("/nowhere/x.zip", "auto"), ("/nowhere/x", "directory"), ("/nowhere/x", "archive")]
)
def test_what_can_only_be_on_the_controller_must_be_there(source: str, kind: str) -> None:
    with pytest.raises(SourceError, match="on the controller"):
        found(source=source, source_type=kind)


def test_an_environment_by_another_name_is_left_out(tree: Path) -> None:
    for name in ("myprojectenv/bin/python3", "myprojectenv/pyvenv.cfg"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / "myprojectenv" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (tree / "myprojectenv" / "bin" / "python3").symlink_to("/usr/bin/python3")
    assert names(tree) == ["run", "shop/__init__.py"]
    git(tree, "init", "-q")
    assert not any("myprojectenv" in name for name in names(tree))


def test_an_environment_of_an_old_virtualenv_is_left_out(tree: Path) -> None:
    for name in ("env/bin/activate_this.py", "env/lib/python3.8/site.py", "tools/bin/activate", "tools/lib/a.py"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    assert names(tree) == ["run", "shop/__init__.py", "tools/bin/activate", "tools/lib/a.py"]


def test_directories_that_are_too_deep_are_an_error_with_their_name(tmp_path: Path) -> None:
    (tmp_path / "web.py").touch()
    path = tmp_path
    for _level in range(120):
        path = path / "d"
        path.mkdir()
    with pytest.raises(SourceError, match=r"'d/d/.*directories deep: at most 100"):
        list_directory(str(tmp_path))


def test_what_a_sparse_checkout_leaves_out_is_told(repository: Path, tmp_path: Path) -> None:
    for name in ("web/app.py", "assets/style.css", "assets/gone.css"):
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).touch()
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "two")
    git(repository, "sparse-checkout", "set", "web")
    here = found(source=str(repository))
    assert here
    (warning,) = explain_packed(here, pack(here, str(tmp_path / "sent")))
    assert "not in this release: assets/gone.css, assets/style.css, shop/__init__.py. The work tree is" in warning
    git(repository, "sparse-checkout", "disable")
    # What is deleted was left out on purpose.
    (repository / "assets/gone.css").unlink()
    here = found(source=str(repository))
    assert here
    assert explain_packed(here, pack(here, str(tmp_path / "all"))) == []


def test_what_git_leaves_out_is_told(repository: Path, tmp_path: Path) -> None:
    (repository / ".gitattributes").write_text("*.md export-ignore\n")
    (repository / "README.md").touch()
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q")
    (library / "x.py").touch()
    git(library, "add", "-A")
    git(library, "commit", "-qm", "one")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "vendor")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "two")
    here = found(source=str(repository), version="main")
    assert here
    modules, files = explain_packed(here, pack(here, str(tmp_path / "sent")))
    assert "vendor" in modules
    assert "README.md" in files
    # The work tree has both.
    there = found(source=str(repository))
    assert there
    assert explain_packed(there, pack(there, str(tmp_path / "all"))) == []
    git(repository, "submodule", "--quiet", "deinit", "--force", "vendor")
    there = found(source=str(repository))
    assert there
    (modules,) = explain_packed(there, pack(there, str(tmp_path / "less")))
    assert "vendor" in modules
