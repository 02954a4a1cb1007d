# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._release import assets as _assets
from ansible_collections.flaskops.stack.plugins.module_utils._release.assets import (
    keep_assets,
    kept_assets,
    link_path,
    schedule_asset_expiry,
)
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout
from ansible_collections.flaskops.stack.plugins.module_utils._system.command import CommandError, Result

OLD, OLDER = "90b1c7e-77aa01f2", "1b2c3d4-5e6f7a8b"


class Timers:
    """A systemd that notes which timers it was told to arm."""

    def __init__(self) -> None:
        self.armed: list[float] = []
        self.broken = False

    def run(self, argv: t.Sequence[str]) -> Result:
        if argv[0] == "systemd-run" and not self.broken:
            self.armed.append(float(next(word for word in argv if "on-calendar" in word).partition("@")[2]))
        return Result(tuple(argv), int(self.broken), "", "")

    def run_checked(self, argv: t.Sequence[str]) -> Result:
        if self.broken:
            raise CommandError(f"{argv[0]} failed")
        return self.run(argv)


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.setattr(_assets, "DIRECTORY", str(tmp_path / "previous"))
    return Layout(str(tmp_path / "srv"), "shop")


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> Timers:
    found = Timers()
    monkeypatch.setattr(_assets, "run", found.run)
    monkeypatch.setattr(_assets, "run_checked", found.run_checked)
    return found


def test_a_timer_that_was_armed_before_is_enough(layout: Layout, timers: Timers) -> None:
    before = time.time()
    end = schedule_asset_expiry(layout, OLD, 100)
    keep_assets(layout, OLD, 100, end)
    assert (kept_assets(layout), timers.armed) == (OLD, [end])
    assert end >= before + 100


def test_a_timer_that_would_fire_too_early_is_armed_anew(layout: Layout, timers: Timers) -> None:
    keep_assets(layout, OLD, 100, time.time() + 50)
    assert kept_assets(layout) == OLD
    assert [end >= time.time() + 99 for end in timers.armed] == [True]


def test_without_a_timer_there_is_no_link_that_would_stay(layout: Layout, timers: Timers) -> None:
    keep_assets(layout, OLDER, 100)
    timers.broken = True
    keep_assets(layout, OLD, 100, schedule_asset_expiry(layout, OLD, 100))
    assert kept_assets(layout) == ""


@pytest.mark.parametrize(("release", "seconds"), [("", 100), (OLD, 0)])
def test_where_nothing_is_to_be_kept_no_timer_is_armed(
    layout: Layout, timers: Timers, release: str, seconds: int
) -> None:
    os.makedirs(_assets.DIRECTORY)
    os.symlink(layout.release(OLDER), link_path(layout))
    keep_assets(layout, release, seconds, schedule_asset_expiry(layout, release, seconds))
    assert (kept_assets(layout), timers.armed) == ("", [])
