# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container with a limit has the memory of that limit, whatever /proc/meminfo says of its machine."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.memory_use import (
    available_memory,
    limits_of_host,
    total_memory,
)
from ansible_collections.flaskops.stack.plugins.module_utils._system.host import Kernel

MIB = 1 << 20
CGROUPS = "/sys/fs/cgroup"


class Files(Kernel):
    """The files of /proc and /sys that a test has; a machine of 16 GiB by default."""

    def __init__(self, *several: t.Mapping[str, str]) -> None:
        self.files = {"/proc/meminfo": f"MemTotal: {16 << 20} kB\nMemAvailable: {12 << 20} kB\n"}
        for files in several:
            self.files.update(files)

    def read(self, path: str, most: int = 65536) -> str | None:
        return self.files.get(path, "")[:most]

    def exists(self, path: str) -> bool:
        return path in self.files


def group(path: str, limit: str, used: int, cached: int = 0) -> dict[str, str]:
    """Return the files of a control group."""
    return {
        f"{CGROUPS}{path}/memory.max": f"{limit}\n",
        f"{CGROUPS}{path}/memory.current": f"{(used + cached) * MIB}\n",
        f"{CGROUPS}{path}/memory.stat": f"anon {used * MIB}\ninactive_file {cached * MIB}\nactive_file 0\n",
    }


def test_a_machine_has_what_the_kernel_says() -> None:
    kernel = Files({"/proc/1/cgroup": "0::/init.scope\n"}, group("/init.scope", "max", 20))
    assert (total_memory(kernel), available_memory(kernel)) == (16384 * MIB, 12288 * MIB)


@pytest.mark.parametrize("own", ["", "/docker/3f2a", "/machine.slice/libpod-1.scope/container"])
def test_a_container_has_what_its_limit_leaves(own: str) -> None:
    kernel = Files({"/proc/1/cgroup": f"0::{own}/init.scope\n"}, group(own, str(512 * MIB), 200, 250))
    # Files that are cached make room for what is needed.
    assert (total_memory(kernel), available_memory(kernel)) == (512 * MIB, 312 * MIB)


def test_the_smallest_of_several_limits_counts() -> None:
    kernel = Files(
        {"/proc/1/cgroup": "0::/tenants/blue/init.scope\n"},
        group("/tenants", str(400 * MIB), 390),
        group("/tenants/blue", str(512 * MIB), 100),
    )
    assert (total_memory(kernel), available_memory(kernel)) == (400 * MIB, 10 * MIB)


def test_a_limit_above_the_memory_of_the_machine_changes_nothing() -> None:
    kernel = Files({"/proc/1/cgroup": "0::/init.scope\n"}, group("", str(1 << 50), 100))
    assert (total_memory(kernel), available_memory(kernel)) == (16384 * MIB, 12288 * MIB)


def test_what_is_over_its_limit_has_nothing_left() -> None:
    kernel = Files({"/proc/1/cgroup": "0::/\n"}, group("", str(100 * MIB), 120))
    assert available_memory(kernel) == 0


@pytest.mark.parametrize("lines", ["", "12:memory:/docker/3f2a\n1:name=systemd:/\n", "nonsense\n"])
def test_where_no_group_is_known_the_kernel_has_the_word(lines: str) -> None:
    kernel = Files({"/proc/1/cgroup": lines})
    assert limits_of_host(kernel) == []
    assert total_memory(kernel) == 16384 * MIB


def test_where_the_kernel_says_nothing_the_limit_does() -> None:
    files = {"/proc/meminfo": "", "/proc/1/cgroup": "0::/init.scope\n"}
    assert (total_memory(Files(files)), available_memory(Files(files))) == (None, None)
    limited = Files(files, group("", str(512 * MIB), 112))
    assert (total_memory(limited), available_memory(limited)) == (512 * MIB, 400 * MIB)
