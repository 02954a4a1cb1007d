# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An exclusive lock on a file, with a record of its owner. Private to flaskops.stack."""

from __future__ import annotations

import fcntl
import json
import os
import time
import typing as t
from contextlib import suppress
from dataclasses import asdict, dataclass
from types import TracebackType

from .files import check_directories, utc_now


class LockedError(OSError):
    """Another run holds the lock."""


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
        """Parse the content of a lock file; return an unknown owner when it cannot be read."""
        try:
            values = json.loads(text)
            return cls(int(values["pid"]), str(values["who"]), str(values["since"]), str(values["what"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            return cls()

    def __str__(self) -> str:
        """Return it in words."""
        if not self.pid:
            return "another process"
        return f"{self.who or 'an unknown user'}, process {self.pid}, since {self.since}" + (
            f", for: {self.what}" if self.what else ""
        )


def this_owner(what: str, by: str = "") -> LockOwner:
    """Return this process as the owner; C(by) is the user on the controller, as far as that is known."""
    return LockOwner(os.getpid(), caller(by, os.environ), utc_now(), what)


def caller(by: str, environ: t.Mapping[str, str]) -> str:
    """Return the user of this run: on the controller, and on this host when it is not root.

    sudo(8) tells who called it, and sshd(8), when nothing lies between, from where.
    """
    login = environ.get("SUDO_USER") or ""
    address = (environ.get("SSH_CONNECTION") or "").split(" ")[0]
    here = " ".join([*([f"as {login}"] if login else []), *([f"from {address}"] if address else [])])
    if by:
        return f"{by} ({here})" if here else by
    return here[len("as ") :] if login else f"root {here}".strip()


def lock_owner(path: str) -> LockOwner | None:
    """Return the owner of the lock C(path) at this moment, None when it is free, without taking it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        # A shared lock for an instant, which delays no other run.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return read_lock_owner(descriptor)
    finally:
        os.close(descriptor)


def read_lock_owner(descriptor: int) -> LockOwner:
    """Return the owner that an open lock file names."""
    return LockOwner.from_text(os.pread(descriptor, 4096, 0).decode("utf-8", "replace"))


class Lock:
    """An exclusive lock on a file, held by the open file and therefore freed by any kind of death."""

    def __init__(self, path: str, timeout: float, what: str = "", by: str = "") -> None:
        """Take the lock file, how many seconds to wait for another owner, and what to record of this one."""
        self._path = path
        self._timeout = timeout
        self._what = what
        self._by = by
        self._descriptor = -1

    def __enter__(self) -> Lock:
        """Take the lock; raise LockedError when another run holds it for longer than the timeout."""
        check_directories([os.path.dirname(self._path)])
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        # O_NOFOLLOW: the file may be in a directory that others can write.
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            self._wait()
        except BaseException:
            os.close(self._descriptor)
            raise
        self._write(this_owner(self._what, self._by).to_text())
        return self

    def _wait(self) -> None:
        deadline = time.monotonic() + self._timeout
        while not self._try():
            if time.monotonic() > deadline:
                owner = read_lock_owner(self._descriptor)
                raise LockedError(
                    f"{self._path} is held by another run ({owner}), and was not freed within "
                    f"{self._timeout:g} s: wait for that run to end; if it hangs, end its process, which frees the lock"
                )
            time.sleep(0.05)

    def _try(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as exc:
            raise OSError(
                exc.errno, f"cannot be locked ({exc.strerror}): use a file system with locks", self._path
            ) from exc
        return True

    def _write(self, text: str) -> None:
        # The record is only informative: a full disk must not fail the work under the lock.
        with suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, text.encode(), 0)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the lock."""
        self._write("")
        os.close(self._descriptor)
