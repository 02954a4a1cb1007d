# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx_site asks a host for: commands, systemd, the clock and nginx's processes. Private to flaskops.stack."""

from __future__ import annotations

import glob
import os
import shutil
import signal
import time
import typing as t

from .._system.command import Commands, Result, run
from .._system.files import read_file
from .._system.systemd import Systemd, is_running


class NginxHost:
    """The host itself; tests hand in one of their own."""

    _systemd = Systemd(Commands())

    # Commands

    def find_program(self, name: str) -> str | None:
        """Return the path of a program, None when there is none."""
        return shutil.which(name)

    def run(self, argv: t.Sequence[str], timeout: float = 60, stdin: str | None = None) -> Result:
        """Run a command and return what it said; raise CommandError when it is missing or too slow."""
        return run(argv, timeout, stdin=stdin)

    # Clock

    def monotonic(self) -> float:
        """Return seconds since some moment."""
        return time.monotonic()

    def time(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    # systemd

    def has_systemd(self) -> bool:
        """Tell whether systemd is this host's init."""
        return is_running()

    def property_of(self, unit: str, name: str) -> str:
        """Return a property of a unit, '' for one that it does not have; raise CommandError when systemd fails."""
        return self._systemd.show([unit], [name]).get(unit, {}).get(name, "")

    def start_unit(self, unit: str) -> None:
        """Start a unit; raise CommandError, with systemd's words, when it does not start."""
        self._systemd.systemctl("start", [unit])

    def journal_tail(self, unit: str, lines: int, since: str) -> str:
        """Return the last lines that a unit has logged."""
        return self._systemd.journal_tail(unit, lines, since)

    # Processes

    def processes(self) -> t.Iterator[int]:
        """Yield the ids of all processes."""
        for path in glob.glob("/proc/[0-9]*"):
            yield int(path[len("/proc/") :])

    def title(self, pid: int) -> str:
        """Return the command line of a process as nginx has set it; '' when there is no such process."""
        try:
            return (read_file(f"/proc/{pid}/cmdline") or b"").replace(b"\0", b" ").decode("utf-8", "replace").strip()
        except OSError:
            return ""

    def children(self, pid: int) -> list[int]:
        """Return the children of a process."""
        try:
            children = read_file(f"/proc/{pid}/task/{pid}/children")
        except ProcessLookupError:
            return []
        if children is not None:
            return [int(word) for word in children.split()]
        # A kernel without this list (CONFIG_PROC_CHILDREN): ask every process for its parent.
        return [child for child in self.processes() if self.parent(child) == pid]

    def parent(self, pid: int) -> int:
        """Return the parent of a process; the second field of its state may hold blanks and brackets."""
        try:
            return int((read_file(f"/proc/{pid}/stat") or b"").rpartition(b")")[2].split()[1])
        except (OSError, IndexError):
            return 0

    def start_ticks(self, pid: int) -> int:
        """Return when a process was started, in clock ticks since boot; 0 when it is gone."""
        try:
            return int((read_file(f"/proc/{pid}/stat") or b"").rpartition(b")")[2].split()[19])
        except (OSError, IndexError):
            return 0

    def status(self, pid: int) -> str:
        """Return the state of a process as /proc tells it; '' when there is no such process."""
        try:
            return (read_file(f"/proc/{pid}/status") or b"").decode("utf-8", "replace")
        except OSError:
            return ""

    def directory(self, pid: int) -> str:
        """Return the working directory of a process."""
        try:
            return os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            return "/"

    def namespace(self, pid: int | str) -> str:
        """Return the namespace of process ids that a process is in; '' when it cannot be told."""
        try:
            return os.readlink(f"/proc/{pid}/ns/pid")
        except OSError:
            return ""

    def standard_error(self, pid: int) -> str:
        """Return the file that a process has as its standard error; '' when it is none."""
        try:
            path = os.readlink(f"/proc/{pid}/fd/2")
        except OSError:
            return ""
        return path if os.path.isfile(path) else ""

    def send_hup(self, pid: int) -> bool:
        """Send HUP to a process; return whether it is there."""
        try:
            os.kill(pid, signal.SIGHUP)
        except ProcessLookupError:
            return False
        return True
