# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared directories, which outlive releases. Private to flaskops.stack."""

from __future__ import annotations

import os
import posixpath
import stat
import typing as t
from contextlib import suppress

from .._system.command import run_checked
from .._system.files import TEMPORARY
from .._system.planted import open_parent
from .._system.trees import remove_tree
from .model import Layout
from .shipped import Shipped, compare_shipped


class ShareError(ValueError):
    """A directory that cannot be shared."""


class Owner(t.NamedTuple):
    """The user whose data it is."""

    name: str
    uid: int
    gid: int


def make_shared(layout: Layout, paths: t.Sequence[str], owner: Owner) -> None:
    """Make the shared directories that are missing; those that are there stay as they are."""
    if os.path.islink(layout.shared):
        raise ShareError(
            f"{layout.shared} is a link to {os.readlink(layout.shared)}, and data is not looked for behind a link. To "
            f"have it on another disk, mount that at {layout.shared} (mount --bind, in /etc/fstab), or move all of "
            f"{layout.base} there and make {layout.base} the link; where {layout.name} has a new name, deploy that"
        )
    base = os.open(layout.base, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for path in ["", *paths]:
            _make(base, posixpath.join("shared", path).rstrip("/"), owner)
    finally:
        os.close(base)


def _make(base: int, path: str, owner: Owner) -> None:
    """Make a path below an open directory, never following a link: its parents belong to the application's user."""
    directory = os.dup(base)
    for part in path.split("/"):
        created = _mkdir(part, directory)
        try:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
        except OSError as exc:
            raise ShareError(
                f"'{path}' cannot be a shared directory, because '{part}' in it is none: {exc.strerror}"
            ) from exc
        finally:
            os.close(directory)
        directory = inner
        if created:
            os.fchown(directory, owner.uid, owner.gid)
            os.fchmod(directory, 0o750)
    os.close(directory)


def _mkdir(name: str, directory: int) -> bool:
    try:
        os.mkdir(name, 0o700, dir_fd=directory)
    except FileExistsError:
        return False
    return True


def link_shared(layout: Layout, paths: t.Sequence[str], app: str, owner: Owner) -> dict[str, Shipped]:
    """Put links to the shared directories into the tree C(app); files that the source ships there seed an empty one.

    Return what the source ships in each of them, beside what is there.
    """
    found: dict[str, Shipped] = {}
    # Beside the code, where only root writes.
    aside = os.path.join(os.path.dirname(app), f"{TEMPORARY}shipped")
    for path in paths:
        directory, name = open_parent(app, path, make=True)
        try:
            if _move_shipped_aside(os.path.join(layout.shared, path), name, directory, aside):
                os.symlink(os.path.join(layout.shared, path), name, dir_fd=directory)
        finally:
            os.close(directory)
        if os.path.lexists(aside):
            _seed(aside, os.path.join(layout.shared, path), owner)
            found[path] = compare_shipped(aside, layout.shared, path)
            remove_tree(aside)
    return found


def _move_shipped_aside(shared: str, name: str, directory: int, aside: str) -> bool:
    """Move a directory that the source ships to C(aside), and tell whether the link is still missing."""
    try:
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return True
    if stat.S_ISLNK(mode) and os.readlink(name, dir_fd=directory) == shared:
        return False
    if not stat.S_ISDIR(mode):
        raise ShareError(
            f"shared '{shared}': the source has a file or link of that name, and only a directory can be shared: "
            "list another path"
        )
    os.rename(name, aside, src_dir_fd=directory)
    return True


def _seed(place: str, shared: str, owner: Owner) -> None:
    """Copy as the owner, into whose directories root must not write; existing files stay."""
    if os.listdir(shared) or not os.listdir(place):
        return
    run_checked(
        ["cp", "--recursive", "--no-target-directory", "--", place, shared], timeout=600, user=owner.name, cwd="/"
    )


def link_instance(layout: Layout, paths: t.Sequence[str], modules: t.Sequence[str], venv: str) -> None:
    """Give installed packages Flask's instance folder, which it looks for at C(<venv>/var/<module>-instance).

    The packages around a module have it, too.
    """
    if "instance" not in paths:
        return
    parts = [module.split(".") for module in modules]
    for folder in sorted({".".join(part[:size]) for part in parts for size in range(1, len(part) + 1)}):
        directory, name = open_parent(venv, f"var/{folder}-instance", make=True)
        try:
            with suppress(FileExistsError):
                os.symlink(os.path.join(layout.shared, "instance"), name, dir_fd=directory)
        finally:
            os.close(directory)
