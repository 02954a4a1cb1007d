# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx import tree as _tree
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.journal import (
    Journal,
    JournalStep,
    merge_steps,
    resolve_interrupted,
    undo,
)
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.links import discard_old, swap_links
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.model import (
    NginxLayout,
    NginxSiteError,
    Node,
    Swap,
    WantedSite,
)
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.staged_tree import StagedTree
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.tree import (
    is_pristine,
    read_current,
    read_node,
    remove_leftovers,
    write_nodes,
)


def links(directory: Path) -> dict[str, str]:
    return {entry.name: os.readlink(entry) for entry in directory.iterdir() if entry.is_symlink()}


@pytest.fixture(name="enabled")
def make_enabled(tmp_path: Path) -> Path:
    directory = tmp_path / "enabled"
    directory.mkdir(mode=0o750)
    (directory / "a").symlink_to("/v/a@1")
    (directory / "b").symlink_to("/v/b@1")
    (directory / "theirs").write_text("x")
    return directory


def test_many_links_change_at_once_and_the_rest_stays(enabled: Path) -> None:
    before = (enabled / "theirs").stat()
    former = swap_links(str(enabled), {"a": "/v/a@2", "b": None, "c": "/v/c@1"})
    assert former
    assert links(enabled) == {"a": "/v/a@2", "c": "/v/c@1"}
    after = (enabled / "theirs").stat()
    assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)
    assert enabled.stat().st_mode & 0o777 == 0o750
    discard_old([former])
    assert [entry.name for entry in enabled.parent.iterdir()] == ["enabled"]


def test_who_has_opened_the_directory_to_list_it_finds_a_whole_set(enabled: Path) -> None:
    """Each nginx lists a directory for each include; a reload of another program must not miss sites that stay."""
    with os.scandir(enabled) as opened:
        former = write_nodes(
            [(str(enabled / "a"), Node("link", "/v/a@2")), (str(enabled / "c"), Node("link", "/v/c@1"))]
        )
        assert {entry.name for entry in opened} == {"a", "b", "theirs"}
    again = write_nodes([(str(enabled / "a"), Node("link", "/v/a@1")), (str(enabled / "c"), Node())])
    assert len({item.path for item in (*former, *again)}) == 2
    begun = time.monotonic()
    discard_old([*former, *again])
    assert time.monotonic() - begun > 0.1
    assert [entry.name for entry in enabled.parent.iterdir()] == ["enabled"]


def test_a_name_that_somebody_else_replaces_meanwhile_is_always_there(
    enabled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible_collections.flaskops.stack.plugins.module_utils._nginx import links as _nginx_exchange
    from ansible_collections.flaskops.stack.plugins.module_utils._system import swap as _exchange

    exchange, unlink = _exchange.exchange, os.unlink

    def meanwhile(one: str, other: str) -> bool:
        (enabled / "theirs").rename(enabled.parent / "earlier")
        (enabled / "theirs").write_text("new")
        return exchange(one, other)

    monkeypatch.setattr(_nginx_exchange, "exchange", meanwhile)
    monkeypatch.setattr(os, "unlink", lambda path, **more: unlink(path, **more) if "theirs" not in str(path) else 1 / 0)
    assert swap_links(str(enabled), {"a": "/v/a@2", "b": None})
    assert (enabled / "theirs").read_text() == "new"


def test_a_directory_below_prevents_the_exchange(enabled: Path) -> None:
    (enabled / "sub").mkdir()
    assert not swap_links(str(enabled), {"a": None, "b": None})
    assert set(links(enabled)) == {"a", "b"}
    write_nodes([(str(enabled / "a"), Node()), (str(enabled / "b"), Node("link", "/v/b@2"))])
    assert links(enabled) == {"b": "/v/b@2"}
    assert [entry.name for entry in enabled.parent.iterdir()] == ["enabled"]


def test_what_others_change_meanwhile_is_carried_over(enabled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.flaskops.stack.plugins.module_utils._nginx import links as _nginx_exchange
    from ansible_collections.flaskops.stack.plugins.module_utils._system import swap as _exchange

    exchange = _exchange.exchange

    def meanwhile(one: str, other: str) -> bool:
        (enabled / "new").write_text("new")
        (enabled / "theirs").unlink()
        (enabled / "d").symlink_to("/d")
        return exchange(one, other)

    monkeypatch.setattr(_nginx_exchange, "exchange", meanwhile)
    assert swap_links(str(enabled), {"a": "/v/a@2", "b": None})
    assert links(enabled) == {"a": "/v/a@2", "d": "/d"}
    assert (enabled / "new").read_text() == "new"
    assert not (enabled / "theirs").exists()


def swap(path: Path, old: Node, new: Node) -> Swap:
    return Swap(str(path), old, new)


def test_the_journal_remembers_links_and_contents(tmp_path: Path) -> None:
    journal = Journal("/etc/nginx/nginx.conf", 2, str(tmp_path))
    assert not journal.exists
    steps = [
        JournalStep("/e/a", Node("link", "/v/a@1"), Node("link", "/v/a@2")),
        JournalStep("/c", Node("file", "", b"old\xff", 0o600, 1, 2), Node("file", "", b"new", 0o644)),
        JournalStep("/e/b", Node(), Node("link", "/v/b@1")),
    ]
    journal.write(steps)
    assert journal.exists
    assert journal.read() == steps
    journal.close()
    assert not journal.exists
    assert journal.read() == []


def test_a_journal_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    journal = Journal("/etc/nginx/nginx.conf", 2, str(tmp_path))
    Path(journal.path).write_text("{")
    with pytest.raises(NginxSiteError, match=r"\.json cannot be read.*remove that file"):
        journal.read()


@pytest.mark.parametrize("done", [0, 1, 2])
def test_an_interrupted_change_is_settled_to_all_or_nothing(enabled: Path, done: int) -> None:
    steps = [
        JournalStep(str(enabled / "a"), Node("link", "/v/a@1"), Node("link", "/v/a@2")),
        JournalStep(str(enabled / "b"), Node("link", "/v/b@1"), Node()),
    ]
    (enabled / "sub").mkdir()
    write_nodes([(step.path, step.new) for step in steps[:done]])
    owed = resolve_interrupted(steps)
    assert links(enabled) == ({"a": "/v/a@2"} if done == 2 else {"a": "/v/a@1", "b": "/v/b@1"})
    assert owed == (steps if done == 2 else [])


def test_what_somebody_else_has_changed_since_is_not_undone(enabled: Path) -> None:
    steps = [
        JournalStep(str(enabled / name), Node("link", f"/v/{name}@1"), Node("link", f"/v/{name}@2")) for name in "ab"
    ]
    write_nodes([(steps[0].path, steps[0].new), (steps[1].path, Node("link", "/theirs"))])
    undo(steps)
    assert links(enabled) == {"a": "/v/a@1", "b": "/theirs"}


def test_going_back_leads_to_what_nginx_runs_not_to_what_was_never_loaded() -> None:
    owed = [JournalStep("/e/a", Node("link", "1"), Node("link", "2")), JournalStep("/e/b", Node(), Node("link", "1"))]
    merged = merge_steps(owed, [Swap("/e/a", Node("link", "2"), Node("link", "3"))])
    assert {step.path: (step.old.target, step.new.target) for step in merged} == {"/e/a": ("1", "3"), "/e/b": ("", "1")}


def test_only_our_leftovers_are_swept(tmp_path: Path) -> None:
    (tmp_path / ".flaskops-x").write_text("")
    (tmp_path / ".flaskops-link").symlink_to(tmp_path / "kept")
    (tmp_path / ".flaskops-d").mkdir()
    (tmp_path / ".flaskops-d/a").symlink_to("/x")
    (tmp_path / "kept").write_text("")
    (tmp_path / ".hidden").write_text("")
    remove_leftovers([str(tmp_path), str(tmp_path / "none")])
    assert sorted(os.listdir(tmp_path)) == [".hidden", "kept"]


def test_odd_things_are_read_without_harm(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to-pipe").symlink_to("pipe")
    (tmp_path / "to-directory").symlink_to(".")
    (tmp_path / "dangling").symlink_to("nowhere")
    assert read_node(str(tmp_path / "pipe")).kind == "other"
    assert read_node(str(tmp_path)).kind == "directory"
    for name in ("to-pipe", "to-directory", "dangling"):
        node = read_node(str(tmp_path / name))
        assert (node.kind, node.content) == ("link", None)


def test_versions_that_are_links_or_were_edited_are_no_history(tmp_path: Path) -> None:
    layout = NginxLayout(str(tmp_path), str(tmp_path / "enabled"))
    (tmp_path / "s@000000000000").symlink_to("/etc/passwd")
    (tmp_path / "s@111111111111").write_text("edited")
    (tmp_path / "s@ca978112ca1b").write_text("a")
    current = read_current(layout, [WantedSite("s")], [], purge=False)
    assert [item.version for item in current.versions["s"]] == ["ca978112ca1b"]


def test_the_future_is_the_disk_with_some_paths_changed(enabled: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to("enabled")
    staged_tree = StagedTree({str(enabled / "theirs"): None, str(enabled / "c.conf"): b"c", str(enabled / ".h"): b"h"})
    names = [os.path.basename(path) for path in staged_tree.glob(f"{enabled}/*")]
    assert names == ["a", "b", "c.conf"]
    assert staged_tree.glob(f"{tmp_path}/al*/*.conf") == [f"{tmp_path}/alias/c.conf"]
    assert staged_tree.glob(f"{enabled}/[c].????") == [f"{enabled}/c.conf"]
    assert staged_tree.read(f"{tmp_path}/alias/c.conf") == b"c"
    assert staged_tree.read(str(enabled / "theirs")) is None
    assert staged_tree.read(str(enabled / "a")) is None


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("target", ["../available/default", "{root}/nginx/available/default"])
def test_what_a_package_installed_is_known_also_where_a_directory_became_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: bool, target: str
) -> None:
    root = tmp_path / "nginx"
    (root / "available").mkdir(parents=True)
    (root / "enabled").mkdir()
    (root / "available/default").write_text("server {}\n")
    (root / "enabled/default").symlink_to(target.format(root=tmp_path))
    found = hashlib.md5(b"server {}\n").hexdigest()
    (tmp_path / "status").write_text(f"Conffiles:\n {root}/available/default {found}\nStatus: ok\n")
    monkeypatch.setattr(_tree, "_DPKG_STATUS", str(tmp_path / "status"))
    if moved:
        root.rename(tmp_path / "etc-in-git")
        root.symlink_to("etc-in-git")
    assert is_pristine(str(root / "enabled/default"))
    (root / "available/default").write_text("server { }\n")
    assert not is_pristine(str(root / "enabled/default"))


@pytest.mark.parametrize("name", ["available", "enabled"])
@pytest.mark.parametrize(
    ("is_link", "what"), [(True, "a link to .*/gone, where no directory is"), (False, "not a dir")]
)
def test_what_is_in_the_place_of_a_directory_is_named(tmp_path: Path, name: str, is_link: bool, what: str) -> None:
    """Check mode has to say so as well, and os.makedirs() would only say that it exists."""
    if is_link:
        (tmp_path / name).symlink_to(tmp_path / "gone")
    else:
        (tmp_path / name).write_text("")
    layout = NginxLayout(f"{tmp_path}/available", f"{tmp_path}/enabled")
    with pytest.raises(NginxSiteError, match=rf"/{name} is {what}.*: move it away"):
        read_current(layout, [WantedSite("s", content=b"x")], [], purge=False)
