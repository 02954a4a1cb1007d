# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was counted while releases came and went, and what is left on the host."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest
from testinfra.host import Host

from tools.molecule.protocols import ReleaseOf, Shell, Visit
from tools.molecule.release.host import CONNECTIONS
from tools.molecule.release.steps import STEPS


@pytest.fixture
def report(host: Host) -> dict[str, t.Any]:
    """Return what the story has written about this host."""
    path = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / f"{host.backend.get_hostname()}.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def test_every_step_was_taken(report: dict[str, t.Any]) -> None:
    assert not report["problem"]
    assert [row["step"] for row in report["steps"]] == [step.name for step in STEPS]


def test_no_request_failed(report: dict[str, t.Any]) -> None:
    assert [(row["step"], row["failures"]) for row in report["steps"] if row["failed"]] == []
    assert ", failed: 0 " in report["closing"]


def test_visitors_came_all_the_time(report: dict[str, t.Any]) -> None:
    quiet = {step.name for step in STEPS if not step.visited}
    rates = {row["step"]: row["requests"] / row["took"] for row in report["steps"] if row["step"] not in quiet}
    # A visit of each connection in half a second, on a machine that does everything else at the same time.
    assert {step: rate for step, rate in rates.items() if rate < 2 * CONNECTIONS} == {}


def test_a_request_was_repeated_only_where_somebody_reloaded_nginx(report: dict[str, t.Any]) -> None:
    reloaded = {step.name for step in STEPS if step.reloads}
    assert {row["step"] for row in report["steps"] if row["repeated"] or row["reopened"]} <= reloaded


def test_nothing_has_failed_on_the_host(sh: Shell) -> None:
    assert sh("systemctl is-system-running --wait") == "running"


def test_the_release_that_was_told_last_serves(report: dict[str, t.Any], visit: Visit, release_of: ReleaseOf) -> None:
    assert release_of("shop") == visit("shop.test", "/whoami").json["release"] == report["steps"][-1]["serves"]
