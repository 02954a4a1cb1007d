# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a source as it is while something is built from it. Private to flaskops.stack."""

from __future__ import annotations

import json
import os
import typing as t
from contextlib import contextmanager

from .._system.command import run_checked
from .._system.files import write_file
from .._system.planted import PlantedError, find_below, read_at
from .._system.trees import chown_tree, remove_tree

_LARGEST_RECORD = 2**20


@contextmanager
def build_copy(
    source: str, venv: str, uid: int, gid: int, given: t.Mapping[str, str] | None = None
) -> t.Iterator[None]:
    """Put a copy that the user may write in the place of C(source), and take it away again in the end.

    Build tools leave directories there, and a build may change what it likes. The copy stays where the virtualenv
    leads into it, because it was installed as editable. A failure leaves both: the release is given up. The files
    C(given) are in the copy besides.
    """
    kept = source + ".kept"
    os.rename(source, kept)
    run_checked(["cp", "--archive", "--reflink=auto", "--no-target-directory", "--", kept, source], timeout=600)
    for name, text in (given or {}).items():
        write_file(os.path.join(source, name), text.encode(), sync=False)
    chown_tree(source, uid, gid)
    yield
    if is_editable(venv, source):
        chown_tree(source, 0, 0, uid)
        remove_tree(kept)
    else:
        remove_tree(source)
        os.rename(kept, source)


def is_editable(venv: str, source: str) -> bool:
    """Tell whether anything in the virtualenv is imported from the source's directory."""
    packages = "lib/python*/site-packages"
    records = find_below(venv, f"{packages}/*.dist-info/direct_url.json")
    # Before PEP 610 there was a file of its own for it.
    return any(_leads_into(_read(*found), source) for found in records) or any(
        find_below(venv, f"{packages}/*.egg-link")
    )


def _read(directory: int, name: str, path: str) -> object:
    try:
        return json.loads(read_at(directory, name, path, _LARGEST_RECORD))
    except (ValueError, RecursionError):
        raise PlantedError(f"{path} is no JSON: a package's build has written it") from None


def _leads_into(record: object, source: str) -> bool:
    """Tell whether what pip and uv note of an installation (PEP 610) names the source and says editable."""
    if not isinstance(record, dict) or not isinstance(record.get("dir_info"), dict):
        return False
    url = str(record.get("url", "")) + "/"
    return bool(record["dir_info"].get("editable")) and url.startswith(f"file://{source}/")
