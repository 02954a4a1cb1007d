# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that show how applications are."""

from __future__ import annotations

import re
import typing as t

from ansible.errors import AnsibleFilterError

from ..plugin_utils._fleet import FleetError, describe_targets, rollback_targets
from ..plugin_utils._status_table import by_host, render_status

Hosts = t.Mapping[str, t.Mapping[str, t.Any]]


def rollback_plan(hosts: Hosts, app: object, release: str = "") -> dict[str, t.Any]:
    """Return to which release each host goes back, in words, too, and why there is none for all."""
    # Ansible loads this file in every run.
    from ..plugin_utils._rollback_report import explain_unnamed

    unnamed = explain_unnamed(app)
    if unnamed:
        return {"targets": {}, "text": "", "problem": unnamed}
    try:
        targets = rollback_targets(hosts, str(app), release)
    except FleetError as exc:
        return {"targets": {}, "text": "", "problem": str(exc)}
    return {"targets": targets, "text": describe_targets(hosts, str(app), targets), "problem": ""}


def batch_sizes(batch: object) -> list[str]:
    """Return how many hosts there are in each batch of a run, as Ansible takes it."""
    # Ansible ends with a traceback for one that it cannot read.
    sizes = list(batch) if isinstance(batch, (list, tuple)) else [batch]
    return [_batch_size(size) for size in sizes]


def _batch_size(size: object) -> str:
    # Templates make 2.0 of 2, and people write 25 %.
    found = None if isinstance(size, bool) else re.fullmatch(r"([0-9]+)(?:\.0+)?\s*(%?)", str(size).strip())
    if found is None:
        raise AnsibleFilterError(
            f"batch must be a number of hosts, such as 1, or a share of them, such as 25%, not {size!r}: -e batch=1"
        )
    return found[1] + found[2]


class FilterModule:
    """The filters of this file by their names."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return them."""
        return {
            "batch_sizes": batch_sizes,
            "rollback_plan": rollback_plan,
            "status_by_host": by_host,
            "status_table": render_status,
        }
