# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Swap a site back and forth under constant traffic and count what visitors lose. Runs inside the test host, as root.

A visitor with a connection of its own for each request must lose nothing. One that keeps its connection may find it
closed by a reload, idle or, before nginx 1.27.4, with its request already on the way; it then does what every browser
and proxy does, and asks again on a new connection. How often each of that happens is the result.
"""

from __future__ import annotations

import argparse
import collections
import http.client
import json
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

EMPTY: collections.Counter[str] = collections.Counter()
MODULE = [sys.executable, "-m", "ansible_collections.flaskops.stack.plugins.modules.nginx_site"]


def site(text: str) -> str:
    """Return the site with one of its two texts."""
    return f'server {{ listen 80; server_name load.example.com; location / {{ return 200 "{text}"; }} }}\n'


def swap(text: str) -> str:
    """Run the module; return what is wrong with its result."""
    params = {"name": "load", "content": site(text), "keep": 2}
    stdin = json.dumps({"ANSIBLE_MODULE_ARGS": params})
    done = subprocess.run(MODULE, input=stdin, capture_output=True, text=True, check=False)
    try:
        result = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return done.stderr[-500:]
    return "" if result.get("reload", {}).get("proved") else str(result.get("msg", "not proved"))


class Visitor(threading.Thread):
    """Asks again and again until told to stop."""

    def __init__(self, keep: bool) -> None:
        """Say whether the connection is kept."""
        super().__init__(daemon=True)
        self.counts: collections.Counter[str] = collections.Counter()
        self.stop = False
        self._keep = keep
        self._connection = self._connect()

    @staticmethod
    def _connect() -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", 80, timeout=5)

    def run(self) -> None:
        """Ask."""
        while not self.stop:
            self.counts[self._ask()] += 1
            time.sleep(0.002)

    def _ask(self) -> str:
        used = self._connection.sock is not None
        try:
            return self._once()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            if not used:
                return "lost"
        try:
            self._once()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return "lost"
        return "asked again"

    def _once(self) -> str:
        header = {} if self._keep else {"Connection": "close"}
        self._connection.request("GET", "/", headers={"Host": "load.example.com", **header})
        answer = self._connection.getresponse()
        body = answer.read()
        if not self._keep:
            self._connection.close()
        return "answered" if answer.status == 200 and body in (b"one", b"two") else f"wrong {answer.status}"


def workers() -> list[str]:
    """Return the titles of nginx's workers."""
    master = Path("/run/nginx.pid").read_text().strip()
    done = subprocess.run(["ps", "-o", "args=", "--ppid", master], capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if "worker process" in line]


def memory() -> int:
    """Return the resident kibibytes of nginx's master."""
    status = Path(f"/proc/{Path('/run/nginx.pid').read_text().strip()}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def main() -> int:
    """Swap, and print the counts as JSON in the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("swaps", type=int)
    arguments = parser.parse_args()
    wrong = [swap("one"), swap("two")]
    before, held = len(workers()), memory()
    visitors = {name: [Visitor(keep=name == "kept") for _number in range(2)] for name in ("new", "kept")}
    for visitor in [one for group in visitors.values() for one in group]:
        visitor.start()
    started = time.monotonic()
    wrong += [swap("two" if number % 2 else "one") for number in range(arguments.swaps)]
    seconds = time.monotonic() - started
    for visitor in [one for group in visitors.values() for one in group]:
        visitor.stop = True
        visitor.join()
    time.sleep(1)
    result = {
        "swaps": arguments.swaps,
        "seconds": round(seconds, 1),
        "requests": {name: dict(sum((one.counts for one in group), EMPTY)) for name, group in visitors.items()},
        "workers": {"before": before, "after": len(workers()), "kib_before": held, "kib_after": memory()},
        "wrong": [text for text in wrong if text],
    }
    lost = losses(result)
    print(json.dumps({**result, "lost": lost}))
    return 1 if lost or result["wrong"] else 0


def losses(result: dict[str, t.Any]) -> list[str]:
    """Return what visitors lost, and what did not become as it was."""
    good = ("answered", "asked again")
    found = [
        f"{count} requests on {name} connections: {what}"
        for name, counts in result["requests"].items()
        for what, count in counts.items()
        if what not in good
    ]
    state = result["workers"]
    if state["after"] != state["before"]:
        found.append(f"{state['after']} workers after {state['before']}")
    if state["kib_after"] > 2 * state["kib_before"]:
        found.append(f"nginx's master grew from {state['kib_before']} to {state['kib_after']} KiB")
    return found


if __name__ == "__main__":
    sys.exit(main())
