# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the virtualenv of a build that failed later on, for the next try. Private to flaskops.stack."""

from __future__ import annotations

import errno
import json
import os
import time
import typing as t

from .._system.command import run_checked
from .._system.files import read_file, write_file
from .._system.trees import remove_tree, rewrite_prefix
from .distributions import has_all

# In a release: that its virtualenv is whole, and root's.
_MARK = "venv.json"
# What an index has may change; who waits longer gets a virtualenv of that time.
_SECONDS = 24 * 3600


def _place(cache: str) -> str:
    return os.path.join(cache, "kept")


def mark_complete(path: str, key: str, since: float = 0.0) -> None:
    """Note that the virtualenv of the release in C(path), of this key, is complete; C(since) is when it was made."""
    note = json.dumps({"key": key, "path": path, "since": since or time.time()})
    write_file(os.path.join(path, _MARK), note.encode(), sync=False)


def mark_durable(path: str, cache: str) -> None:
    """Note that the release in C(path) is on the disk, and remove the virtualenv that was kept for another try."""
    note = _read(path)
    if note:
        write_file(os.path.join(path, _MARK), json.dumps({**note, "durable": True}).encode(), sync=False)
    remove_tree(_place(cache))


def keep_virtualenv(path: str, cache: str, durable: bool = False) -> None:
    """Move a virtualenv that is whole out of the release in C(path), which is removed next.

    Of a release that an earlier run has left it has to be C(durable): the power may have failed since.
    """
    note = _read(path)
    if not note or (durable and not note.get("durable")):
        return
    place = _place(cache)
    remove_tree(place)
    os.makedirs(place, mode=0o755)
    _move(os.path.join(path, "venv"), os.path.join(place, "venv"))
    write_file(os.path.join(place, _MARK), json.dumps(note).encode())


def reuse_virtualenv(path: str, cache: str, key: str, needed: t.Collection[str] = ()) -> bool:
    """Move the virtualenv that is kept into the release in C(path), if it is of this key; return whether it was.

    It has to have the distributions C(needed), too, which no key names.
    """
    place = _place(cache)
    note = _read(place)
    if note.get("key") != key or time.time() - note["since"] > _SECONDS:
        return False
    if not has_all(os.path.join(place, "venv"), needed):
        return False
    _move(os.path.join(place, "venv"), os.path.join(path, "venv"))
    remove_tree(place)
    rewrite_prefix(os.path.join(path, "venv"), note["path"], path)
    mark_complete(path, key, note["since"])
    return True


def _read(directory: str) -> dict[str, t.Any]:
    try:
        note = json.loads(read_file(os.path.join(directory, _MARK)) or b"{}")
    except (NotADirectoryError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _move(source: str, target: str) -> None:
    try:
        os.rename(source, target)
    except OSError as exc:
        if exc.errno != errno.EXDEV:
            raise
        run_checked(["cp", "--archive", "--no-target-directory", "--", source, target], timeout=600)
        remove_tree(source)
