# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The system calls of a run, as strace writes them, and which of them are worth a fault. Pure."""

from __future__ import annotations

import collections
import re
import types
import typing as t
import zlib

# File, link, rename, sync and process calls. What only looks is in READS.
CHANGES = (
    "creat,write,pwrite64,rename,renameat,renameat2,symlink,symlinkat,link,linkat,unlink,unlinkat,mkdir,mkdirat,"
    "rmdir,fsync,fdatasync,syncfs,sync,truncate,ftruncate,fchown,chown,lchown,fchownat,fchmod,chmod,fchmodat,utime,"
    "utimes,utimensat,setxattr,fsetxattr,lsetxattr,flock,kill,tgkill,clone,clone3,fork,vfork"
)
READS = "openat,open"
_LINE = re.compile(r"^(\w+)\((.*)$")
_FAILED = re.compile(r"\) += -1 E[A-Z]+ \([^()]*\)$")
# The interpreter reads its own library where and when it likes; that is no step of the module. The code that the host
# keeps is one: it may be damaged.
_PYTHON = re.compile(
    r'"(?!/usr/local/lib/flaskops/)[^"]*'
    r'(?:\.py|\.pyc|\.so[.\d]*|/__pycache__|/(?:python3[^"/]*|lib-dynload|ld\.so\.cache))"'
)
# What only waits for a command: to be killed there leaves the command at work alone. Such a call has no error to give.
WAITS = "poll,wait4"
KILL = "signal=KILL"
# What these errors mean cannot happen to a call that only reads.
_OF_WRITING = ("error=ENOSPC", "error=EROFS")
# What changes nothing that outlives the process, as long as the host has power; and calls that change nothing when
# they fail.
_OF_POWER = ("fsync", "fdatasync", "syncfs", "sync")
_OF_NAMES = ("mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "symlink", "link")


class Point(t.NamedTuple):
    """One system call of a run: its name, its number among those of this name, and its arguments."""

    call: str
    number: int
    text: str
    # Whether it failed by itself when it was looked at.
    failed: bool = False

    @property
    def changes_nothing(self) -> bool:
        """Tell whether the host is after the call as it was before."""
        return (self.reads and "O_TRUNC" not in self.text) or self.call in _OF_POWER or self.is_in_vain

    @property
    def is_in_vain(self) -> bool:
        """Tell whether it only finds that there is nothing to do."""
        return self.failed and self.call in _OF_NAMES

    @property
    def reads(self) -> bool:
        """Tell whether the call only opens something for reading."""
        return self.call in READS.split(",") and not re.search(r"O_CREAT|O_WRONLY|O_RDWR", self.text)

    def fails_with(self, fault: str) -> bool:
        """Tell whether a fault is one that the call can meet."""
        if self.call in WAITS.split(","):
            return not fault.startswith("error=")
        return not (self.reads and fault in _OF_WRITING)


def points_in(trace: str) -> list[Point]:
    """Return the calls in what strace has written.

    Those by which Python reads its own library are left out. Of calls that read the same again, with no change between,
    as a run does that waits for something, the first one counts.
    """
    counts: collections.Counter[str] = collections.Counter()
    read: set[str] = set()
    found = []
    for match in filter(None, map(_LINE.match, trace.splitlines())):
        call, text = match.groups()
        counts[call] += 1
        point = Point(call, counts[call], text[:150], bool(_FAILED.search(text)))
        if not point.reads:
            read.clear()
        elif _PYTHON.search(text) or text in read:
            continue
        read.add(text)
        found.append(point)
    return found


def distinct(points: t.Iterable[Point], worth: t.Callable[[Point], bool]) -> list[Point]:
    """Return the points worth a fault at which a kill finds different states.

    A kill comes before its call. Where that changes nothing, and nothing else is done before the next point, the one
    at the next point finds the same state and stands for both.
    """
    found: list[Point] = []
    same = False
    for point in points:
        if worth(point):
            if same:
                found.pop()
            found.append(point)
            same = point.changes_nothing
        else:
            same = same and point.changes_nothing
    return found


def spread(
    points: t.Iterable[Point], every: int, first: int, rare: t.Mapping[str, int] = types.MappingProxyType({})
) -> list[Point]:
    """Return each n-th point, and of calls in C(rare) so many times fewer.

    Counted are those of the same call: a host that opens one file more than another still takes the same turn at what
    both do, so that hosts with different turns meet all of it.
    """
    counts: collections.Counter[str] = collections.Counter()
    found = []
    for point in points:
        step = every * rare.get(point.call, 1)
        if (counts[point.call] + zlib.crc32(point.call.encode())) % step == first % step:
            found.append(point)
        counts[point.call] += 1
    return found
