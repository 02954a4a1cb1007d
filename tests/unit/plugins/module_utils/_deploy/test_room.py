# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limit on workers is decided before a release starts, by what releases of the application were seen to use."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.room import (
    limit_workers,
    measure_workers,
    read_room,
)
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import parse_settings
from ansible_collections.flaskops.stack.plugins.module_utils._service.worker_room import FILE, Room

OLD, NEW = "aaaaaaa-11111111", "bbbbbbb-22222222"
MIB = 1 << 20
GROUP = "/system.slice/shop.service"


class Files:
    """The files of /proc and /sys that a test has."""

    def __init__(self, **files: str) -> None:
        self.files = {
            "/proc/meminfo": "MemTotal:         491520 kB\n",
            "/proc/77/cgroup": f"0::{GROUP}\n",
            f"/sys/fs/cgroup{GROUP}/memory.current": f"{70 * MIB}\n",
            f"/sys/fs/cgroup{GROUP}/memory.stat": f"active_file {8 * MIB}\ninactive_file {2 * MIB}\n",
            **files,
        }

    def read(self, path: str, _most: int = 0) -> str:
        return self.files.get(path, "")

    def exists(self, path: str) -> bool:
        return path in self.files


def deployment(root: Path, loaded: int = 2, kernel: Files | None = None, **settings: object) -> t.Any:
    layout = Layout(str(root), "shop")
    for release in (OLD, NEW):
        os.makedirs(layout.release(release), exist_ok=True)
    if not os.path.islink(layout.current):
        os.symlink(f"releases/{OLD}", layout.current)
    crew = SimpleNamespace(loaded=dict.fromkeys(range(loaded)), master=77)
    return SimpleNamespace(
        service=SimpleNamespace(
            layout=layout, manifest=SimpleNamespace(id=NEW, name="shop", settings=parse_settings(settings))
        ),
        observed=SimpleNamespace(current=OLD),
        host=SimpleNamespace(kernel=kernel or Files()),
        health_check=SimpleNamespace(probes=[SimpleNamespace(workers=crew)]),
        worker_room=None,
    )


def other(root: Path, name: str) -> None:
    layout = Layout(str(root), name)
    os.makedirs(layout.release(OLD))
    os.symlink(f"releases/{OLD}", layout.current)


def test_the_first_release_is_measured_and_the_next_one_is_limited_by_that(tmp_path: Path) -> None:
    first = deployment(tmp_path)
    limit_workers(first)
    release = first.service.layout.release(NEW)
    assert read_room(release) == Room(7, 32 * MIB)
    assert measure_workers(first) == ""
    assert read_room(release) == Room(7, 32 * MIB, measured=30 * MIB)
    os.unlink(first.service.layout.current)
    os.rename(release, first.service.layout.release(OLD) + "x")
    os.rename(first.service.layout.release(OLD) + "x" + "/" + FILE, first.service.layout.release(OLD) + "/" + FILE)
    second = deployment(tmp_path, loaded=8)
    limit_workers(second)
    assert read_room(release) == Room(8, 30 * MIB, known=True)
    said = "8 workers an instance, as many as there is memory for: one uses 30 MiB, on a host of 480 MiB"
    assert measure_workers(second) == said


def test_memory_is_shared_with_the_other_applications_of_the_host(tmp_path: Path) -> None:
    other(tmp_path, "blog")
    other(tmp_path, "wiki")
    os.makedirs(tmp_path / "never-deployed" / "releases")
    one = deployment(tmp_path)
    limit_workers(one)
    assert read_room(one.service.layout.release(NEW)) == Room(2, 32 * MIB)
    assert measure_workers(one).endswith("on a host of 480 MiB and 3 applications")


def test_applications_that_are_deployed_together_for_the_first_time_share_it(tmp_path: Path) -> None:
    one = deployment(tmp_path)
    limit_workers(one, ["shop", "blog", "wiki"])
    assert read_room(one.service.layout.release(NEW)) == Room(2, 32 * MIB)


@pytest.mark.parametrize(
    ("settings", "kernel"), [({"workers": 3}, Files()), ({}, Files(**{"/proc/meminfo": ""}))], ids=["chosen", "unknown"]
)
def test_nothing_is_decided_where_the_user_decides_or_nothing_is_known(
    tmp_path: Path, settings: dict[str, t.Any], kernel: Files
) -> None:
    one = deployment(tmp_path, kernel=kernel, **settings)
    limit_workers(one)
    assert read_room(one.service.layout.release(NEW)) is None
    assert measure_workers(one) == ""


def test_what_cannot_be_measured_leaves_the_decision_as_it_is(tmp_path: Path) -> None:
    one = deployment(tmp_path, kernel=Files(**{"/proc/77/cgroup": ""}))
    limit_workers(one)
    assert measure_workers(one) == ""
    assert read_room(one.service.layout.release(NEW)) == Room(7, 32 * MIB)
