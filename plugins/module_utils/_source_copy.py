# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a source as it is while something is built from it. Private to flaskops.stack."""

from __future__ import annotations

import glob
import json
import os
import typing as t
from contextlib import contextmanager

from ._command import run_checked
from ._files import read_file
from ._venv_link import own_tree, remove_tree


@contextmanager
def build_copy(source: str, venv: str, uid: int, gid: int) -> t.Iterator[None]:
    """Put a copy that the user may write in the place of C(source), and take it away again in the end.

    Build tools leave directories there, and a build may change what it likes. The copy stays where the virtualenv
    leads into it, because it was installed as editable. A failure leaves both: the release is given up.
    """
    kept = source + ".kept"
    os.rename(source, kept)
    run_checked(["cp", "--archive", "--reflink=auto", "--no-target-directory", "--", kept, source], timeout=600)
    own_tree(source, uid, gid)
    yield
    if is_editable(venv, source):
        own_tree(source, 0, 0)
        remove_tree(kept)
    else:
        remove_tree(source)
        os.rename(kept, source)


def is_editable(venv: str, source: str) -> bool:
    """Tell whether anything in the virtualenv is imported from the source's directory."""
    packages = os.path.join(glob.escape(venv), "lib", "python*", "site-packages")
    records = [read_file(path) or b"{}" for path in glob.glob(os.path.join(packages, "*.dist-info", "direct_url.json"))]
    # Before PEP 610 there was a file of its own for it.
    return any(_leads_into(json.loads(text), source) for text in records) or bool(
        glob.glob(os.path.join(packages, "*.egg-link"))
    )


def _leads_into(record: t.Mapping[str, t.Any], source: str) -> bool:
    """Tell whether what pip and uv note of an installation (PEP 610) names the source and says editable."""
    url = str(record.get("url", "")) + "/"
    return bool((record.get("dir_info") or {}).get("editable")) and url.startswith(f"file://{source}/")
