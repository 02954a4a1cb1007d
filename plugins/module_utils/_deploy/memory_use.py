# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read how much memory the host has, and how much of it services use. Private to flaskops.stack."""

from __future__ import annotations

import re

from .._system.host import Kernel

_CGROUPS = "/sys/fs/cgroup"


def total_memory(kernel: Kernel) -> int | None:
    """Return the bytes of memory that the host has; None when that is not known."""
    return min([*_of_kernel(kernel, "MemTotal"), *(limit for _group, limit in limits_of_host(kernel))], default=None)


def available_memory(kernel: Kernel) -> int | None:
    """Return the bytes that are available without swapping; None when that is not known."""
    left = [max(limit - _accounted(kernel, group), 0) for group, limit in limits_of_host(kernel)]
    return min([*_of_kernel(kernel, "MemAvailable"), *left], default=None)


def _of_kernel(kernel: Kernel, field: str) -> list[int]:
    """Return a figure of /proc/meminfo in bytes, in a list that is empty without it."""
    found = re.search(rf"^{field}:\s+(\d+) kB$", kernel.read("/proc/meminfo") or "", re.MULTILINE)
    return [int(found.group(1)) * 1024] if found else []


def limits_of_host(kernel: Kernel) -> list[tuple[str, int]]:
    """Return the control groups (v2) that hold the whole host and have a limit of memory, with that in bytes.

    Those of a container do, and its /proc/meminfo shows the memory of the machine all the same.
    """
    found = re.search(r"^0::(/.*)$", kernel.read("/proc/1/cgroup") or "", re.MULTILINE)
    parts = found.group(1).strip("/").split("/") if found else []
    # The root, whose path is empty, has a limit where the container sees a part of the tree only.
    groups = ["".join(f"/{part}" for part in parts[:count]) for count in range(len(parts) + 1)] if found else []
    limits = ((group, (kernel.read(f"{_CGROUPS}{group}/memory.max") or "").strip()) for group in groups)
    return [(group, int(limit)) for group, limit in limits if limit.isdigit()]


def parse_used(current: str, stat: str) -> int:
    """Return the bytes that a cgroup uses without its page cache, from its memory.current and memory.stat.

    The page cache is part of memory.current; the next release reads the same files, and the kernel can drop it.
    """
    values = dict(line.split() for line in stat.splitlines() if len(line.split()) == 2)
    cached = int(values.get("active_file", 0)) + int(values.get("inactive_file", 0))
    return max(int(current or 0) - cached, 0)


def parse_own(rollup: str) -> int:
    """Return the anonymous and shared bytes of a process (proportional), from its smaps_rollup; not those of files."""
    return sum(int(kib) * 1024 for kib in re.findall(r"^Pss_(?:Anon|Shmem):\s+(\d+) kB$", rollup, re.MULTILINE))


def processes_of(kernel: Kernel, group: str) -> list[int]:
    """Return the processes of a cgroup."""
    return [int(pid) for pid in (kernel.read(f"{_CGROUPS}{group}/cgroup.procs") or "").split()] if group else []


def _accounted(kernel: Kernel, group: str) -> int:
    path = _CGROUPS + group
    return parse_used((kernel.read(f"{path}/memory.current") or "").strip(), kernel.read(f"{path}/memory.stat") or "")


def used_memory(kernel: Kernel, group: str) -> int:
    """Return the memory of a cgroup; summed over its processes where there is no accounting (cgroup v1, containers)."""
    if group and kernel.exists(f"{_CGROUPS}{group}/memory.current"):
        return _accounted(kernel, group)
    return sum(parse_own(kernel.read(f"/proc/{pid}/smaps_rollup") or "") for pid in processes_of(kernel, group))
