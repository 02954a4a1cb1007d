# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes after a hand-over: the record, and the end of what is surplus. Private to flaskops.stack."""

from __future__ import annotations

import os
import shutil
import time

from ._gunicorn_change import Change
from ._gunicorn_prune import prune_releases, remove_release
from ._gunicorn_request import Request
from ._history import forget, read_history, record
from ._release import Layout, list_releases
from ._user import remove_user


def finish(change: Change, request: Request) -> None:
    """Record the activation, prune what is surplus, remove what belongs to an application that is gone."""
    if change.plan.switch:
        record(request.name, _entry(change))
    if not request.present:
        if not (change.error or change.lingering):
            _remove_existing(request.layout)
            forget(request.name)
    elif not change.plan.empty:
        kept = {change.service.wanted.release, change.observed.current or ""}
        change.pruned = prune_releases(request.layout, request.keep, kept, read_history(request.name))


def _entry(change: Change) -> dict[str, object]:
    entry: dict[str, object] = {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "release": change.service.wanted.release,
        "from": change.observed.current or "",
        "by": os.environ.get("SUDO_USER") or "root",
        "result": "failed" if change.error else "activated",
        "seconds": change.seconds,
    }
    return {**entry, "reason": change.error.splitlines()[0]} if change.error else entry


def _remove_existing(layout: Layout) -> None:
    """Remove the releases that C(make_release) made, and what is empty then; shared files stay."""
    manifests = [manifest for manifest in list_releases(layout) if manifest.source.get("type") == "existing"]
    for manifest in manifests:
        remove_release(layout.release(manifest.id))
    for directory in (layout.releases, layout.shared, layout.base):
        if manifests and os.path.isdir(directory) and not os.listdir(directory):
            shutil.rmtree(directory)
    for manifest in manifests[-1:]:
        if not os.path.exists(layout.base):
            remove_user(manifest.user)
