# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Swap sites back and forth while others run `nginx -t`, and count what failed. Runs inside the test host, as root.

All names stay, so that each of these tests must find each of them at every instant.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
from pathlib import Path

from tools.faults.inject.injector import PROGRESS
from tools.faults.inject.module import Module

ENABLED = Path("/etc/nginx/sites-enabled")
READERS = 2
# So many that reading the directory takes its time.
FOREIGN = 300
SITES = ("aa", "mm", "zz")


def site(name: str, text: str) -> str:
    """Return a site with one of its two texts."""
    return f'server {{ listen 80; server_name {name}.example.com; location / {{ return 200 "{text}"; }} }}\n'


class Reader(threading.Thread):
    """A program that tests the configuration again and again."""

    def __init__(self, end: threading.Event) -> None:
        super().__init__()
        self.tests = 0
        self.failures: list[str] = []
        self._end = end

    def run(self) -> None:
        """Test until the end, and keep what nginx says of a failure."""
        while not self._end.is_set():
            done = subprocess.run(["nginx", "-t"], capture_output=True, text=True, check=False)
            self.tests += 1
            if done.returncode != 0:
                self.failures.append(done.stderr.strip()[-500:])


def swap(module: Module, text: str) -> str:
    """Change all sites in one run; return what is wrong with its result."""
    return module.run({"sites": [{"name": name, "content": site(name, text)} for name in SITES], "keep": 2}).failure


def main() -> int:
    """Swap, and print the counts as JSON in the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("swaps", type=int)
    arguments = parser.parse_args()
    for number in range(FOREIGN):
        (ENABLED / f"foreign{number:03}").write_text("# A foreign site.\n")
    module, end = Module("nginx_site"), threading.Event()
    wrong = [text for text in (swap(module, "one"), swap(module, "two")) if text]
    readers = [Reader(end) for _number in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        for number in range(arguments.swaps):
            wrong += filter(None, [swap(module, ("one", "two")[number % 2])])
            print(f"{PROGRESS}{number + 1} of {arguments.swaps} swaps", flush=True)
    finally:
        end.set()
        for reader in readers:
            reader.join()
    failures = [text for reader in readers for text in reader.failures]
    tests = sum(reader.tests for reader in readers)
    print(json.dumps({"tests": tests, "swaps": arguments.swaps, "failures": failures, "wrong": wrong}))
    return 1 if failures or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
