# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command has left running in the background ends with what it was run for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ansible_collections.flaskops.stack.plugins import module_utils

# A process that leaves its session, its group and its parent, and has a child of its own, as a daemon does.
DAEMON = """
import os, sys, time
for _generation in range(int(sys.argv[2])):
    if os.fork():
        os._exit(0)
    os.setsid()
with open(sys.argv[1], "w") as stream:
    stream.write("begin")
    stream.flush()
    os.fork()
    time.sleep(60)
"""
PROGRAM = """
import os, subprocess, sys, time
from ansible_collections.flaskops.stack.plugins.module_utils._orphans import Orphans
started = time.monotonic()
with Orphans() as orphans:
    orphans.end()
    assert time.monotonic() - started < 0.1, "a wait for nobody"
    for _time in range(2):
        subprocess.run([sys.executable, "-c", sys.argv[1], sys.argv[2], sys.argv[3]], check=True)
        while not os.path.exists(sys.argv[2]) or not os.path.getsize(sys.argv[2]):
            time.sleep(0.01)
        if sys.argv[4] == "early":
            orphans.end()
            os.unlink(sys.argv[2])
print(os.getpid())
"""


def run(path: Path, generations: int, when: str) -> None:
    top = str(Path(module_utils.__path__[0]).parents[4])
    words = [sys.executable, "-c", PROGRAM, DAEMON, str(path), str(generations), when]
    done = subprocess.run(
        words, env={**os.environ, "PYTHONPATH": top}, timeout=30, check=False, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr


def holders(path: Path) -> list[str]:
    """Return the processes that have the file's name on their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(path).encode() in words:
            found.append(pid)
    return found


def test_daemons_end_when_they_are_told_to(tmp_path: Path) -> None:
    run(tmp_path / "held", 2, "early")
    assert holders(tmp_path / "held") == []


def test_daemons_end_with_the_block(tmp_path: Path) -> None:
    run(tmp_path / "held", 1, "late")
    assert holders(tmp_path / "held") == []
