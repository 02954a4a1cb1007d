# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
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
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_system import simulate

OLD, OLDER = "90b1c7e-77aa01f2", "1b2c3d4-5e6f7a8b"


class Timers:
    """The timers that systemd was told to start."""

    def __init__(self) -> None:
        self.sim = simulate()
        self.host = self.sim.host

    @property
    def armed(self) -> list[float]:
        words = [word for argv in self.sim.commands.asked for word in argv if "on-calendar" in word]
        return [float(word.partition("@")[2]) for word in words]


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.setattr(_assets, "PREVIOUS", str(tmp_path / "previous"))
    return Layout(str(tmp_path / "srv"), "shop")


@pytest.fixture
def timers() -> Timers:
    return Timers()


def test_a_timer_that_was_armed_before_is_enough(layout: Layout, timers: Timers) -> None:
    before = timers.sim.clock.time()
    end = schedule_asset_expiry(timers.host, layout, OLD, 100)
    keep_assets(timers.host, layout, OLD, 100, end)
    assert (kept_assets(layout), timers.armed) == (OLD, [end])
    assert end >= before + 100


@pytest.mark.parametrize(("grace", "start"), [(100, 2), (3600, 28)])
def test_a_timer_is_not_armed_anew_for_an_application_that_takes_long_to_start(
    layout: Layout, timers: Timers, grace: int, start: int
) -> None:
    end = schedule_asset_expiry(timers.host, layout, OLD, grace)
    timers.sim.clock.sleep(start)
    keep_assets(timers.host, layout, OLD, grace, end)
    assert (kept_assets(layout), timers.armed) == (OLD, [end])
    assert end <= timers.sim.clock.time() + grace * 1.01 + 3


def test_a_timer_that_would_fire_too_early_is_armed_anew(layout: Layout, timers: Timers) -> None:
    keep_assets(timers.host, layout, OLD, 100, timers.sim.clock.time() + 50)
    assert kept_assets(layout) == OLD
    assert [end >= timers.sim.clock.time() + 99 for end in timers.armed] == [True]


def test_without_a_timer_there_is_no_link_that_would_stay(layout: Layout, timers: Timers) -> None:
    keep_assets(timers.host, layout, OLDER, 100)
    timers.sim.commands.fail("systemd-run|systemctl")
    keep_assets(timers.host, layout, OLD, 100, schedule_asset_expiry(timers.host, layout, OLD, 100))
    assert kept_assets(layout) == ""


@pytest.mark.parametrize(("release", "seconds"), [("", 100), (OLD, 0)])
def test_where_nothing_is_to_be_kept_no_timer_is_armed(
    tmp_path: Path, layout: Layout, timers: Timers, release: str, seconds: int
) -> None:
    (tmp_path / "previous").mkdir()
    os.symlink(layout.release(OLDER), link_path(layout))
    keep_assets(timers.host, layout, release, seconds, schedule_asset_expiry(timers.host, layout, release, seconds))
    assert (kept_assets(layout), timers.armed) == ("", [])
