# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose turn it is to run the hook of a release from which all hosts have rolled back."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.plugin_utils._rollback_hook import Decision, decide, describe_lost_amid

HOSTS = ["web1", "web2"]


def outcome(error: str = "", lost: bool = False, key: str = "one database") -> dict[str, t.Any]:
    return {"error": error, "lost": lost, "key": key}


def decided(each_host: bool = False, **outcomes: dict[str, t.Any]) -> Decision:
    """Return what the last host that came back has to do."""
    return decide("downgrade", list(outcomes)[-1], HOSTS, outcomes, each_host)


def test_a_hook_of_each_host_runs_wherever_it_is_due() -> None:
    assert decided(each_host=True, web1=outcome()) == Decision(run=True)


def test_a_hook_of_the_fleet_runs_once_after_the_last_host() -> None:
    assert decided(web1=outcome()) == Decision()
    assert decided(web1=outcome(), web2=outcome()) == Decision(run=True)


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        (outcome(error="x"), outcome(), "because web1 did not roll back"),
        (outcome(), outcome(error="x"), "because web2 did not roll back"),
        (outcome(), outcome(lost=True), "it is unknown whether web2 was rolled back"),
    ],
)
def test_it_does_not_run_while_one_host_may_be_where_it_was(
    first: dict[str, t.Any], last: dict[str, t.Any], said: str
) -> None:
    told = decided(web1=first, web2=last)
    assert (told.run, said in told.error, "-e hook=downgrade" in told.error) == (False, True, True)


def test_where_all_have_failed_each_has_said_why() -> None:
    assert decided(web1=outcome(error="x"), web2=outcome(error="x")) == Decision()


def test_hosts_with_another_database_are_named() -> None:
    told = decided(web1=outcome(key="another"), web2=outcome())
    assert told.run and "for the database of web2 alone" in told.error and "environment web1 may" in told.error


def test_a_hook_whose_host_was_lost_is_found_in_the_journal() -> None:
    said = describe_lost_amid("shop", "downgrade", "web1")
    assert "journalctl -u flaskops-hook-shop" in said and said.startswith("web1 was lost while hook 'downgrade'")
