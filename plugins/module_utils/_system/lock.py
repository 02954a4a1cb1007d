# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds a lock, since when and for what: the content of a lock file. Private to flaskops.stack."""

from __future__ import annotations

import fcntl
import json
import os
import typing as t
from dataclasses import asdict, dataclass

from .clock import utc_now


@dataclass(frozen=True)
class LockOwner:
    """The run that has a lock; without a process it is not known."""

    pid: int = 0
    who: str = ""
    since: str = ""
    what: str = ""

    def to_text(self) -> str:
        """Return the content of the lock file."""
        return json.dumps(asdict(self), sort_keys=True) + "\n"

    @classmethod
    def from_text(cls, text: str) -> LockOwner:
        """Return what the content of a lock file says; a holder without a name when it cannot be read."""
        try:
            values = json.loads(text)
            return cls(int(values["pid"]), str(values["who"]), str(values["since"]), str(values["what"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            return cls()

    def __str__(self) -> str:
        """Return it in words."""
        if not self.pid:
            return "another process"
        return f"{self.who or 'somebody'}, process {self.pid}, since {self.since}" + (
            f", for: {self.what}" if self.what else ""
        )


def this_owner(what: str, by: str = "") -> LockOwner:
    """Return this process as a holder; C(by) is who asked for it on the controller, as far as that is known."""
    return LockOwner(os.getpid(), caller(by, os.environ), utc_now(), what)


def caller(by: str, environ: t.Mapping[str, str]) -> str:
    """Return for whom this process works: the user of the controller, and of this host when that is another than root.

    sudo(8) tells who called it, and sshd(8), when nothing lies between, from where.
    """
    login = environ.get("SUDO_USER") or ""
    address = (environ.get("SSH_CONNECTION") or "").split(" ")[0]
    here = " ".join([*([f"as {login}"] if login else []), *([f"from {address}"] if address else [])])
    if by:
        return f"{by} ({here})" if here else by
    return here[len("as ") :] if login else f"root {here}".strip()


def lock_owner(path: str) -> LockOwner | None:
    """Return who holds the lock C(path) at this moment, None when nobody does: for those who only want to know."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        # A shared lock, and for an instant: it stands in nobody's way who asks again.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return read_lock_owner(descriptor)
    finally:
        os.close(descriptor)


def read_lock_owner(descriptor: int) -> LockOwner:
    """Return the holder whom an open lock file names."""
    return LockOwner.from_text(os.pread(descriptor, 4096, 0).decode("utf-8", "replace"))
