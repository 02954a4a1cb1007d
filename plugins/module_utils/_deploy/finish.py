# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a deploy: write the history entry and prune old releases. Private to flaskops.stack."""

from __future__ import annotations

import contextlib
import os
import shutil

from .._input.printable import short_reason
from .._release.history import forget, read_history, record, resolve_interrupted, try_record
from .._release.migration import forget_migration
from .._release.model import Layout
from .._release.prune import prune_releases
from .._release.release import current_id, is_unfinished, list_releases
from .._release.verified import mark_verified
from .._service.units import parse_unit_name
from .._system.files import utc_now
from .._system.lock import caller
from .._system.trees import remove_tree
from .._system.users import remove_user
from .deployment import Deployment
from .request import ServiceRequest
from .room import measure_workers


def record_start(deployment: Deployment, request: ServiceRequest, by: str, run: str = "") -> None:
    """Record the start of a deploy, in case this run is killed, and the outcome of an earlier run that was."""
    # A full disk must not prevent a rollback.
    with contextlib.suppress(OSError):
        resolve_interrupted(
            request.name,
            deployment.observed.current or "",
            _entry(deployment, request, by, run) if deployment.plan.switch else None,
        )


def finish(deployment: Deployment, request: ServiceRequest, by: str, run: str = "") -> None:
    """Write the history entry, prune old releases, and remove the files of an application that is absent."""
    if deployment.healthy:
        mark_verified(request.layout.release(deployment.service.wanted.release))
        deployment.room = measure_workers(deployment)
    if deployment.plan.switch:
        record(request.name, history_entry(deployment, _entry(deployment, request, by, run)))
    if not request.present:
        if not (deployment.error or deployment.lingering):
            _remove_existing(request.layout)
            forget_migration(request.name)
            forget(request.name)
    elif not deployment.plan.empty:
        kept = {deployment.observed.current or "", current_id(request.layout) or ""}
        # A release that cannot be imported is unfinished and can go.
        if not is_unfinished(request.layout.release(deployment.service.wanted.release)):
            kept.add(deployment.service.wanted.release)
        # Its rollback hook has still to run.
        kept.add(request.rolled_back_from)
        kept |= {unit.release for unit in map(parse_unit_name, deployment.finishing) if unit}
        deployment.pruned = prune_releases(request.layout, request.keep, kept, read_history(request.name))


def record_refusal(deployment: Deployment, request: ServiceRequest, by: str) -> None:
    """Record that a release failed before its deploy began, so that no rollback chooses it."""
    try_record(request.name, history_entry(deployment, _entry(deployment, request, by)))


def _entry(deployment: Deployment, request: ServiceRequest, by: str, run: str = "") -> dict[str, object]:
    source = deployment.service.manifest.source if deployment.service.manifest else {}
    return {
        "when": utc_now(),
        "what": "rollback" if request.rollback else "deploy",
        "release": deployment.service.wanted.release,
        "from": deployment.observed.current or "",
        **({"from_ill": deployment.observed.unhealthy_reason} if deployment.observed.unhealthy_reason else {}),
        "version": source.get("version", ""),
        "revision": source.get("revision", ""),
        "by": caller(by, os.environ),
        **({"run": run} if run else {}),
    }


def history_entry(deployment: Deployment, entry: dict[str, object]) -> dict[str, object]:
    """Return the history entry with the outcome of the deploy."""
    result = {**entry, "result": "failed" if deployment.error else "activated", "seconds": deployment.seconds}
    if deployment.error:
        result["started"] = deployment.started
    reason = deployment.error or deployment.post_switch_error
    return {**result, "reason": short_reason(reason)} if reason else result


def _remove_existing(layout: Layout) -> None:
    """Remove the adopted releases, and directories that are empty then; shared files stay."""
    manifests = [manifest for manifest in list_releases(layout) if manifest.source.get("type") == "existing"]
    for manifest in manifests:
        remove_tree(layout.release(manifest.id))
    if manifests and os.path.isdir(layout.maintenance):
        shutil.rmtree(layout.maintenance)
    for directory in (layout.releases, layout.shared, layout.base):
        if manifests and os.path.isdir(directory) and not os.listdir(directory):
            shutil.rmtree(directory)
    for manifest in manifests[-1:]:
        if not os.path.exists(layout.base):
            remove_user(manifest.user)
