# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Warnings about a deploy that no health check can detect. Private to flaskops.stack."""

from __future__ import annotations

import os
import typing as t

from .._release.distributions import installed
from .deployment import Deployment
from .edited_units import describe_edits


def release_warnings(deployment: Deployment, done: bool = True) -> list[str]:
    """Return the warnings for a deployment; C(done) says whether it was done or only planned."""
    observed, plan = deployment.observed, deployment.plan
    # An application that is removed needs no warning.
    edits = describe_edits(list(plan.rewrite), observed.drop_ins if deployment.service.manifest else (), done)
    return [said for said in (live_warning(deployment) if done else "", edits) if said]


def live_warning(deployment: Deployment) -> str:
    """Return the warning for a release that is live now; an empty text when there is none."""
    manifest = deployment.service.manifest
    if manifest is None or not deployment.plan.switch or deployment.error:
        return ""
    workers = _workers(deployment, manifest.settings.workers)
    # With one worker there is no problem, and no need to list the packages.
    if workers == 1:
        return ""
    release = deployment.service.layout.release(manifest.id)
    return socketio_warning(installed(os.path.join(release, "venv")), workers)


def _workers(deployment: Deployment, wanted: int) -> int:
    """Return how many workers an instance has, as the workers report it, or the setting; 0 when that is not known."""
    probes = deployment.health_check.probes if deployment.health_check else []
    return max((probe.workers.wanted for probe in probes if probe.workers), default=0) or wanted


def socketio_warning(distributions: t.Mapping[str, str], workers: int) -> str:
    """Return why Socket.IO sessions fail with several workers on one socket, and the way out."""
    version = distributions.get("flask-socketio")
    if version is None:
        return ""
    return (
        f"flask-socketio {version} is installed, and an instance has {workers or 'several'} workers: each request of a "
        "session may reach another worker, which does not know it, so that polling fails with 400. Set "
        "gunicorn.workers: 1 (with gunicorn.threads for more at once), gunicorn.instances to the number of processes, "
        "and for more than one nginx.balance: ip_hash and a message_queue in the application"
    )
