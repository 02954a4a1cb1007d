# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what became of services, for the result of a task. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

from .change import Change
from .migrate import describe_ran


def report(changes: t.Sequence[Change]) -> dict[str, t.Any]:
    """Return what a module answers; RV(failed) and RV(msg) are in it only when something went wrong."""
    troubles = [(change.service.name, change.error or change.late) for change in changes]
    failed = [f"{name}: {trouble}" for name, trouble in troubles if trouble]
    return {
        "changed": any(not change.plan.empty for change in changes),
        "services": [describe(change) for change in changes],
        "diff": differences(changes),
        "warnings": [
            f"{change.service.name}: {said}" for change in changes for said in (change.note, *change.cautions) if said
        ],
        **({"failed": True, "msg": "\n".join(failed)} if failed else {}),
    }


def describe(change: Change) -> dict[str, t.Any]:
    """Return what the module says about one service."""
    probes = change.gate.probes if change.gate else []
    return {
        "name": change.service.name,
        "release": change.service.wanted.release,
        "version": (change.service.manifest.source if change.service.manifest else {}).get("version", ""),
        "previous": change.observed.current or "",
        "changed": not change.plan.empty,
        "error": change.error,
        "units": list(change.service.wanted.everything),
        "finishing": change.finishing or sorted(change.observed.leaving),
        "probes": [{"instance": probe.instance, "status": probe.status, "seconds": probe.seconds} for probe in probes],
        "hooks": describe_ran(change.ran),
        "warning": change.late,
        "believed": change.believed,
        "drained": change.drain is None or change.drain.left == 0,
        "pruned": change.pruned,
        "seconds": change.seconds,
    }


def differences(changes: t.Sequence[Change]) -> list[dict[str, str]]:
    """Return the diff of each service that is changed."""
    return [*(_mended(change, name) for change in changes for name in change.plan.mend)] + [
        {
            "before_header": change.service.layout.current,
            "after_header": change.service.layout.current,
            "before": "".join(f"{line}\n" for line in _lines(change.observed.current or "", change.observed.files)),
            "after": "".join(
                f"{line}\n" for line in _lines(change.service.wanted.release, change.service.wanted.everything)
            ),
        }
        for change in changes
        if not change.plan.empty
    ]


def _mended(change: Change, name: str) -> dict[str, str]:
    """Return the diff of a unit that was edited on the host."""
    texts = {"before": change.observed.files.get(name, ""), "after": change.plan.mend[name]}
    return {"before_header": f"{name} as it was edited", "after_header": f"{name} of the release", **texts}


def _lines(release: str, units: t.Iterable[str]) -> list[str]:
    return ([f"current -> releases/{release}"] if release else []) + sorted(units)
