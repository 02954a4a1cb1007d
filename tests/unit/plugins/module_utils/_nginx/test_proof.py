# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which workers prove that nginx has loaded its configuration, and which do not."""

from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.proof import (
    INCONCLUSIVE,
    LOADING,
    PROVED,
    REFUSED,
    Observation,
    ReloadAttempt,
    Signals,
    parse_signals,
)

PENDING, BUSY, IDLE = Signals(pending=True), Signals(), Signals(idle=True)
STATUS = "Name:\tnginx\nState:\t{0} (x)\nSigPnd:\t{1}\nShdPnd:\t{2}\nSigBlk:\t{3}\nSigIgn:\t0000000040001000\n"
NONE, HUP, BLOCKED = "0000000000000000", "0000000000000001", "0000000018016a07"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (STATUS.format("S", NONE, NONE, NONE), IDLE),
        (STATUS.format("S", NONE, NONE, BLOCKED), BUSY),
        (STATUS.format("R", NONE, NONE, BLOCKED), BUSY),
        # Woken by a signal that it has not yet looked at.
        (STATUS.format("R", NONE, NONE, NONE), BUSY),
        (STATUS.format("S", NONE, HUP, NONE), PENDING),
        (STATUS.format("R", NONE, HUP, BLOCKED), PENDING),
        (STATUS.format("R", HUP, NONE, BLOCKED), PENDING),
        # SIGCHLD, and not SIGHUP.
        (STATUS.format("R", NONE, "0000000000010000", BLOCKED), BUSY),
        ("", BUSY),
        ("State:\tS (sleeping)\n", BUSY),
    ],
)
def test_signals_are_read_from_the_status_of_a_process(status: str, expected: Signals) -> None:
    assert parse_signals(status) == expected


def look(moment: float, workers: str, signals: Signals) -> Observation:
    return Observation(moment, moment + 0.001, frozenset(map(ord, workers)), signals)


def judged(looks: list[tuple[float, str, Signals]], complained: bool = False) -> str:
    """Return the first certain verdict; workers are letters, the first look is that from before the signal."""
    attempt = ReloadAttempt(look(*looks[0]))
    verdicts = [attempt.evaluate(look(*seen), complained) for seen in looks[1:]]
    return next((verdict for verdict in verdicts if verdict != LOADING), LOADING)


def lasting(moment: float, workers: str, signals: Signals) -> list[tuple[float, str, Signals]]:
    return [(moment + 0.02 * number, workers, signals) for number in range(4)]


def test_workers_that_replace_the_old_ones_prove_a_load() -> None:
    assert judged([(0, "ab", IDLE), (0.01, "ab", BUSY), (0.05, "abcd", BUSY), *lasting(0.1, "cd", IDLE)]) == PROVED


def test_nothing_is_proved_before_it_has_lasted() -> None:
    begun = [(0.0, "a", IDLE), (0.01, "a", BUSY)]
    assert judged([*begun, (0.1, "b", IDLE), (0.12, "b", IDLE)]) == LOADING
    assert judged([*begun, (0.1, "b", IDLE), (0.14, "c", IDLE), (0.16, "c", IDLE)]) == LOADING


def test_workers_of_a_load_under_way_prove_nothing() -> None:
    early = [(0.0, "a", BUSY), (0.01, "a", PENDING), (0.5, "ab", PENDING), *lasting(0.52, "b", PENDING)]
    assert judged(early) == LOADING
    assert judged([*early, *lasting(0.6, "b", BUSY), *lasting(0.7, "b", IDLE)]) == REFUSED
    assert judged([*early, *lasting(0.6, "b", BUSY), *lasting(0.7, "c", IDLE)]) == PROVED


def test_reloads_that_follow_ours_do_not_matter() -> None:
    assert judged([(0, "a", IDLE), (0.01, "a", BUSY), *lasting(0.5, "b", PENDING)]) == PROVED


def test_a_master_that_waits_with_its_old_workers_has_refused() -> None:
    assert judged([(0, "ab", IDLE), (0.01, "ab", BUSY), *lasting(0.1, "ab", IDLE)]) == REFUSED
    assert judged([(0, "ab", IDLE), *lasting(0.001, "ab", IDLE)]) == REFUSED


def test_a_load_that_takes_long_is_waited_for() -> None:
    begun = [(0.0, "a", IDLE), *lasting(0.01, "a", BUSY), *lasting(9, "a", BUSY)]
    assert judged(begun) == LOADING
    assert judged([*begun, *lasting(10, "b", IDLE)]) == PROVED


def test_old_workers_that_are_told_to_leave_are_waited_for() -> None:
    assert judged([(0, "a", IDLE), (0.01, "a", BUSY), *lasting(0.1, "ab", IDLE)]) == LOADING


def test_workers_that_were_missed_meanwhile_are_asked_for_again() -> None:
    """On a host that stands still for a while, b may be of the earlier load, or of ours."""
    assert judged([(0, "a", BUSY), (0.01, "a", PENDING), *lasting(0.9, "b", IDLE)]) == INCONCLUSIVE
    assert judged([(0, "a", IDLE), *lasting(0.9, "b", IDLE)]) == INCONCLUSIVE
    assert judged([(0, "a", BUSY), (0.01, "a", PENDING), *lasting(0.9, "b", BUSY), *lasting(1.5, "c", BUSY)]) == PROVED


def test_an_error_in_the_log_makes_new_workers_doubtful() -> None:
    """The only worker may have died and been replaced while nginx refused the configuration."""
    assert judged([(0, "a", IDLE), (0.01, "a", BUSY), *lasting(0.1, "b", IDLE)], complained=True) == INCONCLUSIVE
