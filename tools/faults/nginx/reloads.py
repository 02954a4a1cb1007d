# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx_site must do when another program reloads nginx, or exchanges its binary, at the same time."""

from __future__ import annotations

import contextlib
import typing as t

from tools.faults.nginx.host import NginxTestHost
from tools.faults.nginx.story import hold_port, ok, refused, site, story, unchanged_by

# nginx needs 0.3 to 0.7 s to read it, as it does for many certificates or a slow name server.
_SLOW_LINES = 120_000
# Seconds between foreign reloads; 0 for one at the worst moment, which is tried several times.
_WORST = (0, 0, 0)


def _slow(host: NginxTestHost) -> None:
    """Make each load of nginx take its time, after it has read the sites."""
    script = f"for n in range({_SLOW_LINES}): print(f'key{{n}}.example.com value{{n}};')"
    head = "map_hash_max_size 262144; map_hash_bucket_size 128; map $host $slow { default x;"
    host.sh(f"{{ echo '{head}'; python3 -c \"{script}\"; echo '}}'; }} > /etc/nginx/sites-enabled/zz-slow")
    host.sh("nginx -s reload; sleep 2")


# A foreign SIGHUP: again and again, or once when the validation of a run is over and its change about to be made,
# so that the load reads the old configuration and is still under way when the run asks for its own.
_FOREIGN = """
import glob, os, signal, sys, time
master, pause = int(sys.argv[1]), float(sys.argv[2])
def staged(): return bool(glob.glob("/run/flaskops-nginx-*") or glob.glob("/tmp/flaskops-nginx-*"))
end = time.monotonic() + 60
while time.monotonic() < end:
    if pause:
        time.sleep(pause)
    else:
        while not staged(): time.sleep(0.001)
        while staged(): time.sleep(0.001)
    os.kill(master, signal.SIGHUP)
"""


@contextlib.contextmanager
def _foreign_reloads(host: NginxTestHost, pause: float) -> t.Iterator[None]:
    """Let another program send SIGHUP to nginx: at intervals, or, without a pause, at the worst moment."""
    host.write("/opt/foreign.py", _FOREIGN)
    command = f"python3 /opt/foreign.py $(cat /run/nginx.pid) {pause}"
    host.sh(f"{command} >/dev/null 2>&1 & echo $! > /opt/foreign; sleep 0.2")
    try:
        yield
    finally:
        host.sh("kill $(cat /opt/foreign); rm /opt/foreign*")


@story
def a_refused_load_is_not_hidden_by_foreign_reloads(host: NginxTestHost) -> None:
    """Workers of a load that was under way when ours was asked for prove nothing."""
    _slow(host)
    ok(host.module(name="shop", content=site("shop")))
    hold_port(host)
    wanted = [{"name": "shop", "content": site("shop", "two")}, {"name": "b", "content": site("b", listen="8099")}]
    try:
        for pause in (*_WORST, 0.3):
            with _foreign_reloads(host, pause):
                tolerated = host.module(sites=wanted, tolerate=["socket_in_use"])
                refused(tolerated, r"bind\(\) to 0.0.0.0:8099 failed", "previous configuration")
            assert host.get("shop.example.com") == "200 one"
            assert not host.sh("ls /var/lib/flaskops/nginx_site/*.json 2>/dev/null || :")
    finally:
        host.sh("kill $(cat /opt/holder)")


@story
def a_load_is_proved_amid_foreign_reloads(host: NginxTestHost) -> None:
    """What is reported as proved is what visitors get from that moment on."""
    _slow(host)
    for number, pause in enumerate((*_WORST, 0.05, 1.1)):
        with _foreign_reloads(host, pause):
            done = ok(host.module(name="shop", content=site("shop", str(number))), changed=True)
            assert done["reload"]["proved"], done
            assert host.get("shop.example.com") == f"200 {number}"


@story
def an_upgrade_of_the_binary_is_told(host: NginxTestHost) -> None:
    """While two masters serve, nothing is changed; both are named, and how to go on."""
    ok(host.module(name="shop", content=site("shop")))
    old = host.sh("cat /run/nginx.pid")
    host.sh("kill -USR2 $(cat /run/nginx.pid); sleep 1; cat /run/nginx.pid.oldbin")
    new = host.sh("cat /run/nginx.pid")
    assert old != new
    wanted: dict[str, t.Any] = {"name": "shop", "content": site("shop", "two")}
    unchanged_by(host, lambda: host.module(check=True, **wanted), old, new, f"kill -s QUIT {old}")
    unchanged_by(host, lambda: host.module(**wanted), old, new, f"kill -s QUIT {old}")
    host.sh(f"kill -s QUIT {old}; sleep 1")
    assert ok(host.module(**wanted), changed=True)["reload"]["proved"]
    assert host.get("shop.example.com") == "200 two"
