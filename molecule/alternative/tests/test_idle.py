# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application that sleeps (idle: 10s): its processes end, and requests that come meanwhile are answered."""

from __future__ import annotations

import json
from pathlib import Path

from testinfra.host import Host

from tools.molecule.protocols import Eventually, ReleaseOf, Shell, Visit

PROGRAM = Path(__file__).parents[3] / "tools/molecule/idle_edge.py"
CYCLES = 5


def test_no_request_is_lost_while_it_falls_asleep(host: Host, release_of: ReleaseOf) -> None:
    unit = f"key@{release_of('key')}.service"
    wanted = {"host": "key.test", "unit": unit, "idle": 10, "cycles": CYCLES, "targets": ["/text"] * 6}
    done = host.run("python3 -c %s %s", PROGRAM.read_text(encoding="utf-8"), json.dumps(wanted))
    assert done.rc == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["requests"] == 1 + CYCLES * 6
    assert found["failed"] == 0, found["first"]


def test_it_takes_no_memory_without_requests(
    sh: Shell, visit: Visit, release_of: ReleaseOf, eventually: Eventually
) -> None:
    unit = f"key@{release_of('key')}"
    eventually(lambda: sh(f"systemctl show --property ActiveState --value {unit}.service") == "inactive", 30)
    assert sh(f"systemctl show --property Result --value {unit}.service") == "success"
    assert sh(f"systemctl is-active {unit}.socket") == "active"
    assert visit("key.test", "/text").status == 200
    assert sh(f"systemctl is-active {unit}.service") == "active"
