# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the state of a fleet looks on the screen."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.plugin_utils._status_table import (
    by_host,
    duration,
    render_status,
    size,
)

RELEASES = [
    {"id": "3f2a91c-1b9e02d4", "version": "v2", "revision": "3f2a91c0", "built": "2026-01-02T03:04:05Z",
     "state": "current since 2026-01-02T03:04:09Z", "rollback": False},
    {"id": "90b1c7e-77aa01f2", "version": "", "revision": "90b1c7e0", "built": "2026-01-01T03:04:05Z",
     "state": "healthy 2026-01-01T03:04:09Z", "rollback": True},
]  # fmt: skip
SHOP: dict[str, t.Any] = {
    "name": "shop", "current": "3f2a91c-1b9e02d4", "healthy": True, "version": "v2", "revision": "3f2a91c0",
    "answers": [{"instance": 0, "status": 200, "seconds": 0.0123, "problem": ""}],
    "python": "3.13.5", "gunicorn": "27.0.1", "instances": 1, "running": 1, "memory": 150 * 2**20, "tasks": 9,
    "restarts": 0, "uptime": 93784, "beside": [], "activated": None, "failed": None, "unfinished": None, "lock": None,
    "maintenance": False, "assets_of": "", "releases": RELEASES, "disk": 2 * 2**30, "disk_free": 2**40,
}  # fmt: skip


def shown(**changes: object) -> str:
    return render_status(by_host({"web1": {"apps": [{**SHOP, **changes}]}}))


def test_a_healthy_application_is_a_line_and_its_releases_are_a_table() -> None:
    assert shown().splitlines() == [
        "HOST  APP   RELEASE           VERSION  HEALTH      UP     MEMORY  DISK    PYTHON  GUNICORN",
        "web1  shop  3f2a91c-1b9e02d4  v2       200, 12 ms  1d 2h  150 MB  2.0 GB  3.13.5  27.0.1",
        "",
        "HOST  APP   RELEASE           VERSION  BUILT             STATE",
        "web1  shop  3f2a91c-1b9e02d4  v2       2026-01-02 03:04  current since 2026-01-02T03:04:09Z",
        "web1  shop  90b1c7e-77aa01f2  90b1c7e  2026-01-01 03:04  healthy 2026-01-01T03:04:09Z, rollback goes here",
    ]


def test_an_application_that_a_host_lacks_is_named_with_those_there_are() -> None:
    lacking = {"apps": [{**SHOP, "name": "shpo", "releases": []}], "unknown": ["shpo"], "known": ["blog", "shop"]}
    assert render_status(by_host({"web1": lacking})) == (
        "web1: there is no application 'shpo'; there are: blog, shop (did you mean shop?)"
    )
    assert render_status(by_host({"web1": {**lacking, "known": []}})).endswith("there are: none")


LINE = {"when": "2026-01-02T03:04:05Z", "by": "anna@laptop", "release": "aaaaaaa-00000000", "what": "deploy"}


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"maintenance": True}, "web1 shop: closed for maintenance"),
        ({"published": False}, "200, 12 ms, not published  "),
        ({"published": False}, "web1 shop: not published: no site of nginx leads to it. Set domains and run site.yml"),
        ({"restarts": 3}, "systemd had to start it again, 3 times"),
        ({"restarts": 1}, "systemd had to start it again, once\n"),
        ({"ill": "shop@a.service keeps ending", "healthy": False}, "  FAILS, keeps ending  "),
        ({"ill": "shop@a.service keeps ending", "restarts": 9}, "web1 shop: shop@a.service keeps ending\n"),
        ({"running": 0}, "0 of 1 instances run"),
        ({"running": 1, "asleep": 1, "instances": 2}, "1 of 2 instances are asleep"),
        (
            {
                "lock": {"who": "anna@laptop", "pid": 7, "since": "03:04", "what": "rollback of shop"},
                "unfinished": LINE,
            },
            "web1 shop: locked by anna@laptop, process 7, since 03:04, for: rollback of shop\n",
        ),
        (
            {"unfinished": LINE},
            "deploy of aaaaaaa-00000000, begun 2026-01-02T03:04:05Z by anna@laptop, was killed before",
        ),
        ({"unfinished": LINE, "current": LINE["release"]}, "was killed after its switch: the next run clears up"),
        (
            {"failed": {**LINE, "reason": "no answer\nmore"}},
            "last deploy failed, 2026-01-02T03:04:05Z by anna@laptop, release aaaaaaa-00000000: no answer\n",
        ),
        (
            {"beside": [{"unit": "shop@x.worker-mail.service", "state": "failed"}]},
            "failed beside it: shop@x.worker-mail.service",
        ),
        (
            {"healthy": False, "answers": [{"instance": 0, "status": 500, "seconds": 1, "problem": "/ answered 500"}]},
            "web1 shop: instance 0: / answered 500",
        ),
    ],
)
def test_what_is_unusual_is_said_below_the_table(changes: dict[str, t.Any], note: str) -> None:
    assert note in shown(**changes)


def test_an_ill_application_is_seen_in_its_line() -> None:
    ill = {"healthy": False, "answers": [{"instance": 0, "status": 0, "seconds": 5, "problem": "no answer to /"}]}
    assert "FAILS, no answer" in shown(**ill)
    assert "nothing runs" in shown(healthy=False, answers=[], current="", running=0, instances=0)


def test_hosts_that_were_not_reached_or_have_nothing_are_named() -> None:
    found = by_host({"web1": {"apps": []}, "web2": {"unreachable": True, "msg": "no route"}, "web3": {}})
    assert render_status(found).splitlines() == ["web2: no route", "web3: not reached", "web1: no application"]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (
            {"msg": "No start of json char found", "module_stderr": "sudo: a password is required\n"},
            "the user of the connection gets no rights of root (sudo: a password is required): give the password",
        ),
        ({"msg": "Task failed: Missing sudo password"}, "the user of the connection gets no rights of root"),
        ({"msg": "x", "module_stdout": "/bin/sh: 1: sudo: not found"}, "the host has no program 'sudo'"),
        ({"msg": "unsafe name", "module_stderr": ""}, "unsafe name"),
    ],
)
def test_a_host_that_says_nothing_says_why(result: dict[str, str], said: str) -> None:
    assert by_host({"web1": {"failed": True, **result}})["web1"]["error"].startswith(said)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (61, "1m 1s"), (3700, "1h 1m"), (90000, "1d 1h")]
)
def test_times_have_their_two_greatest_units(seconds: int, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("number", "text"), [(0, "-"), (4096, "1 MB"), (2**20 * 99, "99 MB"), (2**30, "1.0 GB")])
def test_sizes_have_a_unit_that_fits(number: int, text: str) -> None:
    assert size(number) == text


def test_certificates_are_a_table_and_what_is_wrong_with_them_a_line_each() -> None:
    good = {
        "name": "shop",
        "issued": True,
        "not_after": "2027-02-26 22:14 UTC",
        "days": 89,
        "failed": "",
        "problem": "",
    }
    late = {
        **good,
        "name": "blog",
        "days": 3,
        "failed": "2027-02-23 12:00 UTC",
        "problem": "certbot has not renewed it: no",
    }
    over = {**good, "name": "old", "days": -2}
    own = {**good, "name": "new", "issued": False, "not_after": "", "days": 0, "problem": "nx.test has no address"}
    lines = render_status(by_host({"web1": {"apps": [SHOP], "certificates": [good, late, over, own]}})).splitlines()
    start = lines.index("HOST  SITE  CERTIFICATE  ENDS                  DAYS")
    assert lines[start + 1 : start + 9] == [
        "web1  shop  of a CA      2027-02-26 22:14 UTC  89",
        "web1  blog  of a CA      2027-02-26 22:14 UTC  3",
        "web1  old   of a CA      2027-02-26 22:14 UTC  -2",
        "web1  new   self-signed  -                     -",
        "",
        "web1 blog: certificate: certbot has not renewed it: no (tried 2027-02-23 12:00 UTC)",
        "web1 old: certificate: it has ended.",
        "web1 new: certificate: nx.test has no address",
    ]
