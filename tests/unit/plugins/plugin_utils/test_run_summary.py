# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run says in the end."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.plugin_utils._run_summary import render

V1, V2 = "1111111-11111111", "2222222-22222222"
COMMAND = "ansible-playbook -i inventory.yml"
Entry = dict[str, t.Any]


def service(host: str, release: str = V2, previous: str = V1, **more: object) -> Entry:
    common = {"kind": "service", "host": host, "name": "shop", "release": release, "previous": previous}
    return {**common, "version": "", "seconds": 1.25, "error": "", "warning": "", **more}


def app(host: str, name: str = "shop", url: str = "https://shop.test/", error: str = "") -> Entry:
    return {"kind": "app", "host": host, "name": name, "url": url, "error": error}


def reached(host: str, release: str = V1) -> Entry:
    return {"kind": "reached", "host": host, "serving": {"shop": release}}


def test_an_application_says_from_which_release_it_went_to_which() -> None:
    entries = [app("web1"), service("web1", version="v2.3.1")]
    assert render(entries, COMMAND) == [
        f"shop: web1 serves {V2}; version v2.3.1; before: {V1}; 1.2 s; https://shop.test/"
    ]


def test_a_gap_between_two_releases_is_told() -> None:
    (line,) = render([service("web1", gap=0.84)], COMMAND)
    assert line.endswith("; 1.2 s; 0.8 s of them without an answer, as two releases may not run at once")


def test_sites_of_plain_http_are_named_in_one_line() -> None:
    entries = [{"kind": "plain", "host": host, "names": [f"site{number}" for number in range(10)]} for host in "ab"]
    (line,) = render(entries, COMMAND)
    assert line.startswith("Plain HTTP: site0, site1, ") and " and 2 more. For HTTPS set nginx_acme_email " in line


def test_what_was_left_alone_says_so() -> None:
    assert render([app("web1"), service("web1", previous=V2)], COMMAND) == [
        f"shop: left alone: web1 serves {V2}; https://shop.test/"
    ]


def test_a_first_deploy_has_nothing_before() -> None:
    (line,) = render([service("web1", previous="")], COMMAND)
    assert line == f"shop: web1 serves {V2}; before: nothing; 1.2 s"


@pytest.mark.parametrize(
    ("serving", "said"), [(V1, f"web1 serves {V1}; https://shop.test/"), ("", "not deployed"), (None, "not deployed")]
)
def test_what_could_not_be_built_on_a_single_host_still_serves(serving: str | None, said: str) -> None:
    entries = [{**app("web1", error="app 'shop': git cannot read"), "serving": serving}]
    assert render(entries, COMMAND) == [f"shop: {said}", "  not deployed on web1: app 'shop': git cannot read"]


def test_what_could_not_be_built_is_named_with_the_reason() -> None:
    entries = [app("web1", "wiki", "", "app 'wiki': git cannot read"), app("web1"), service("web1")]
    shop, wiki, reason = render(entries, COMMAND)
    assert shop.startswith(f"shop: web1 serves {V2}")
    assert (wiki, reason) == ("wiki: not deployed", "  not deployed on web1: app 'wiki': git cannot read")


def test_an_application_that_its_task_did_not_come_to_was_not_deployed() -> None:
    failed = {"kind": "failed", "host": "web1", "stage": "build", "error": "no room on the disk"}
    assert render([app("web1"), failed], COMMAND) == ["shop: not deployed", "web1: build failed: no room on the disk"]


def test_a_mixed_fleet_names_the_hosts_and_both_ways_out() -> None:
    entries = [reached("web1"), reached("web2"), reached("web3"), app("web1"), service("web1")]
    entries += [app("web2"), service("web2", error="instance 0: / answered 500")]
    lines = render(entries, COMMAND)
    assert lines == [
        f"shop: 2 hosts serve {V1}: web2, web3; 1 serves {V2}: web1; before: {V1}; 1.2 s; https://shop.test/",
        "  not deployed on web2: instance 0: / answered 500",
        "  What web3 serves was seen when this run began.",
        "  The fleet is mixed. To go on: mend web2, and run this again.",
        f"  To go back: {COMMAND} flaskops.stack.rollback -e app=shop",
    ]


def test_hosts_that_want_different_releases_are_no_failure() -> None:
    lines = render([service("web1"), service("web2", release="3333333-33333333")], COMMAND)
    assert lines[-1] == "  These hosts want different releases: their variables, or their Pythons, differ."


def test_a_host_that_was_lost_serves_what_nobody_knows() -> None:
    lost = {"kind": "lost", "host": "web2", "stage": "deploy", "error": "connection closed"}
    lines = render([reached("web1"), reached("web2"), service("web1"), lost], COMMAND)
    assert lines == [
        f"shop: 1 host serves {V2}: web1; 1 was not reached: web2; before: {V1}; 1.2 s",
        "web2: not reached, connection closed",
    ]


def test_a_refusal_before_anything_began_says_which_host() -> None:
    lost = {"kind": "lost", "host": "web2", "stage": "reach", "error": "no route\x1b]0;owned\x07 to host"}
    assert render([reached("web1"), lost], COMMAND) == ["web2: not reached, no route\\x1b]0;owned\\x07 to host"]


def test_check_mode_says_where_it_would_go() -> None:
    assert render([app("web1"), service("web1")], COMMAND, check=True) == [
        f"shop: would go to {V2} on web1; https://shop.test/",
        "Check mode: nothing was changed.",
    ]


def test_what_failed_beside_the_services_is_told() -> None:
    failed = {"kind": "failed", "host": "web1", "stage": "nginx", "error": "unknown directive"}
    assert render([service("web1"), failed], COMMAND)[-1] == "web1: nginx failed: unknown directive"


def test_it_is_said_where_memory_decided_how_many_workers_there_are() -> None:
    said = "2 workers an instance, as many as there is memory for: one uses 38 MiB, on a host of 481 MiB"
    assert f"  web1: {said}" in render([service("web1", room=said)], COMMAND)


def test_one_worker_with_threads_is_told_what_a_deploy_does_unless_that_was_chosen() -> None:
    unsaid, chosen = {**app("web1"), "overlap": False}, {**app("web1"), "overlap": True}
    said = render([unsaid, service("web1", threads=True), unsaid, service("web2", threads=True)], COMMAND)
    assert len(said) == 3
    assert "there are two of each." in said[1] and "gunicorn.overlap: never" in said[2]
    assert len(render([chosen, service("web1", threads=True)], COMMAND)) == 1
    # A second run, and a rollback, which does not know what the variables say.
    assert len(render([unsaid, service("web1", previous=V2, threads=True)], COMMAND)) == 1
    assert len(render([service("web1", threads=True)], COMMAND)) == 1


def test_a_release_that_serves_although_something_failed_after_the_switch_is_told() -> None:
    lines = render([service("web1", warning="its after_switch hook failed")], COMMAND)
    assert lines[1] == "  web1: its after_switch hook failed"
