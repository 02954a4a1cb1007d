# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters of the status, as the playbooks call them."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.flaskops.stack.plugins.filter import status

V1, V2 = "1111111-11111111", "2222222-22222222"


def host(*targets: str) -> dict[str, t.Any]:
    releases = [{"id": name, "state": "healthy", "usable": True} for name in targets]
    app = {"name": "shop", "current": V2, "targets": list(targets), "releases": releases}
    return {"apps": [{**app, "rollback_interrupted": False, "runs": {}}], "error": ""}


def test_each_filter_has_its_documentation() -> None:
    documented = {path.stem for path in Path(status.__file__).parent.glob("*.yml")}
    assert set(status.FilterModule().filters()) <= documented


def test_a_plan_says_where_each_host_goes() -> None:
    plan = status.rollback_plan({"web1": host(V1), "web2": host(V1)}, "shop")
    assert plan["targets"] == {"web1": V1, "web2": V1}
    assert V1 in plan["text"] and plan["problem"] == ""


@pytest.mark.parametrize("release", ["", "3333333-33333333"])
def test_where_there_is_no_way_back_the_plan_says_why_and_is_no_error(release: str) -> None:
    plan = status.rollback_plan({"web1": host(V1), "web2": host()}, "shop", release)
    assert (plan["targets"], plan["text"]) == ({}, "")
    assert "shop" in plan["problem"]


def test_hosts_without_an_answer_are_kept_with_the_reason() -> None:
    by_host = status.FilterModule().filters()["status_by_host"]
    found = by_host({"web1": {"apps": []}, "web2": {"msg": "timed out"}, "web3": {}})
    assert {name: item["error"] for name, item in found.items()} == {
        "web1": "",
        "web2": "timed out",
        "web3": "not reached",
    }


@pytest.mark.parametrize(
    ("batch", "sizes"),
    [
        ("100%", ["100%"]),
        (2, ["2"]),
        ("2 ", ["2"]),
        ([1, "25%"], ["1", "25%"]),
        ((1, 5), ["1", "5"]),
        # What a template or a spreadsheet makes of them.
        (2.0, ["2"]),
        ("2.0", ["2"]),
        ("25 %", ["25%"]),
        (" 25.0 %", ["25%"]),
    ],
)
def test_batches_are_numbers_of_hosts_or_shares_of_them(batch: object, sizes: list[str]) -> None:
    assert status.batch_sizes(batch) == sizes


@pytest.mark.parametrize(
    "batch",
    [
        "abc",
        "",
        "-1",
        "50.5%",
        "50.5 %",
        1.5,
        "1.5",
        "2.",
        ".0",
        "2 5",
        "1e1",
        float("inf"),
        float("nan"),
        True,
        [1, "x"],
        None,
        {},
    ],
)
def test_a_batch_that_ansible_could_not_read_is_refused(batch: object) -> None:
    with pytest.raises(AnsibleFilterError, match="batch must be a number of hosts, such as 1, or a share"):
        status.batch_sizes(batch)
