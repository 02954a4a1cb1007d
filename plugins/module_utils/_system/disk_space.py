# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out which file system is full. Private to flaskops.stack."""

from __future__ import annotations

import errno
import os
import re
import typing as t

from .._input.redact import mask_urls

_FULL = re.compile("No space left on device|Disk quota exceeded")


def explain_full_disk(exc: BaseException, paths: t.Sequence[str]) -> str:
    """Return which of the file systems with C(paths) is full and what to do; empty when it was another failure."""
    full = isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT)
    if not full and not _FULL.search(str(exc)):
        return ""
    said = next((line.strip() for line in str(exc).splitlines() if _FULL.search(line)), "")
    mount, free = min((_free_space(path) for path in paths), key=lambda found: found[1])
    return (
        f"the disk is full: the file system at {mount} has {free // 2**20} MiB free, and the release needs more. "
        f"Remove what is not needed there, lower 'keep', or enlarge it. It was said: {mask_urls(said)[-300:]}"
    )


def _free_space(path: str) -> tuple[str, int]:
    while not os.path.exists(path):
        path = os.path.dirname(path)
    status = os.statvfs(path)
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path, status.f_bavail * status.f_frsize
