# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host that a deploy works on: commands, systemd, clock, kernel and HTTP. Private to flaskops.stack.

Entry points make one and hand it down; tests hand in one that is simulated.
"""

from __future__ import annotations

import os
import threading
import time
import typing as t
from dataclasses import dataclass, field

from .command import Commands
from .files import read_file
from .systemd import Systemd

if t.TYPE_CHECKING:
    from .http import Answer


class Clock:
    """The clock, and the threads that wait by it."""

    def monotonic(self) -> float:
        """Return seconds since some moment."""
        return time.monotonic()

    def time(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def wait(self, event: threading.Event, seconds: float) -> None:
        """Wait until an event is set, and no longer than C(seconds)."""
        event.wait(seconds)

    def start_thread(self, run: t.Callable[[], None]) -> threading.Thread:
        """Run a function beside this one; raise RuntimeError when the host has no thread for it."""
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread


class Kernel:
    """The files of /proc and /sys."""

    def read(self, path: str, most: int = 65536) -> str | None:
        """Return a file's text, an empty one when there is no such file or process, None when it cannot be read."""
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                return stream.read(most)
        except (FileNotFoundError, ProcessLookupError):
            return ""
        except OSError:
            return None

    def exists(self, path: str) -> bool:
        """Tell whether there is such a file."""
        return os.path.exists(path)

    def processes(self) -> list[int] | None:
        """Return the ids of all processes; None when they cannot be listed."""
        try:
            return [int(name) for name in os.listdir("/proc") if name.isdigit()]
        except OSError:
            return None

    def unix_sockets(self) -> str:
        """Return the table of unix sockets; raise OSError when it cannot be read."""
        return (read_file("/proc/net/unix") or b"").decode("utf-8", "surrogateescape")


class Http:
    """Requests to applications."""

    def get(
        self, address: str, path: str, host: str, timeout: float, headers: t.Mapping[str, str] | None = None
    ) -> Answer:
        """GET C(path) from C(address); raise ProbeError when no complete answer comes."""
        # Imported late: maintenance, which makes no request, does without it.
        from .http import http_get

        return http_get(address, path, host, timeout, headers)


@dataclass(frozen=True)
class Host:
    """The host; tests hand in a simulated one."""

    commands: Commands = field(default_factory=Commands)
    clock: Clock = field(default_factory=Clock)
    kernel: Kernel = field(default_factory=Kernel)
    http: Http = field(default_factory=Http)

    @property
    def systemd(self) -> Systemd:
        """Return systemd."""
        return Systemd(self.commands)
