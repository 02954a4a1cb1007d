# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the source ships in a shared directory, beside what is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import Settings
from ansible_collections.flaskops.stack.plugins.module_utils._release import shipped as subject
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Manifest
from ansible_collections.flaskops.stack.plugins.module_utils._release.shipped import (
    compare_shipped,
    shipped_by,
    stale_warnings,
)


@pytest.fixture
def ships(tmp_path: Path) -> Path:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shipped" / "css").mkdir(parents=True)
    return tmp_path / "shipped"


def both(ships: Path, path: str, ours: str, theirs: str | None) -> None:
    (ships / path).write_text(ours)
    place = ships.parent / "shared" / path
    place.parent.mkdir(exist_ok=True)
    if theirs is not None:
        place.write_text(theirs)


def compared(ships: Path) -> subject.Shipped:
    return compare_shipped(str(ships), str(ships.parent), "shared")


def warned(ships: Path, before: dict[str, str] | None = None) -> list[str]:
    return stale_warnings({"static": compared(ships)}, before or {}, "/srv/shop/shared")


def test_equal_files_are_nothing_to_say(ships: Path) -> None:
    both(ships, "css/a.css", "a", "a")
    (ships.parent / "shared/mine").write_text("of the application")
    assert compared(ships)[1:] == (0, 0, ())
    assert warned(ships) == []


def test_files_that_differ_or_are_missing_are_counted_and_named(ships: Path) -> None:
    both(ships, "css/a.css", "new", "old")
    both(ships, "b.css", "longer", "old")
    both(ships, "same", "same", "same")
    both(ships, "c.css", "new", None)
    assert compared(ships)[1:] == (2, 1, ("b.css", "c.css", "css/a.css"))
    said = warned(ships)[0]
    assert "3 files" in said
    assert "'b.css', 'c.css', 'css/a.css'" in said
    assert "2 differ in /srv/shop/shared/static and 1 is missing in /srv/shop/shared/static" in said


def test_many_are_counted_and_a_few_named(ships: Path) -> None:
    for number in range(20):
        both(ships, f"{number:02}.css", "new", "old")
    said = warned(ships)[0]
    assert "20 files" in said
    assert "'02.css' and 17 more" in said
    assert "'03.css'" not in said


def test_what_was_said_of_the_release_before_is_not_said_again(ships: Path) -> None:
    both(ships, "a.db", "empty", "full of data")
    before = {"static": compared(ships).digest}
    assert warned(ships, before) == []
    (ships / "a.db").write_text("other")
    assert len(warned(ships, before)) == 1


def test_a_file_that_keeps_a_directory_in_git_is_not_missed(ships: Path) -> None:
    for name in (".gitkeep", ".keep", ".gitignore"):
        both(ships, name, "", None)
    assert warned(ships) == []


def test_no_link_and_no_fifo_is_opened(ships: Path) -> None:
    secret = ships.parent / "secret"
    secret.mkdir()
    (secret / "a.css").write_text("new")
    (ships.parent / "shared/css").symlink_to(secret)
    both(ships, "link", "new", None)
    both(ships, "fifo", "new", None)
    (ships / "css/a.css").write_text("new")
    (ships.parent / "shared/link").symlink_to(secret / "a.css")
    os.mkfifo(ships.parent / "shared/fifo")
    assert compared(ships)[1:3] == (2, 1)


def test_no_link_on_the_way_to_the_shared_directory_is_followed(ships: Path) -> None:
    """The parents of C(data/uploads) belong to the application's user as well."""
    both(ships, "a.css", "new", "new")
    (ships.parent / "data").symlink_to(ships.parent)
    assert compare_shipped(str(ships), str(ships.parent), "data/shared")[1:3] == (0, 1)


def test_a_file_in_the_place_of_a_link_that_the_source_ships_differs(
    ships: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the application has put it there a moment ago."""
    (ships / "link").symlink_to("css")
    (ships.parent / "shared/link").symlink_to("css")
    before = os.lstat(ships.parent / "shared/link")
    (ships.parent / "shared/link").unlink()
    (ships.parent / "shared/link").write_text("css")
    assert compared(ships)[1:] == (1, 0, ("link",))
    monkeypatch.setattr(subject, "_status", lambda *_: before)
    assert compared(ships)[1:] == (1, 0, ("link",))


def test_links_that_the_source_ships_are_compared_and_not_followed(ships: Path) -> None:
    for name, target in (("same", "css"), ("other", "/etc"), ("gone", "css")):
        (ships / name).symlink_to("css")
        if name != "gone":
            (ships.parent / "shared" / name).symlink_to(target)
    assert compared(ships)[1:] == (1, 1, ("gone", "other"))


def test_what_is_too_much_to_read_is_compared_by_size(ships: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_MOST_BYTES", 4)
    both(ships, "a.bin", "12345", "54321")
    both(ships, "b.bin", "56", "65")
    both(ships, "c.bin", "567", "56")
    both(ships, "d.bin", "567", "765")
    assert compared(ships)[1:] == (2, 0, ("b.bin", "c.bin"))


def test_no_more_files_are_looked_at_than_are_quick(ships: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_MOST_FILES", 3)
    for number in range(9):
        both(ships, str(number), "new", None)
    assert compared(ships)[1:3] == (0, 3)
    assert "3 or more files" in warned(ships)[0]


@pytest.mark.parametrize("recorded", [None, "x", {"static": "0a"}])
def test_the_record_of_a_release_may_be_of_another_version(recorded: object) -> None:
    extra = {"shipped": recorded} if recorded else {}
    manifest = Manifest("shop", "a", "shop", "shop", {}, "3.13", "shop:app", Settings(), extra=extra)
    assert shipped_by(manifest) == (recorded if isinstance(recorded, dict) else {})
    assert shipped_by(None) == {}
