# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is replaced keeps its SELinux context; here the kernel's part is played by a table."""

from __future__ import annotations

import errno
import os
import shutil
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.links import swap_links
from ansible_collections.flaskops.stack.plugins.module_utils._system.files import replace_link, write_file


class Labels:
    """The contexts of files by inode; new ones have the default."""

    def __init__(self) -> None:
        """Know none."""
        self.given: dict[int, bytes] = {}
        self.writable = True

    def of(self, path: str | int) -> bytes:
        info = os.fstat(path) if isinstance(path, int) else os.lstat(path)
        return self.given.get(info.st_ino, b"default_t")

    def get(self, path: str | int, name: str, **_kwargs: t.Any) -> bytes:
        assert name == "security.selinux"
        return self.of(path)

    def set(self, path: str | int, name: str, value: bytes, **_kwargs: t.Any) -> None:
        assert name == "security.selinux"
        if not self.writable:
            raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
        info = os.fstat(path) if isinstance(path, int) else os.lstat(path)
        self.given[info.st_ino] = value


@pytest.fixture(name="labels")
def make_labels(monkeypatch: pytest.MonkeyPatch) -> Labels:
    labels = Labels()
    monkeypatch.setattr(os, "getxattr", labels.get)
    monkeypatch.setattr(os, "setxattr", labels.set)
    monkeypatch.setattr(shutil, "copystat", lambda *_paths: None)
    return labels


def test_a_file_that_is_replaced_keeps_its_context(tmp_path: Path, labels: Labels) -> None:
    path = str(tmp_path / "nginx.conf")
    write_file(path, b"1")
    labels.set(path, "security.selinux", b"special_t")
    write_file(path, b"2")
    assert labels.of(path) == b"special_t" and Path(path).read_bytes() == b"2"


def test_a_link_that_is_replaced_keeps_its_context(tmp_path: Path, labels: Labels) -> None:
    path = str(tmp_path / "shop")
    replace_link("/v/1", path)
    assert labels.of(path) == b"default_t"
    labels.set(path, "security.selinux", b"special_t")
    replace_link("/v/2", path)
    assert labels.of(path) == b"special_t" and os.readlink(path) == "/v/2"


def test_links_that_change_at_once_and_their_directory_keep_theirs(tmp_path: Path, labels: Labels) -> None:
    enabled = tmp_path / "enabled"
    enabled.mkdir()
    for name in ("a", "b", "theirs"):
        (enabled / name).symlink_to("/v/1")
    labels.set(str(enabled), "security.selinux", b"httpd_config_t")
    labels.set(str(enabled / "a"), "security.selinux", b"special_t")
    labels.set(str(enabled / "theirs"), "security.selinux", b"theirs_t")
    assert swap_links(str(enabled), {"a": "/v/2", "b": None, "c": "/v/2"})
    found = {name: labels.of(str(enabled / name)) for name in os.listdir(enabled)}
    assert found == {"a": b"special_t", "c": b"default_t", "theirs": b"theirs_t"}
    assert labels.of(str(enabled)) == b"httpd_config_t"


def test_contexts_that_cannot_be_set_do_no_harm_where_they_are_all_the_same(tmp_path: Path, labels: Labels) -> None:
    labels.writable = False
    path = str(tmp_path / "nginx.conf")
    write_file(path, b"1")
    write_file(path, b"2")
    replace_link("/v/1", str(tmp_path / "shop"))
    replace_link("/v/2", str(tmp_path / "shop"))
    assert Path(path).read_bytes() == b"2"
