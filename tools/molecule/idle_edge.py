# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask an application at random moments around the one at which it falls asleep.

Runs on a test host, with its Python alone.

usage: idle_edge.py '{"host": "shop.test", "unit": "shop@….service", "idle": 10, "cycles": 20}'
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
import typing as t
from random import SystemRandom

# Seconds before and after the first moment at which it may end: it looks once in a second, and needs another to end.
BEFORE, AFTER = 0.2, 2.3
_DICE = SystemRandom()
BODY = b"x" * 50_000


def ask(host: str, target: str, body: bytes, failures: list[str]) -> None:
    """Send a request, and note when it was not answered as it should be."""
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=60)
    try:
        connection.request("POST" if body else "GET", target, body or None, {"Host": host})
        answer = connection.getresponse()
        answer.read()
        if answer.status not in (200, 405):
            failures.append(f"{target}: {answer.status}")
    except OSError as exc:
        failures.append(f"{target}: {exc}")
    finally:
        connection.close()


def state_of(unit: str) -> str:
    """Return what systemd says of the service."""
    done = subprocess.run(["systemctl", "is-active", unit], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def burst(host: str, targets: t.Sequence[str], failures: list[str]) -> int:
    """Send some requests at once, some of them with a body, and wait for their answers."""
    threads = []
    for number, target in enumerate(targets):
        body = BODY if number % 2 else b""
        threads.append(threading.Thread(target=ask, args=(host, target, body, failures)))
        threads[-1].start()
        time.sleep(_DICE.uniform(0, 0.03))
    for thread in threads:
        thread.join()
    return len(threads)


def main() -> None:
    """Count requests, those that failed, and what the service was doing when they came."""
    wanted = json.loads(sys.argv[1])
    failures: list[str] = []
    seen: dict[str, int] = {}
    requests = burst(wanted["host"], ["/"], failures)
    for _cycle in range(wanted["cycles"]):
        time.sleep(wanted["idle"] + _DICE.uniform(-BEFORE, AFTER))
        state = state_of(wanted["unit"])
        seen[state] = seen.get(state, 0) + 1
        requests += burst(wanted["host"], wanted.get("targets", ["/"] * 6), failures)
    print(json.dumps({"requests": requests, "failed": len(failures), "first": failures[:3], "states": seen}))


if __name__ == "__main__":
    main()
