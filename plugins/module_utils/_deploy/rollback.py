# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the release that a rollback activates on this host. Private to flaskops.stack."""

from __future__ import annotations

import os
from dataclasses import replace

from .._release.history import activation_times, is_interrupted_rollback, read_history, with_interrupted_resolved
from .._release.model import Layout, ReleaseError
from .._release.release import current_id, list_releases
from .._release.releases import describe_others
from .._release.rollback import choose_target
from .request import ServiceRequest, read_release
from .rollback_hook import check_rollback_hook, rolled_back_from


def resolve_target(request: ServiceRequest, check: bool) -> ServiceRequest:
    """Return the request with the release to roll back to; the caller holds the lock, except in check mode."""
    if not request.rollback or request.release:
        return request
    layout = request.layout
    if not os.path.isdir(layout.releases):
        others = describe_others(layout.root, layout.name)
        raise ReleaseError(f"there is no application '{layout.name}' below {layout.root} on this host; {others}")
    current = current_id(layout) or ""
    history = read_history(layout.name)
    entries = with_interrupted_resolved(history, current)
    releases = list_releases(layout, activation_times(entries))
    usable = {manifest.id for manifest in releases if can_run(layout, manifest.id)}
    asked = request.asked or (current if is_interrupted_rollback(history, current) else "")
    target = choose_target(layout.name, releases, usable, entries, current, asked)
    source = rolled_back_from(entries, current, target)
    if request.hook:
        check_rollback_hook(layout, source, request.hook)
    wanted = read_release(layout, layout.release(target), check)
    return replace(wanted, rollback=True, asked=request.asked, hook=request.hook, rolled_back_from=source)


def can_run(layout: Layout, release: str) -> bool:
    """Tell whether the code and the interpreter of a release exist; links may lead outside of it."""
    return all(os.path.exists(os.path.join(layout.release(release), part)) for part in ("app", "venv/bin/python"))
