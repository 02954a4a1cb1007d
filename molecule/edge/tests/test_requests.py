# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that no browser sends: nginx and the application read each in one way, or nginx refuses it."""

from __future__ import annotations

import json
import typing as t
from collections import Counter

import pytest
from testinfra.host import Host

from tools.common import ROOT
from tools.lab.host import Host as Container
from tools.molecule.edge import http_1, http_2
from tools.molecule.edge.http_1 import Row, Seen

SEND = ROOT / "tools" / "molecule" / "edge" / "send.py"
LOGS = {"nginx": "/var/log/nginx/recorder.access.log", "flask": "/srv/recorder/shared/seen/requests.jsonl"}
ROWS = (*http_1.ROWS, *http_2.ROWS)

Results = dict[str, dict[str, t.Any]]


@pytest.fixture(scope="module")
def results(host: Host) -> Results:
    """Send all rows, one after the other, and return what became of each."""
    rows = [{"sent": row.sent.hex(), "answers": len(row.answers)} for row in ROWS]
    wanted = {"name": http_1.HOST, "port": 443, "logs": LOGS, "rows": rows}
    container = Container(host.backend.get_hostname())
    done = container.run("python3", "-c", SEND.read_text(encoding="utf-8"), stdin=json.dumps(wanted))
    return {row.name: json.loads(line) for row, line in zip(ROWS, done.out.splitlines(), strict=True)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_nginx_answers_as_it_has_to_and_flask_sees_nothing_else(results: Results, row: Row) -> None:
    result = results[row.name]
    seen = tuple(Seen(one["target"], one["method"], one["body"]) for one in result["flask"])
    assert tuple(result["answers"]) in {row.answers, row.older or row.answers}, result["received"]
    if row in http_2.ROWS:
        # Streams of one connection reach the application side by side, in any order.
        assert Counter(seen) == Counter(row.seen)
    else:
        assert seen == row.seen
    assert {one["host"] for one in result["flask"]} <= {row.host}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_nginx_and_flask_have_read_the_same_requests(results: Results, row: Row) -> None:
    # What gunicorn refuses, Flask does not see.
    passed = [one["method"] for one in results[row.name]["nginx"] if one["upstream_status"] not in {"", "400"}]
    assert passed == [one["method"] for one in results[row.name]["flask"]]
