# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words in which the stories about nginx_site are told: what a site is, what a refusal is, what no trace is."""

from __future__ import annotations

import re
import typing as t

from tools.faults.nginx.host import NginxTestHost

Story = t.Callable[[NginxTestHost], None]
STORIES: list[Story] = []
AVAILABLE, ENABLED = "/etc/nginx/sites-available", "/etc/nginx/sites-enabled"


def story(function: Story) -> Story:
    """List a story."""
    STORIES.append(function)
    return function


def site(name: str, text: str = "one", listen: str = "80", more: str = "") -> str:
    """Return a site that answers with a text."""
    lines = [f"listen {listen};", f"server_name {name}.example.com;", more, f'location / {{ return 200 "{text}"; }}']
    return "server {\n  " + "\n  ".join(lines) + "\n}\n"


def tree(host: NginxTestHost) -> str:
    """Return a picture of everything that nginx's directory holds, and of what a test might leave elsewhere."""
    return host.sh(
        "cd /etc/nginx; find . \\( -type f -exec sha256sum {} + \\) -o \\( -type l -printf '%p -> %l\\n' \\) "
        "-o -printf '%p %y\\n' | sort; find /var/lib/flaskops | sort; "
        "ls -d /run/flaskops-* 2>/dev/null || :; "
        "ls -lA /var/log/nginx /var/lib/nginx /run | grep -v '^total\\| flaskops' | awk '{print $1,$3,$4,$NF}'"
    )


def names(host: NginxTestHost) -> set[str]:
    """Return the names in the directory of enabled sites."""
    return set(host.sh(f"ls -A {ENABLED}").split())


def ok(result: dict[str, t.Any], changed: bool | None = None) -> dict[str, t.Any]:
    """Return a result that is no failure."""
    assert not result.get("failed"), result.get("msg")
    if changed is not None:
        assert result["changed"] is changed, result
    return result


def refused(result: dict[str, t.Any], *words: str) -> str:
    """Return the message of a result that is a failure and names the words."""
    assert result.get("failed"), result
    message = str(result["msg"])
    for word in words:
        assert re.search(word, message), f"{word!r} is not in: {message}"
    return message


def unchanged_by(host: NginxTestHost, call: t.Callable[[], dict[str, t.Any]], *words: str) -> str:
    """Make a call that must be refused and must leave no trace."""
    before = tree(host)
    message = refused(call(), *words)
    after = tree(host)
    assert before == after, f"{before}\n---\n{after}"
    return message


def reset(host: NginxTestHost) -> None:
    """Bring nginx back to what its package installs, and wait until it runs so."""
    host.sh(
        "rm -rf /var/lib/flaskops /run/flaskops /run/flaskops-*; cd /etc/nginx; "
        "rm -rf sites-enabled sites-available/*@* extra conf.d/* modules-enabled/*; "
        "mkdir sites-enabled; ln -s /etc/nginx/sites-available/default sites-enabled/default; "
        "test -e /opt/nginx.orig || cp -a /etc/nginx /opt/nginx.orig; "
        "cp /opt/nginx.orig/nginx.conf .; cp /opt/nginx.orig/sites-available/default sites-available/; "
        "rm -rf /var/log/nginx/new* /var/lib/nginx/cache /var/lib/nginx/fresh; truncate -s 0 /var/log/nginx/error.log"
    )
    host.server("restart")


def hold_port(host: NginxTestHost) -> None:
    """Let another process listen on port 8099 for a while; its process id is in a file."""
    lines = ["import socket, time", "s = socket.create_server(('0.0.0.0', 8099))", "open('/opt/held', 'w')"]
    host.write("/opt/holder.py", "\n".join([*lines, "time.sleep(300)"]))
    host.sh("rm -f /opt/held; python3 /opt/holder.py >/dev/null 2>&1 & echo $! > /opt/holder")
    host.sh("i=0; while [ ! -e /opt/held ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done; [ -e /opt/held ]")
