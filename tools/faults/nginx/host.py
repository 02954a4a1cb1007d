# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test host with nginx, as the stories use it: the server, a visitor, and module nginx_site."""

from __future__ import annotations

import typing as t

from tools.faults.payload import PYTHON, arguments, result_of
from tools.lab.host import Host


class NginxTestHost(Host):
    """A host with nginx."""

    def __init__(self, name: str, method: str = "namespace") -> None:
        """Say how nginx_site validates on it."""
        super().__init__(name)
        self.method = method

    def server(self, verb: str) -> None:
        """Start, stop, restart or reload nginx, with systemd or by hand."""
        wait = "i=0; while pgrep -x nginx >/dev/null && [ $i -lt 100 ]; do sleep 0.05; i=$((i+1)); done"
        # By its path: an exchange of the binary (USR2) runs the words that nginx was started with.
        by_hand = {
            "start": "/usr/sbin/nginx",
            "stop": f"! pgrep -x nginx >/dev/null || nginx -s stop; {wait}; rm -f /run/nginx.pid",
            "reload": "nginx -s reload; sleep 0.5",
        }
        by_hand["restart"] = f"{by_hand['stop']}; {by_hand['start']}"
        systemd = f"systemctl reset-failed nginx; systemctl {verb} nginx"
        self.sh(f"if [ -d /run/systemd/system ]; then {systemd}; else {by_hand[verb]}; fi")

    def module(self, check: bool = False, diff: bool = False, **params: t.Any) -> dict[str, t.Any]:
        """Run nginx_site and return its result."""
        words = arguments(check, diff, params)
        return result_of(self.run(*PYTHON, "-m", "tools.faults.inject.module", "nginx_site", stdin=words, check=False))

    def get(self, host: str, path: str = "/", port: int = 80) -> str:
        """Return the status and body that nginx answers for a host name, or the error."""
        return self.run("python3", "-c", _GET, host, str(port), path, check=False).out.strip()


_GET = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[2]), timeout=5)
try:
    connection.request("GET", sys.argv[3], headers={"Host": sys.argv[1], "Connection": "close"})
    answer = connection.getresponse()
    print(answer.status, answer.read(2000).decode("utf-8", "replace"))
except OSError as exc:
    print("error:", exc)
"""
