# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many workers there is memory for, and that gunicorn.conf.py starts no more."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._service.worker_room import (
    FILE,
    UNKNOWN,
    Room,
    explain_room,
    find_room,
    largest,
    with_room,
)

MIB = 1 << 20


@pytest.mark.parametrize(
    ("total", "applications", "instances", "memory_max", "worker", "most"),
    [
        # Three applications on a host of 512 MiB, of which the kernel leaves 480: half of it is for a deploy.
        (480, 3, 1, "", 0, 2),
        (480, 3, 1, "", 25, 3),
        (480, 3, 1, "", 90, 1),
        # Five workers of mlflow.
        (2000, 1, 1, "", 180, 5),
        (1000, 1, 1, "", 180, 2),
        (64000, 1, 1, "", 180, 177),
        (4000, 1, 2, "", 100, 10),
        # An instance's own limit.
        (64000, 1, 1, "512M", 100, 5),
        (64000, 1, 1, "1G", 100, 10),
        (1000, 1, 1, "25%", 100, 2),
        (4000, 1, 1, "12.5%", 100, 5),
        (1000, 1, 1, "infinity", 100, 5),
        (480, 0, 0, "10K", 25, 1),
    ],
)
def test_half_of_the_memory_is_for_workers_and_the_rest_for_a_deploy(
    total: int, applications: int, instances: int, memory_max: str, worker: int, most: int
) -> None:
    assert find_room(total * MIB, applications, instances, memory_max, worker * MIB).most == most


def test_an_application_that_was_never_measured_is_taken_to_be_small() -> None:
    assert find_room(480 * MIB, 1, 1, "", 0) == Room(7, UNKNOWN)
    assert find_room(480 * MIB, 1, 1, "", 60 * MIB) == Room(4, 60 * MIB, known=True)


def test_the_file_in_a_release_is_read_as_it_was_written() -> None:
    room = Room(3, 25 * MIB, known=True, measured=26 * MIB)
    assert Room.from_json(room.to_json()) == room


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"most": 3}', '{"most": "x", "worker": 1, "known": 1, "measured": 0}']
)
def test_a_file_of_no_use_says_nothing(text: str) -> None:
    assert Room.from_json(text) is None


def test_the_largest_release_decides() -> None:
    assert largest([]) == largest([None, Room(3, 5)]) == 0
    assert largest([Room(3, 5, measured=7), None, Room(3, 5, measured=9)]) == 9


def test_it_is_said_why_there_are_no_more_workers() -> None:
    said = explain_room(Room(2, 38 * MIB, known=True), 481 * MIB, 3)
    assert said == (
        "2 workers an instance, as many as there is memory for: one uses 38 MiB, on a host of 481 MiB "
        "and 3 applications"
    )
    assert explain_room(Room(1, UNKNOWN), 200 * MIB, 1) == (
        "1 worker an instance, as many as there is memory for: one is taken to use 32 MiB, on a host of 200 MiB"
    )


@pytest.mark.parametrize(
    ("text", "chosen", "workers"),
    [
        ('{"most": 2}', "", 2),
        ('{"most": 9}', "", 5),
        ('{"most": 0}', "", 1),
        ("", "", 5),
        ("{", "", 5),
        ('{"most": 2}', "5", 5),
        ('{"most": 2}', "many", 2),
        # gunicorn.conf.py takes it for a number that is not chosen.
        ('{"most": 2}', "0", 2),
        ('{"most": 2}', "10", 5),
    ],
)
def test_gunicorn_starts_no_more_workers_unless_their_number_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, chosen: str, workers: int
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", chosen)
    if text:
        (tmp_path / FILE).write_text(text)
    names: dict[str, t.Any] = {"_os": os, "_RELEASE": str(tmp_path), "workers": 5}
    exec(with_room("", 0), names)
    assert names["workers"] == workers


def test_a_chosen_number_of_workers_is_left_alone() -> None:
    assert with_room("workers = 3\n", 3) == "workers = 3\n"
