# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tools.bench.host import read_seconds, read_tasks
from tools.bench.model import MILLISECONDS, RATE, Budget, Measurement, Result, ratio
from tools.bench.report import to_markdown, to_svg
from tools.bench.requests import Visit, read_visit
from tools.cli import bench
from tools.common import ToolError

OUTPUT = """
PLAY [A play] ******************************

TASK [role : validate | Check] *************
ok: [bench]

TASK [role : install | Install nginx] ******
skipping: [bench]

TASK [role : service | Hand over] **********
changed: [bench]

PLAY RECAP *********************************
bench   : ok=2    changed=1    unreachable=0
"""

BASE = Measurement("ping", "a & b", (1.0, 2.0, 9.0))


def test_skipped_tasks_are_tasks_too() -> None:
    tasks, changed = read_tasks(OUTPUT)
    assert tasks == ["role : validate | Check", "role : install | Install nginx", "role : service | Hand over"]
    assert changed == ["role : service | Hand over"]


@pytest.mark.parametrize(("seconds", "met"), [((4.0, 4.0, 90.0), True), ((4.1,), False)])
def test_medians_are_held_against_budgets(seconds: tuple[float, ...], met: bool) -> None:
    budget = ratio("x / ping", Measurement("x", "x", seconds), BASE, 2.0)
    assert budget.is_met is met


def test_the_table_names_what_was_missed() -> None:
    slow = Measurement("slow", "slow", (5.0,))
    text = to_markdown([Result("One", (BASE, slow), (ratio("r", slow, BASE, 2.0), Budget("n", 12, 12)))], {"Host": "h"})
    assert "| r | 2.5 | ≤ 2 | **missed** |" in text
    assert "| n | 12 | ≤ 12 | met |" in text
    assert "| **ping**: a & b | 2.00 s | 1.00, 2.00, 9.00 |" in text


def test_the_picture_is_well_formed_and_holds_a_bar_per_subject() -> None:
    slow = Measurement("a < b", "slow", (5.0, 6.0))
    picture = ET.fromstring(to_svg([Result("One", (BASE, slow), (ratio("r", slow, BASE, 2.0),))]))
    bars = [item for item in picture.iter("{http://www.w3.org/2000/svg}rect") if item.get("x")]
    assert len(bars) == 2
    assert len(list(picture.iter("{http://www.w3.org/2000/svg}circle"))) == 5


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ([], {"site", "nginx"}),
        (["nginx"], {"nginx"}),
        (["nginx_many", "second_run"], {"site", "nginx"}),
    ],
)
def test_benchmarks_are_chosen_by_part_or_by_name(names: list[str], wanted: set[str]) -> None:
    parts = bench.chosen(names)
    assert set(parts) >= wanted
    assert not names or "nginx_many" not in names or list(parts["nginx"]) == ["nginx_many"]


def test_seconds_of_tasks_are_read_as_the_callback_has_written_them(tmp_path: Path) -> None:
    path = tmp_path / "seconds.jsonl"
    assert read_seconds(path) == []
    path.write_text('["empty", 0.25]\n["change", 0.5]\n', encoding="utf-8")
    assert read_seconds(path) == [("empty", 0.25), ("change", 0.5)]


def test_a_rate_has_to_be_at_least_its_budget() -> None:
    tutorial, ours = Measurement("tutorial", "t", (100.0,), RATE), Measurement("ours", "o", (124.0,), RATE)
    budget = ratio("ours / tutorial", ours, tutorial, 1.25, at_least=True)
    assert not budget.is_met
    text = to_markdown([Result("Rates", (tutorial, ours), (budget,))], {})
    assert "| ours / tutorial | 1.24 | ≥ 1.25 | **missed** |" in text
    assert "| **ours**: o | 124/s | 124 |" in text


def test_values_of_each_unit_have_a_panel_of_their_own() -> None:
    rate, late = Measurement("ours", "o", (2400.0,), RATE), Measurement("ours, p99", "o", (12.0,), MILLISECONDS)
    picture = to_svg([Result("Rates", (rate, late), ())])
    assert picture.count("is the budget") == 2
    assert re.findall(r'width="([\d.]+)" height="18"', picture) == ["540.0", "540.0"]


H2LOAD = """
finished in 1.65s, 2424.53 req/s, 1.01MB/s
requests: 4 total, 4 started, 4 done, 4 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 4 2xx, 0 3xx, 0 4xx, 0 5xx
"""


def test_h2load_is_read() -> None:
    assert read_visit(H2LOAD, "1\t200\t1000\n2\t200\t9000\n3\t200\t2000\n4\t200\t3000\n", 4) == Visit(2424.53, 9.0)


@pytest.mark.parametrize("output", ["", H2LOAD, H2LOAD.replace("4 2xx, 0 3xx", "3 2xx, 1 3xx")])
def test_a_request_that_failed_is_no_result(output: str) -> None:
    with pytest.raises(ToolError, match="not all of 5 requests"):
        read_visit(output, "", 5)
