# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build may write, and what it sees."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.application import App
from ansible_collections.flaskops.stack.plugins.module_utils._build.build_fence import build_fence, end_leftovers
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import Settings
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_system import simulate

LAYOUT = Layout("/srv", "shop")


class Shop(t.NamedTuple):
    """As much of an application as its build is fenced by."""

    name: str = "shop"
    user: str = "shop"
    group: str = "www"
    settings: Settings = Settings(sandbox_paths=("/srv/media",))


def lines(needed: t.Sequence[str], with_data: bool = False, **changes: t.Any) -> list[str]:
    app = t.cast(App, Shop(**changes))
    return build_fence(app, LAYOUT, "/srv/shop/releases/.new", "/var/cache/x", needed, with_data)._lines


def test_a_build_runs_as_the_application_and_writes_its_release_and_its_cache() -> None:
    found = lines(["/usr/bin/python3"])
    assert {"User=shop", "Group=www", "WorkingDirectory=/srv/shop/releases/.new", "UMask=0022"} <= set(found)
    writable = " ".join(line for line in found if line.startswith("ReadWritePaths="))
    assert "/srv/shop/releases/.new" in writable and "/var/cache/x" in writable and "/srv/media" not in writable


def test_hooks_of_the_build_may_write_shared_data_also_where_it_is_not_there_yet() -> None:
    writable = " ".join(line for line in lines(["/usr/bin/python3"], True) if line.startswith("ReadWritePaths="))
    assert f"-{LAYOUT.shared}" in writable and "-/srv/media" in writable


def test_what_it_needs_below_tmp_is_brought_into_its_own() -> None:
    found = lines(["/usr/bin/python3", "/tmp/wheels"])
    assert "BindReadOnlyPaths=/tmp/wheels" in found and "BindReadOnlyPaths=/usr/bin/python3" not in found


def test_without_a_sandbox_only_user_and_place_are_left() -> None:
    found = lines(["/usr/bin/python3"], settings=Settings(sandbox=False))
    assert not [line for line in found if line.startswith(("ReadWritePaths=", "Protect"))]
    assert "User=shop" in found


@pytest.mark.parametrize("systemd", [True, False])
def test_what_a_killed_run_has_left_is_ended_where_it_can_be(tmp_path: Path, systemd: bool) -> None:
    commands = simulate(tmp_path).commands
    end_leftovers("shop", ["more.service"], commands, str(tmp_path if systemd else tmp_path / "none"))
    units = "-- flaskops-build-shop.service flaskops-check-shop.service more.service"
    steps = ["kill --signal=KILL", "stop", "reset-failed"]
    assert [" ".join(argv) for argv in commands.asked] == (
        [f"systemctl {step} {units}" for step in steps] if systemd else []
    )
