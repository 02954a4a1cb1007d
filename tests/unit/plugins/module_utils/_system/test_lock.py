# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock says who holds it, since when and for what, and dies with its holder."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import time
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._system.lock import (
    Lock,
    LockedError,
    LockOwner,
    caller,
    lock_owner,
    this_owner,
)


def test_whoever_finds_it_held_is_told_by_whom_since_when_and_for_what(tmp_path: Path) -> None:
    path = str(tmp_path / "locks" / "shop.lock")
    with Lock(path, 0, "hand-over to release 3f2a91c-1b9e02d4 of shop", "alice@laptop"), pytest.raises(
        LockedError, match=rf"shop\.lock is held .*alice@laptop.*process {os.getpid()}, since 20.*for: hand-over"
    ):
        Lock(path, 0).__enter__()


def open_files() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.EIO])
def test_a_file_that_cannot_be_locked_is_named_and_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(fcntl, "flock", refuse)
    path = str(tmp_path / "shop.lock")
    before = open_files()
    with pytest.raises(OSError, match=r"cannot be locked \(.*\): use a file system with locks: '.*shop\.lock'"):
        Lock(path, 0).__enter__()
    assert open_files() == before


def test_a_full_disk_does_not_keep_anybody_from_locking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int, _data: bytes, _offset: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    path = str(tmp_path / "shop.lock")
    before = open_files()
    with Lock(path, 0), pytest.raises(LockedError):
        Lock(path, 0).__enter__()
    assert open_files() == before


def test_one_who_only_asks_learns_it_too_and_nothing_when_it_is_free(tmp_path: Path) -> None:
    path = str(tmp_path / "shop.lock")
    assert lock_owner(path) is None
    with Lock(path, 0, "build", "alice@laptop"):
        holder = lock_owner(path)
        assert holder is not None
        assert (holder.pid, holder.what) == (os.getpid(), "build")
        assert holder.who.startswith("alice@laptop")
    assert lock_owner(path) is None


def test_the_death_of_its_holder_frees_it(tmp_path: Path) -> None:
    path = str(tmp_path / "shop.lock")
    child = os.fork()
    if not child:
        with Lock(path, 0, "build"):
            time.sleep(60)
        os._exit(0)
    deadline = time.monotonic() + 10
    while lock_owner(path) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert lock_owner(path) is None
    with Lock(path, 0):
        pass


@pytest.mark.parametrize(
    ("by", "environ", "who"),
    [
        ("", {}, "root"),
        ("", {"SUDO_USER": "deploy"}, "deploy"),
        ("", {"SSH_CONNECTION": "10.0.0.5 1 10.0.0.9 22"}, "root from 10.0.0.5"),
        ("alice@laptop", {}, "alice@laptop"),
        ("alice@laptop", {"SUDO_USER": "deploy"}, "alice@laptop (as deploy)"),
        ("alice@laptop", {"SSH_CONNECTION": "10.0.0.5 1 10.0.0.9 22"}, "alice@laptop (from 10.0.0.5)"),
    ],
)
def test_the_caller_is_who_asked_on_the_controller_and_as_whom_here(by: str, environ: dict[str, str], who: str) -> None:
    assert caller(by, environ) == who


def test_what_is_written_can_be_read() -> None:
    holder = this_owner("build", "alice@laptop")
    assert LockOwner.from_text(holder.to_text()) == holder


@pytest.mark.parametrize("text", ["", "process 12 since today\n", "{}", '{"pid": "x"}', "[1]"])
def test_a_file_that_says_nothing_names_nobody(text: str) -> None:
    assert str(LockOwner.from_text(text)) == "another process"
