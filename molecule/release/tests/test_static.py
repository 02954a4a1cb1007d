# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Static files around a switch: nginx keeps files open, and must never serve those of the release that it has left."""

from __future__ import annotations

import json
from pathlib import Path

from testinfra.host import Host

PROGRAM = Path(__file__).parents[3] / "tools/molecule/switch_static.py"
SWITCHES = 3000


def test_no_file_of_the_old_release_is_served_from_the_first_request_after_a_switch_on(host: Host) -> None:
    wanted = {"site": "/etc/nginx/sites-enabled/shop", "name": "shop", "host": "shop.test", "switches": SWITCHES}
    done = host.run("python3 -c %s %s", PROGRAM.read_text(encoding="utf-8"), json.dumps(wanted))
    assert done.rc == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["requests"] == SWITCHES * 5
    assert found["stale"] == 0, found["first"]
