# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read how much memory the host has, and how much of it services use. Private to flaskops.stack."""

from __future__ import annotations

import re

from .._system.host import Kernel

_CGROUPS = "/sys/fs/cgroup"


def memory_of_host(kernel: Kernel, field: str) -> int | None:
    """Return a figure of /proc/meminfo in bytes, such as MemAvailable, what is available without swapping."""
    found = re.search(rf"^{field}:\s+(\d+) kB$", kernel.read("/proc/meminfo") or "", re.MULTILINE)
    return int(found.group(1)) * 1024 if found else None


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


def used_memory(kernel: Kernel, group: str) -> int:
    """Return the memory of a cgroup; summed over its processes where there is no accounting (cgroup v1, containers)."""
    path = _CGROUPS + group
    if group and kernel.exists(f"{path}/memory.current"):
        return parse_used(
            (kernel.read(f"{path}/memory.current") or "").strip(), kernel.read(f"{path}/memory.stat") or ""
        )
    return sum(parse_own(kernel.read(f"/proc/{pid}/smaps_rollup") or "") for pid in processes_of(kernel, group))
