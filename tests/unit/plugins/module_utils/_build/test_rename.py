# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application gets another name, and its data is there under both at every instant."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.application import AppError, parse_apps
from ansible_collections.flaskops.stack.plugins.module_utils._app.derive import derive_sites
from ansible_collections.flaskops.stack.plugins.module_utils._build.rename import (
    RenameError,
    check_rename,
    has_data_to_move,
    move_data,
)
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout
from ansible_collections.flaskops.stack.plugins.module_utils._system.swap import exchange


@pytest.fixture
def former(tmp_path: Path) -> Layout:
    """Return an application with data."""
    layout = Layout(str(tmp_path), "shop")
    os.makedirs(os.path.join(layout.shared, "uploads"))
    Path(layout.shared, "uploads", "one").write_text("1")
    return layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(str(tmp_path), "store")


def read(layout: Layout) -> str:
    return Path(layout.shared, "uploads", "one").read_text()


@pytest.mark.parametrize("exchanges", [True, False])
def test_the_data_is_there_under_both_names(layout: Layout, former: Layout, exchanges: bool) -> None:
    check_rename(layout, former, published=True)
    assert move_data(layout, former, exchange if exchanges else lambda _one, _other: False)
    assert (read(layout), read(former)) == ("1", "1")
    assert os.path.islink(former.shared)
    assert not os.path.islink(layout.shared)
    # A second run has nothing to move, and no reason to refuse.
    check_rename(layout, former, published=True)
    assert not move_data(layout, former)


def test_a_run_that_was_killed_before_the_exchange_is_taken_up(layout: Layout, former: Layout) -> None:
    os.makedirs(layout.base)
    os.symlink(layout.shared, layout.shared)
    check_rename(layout, former, published=True)
    assert move_data(layout, former)
    assert read(layout) == "1"


def test_an_empty_directory_of_an_earlier_try_makes_way(layout: Layout, former: Layout) -> None:
    os.makedirs(layout.shared)
    check_rename(layout, former, published=True)
    assert move_data(layout, former)
    assert read(layout) == "1"


def test_data_under_both_names_is_refused(layout: Layout, former: Layout) -> None:
    os.makedirs(os.path.join(layout.shared, "uploads"))
    with pytest.raises(RenameError, match=r"both .*/shop/shared and .*/store/shared have data"):
        check_rename(layout, former, published=True)


def test_the_playbook_that_leaves_nginx_alone_does_not_rename(layout: Layout, former: Layout) -> None:
    with pytest.raises(RenameError, match=r"'shop' is still on this host: run site.yml"):
        check_rename(layout, former, published=False)
    check_rename(layout, Layout(layout.root, "gone"), published=False)
    assert (has_data_to_move(former), has_data_to_move(Layout(layout.root, "gone"))) == (True, False)


APP: dict[str, t.Any] = {"name": "store", "rename_from": "shop", "source": "shop==1", "app": "shop:app"}


def test_the_user_stays_who_owns_the_data() -> None:
    (app,) = parse_apps([APP], "/srv")
    assert (app.user, app.group) == ("shop", "shop")
    (app,) = parse_apps([{**APP, "user": "other"}], "/srv")
    assert (app.user, app.group) == ("other", "other")


@pytest.mark.parametrize(
    ("apps", "said"),
    [
        ([APP, {**APP, "name": "shop", "rename_from": None}], "is another application of the list"),
        ([{**APP, "rename_from": "store"}], "rename_from is its own name"),
    ],
)
def test_an_impossible_former_name_is_refused(apps: list[dict[str, t.Any]], said: str) -> None:
    with pytest.raises(AppError, match=said):
        parse_apps(apps, "/srv")


def test_its_site_is_renamed_in_one_transaction() -> None:
    (site,) = derive_sites([{**APP, "domains": ["shop.test"]}], "/srv")
    assert (site["name"], site["rename_from"]) == ("store", "shop")
