# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.plugin_utils._rollback_report import describe, explain_unnamed

SERVICE: dict[str, t.Any] = {
    "name": "shop",
    "release": "3f2a91c-1b9e02d4",
    "previous": "77aa001-1b9e02d4",
    "version": "v1.2",
    "seconds": 1.26,
    "hooks": [],
}
RAN = {"hook": "rollback.migrate_down", "command": "flask db downgrade", "seconds": 0.5}


def test_a_rollback_tells_what_serves_and_what_the_next_run_does() -> None:
    first, second = describe(SERVICE, "web1", "", check=False).splitlines()
    assert first == "shop on web1: back from 77aa001-1b9e02d4 to 3f2a91c-1b9e02d4, version v1.2 in 1.3 s."
    assert second.endswith("goes forward again: change the version of shop before.")


def test_check_mode_tells_what_would_serve() -> None:
    service = {**SERVICE, "version": "", "previous": "", "hooks": None}
    first, _second, third = describe(service, "web1", "migrate_down", check=True).splitlines()
    assert first == "shop on web1: back from nothing to 3f2a91c-1b9e02d4 (check mode: not done)."
    assert third == "Hook migrate_down would run on the host that rolls back last."


def test_a_host_that_has_rolled_back_already_says_so() -> None:
    service = {**SERVICE, "previous": SERVICE["release"]}
    assert describe(service, "web1", "", check=False) == (
        "shop on web1: release 3f2a91c-1b9e02d4 serves already; nothing was switched."
    )


def test_a_hook_is_told_by_the_host_that_has_run_it() -> None:
    assert describe({**SERVICE, "hooks": [RAN]}, "web2", "migrate_down", check=False).splitlines()[2:] == [
        "Hook rollback.migrate_down has run in 0.5 s: flask db downgrade"
    ]
    assert describe(SERVICE, "web1", "migrate_down", check=False).endswith(
        "Hook migrate_down runs on the host that rolls back last."
    )


@pytest.mark.parametrize(
    ("name", "said"), [("shop", ""), ("", "-e app=NAME"), (None, "-e app=NAME"), (["shop"], "-e app=")]
)
def test_an_application_has_to_be_named(name: object, said: str) -> None:
    assert said in explain_unnamed(name)
    assert bool(explain_unnamed(name)) is bool(said)
