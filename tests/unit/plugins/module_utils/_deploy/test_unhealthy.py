# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release that keeps ending is not healthy, and no place to go back to."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import observe as _observe
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.unhealthy import SINCE, explain_unhealthy, times
from ansible_collections.flaskops.stack.plugins.module_utils._release.rollback import (
    previous_healthy,
    rejected_releases,
)

RUNNING = {"ActiveState": "active", "SubState": "running", "NRestarts": "0", SINCE: "100000000"}
OLD, ILL, NEW = "1111111-00000001", "2222222-00000002", "3333333-00000003"


@pytest.mark.parametrize(
    ("state", "now", "says"),
    [
        (RUNNING, 101, ""),
        ({**RUNNING, "NRestarts": "1"}, 101, ""),
        ({**RUNNING, "NRestarts": "7"}, 101, "keeps ending; systemd has started it again 7 times"),
        # It was killed for its memory now and then in a year.
        ({**RUNNING, "NRestarts": "7"}, 100_000, ""),
        (
            {"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code", "ExecMainStatus": "3"},
            101,
            "ended (exit-code, exit status 3)",
        ),
        (
            {"ActiveState": "failed", "Result": "signal", "ExecMainStatus": "9", "NRestarts": "1"},
            101,
            "ended (signal, exit status 9); systemd has started it again once",
        ),
        ({"ActiveState": "inactive"}, 101, ""),
        ({**RUNNING, "NRestarts": "[not set]"}, 101, ""),
    ],
)
def test_a_service_that_ends_again_and_again_is_told_from_one_that_runs(
    state: dict[str, str], now: float, says: str
) -> None:
    assert explain_unhealthy(state, now) == says


def test_only_the_web_of_the_current_release_counts() -> None:
    dead = {"ActiveState": "failed", "Result": "signal", "ExecMainStatus": "9"}
    states: dict[str, dict[str, str]] = {
        f"shop@{OLD}.service": dead,
        f"shop@{ILL}.worker-mail.0.service": dead,
        f"shop@{ILL}.socket": dead,
        f"shop@{ILL}.service": RUNNING,
    }
    assert _observe._explain_unhealthy(states, ILL, 0.0) == ""
    assert _observe._explain_unhealthy({**states, f"shop@{ILL}.1.service": dead}, ILL, 0.0).startswith(
        f"shop@{ILL}.1.service ended"
    )


def test_a_release_that_kept_ending_when_it_was_replaced_is_no_place_to_go_back_to() -> None:
    history: list[dict[str, t.Any]] = [
        {"release": OLD, "from": "", "when": "1", "result": "activated", "what": "deploy"},
        {"release": ILL, "from": OLD, "when": "2", "result": "activated", "what": "deploy"},
        {
            "release": NEW,
            "from": ILL,
            "from_ill": "x keeps ending",
            "when": "3",
            "result": "activated",
            "what": "deploy",
        },
    ]
    assert previous_healthy(history, {OLD, ILL, NEW}, NEW) == OLD
    assert rejected_releases(history) == {ILL: "did not run well when it was replaced 3: x keeps ending"}
    again = {"release": ILL, "from": NEW, "when": "4", "result": "activated", "what": "deploy"}
    assert ILL not in rejected_releases([*history, again])


@pytest.mark.parametrize(("number", "words"), [(1, "once"), (2, "2 times")])
def test_once_is_a_word(number: int, words: str) -> None:
    assert times(number) == words
