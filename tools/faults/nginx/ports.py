# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx_site must do with sockets that nginx could not open, although nginx -t accepts them."""

from __future__ import annotations

import typing as t
from functools import partial

from tools.faults.nginx.host import NginxTestHost
from tools.faults.nginx.story import ENABLED, hold_port, ok, refused, site, story, unchanged_by

_BOTH = "server { listen [::]:8090 ipv6only=off; server_name other.test; return 200 other; }\n"
# Foreign sites, sites of ours, and what the refusal says.
_PAIRS = [
    (_BOTH, "8090", "take 'ipv6only=off' out of /etc/nginx/sites-enabled/other:1"),
    (_BOTH, "8090; listen [::]:8090", "take 'ipv6only=off' out of /etc/nginx/sites-enabled/other:1"),
    (_BOTH, "127.0.0.1:8090", "another port"),
    ("server { listen 8090; }\n", "127.0.0.1:8090 bind", "take 'bind' out of /etc/nginx/sites-enabled/shop:2"),
    ("server { listen unix:/run/x.sock; }\n", "unix:/run//x.sock", "another port"),
    ("server { listen 8090-8092; }\n", "[::]:8091 ipv6only=off", "sites-enabled/other:1"),
]


def _wanted(listen: str, **more: t.Any) -> dict[str, t.Any]:
    return {"name": "shop", "content": site("shop", listen=listen), **more}


@story
def sockets_that_clash_are_refused(host: NginxTestHost) -> None:
    """Before anything is written, with both places, whether nginx runs or not; nginx itself agrees."""
    for foreign, listen, word in _PAIRS:
        host.write(f"{ENABLED}/other", foreign)
        host.server("restart")
        for running in (True, False):
            if not running:
                host.server("stop")
            for check in (True, False):
                message = unchanged_by(host, partial(host.module, check=check, **_wanted(listen)), word)
                assert "sites-enabled/other:1" in message and "sites-enabled/shop:2" in message, message
                assert "socket_clash" in message and "nginx_tolerate" in message, message
        ok(host.module(**_wanted(listen, tolerate=["socket_clash"])), changed=True)
        said = host.run("nginx", check=False)
        assert said.rc != 0 and "Address already in use" in said.err, said
        ok(host.module(name="shop", state="absent"), changed=True)
        host.sh("rm -f /run/x.sock")
        host.server("start")
    host.sh(f"rm {ENABLED}/other")


@story
def what_clashed_before_is_told(host: NginxTestHost) -> None:
    """Two sites of others that exclude each other are a warning for ours, and named when nginx refuses the reload."""
    host.sh(f"rm {ENABLED}/default")
    host.server("restart")
    host.write(f"{ENABLED}/other", _BOTH)
    host.write(f"{ENABLED}/another", "server { listen 8090; server_name a.test; }\n")
    check = ok(host.module(check=True, name="shop", content=site("shop")), changed=True)
    assert "sites-enabled/another:1" in str(check["warnings"]), check
    refused(host.module(name="shop", content=site("shop")), r"bind\(\)", "sites-enabled/other:1", "another:1")


@story
def a_port_that_somebody_has_is_refused(host: NginxTestHost) -> None:
    """The process is named; nginx's own sockets are told from those of others."""
    hold_port(host)
    for running in (True, False):
        if not running:
            host.server("stop")
        for listen in ("8099", "127.0.0.1:8099", "[::]:8099 ipv6only=off"):
            for check in (True, False):
                unchanged_by(
                    host,
                    partial(host.module, check=check, **_wanted(listen)),
                    "sites-enabled/shop:2",
                    r"process \d+ \(python3.*listens on 0.0.0.0:8099",
                    "socket_in_use",
                )
    host.sh("kill $(cat /opt/holder)")
    host.server("start")
    ok(host.module(**_wanted("8099")), changed=True)
    ok(host.module(**_wanted("8099", tolerate=[])), changed=False)
    unchanged_by(host, lambda: host.module(**_wanted("127.0.0.1:8099")), "running nginx has 0.0.0.0:8099", "reload")
    host.server("stop")
    ok(host.module(**_wanted("127.0.0.1:8099")), changed=True)
    host.server("start")
    assert host.get("shop.example.com", port=8099) == "200 one"


@story
def a_unix_socket_that_was_left_is_told(host: NginxTestHost) -> None:
    """What a killed nginx has left keeps the next one from starting."""
    host.server("stop")
    host.sh("touch /run/left.sock")
    unchanged_by(host, lambda: host.module(**_wanted("unix:/run/left.sock")), "/run/left.sock is there already")
    host.sh("rm /run/left.sock")
    ok(host.module(**_wanted("unix:/run/left.sock")), changed=True)
    host.server("start")
    # The running nginx keeps its own.
    ok(host.module(name="shop", content=site("shop", "two", listen="unix:/run/left.sock")), changed=True)


@story
def a_start_that_fails_is_undone(host: NginxTestHost) -> None:
    """The sites of others can be started as before; what nginx said is in the error."""
    host.write(f"{ENABLED}/other", site("other"))
    host.server("stop")
    hold_port(host)
    wanted = _wanted("8099", tolerate=["socket_in_use"], start=True)
    if host.sh("[ -d /run/systemd/system ] || echo none"):
        done = ok(host.module(**wanted), changed=True)
        assert "systemd" in done["reload"]["reason"], done
        host.sh("kill $(cat /opt/holder)")
        return
    before = host.sh(f"ls -l {ENABLED} | awk '{{print $9,$11}}'")
    refused(host.module(**wanted), r"bind\(\) to 0.0.0.0:8099 failed", "python3", "back in place", "stopped, as it was")
    assert before == host.sh(f"ls -l {ENABLED} | awk '{{print $9,$11}}'")
    assert not host.sh("ls /var/lib/flaskops/nginx_site/*.json 2>/dev/null || :")
    host.server("start")
    assert host.get("other.example.com") == "200 one"
    host.server("stop")
    host.sh("systemctl mask nginx")
    refused(host.module(name="shop", content=site("shop"), start=True), "systemctl unmask nginx", "back in place")
    host.sh("systemctl unmask nginx; kill $(cat /opt/holder)")
    done = ok(host.module(**wanted), changed=True)
    assert done["reload"]["proved"] and done["reload"]["new_workers"], done
    assert host.get("shop.example.com", port=8099) == "200 one"
    host.sh(f"rm {ENABLED}/other")
