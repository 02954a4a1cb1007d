# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fleet serves, and the one release to which all of it can go back."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.plugin_utils._fleet import (
    FleetError,
    describe,
    describe_targets,
    is_mixed,
    rollback_targets,
    status_lines,
)
from ansible_collections.flaskops.stack.plugins.plugin_utils._status_table import render_status

V1, V2, V3 = "1111111-11111111", "2222222-22222222", "3333333-33333333"
Found = dict[str, t.Any]


def host(targets: list[str], bad: t.Collection[str] = (), current: str = "", interrupted: bool = False,
         runs: dict[str, str] | None = None) -> Found:  # fmt: skip
    """Return what a host says: the releases to which it can go, newest first, and others that it has."""
    releases = [{"id": name, "state": "healthy", "usable": True} for name in targets]
    releases += [{"id": name, "state": "failed: / answered 500", "usable": False} for name in bad]
    releases = [{**release, "version": f"v{str(release['id'])[0]}"} for release in releases]
    app = {
        "name": "shop",
        "current": current or targets[0],
        "targets": targets,
        "releases": releases,
        "rollback_interrupted": interrupted,
        "runs": runs or {},
    }
    return {"apps": [app], "error": ""}


def rollback_target(hosts: dict[str, Found], name: str, asked: str = "") -> str:
    """Return the one id that all hosts go to."""
    (target,) = set(rollback_targets(hosts, name, asked).values())
    return target


def test_the_exceptions_are_named() -> None:
    serving = {f"web{number}": V2 for number in range(1, 11)}
    assert describe(serving) == f"10 hosts serve {V2}"
    assert describe({**serving, "web7": V1}) == f"9 hosts serve {V2}; 1 serves {V1}: web7"
    assert describe({"web1": V1, "web2": ""}) == f"1 host serves no release: web2; 1 serves {V1}: web1"
    assert describe({"web1": V1}) == f"web1 serves {V1}"
    assert describe({**serving, "web3": None}).endswith("; 1 was not reached: web3")


def test_what_nobody_knows_is_no_mixture() -> None:
    assert is_mixed({"web1": V1, "web2": V2})
    assert not is_mixed({"web1": V1, "web2": None})


def test_all_hosts_go_to_the_one_before() -> None:
    hosts = {f"web{number}": host([V3, V2, V1]) for number in range(3)}
    assert rollback_target(hosts, "shop") == V2


def test_after_a_failure_on_one_host_the_others_go_where_it_is() -> None:
    hosts = {"web1": host([V3, V2, V1]), "web2": host([V3, V2, V1]), "web7": host([V2, V1], bad=[V3])}
    assert rollback_target(hosts, "shop") == V2
    assert describe_targets(hosts, "shop", dict.fromkeys(hosts, V2)) == (
        f"shop goes back to {V2} on web1, web2; web7 serves it already and is left alone"
    )


def test_a_run_that_stopped_half_way_is_undone() -> None:
    assert rollback_target({"web1": host([V3, V2, V1]), "web2": host([V2, V1])}, "shop") == V2


def test_a_release_that_failed_on_one_host_is_no_target_for_any() -> None:
    hosts = {"web1": host([V3, V2, V1]), "web2": host([V3, V1], bad=[V2])}
    assert rollback_target(hosts, "shop") == V1


def test_a_rollback_that_was_killed_is_completed_and_not_done_twice() -> None:
    hosts = {"web1": host([V2, V1], interrupted=True), "web2": host([V3, V2, V1])}
    assert rollback_target(hosts, "shop") == V2
    assert rollback_target({name: host([V2, V1], interrupted=True) for name in ("web1", "web2")}, "shop") == V2


def test_without_a_common_release_nothing_changes_and_all_are_listed() -> None:
    hosts = {"web1": host([V3]), "web2": host([V2], bad=[V3])}
    with pytest.raises(FleetError) as raised:
        rollback_target(hosts, "shop")
    assert "Nothing was changed" in str(raised.value)
    assert f"{V3}  failed: / answered 500 (web2); healthy (web1)" in str(raised.value)


def test_a_host_that_was_given_up_takes_no_part() -> None:
    hosts = {"web1": host([V3, V2]), "web2": {"apps": [], "error": "not reached"}}
    assert rollback_target(hosts, "shop") == V2


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("4", "'4' is no release of shop"),
        ("3333333", "is not on web2: deploy it there"),
        ("2222222", "web2: failed: / answered 500"),
        ("2222222", "with version 'v2' of shop and the variables of that time"),
    ],
)
def test_a_release_by_its_name_must_be_possible_on_every_host(asked: str, said: str) -> None:
    hosts = {"web1": host([V3, V2, V1]), "web2": host([V1], bad=[V2])}
    with pytest.raises(FleetError, match=said):
        rollback_target(hosts, "shop", asked)
    assert rollback_target(hosts, "shop", "11") == V1


def test_hosts_whose_pythons_differ_go_back_to_what_one_run_deployed() -> None:
    old = {"3030303-30303030": "r3", "2020202-20202020": "r2", V1: "r1"}
    hosts = {
        "web1": host([V3, V2, V1], runs={V3: "r3", V2: "r2", V1: "r1"}),
        "web2": host(list(old), runs=old),
    }
    assert rollback_targets(hosts, "shop") == {"web1": V2, "web2": "2020202-20202020"}
    assert rollback_targets(hosts, "shop", V2) == {"web1": V2, "web2": "2020202-20202020"}
    text = describe_targets(hosts, "shop", rollback_targets(hosts, "shop"))
    assert text == f"shop goes back to 2020202-20202020 on web2; to {V2} on web1"
    # They were deployed together, and are no mixed fleet.
    assert "to go back" not in status_lines(hosts)[0]


def test_a_host_without_the_application_is_named() -> None:
    with pytest.raises(FleetError, match="web2 has no application 'shop'"):
        rollback_target({"web1": host([V1]), "web2": {"apps": [], "error": ""}}, "shop")


def test_status_begins_with_what_the_fleet_serves() -> None:
    hosts = {"web1": host([V2, V1]), "web2": host([V1]), "db1": {"apps": [], "error": ""}}
    (line,) = status_lines(hosts)
    assert line == (
        f"shop: 1 host serves {V1}: web2; 1 serves {V2}: web1; to go back: flaskops.stack.rollback -e app=shop"
    )
    # Nothing of a rollback that would be refused, such as to what version 1.0.0 has deployed with two Pythons.
    hosts = {"web1": host([V2]), "web2": host([V1])}
    assert status_lines(hosts) == [f"shop: 1 host serves {V1}: web2; 1 serves {V2}: web1"]
    # Nothing of a fleet where there is none.
    nothing = {"web1": {"apps": [], "error": ""}}
    assert render_status(nothing) == "web1: no application"
