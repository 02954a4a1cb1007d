# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A path on the controller begins at the playbook, or else at the inventory."""

from __future__ import annotations

import os
import socket
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.flaskops.stack.plugins.plugin_utils._controller_path import controller_path, why_no_file


@pytest.fixture
def resolve(tmp_path: Path) -> t.Callable[..., str]:
    """Return the resolver of a playbook in one directory and an inventory in another."""
    for name in ("playbooks/both", "inventory/both", "inventory/shop"):
        (tmp_path / name).mkdir(parents=True)
    loader = DataLoader()
    loader.set_basedir(str(tmp_path / "playbooks"))
    action = t.cast("t.Any", SimpleNamespace(_loader=loader))

    def resolve(path: str, inventory: str | None = str(tmp_path / "inventory")) -> str:
        return controller_path(action, path, {"inventory_dir": inventory}).replace(str(tmp_path), "")

    return resolve


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("./both", "/playbooks/both"),
        ("./shop", "/inventory/shop"),
        ("./none", "/playbooks/none"),
        ("/usr", "/usr"),
        ("/none", "/none"),
    ],
)
def test_the_playbook_comes_first(resolve: t.Callable[..., str], path: str, found: str) -> None:
    assert resolve(path) == found


def test_an_inventory_of_host_names_has_no_directory(resolve: t.Callable[..., str]) -> None:
    assert resolve("./shop", None) == "/playbooks/shop"


def test_the_home_directory_is_the_users(resolve: t.Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/usr")
    assert resolve("~/bin") == str(Path("/usr/bin").resolve())


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").touch()
    for name, target in (("link", "file"), ("piped", "fifo"), ("null", "/dev/null"), ("around", "around")):
        (tmp_path / name).symlink_to(target)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
    said = {name: why_no_file(str(tmp_path / name)) for name in os.listdir(tmp_path)}
    found = {name: why.replace(str(tmp_path), "") for name, why in said.items()}
    assert found == {
        "fifo": "/fifo is a FIFO (named pipe), not a file: name a regular file",
        "piped": "/piped is a FIFO (named pipe), not a file: name a regular file",
        "socket": "/socket is a socket, not a file: name a regular file",
        "null": "/null is a device, not a file: name a regular file",
        # The attempt to read it fails.
        "around": "",
        "file": "",
        "link": "",
    }
    assert why_no_file(str(tmp_path)) == f"{tmp_path} is a directory, not a file: name a regular file"
    assert why_no_file(str(tmp_path / "none")) == ""
