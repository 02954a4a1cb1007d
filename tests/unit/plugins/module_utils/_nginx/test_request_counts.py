# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests are counted from lines that visitors and applications have had a part in."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.request_counts import (
    BUCKETS,
    OTHER,
    Counts,
    families,
    parse_line,
)

LINE = {"status": 200, "request_time": 0.012, "upstream_time": "0.010", "bytes_sent": 500}


def counted(*lines: dict[str, t.Any]) -> Counts:
    counts = Counts()
    for line in lines:
        counts.add({**LINE, **line})
    return counts


def test_what_was_counted_can_be_gone_on_with() -> None:
    counts = counted({}, {"status": 404})
    again = Counts(json.loads(json.dumps(counts.to_json())))
    again.add(LINE)
    assert (again.codes, again.time, again.upstream, again.sent) == ({"200": 2, "404": 1}, 36, 3, 1500)
    assert sum(again.buckets) == 3


def test_counters_of_another_version_with_other_bounds_begin_anew() -> None:
    again = Counts({"codes": {"200": 5}, "buckets": [1, 2], "time": 70})
    assert (again.codes, again.time, len(again.buckets)) == ({"200": 5}, 0, len(BUCKETS) + 1)


@pytest.mark.parametrize("status", [0, 999, 218, "x", None, -1, 10**30])
def test_there_are_only_so_many_codes(status: object) -> None:
    assert counted({"status": status}).codes == {OTHER: 1}


@pytest.mark.parametrize(
    ("waited", "number", "milliseconds"),
    [("0.010", 1, 10), ("0.010, 0.020", 1, 30), ("0.010 : 0.020", 1, 30), ("-", 0, 0), ("-, 0.005", 1, 5), ("", 0, 0)],
)
def test_the_time_of_all_servers_that_were_asked_counts(waited: str, number: int, milliseconds: int) -> None:
    counts = counted({"upstream_time": waited})
    assert (counts.upstream, counts.upstream_time) == (number, milliseconds)


@pytest.mark.parametrize("value", ["nan", "inf", "x", None, -3, [], {}])
def test_a_value_that_is_no_time_is_none(value: object) -> None:
    assert counted({"request_time": value, "bytes_sent": value}).time == 0


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b'127.0.0.1 - - [28/Nov/2026:22:17:41 +0000] "GET / HTTP/1.1" 200 5 "-" "-"\n',
        b'{"status":200,"request_time"\n',
        b'{"status":200}\n',
        b"[" * 100000 + b"\n",
        b'{"a":' * 100000,
        b'{"status":200,"request_time":0.1,"uri":"\xff"}\n',
    ],
)
def test_what_is_no_line_of_the_log_counts_for_nothing(line: bytes) -> None:
    assert parse_line(line) is None


def test_a_line_of_the_log_is_read() -> None:
    assert parse_line(json.dumps(LINE).encode() + b"\n") == LINE


def test_buckets_are_cumulative_and_end_with_all() -> None:
    counts = counted(*({"request_time": time} for time in (0.0, 0.005, 0.006, 1.0, 99.0)))
    duration = families({("shop", "none"): counts})[1]
    values = {labels["le"]: value for suffix, labels, value in duration.samples if suffix == "_bucket"}
    assert (values["0.005"], values["0.01"], values["1"], values["30"], values["+Inf"]) == (2, 3, 4, 4, 5)
    rest = {suffix: value for suffix, _labels, value in duration.samples if suffix != "_bucket"}
    assert rest == {"_sum": 100.011, "_count": 5}


def test_sums_of_two_releases_are_those_of_both() -> None:
    both, other = counted({}, {"status": 500}), counted({"request_time": 9.0})
    both.merge(other)
    assert (both.codes, both.time, sum(both.buckets), both.sent) == ({"200": 2, "500": 1}, 9024, 3, 1500)
