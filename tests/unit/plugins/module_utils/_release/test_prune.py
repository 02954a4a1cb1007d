# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which releases are pruned."""

from __future__ import annotations

import errno
import os
import subprocess
import time
import typing as t
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import Settings
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout, Manifest
from ansible_collections.flaskops.stack.plugins.module_utils._release.prune import prune_releases, releases_in_use
from ansible_collections.flaskops.stack.plugins.module_utils._release.release import list_releases, write_manifest


@contextmanager
def process_in(directory: str) -> t.Iterator[None]:
    """Have a process work in a directory."""
    with subprocess.Popen(["sleep", "60"], cwd=directory) as process:
        try:
            yield
        finally:
            process.kill()


def release(layout: Layout, number: int) -> str:
    """Make a complete release directory and return its id."""
    name = f"000000{number}-00000000"
    os.makedirs(layout.release(name))
    source = {"type": "git", "location": "", "version": "", "revision": ""}
    manifest = Manifest("shop", name, "shop", "shop", source, "3", "shop:app", Settings())
    write_manifest(layout.release(name), Manifest(**{**manifest.__dict__, "built_at": f"2026-01-0{number}"}))
    return name


def test_the_oldest_go_and_the_current_and_the_one_in_use_stay(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path.resolve()), "shop")
    names = [release(layout, number) for number in range(1, 7)]
    with process_in(layout.release(names[1])):
        assert prune_releases(layout, 2, {names[0]}, []) == [names[2], names[3]]
    assert [manifest.id for manifest in list_releases(layout)] == [names[0], names[1], names[4], names[5]]


def test_one_that_was_activated_lately_is_not_old(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path), "shop")
    names = [release(layout, number) for number in range(1, 5)]
    history = [{"release": names[0], "when": "2027", "result": "activated"}]
    assert prune_releases(layout, 2, {names[3]}, history) == [names[1], names[2]]


def test_those_that_were_refused_go_first(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path), "shop")
    names = [release(layout, number) for number in range(1, 5)]
    history = [{"release": name, "when": "2026", "result": "failed"} for name in names[1:]]
    history.append({"release": names[1], "when": "2026", "result": "activated"})
    assert prune_releases(layout, 2, {names[3]}, history) == [names[2]]


def test_what_a_killed_run_has_begun_goes(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path), "shop")
    complete = release(layout, 1)
    os.makedirs(layout.release("0000002-00000000/run"))
    os.makedirs(layout.release("lost+found"))
    assert prune_releases(layout, 5, {complete}, []) == ["0000002-00000000"]
    wait_for(lambda: sorted(os.listdir(layout.releases)) == [complete, "lost+found"])


def test_what_a_run_that_was_killed_has_not_removed_goes(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path), "shop")
    complete = release(layout, 1)
    os.makedirs(os.path.join(layout.releases, ".removed-0000002-00000000-17/venv"))
    assert prune_releases(layout, 5, {complete}, []) == []
    wait_for(lambda: os.listdir(layout.releases) == [complete])


def test_a_release_that_the_file_system_cannot_rename_goes_nevertheless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(str(tmp_path), "shop")
    names = [release(layout, number) for number in range(1, 4)]

    def refuse(source: str, target: str) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link", source, None, target)

    monkeypatch.setattr(os, "rename", refuse)
    assert prune_releases(layout, 1, {names[2]}, []) == names[:2]
    assert os.listdir(layout.releases) == [names[2]]


def wait_for(true: t.Callable[[], bool]) -> None:
    """Wait for what is done behind a run."""
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_process_in_a_release_keeps_it(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path.resolve()), "shop")
    name = release(layout, 1)
    assert releases_in_use(layout) == set()
    with process_in(layout.release(name)):
        assert releases_in_use(layout) == {name}
