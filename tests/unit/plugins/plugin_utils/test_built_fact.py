# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fact with the releases of a host has those of all tasks of a run: role flask may be used in a loop."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible import constants
from ansible_collections.flaskops.stack.plugins.plugin_utils._built_fact import with_earlier

Args = dict[str, t.Any]


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path / "one"))
    return tmp_path


def built(*releases: str) -> Args:
    """Return what the module says of releases, as C(name id)."""
    rows = [dict(zip(("name", "id"), release.split(), strict=True)) for release in releases]
    return {"releases": rows, "ansible_facts": {"flask_releases": rows}}


def fact(host: str, names: t.Sequence[str], answer: Args) -> list[str]:
    rows = with_earlier(host, names, answer)["ansible_facts"]["flask_releases"]
    return [" ".join(row.values()) for row in rows]


def test_a_role_that_is_used_once_for_each_application_leaves_the_releases_of_all() -> None:
    assert fact("web1", ["shop"], built("shop 1")) == ["shop 1"]
    assert fact("web1", ["blog"], built("blog 1")) == ["shop 1", "blog 1"]
    assert fact("web2", ["wiki"], built("wiki 1")) == ["wiki 1"]


def test_the_releases_of_many_applications_are_kept() -> None:
    """What is known of one takes a kilobyte or two."""
    names = [f"app{number}" for number in range(600)]
    fact("web1", names, built(*(f"{name} {'x' * 2000}" for name in names)))
    assert len(fact("web1", ["shop"], built("shop 1"))) == 601


def test_the_last_build_of_an_application_counts() -> None:
    fact("web1", ["shop", "blog"], built("shop 1", "blog 1"))
    assert fact("web1", ["shop"], built("shop 2")) == ["blog 1", "shop 2"]
    # It could not be built: nothing is to deploy what was built before, with other variables.
    assert fact("web1", ["blog"], built()) == ["shop 2"]


def test_an_application_that_is_removed_leaves_the_fact() -> None:
    fact("web1", ["shop", "blog"], built("shop 1", "blog 1"))
    assert fact("web1", ["shop"], {"removed": ["shop"], "releases": []}) == ["blog 1"]


def test_a_removal_without_a_build_before_makes_no_fact() -> None:
    answer = {"removed": ["shop"], "releases": []}
    assert with_earlier("web1", ["shop"], answer) == answer


def test_another_run_begins_anew(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts may be kept in a cache for days, and releases are pruned meanwhile."""
    fact("web1", ["shop"], built("shop 1"))
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(run / "two"))
    assert fact("web1", ["blog"], built("blog 1")) == ["blog 1"]


def test_an_answer_that_tells_of_no_release_is_left_alone() -> None:
    fact("web1", ["shop"], built("shop 1"))
    refused = {"failed": True, "msg": "app 'shop': source is missing"}
    assert with_earlier("web1", ["shop"], refused) == refused
    assert fact("web1", ["blog"], built("blog 1")) == ["shop 1", "blog 1"]
