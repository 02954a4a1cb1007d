# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of what was deployed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._release import history as _history


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Keep the record in a directory of the test's."""
    monkeypatch.setattr(_history, "STATE", str(tmp_path))
    return _history.history_path("shop")


def test_activations_are_recorded_in_order_and_only_the_last_are_kept(recorded: str) -> None:
    for number in range(503):
        _history.record("shop", {"release": str(number), "when": f"{number:04}", "result": "activated"})
    entries = _history.read_history("shop")
    assert [entries[0]["release"], entries[-1]["release"], len(entries)] == ["3", "502", 500]


def test_what_cannot_be_noted_changes_nothing(recorded: str) -> None:
    _history.try_record("shop", {"release": "a"})
    assert _history.read_history("shop") == [{"release": "a"}]
    os.unlink(recorded)
    os.mkdir(recorded)
    with pytest.raises(OSError, match="directory"):
        _history.record("shop", {"release": "b"})
    _history.try_record("shop", {"release": "b"})


def test_a_torn_line_does_not_spoil_the_record(recorded: str) -> None:
    entries = _history.parse_history('{"release": "a"}\n{"rel\n[]\n{"release": "b"}\n')
    assert [entry["release"] for entry in entries] == ["a", "b"]


def test_only_what_was_activated_counts_as_such() -> None:
    entries = [
        {"release": "a", "when": "1", "result": "activated"},
        {"release": "b", "when": "2", "result": "failed"},
        {"release": "a", "when": "3", "result": "activated"},
    ]
    assert _history.activation_times(entries) == {"a": "3"}


def test_nothing_is_left_of_an_application_that_is_gone(recorded: str) -> None:
    _history.record("shop", {"release": "a"})
    _history.forget("shop")
    _history.forget("shop")
    assert not os.path.exists(os.path.dirname(recorded))
