# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the module result from the deployments of a task. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

from .deployment import Deployment
from .migrate import describe_hooks
from .service_result import ServiceResult


def report(deployments: t.Sequence[Deployment]) -> dict[str, t.Any]:
    """Return the module result; RV(failed) and RV(msg) are in it only when a deploy failed."""
    troubles = [
        (deployment.service.name, deployment.error or deployment.post_switch_error) for deployment in deployments
    ]
    failed = [f"{name}: {trouble}" for name, trouble in troubles if trouble]
    return {
        "changed": any(not deployment.plan.empty for deployment in deployments),
        "services": [describe_service(deployment) for deployment in deployments],
        "diff": differences(deployments),
        "warnings": [
            f"{deployment.service.name}: {said}"
            for deployment in deployments
            for said in (deployment.step_warning, *deployment.warnings)
            if said
        ],
        **({"failed": True, "msg": "\n".join(failed)} if failed else {}),
    }


def describe_service(deployment: Deployment) -> dict[str, t.Any]:
    """Return the result of one service."""
    probes = deployment.health_check.probes if deployment.health_check else []
    return ServiceResult(
        name=deployment.service.name,
        release=deployment.service.wanted.release,
        version=(deployment.service.manifest.source if deployment.service.manifest else {}).get("version", ""),
        previous=deployment.observed.current or "",
        changed=not deployment.plan.empty,
        error=deployment.error,
        units=list(deployment.service.wanted.everything),
        finishing=deployment.finishing or sorted(deployment.observed.workers_stopping),
        probes=[{"instance": probe.instance, "status": probe.status, "seconds": probe.seconds} for probe in probes],
        hooks=describe_hooks(deployment.hook_results),
        warning=deployment.post_switch_error,
        believed=deployment.proxy_verified,
        drained=deployment.drain is None or deployment.drain.open_connections == 0,
        pruned=deployment.pruned,
        room=deployment.room,
        seconds=deployment.seconds,
        gap=deployment.gap,
        threads=deployment.threads,
    ).to_json()


def differences(deployments: t.Sequence[Deployment]) -> list[dict[str, str]]:
    """Return the diff of each service that changes."""
    return [*(_mended(deployment, name) for deployment in deployments for name in deployment.plan.rewrite)] + [
        {
            "before_header": deployment.service.layout.current,
            "after_header": deployment.service.layout.current,
            "before": "".join(
                f"{line}\n" for line in _lines(deployment.observed.current or "", deployment.observed.files)
            ),
            "after": "".join(
                f"{line}\n" for line in _lines(deployment.service.wanted.release, deployment.service.wanted.everything)
            ),
        }
        for deployment in deployments
        if not deployment.plan.empty
    ]


def _mended(deployment: Deployment, name: str) -> dict[str, str]:
    """Return the diff of a unit that was edited on the host and is written again."""
    texts = {"before": deployment.observed.files.get(name, ""), "after": deployment.plan.rewrite[name]}
    return {"before_header": f"{name} as it was edited", "after_header": f"{name} of the release", **texts}


def _lines(release: str, units: t.Iterable[str]) -> list[str]:
    return ([f"current -> releases/{release}"] if release else []) + sorted(units)
