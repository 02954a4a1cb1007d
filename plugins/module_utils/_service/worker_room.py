# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many workers the memory of a host has room for. Private to flaskops.stack.

The deploy decides it before it starts a release, and writes it into the release, where gunicorn.conf.py reads it.
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass

FILE = "workers.json"
# Bytes that a worker is taken to use as long as none of the application has been measured.
UNKNOWN = 32 << 20
# During a deploy two releases run side by side.
_RELEASES = 2
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_SIZE = re.compile(r"([0-9]+)([KMGT]?)")

# Appended to the configuration after the release's id was made, as what marks its workers is.
_TEXT = '''

def _room():
    """Return how many workers the memory of the host has room for, as the deploy has found."""
    import json

    try:
        with open(_RELEASE + "/{file}", encoding="utf-8") as stream:
            return max(1, int(json.load(stream)["most"]))
    except (OSError, ValueError, KeyError, TypeError):
        return workers


if not _os.environ.get("WEB_CONCURRENCY", "").strip("0").isdigit():
    workers = min(workers, _room())
'''


@dataclass(frozen=True)
class Room:
    """How many workers of one instance there is room for, and what that was decided by."""

    most: int
    # The bytes that a worker was taken to use, with its share of the master.
    worker: int
    # Whether that was measured, with a release of the application.
    known: bool = False
    # What a worker of this release has used when all had loaded; 0 before.
    measured: int = 0

    def to_json(self) -> str:
        """Return the text of the file in the release."""
        return json.dumps(vars(self), sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Room | None:
        """Return what a file says; None when it says nothing of use."""
        try:
            values = json.loads(text)
            return cls(int(values["most"]), int(values["worker"]), bool(values["known"]), int(values["measured"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            return None


def with_room(conf: str, workers: int) -> str:
    """Return the text of gunicorn.conf.py with the limit by memory, where the host decides how many C(workers)."""
    return conf if workers else conf + _TEXT.format(file=FILE)


def find_room(total: int, applications: int, instances: int, memory_max: str, worker: int) -> Room:
    """Return how many workers an instance may have.

    Half of the memory is for the applications, in equal parts, so that a deploy has the other half: its release runs
    beside the old one. What C(memory_max) allows to an instance is its own.
    """
    share = total // _RELEASES // max(applications, 1) // max(instances, 1)
    allowed = _bytes(memory_max, total)
    share = min(share, allowed) if allowed else share
    each = worker or UNKNOWN
    return Room(max(1, share // each), each, bool(worker))


def _bytes(size: str, total: int) -> int:
    """Return the bytes of a size as systemd reads it; 0 for none."""
    if size.endswith("%"):
        return int(total * float(size[:-1]) / 100)
    found = _SIZE.fullmatch(size)
    return int(found[1]) << _UNITS[found[2]] if found else 0


def explain_room(room: Room, total: int, applications: int) -> str:
    """Return how many workers there are, and why not more."""
    mib = 1 << 20
    others = f" and {applications} applications" if applications > 1 else ""
    each = f"{'uses' if room.known else 'is taken to use'} {max(room.worker // mib, 1)} MiB"
    workers = "1 worker" if room.most == 1 else f"{room.most} workers"
    return f"{workers} an instance, as many as there is memory for: one {each}, on a host of {total // mib} MiB{others}"


def largest(found: t.Iterable[Room | None]) -> int:
    """Return the most that a worker has used; 0 when none was measured."""
    return max((room.measured for room in found if room), default=0)
