# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse to begin what a file system that is mounted read-only would stop in the middle. Private to flaskops.stack."""

from __future__ import annotations

import os
import re
import typing as t


class ReadOnlyError(OSError):
    """A directory in which nothing can be changed."""


def refuse_read_only(paths: t.Iterable[str], mountinfo: str = "/proc/self/mountinfo") -> None:
    """Raise ReadOnlyError for the first path, made or not made yet, that is on a file system mounted read-only."""
    for path in paths:
        place = _existing(path)
        if os.statvfs(place).f_flag & os.ST_RDONLY:
            mount = _mount_point(os.path.realpath(place), mountinfo)
            raise ReadOnlyError(
                f"{path} cannot be changed, because the file system at {mount} is mounted read-only: make it writable "
                f"('mount -o remount,rw {mount}' on the host), and run this again. If nobody mounted it "
                "read-only, the kernel did, after an error of the disk: see dmesg"
            )


def _existing(path: str) -> str:
    while path and not os.path.exists(path):
        path = os.path.dirname(path)
    return path or "/"


def _mount_point(path: str, mountinfo: str) -> str:
    """Return where the file system is mounted; C(os.path.ismount) sees no directory that is mounted on itself."""
    try:
        with open(mountinfo, encoding="utf-8", errors="surrogateescape") as stream:
            points = [_decoded(line.split(" ", 5)[4]) for line in stream]
    except (OSError, IndexError):
        points = []
    return max((point for point in points if f"{path}/".startswith(f"{point.rstrip('/')}/")), key=len, default="/")


def _decoded(text: str) -> str:
    r"""Return a path of mountinfo, in which a space is C(\040)."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
