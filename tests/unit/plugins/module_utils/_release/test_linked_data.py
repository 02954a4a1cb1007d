# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which links of an application lead to data of its own elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._release.linked_data import is_link_of_rename, linked_data
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(str(tmp_path / "srv"), "shop")
    os.makedirs(layout.base)
    return layout


@pytest.mark.parametrize(
    ("target", "of_rename", "elsewhere"),
    [
        ("{root}/blog/shared", True, []),
        ("../blog/shared", False, ["{root}/blog/shared"]),
        ("/mnt/shop/shared", False, ["/mnt/shop/shared"]),
        ("../../disk", False, ["{top}/disk"]),
    ],
)
def test_the_link_of_a_rename_is_told_from_one_to_another_disk(
    layout: Layout, target: str, of_rename: bool, elsewhere: list[str]
) -> None:
    names = {"root": layout.root, "top": os.path.dirname(layout.root)}
    os.symlink(target.format(**names), layout.shared)
    assert is_link_of_rename(layout) is of_rename
    assert linked_data(layout) == [place.format(**names) for place in elsewhere]


@pytest.mark.skipif(os.geteuid() != 0, reason="makes links of another user")
def test_links_of_the_application_lead_to_data_only_where_it_is_not_of_the_system(
    layout: Layout, tmp_path: Path
) -> None:
    os.mkdir(layout.shared)
    own, system = tmp_path / "own", tmp_path / "system"
    for place in (own, system):
        place.mkdir()
        link = os.path.join(layout.shared, place.name)
        os.symlink(place, link)
        os.chown(link, 65534, -1, follow_symlinks=False)
    os.chown(own, 65534, -1)
    assert linked_data(layout) == [str(own)]


def test_only_a_few_places_are_named(layout: Layout, tmp_path: Path) -> None:
    os.mkdir(layout.shared)
    for number in range(20):
        (tmp_path / f"disk{number}").mkdir()
        os.symlink(tmp_path / f"disk{number}", f"{layout.shared}/{number}")
    assert len(linked_data(layout)) == 10


def test_an_application_without_data_has_none_elsewhere(layout: Layout) -> None:
    assert (is_link_of_rename(layout), linked_data(layout)) == (False, [])
