# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx_site must do on a host with a running nginx, told as short stories with their ends."""

from __future__ import annotations

import typing as t

from tools.faults.nginx.host import NginxTestHost
from tools.faults.nginx.story import AVAILABLE, ENABLED, hold_port, names, ok, refused, site, story, tree, unchanged_by
from tools.faults.payload import PAYLOAD, PYTHON, arguments


@story
def check_apply_check_apply(host: NginxTestHost) -> None:
    """Changed, changed, unchanged, unchanged; the check writes nothing, and predicts exactly."""
    wanted: dict[str, t.Any] = {"name": "shop", "content": site("shop")}
    before = tree(host)
    predicted = ok(host.module(check=True, diff=True, **wanted), changed=True)
    assert tree(host) == before
    assert predicted["validation"]["method"] == host.method
    done = ok(host.module(diff=True, **wanted), changed=True)
    assert done["diff"] == predicted["diff"] and done["sites"] == predicted["sites"]
    assert done["diff"][0]["after"] == wanted["content"] and done["diff"][0]["before"] == ""
    assert done["reload"]["proved"] and not set(done["reload"]["old_workers"]) & set(done["reload"]["new_workers"])
    assert host.get("shop.example.com") == "200 one"
    after = tree(host)
    for check in (True, False):
        again = ok(host.module(check=check, **wanted), changed=False)
        assert again["validation"]["method"] == "none" and not again["reload"]["performed"]
        assert set(again) == set(done)
    assert tree(host) == after


@story
def the_test_touches_nothing_of_the_live_server(host: NginxTestHost) -> None:
    """New logs, caches, sockets and pid files of the candidate are not made by its validation."""
    more = (
        "access_log /var/log/nginx/new.log; error_log /var/log/nginx/newer.log; access_log /etc/nginx/odd.log; "
        "client_body_temp_path /var/lib/nginx/fresh;"
    )
    content = "proxy_cache_path /var/lib/nginx/cache keys_zone=x:1m;\n" + site("shop", more=more)
    # Without -e, which came with 1.19.5, and without mounts nginx cannot be kept from its compiled-in error log.
    old = host.method == "shadow" and "/1.18" in host.sh("nginx -v 2>&1")
    logs = "/var/log/nginx/access.log" if old else "/var/log/nginx/*.log"
    before = tree(host)
    inode = host.sh(f"stat -c '%i %Y %s' {logs} /run/nginx.pid")
    ok(host.module(check=True, name="shop", content=content))
    assert tree(host) == before
    assert inode == host.sh(f"stat -c '%i %Y %s' {logs} /run/nginx.pid")
    refused(host.module(name="shop", content=content + "nonsense;"), "nonsense")
    assert "new.log" not in tree(host)
    assert inode == host.sh(f"stat -c '%i %Y %s' {logs} /run/nginx.pid")
    ok(host.module(name="shop", content=content), changed=True)
    host.sh("rm -rf /etc/nginx/odd.log")


@story
def a_broken_candidate_is_refused(host: NginxTestHost) -> None:
    """The message is nginx's own and names the real file and line; nothing changes."""
    ok(host.module(name="shop", content=site("shop")))
    host.module(name="shop", content=site("shop"))
    message = unchanged_by(
        host,
        lambda: host.module(name="shop", content=site("shop", more="nonsense on;")),
        r'unknown directive "nonsense" in /etc/nginx/sites-enabled/shop:4',
        "shop:4: nonsense on;",
    )
    assert "flaskops-nginx" not in message and "already broken" not in message, message
    unchanged_by(
        host, lambda: host.module(name="new", content="server {"), "sites-enabled/new", "unexpected end of file"
    )
    unchanged_by(host, lambda: host.module(name="new", content="}\n"), 'unexpected "}"')
    unchanged_by(host, lambda: host.module(check=True, name="new", content="x y;"), "sites-enabled/new:1")


@story
def several_sites_are_one_transaction(host: NginxTestHost) -> None:
    """One bad site keeps all others out; purge removes ours only."""
    good = [{"name": name, "content": site(name)} for name in ("a", "b", "c")]
    bad = [*good, {"name": "d", "content": "bad"}]
    unchanged_by(host, lambda: host.module(sites=bad), "sites-enabled/d")
    ok(host.module(sites=good), changed=True)
    assert host.get("b.example.com") == "200 one"
    host.sh(f"ln -s {AVAILABLE}/default {ENABLED}/foreign; echo '# mine' > {ENABLED}/regular; rm {ENABLED}/default")
    result = ok(host.module(sites=[good[0]], purge=True), changed=True)
    assert {item["name"]: item["state"] for item in result["sites"]} == {"a": "enabled", "b": "absent", "c": "absent"}
    assert names(host) == {"a", "foreign", "regular"}
    assert host.sh(f"ls {AVAILABLE} | grep @ | cut -d@ -f1") == "a"
    ok(host.module(sites=[good[0]], purge=True), changed=False)
    ok(host.module(sites=[], purge=True), changed=True)
    assert names(host) == {"foreign", "regular"}


@story
def states_and_history(host: NginxTestHost) -> None:
    """Disabled keeps versions, a version comes back by name, absent forgets, rename goes in one step."""
    for text in ("one", "two", "three"):
        ok(host.module(name="shop", content=site("shop", text)), changed=True)
    back = ok(host.module(name="shop", version="previous"), changed=True)
    assert host.get("shop.example.com") == "200 two"
    version = back["sites"][0]["current"].rpartition("@")[2]
    ok(host.module(name="shop", version=version), changed=False)
    ok(host.module(name="shop", state="disabled"), changed=True)
    ok(host.module(name="shop", state="disabled"), changed=False)
    assert "shop" not in names(host)
    ok(host.module(name="shop"), changed=True)
    assert host.get("shop.example.com") == "200 two"
    renamed = ok(host.module(name="store", rename_from="shop"), changed=True)
    assert len(renamed["sites"]) == 2 and names(host) == {"default", "store"}
    assert host.get("shop.example.com") == "200 two"
    ok(host.module(name="store", rename_from="shop"), changed=False)
    ok(host.module(name="store", state="absent"), changed=True)
    ok(host.module(name="store", state="absent"), changed=False)
    refused(host.module(name="store"), "no content")
    for number in range(8):
        ok(host.module(name="shop", content=site("shop", str(number)), keep=3))
    assert len(host.sh(f"ls {AVAILABLE} | grep shop@").split()) == 3
    refused(host.module(name="shop", version="0123456789ab"), "0123456789ab", "kept: ")


@story
def an_edited_version_is_mended(host: NginxTestHost) -> None:
    """What was changed by hand behind the link comes back, and nginx loads it."""
    done = ok(host.module(name="shop", content=site("shop")))
    path = done["sites"][0]["current"]
    host.write(path, site("shop", "edited"))
    host.server("reload")
    mended = ok(host.module(diff=True, name="shop", content=site("shop")), changed=True)
    assert mended["reload"]["proved"] and "edited" in mended["diff"][0]["before"]
    assert host.get("shop.example.com") == "200 one"
    host.sh(f"chmod 600 {path}")
    loose = ok(host.module(name="shop", content=site("shop")), changed=True)
    assert not loose["reload"]["performed"]
    host.sh(f"rm {path}")
    ok(host.module(name="shop", content=site("shop")), changed=True)
    ok(host.module(name="shop", content=site("shop")), changed=False)


@story
def a_swallowed_reload_is_undone(host: NginxTestHost) -> None:
    """A port that another process holds: the links go back and nginx runs the old configuration."""
    ok(host.module(name="shop", content=site("shop")))
    hold_port(host)
    wanted = [{"name": "shop", "content": site("shop", "two")}, {"name": "b", "content": site("b", listen="8099")}]
    before = host.sh(f"ls -l {ENABLED} | awk '{{print $9,$11}}'")
    unchanged_by(host, lambda: host.module(sites=wanted), r"cannot open 0.0.0.0:8099 \(http, \S+/b:2\)", r"python3\b")
    tolerated = host.module(sites=wanted, tolerate=["socket_in_use"])
    message = refused(tolerated, r"bind\(\) to 0.0.0.0:8099 failed", "previous configuration")
    assert before == host.sh(f"ls -l {ENABLED} | awk '{{print $9,$11}}'"), message
    assert host.get("shop.example.com") == "200 one"
    assert not host.sh("ls /var/lib/flaskops/nginx_site/*.json 2>/dev/null || :")
    host.sh("kill $(cat /opt/holder)")
    ok(host.module(sites=wanted), changed=True)
    assert host.get("b.example.com", port=8099) == "200 one"


@story
def an_owed_reload_is_paid(host: NginxTestHost) -> None:
    """A run killed between swap and reload is completed by the next one, also by one that wants another change."""
    ok(host.module(name="shop", content=site("shop")))
    killed = site("shop", "two")
    script = "import os\nfrom tools.faults.inject import module\nmodule.keep_code('nginx_site')\n"
    script += "from flaskops_code._nginx import server\n"
    script += "server.Master.reload = lambda self, timeout: os.kill(os.getpid(), 9)\nmodule.main('nginx_site')\n"
    host.write(f"{PAYLOAD}/killed.py", script)
    said = host.run(
        *PYTHON,
        f"{PAYLOAD}/killed.py",
        stdin=arguments(False, False, {"name": "shop", "content": killed}),
        check=False,
    )
    assert said.rc == 137, said
    assert host.get("shop.example.com") == "200 one"
    check = ok(host.module(check=True, name="shop", content=killed), changed=True)
    assert check["pending"] and check["diff"] == []
    done = ok(host.module(name="shop", content=killed), changed=True)
    assert done["pending"] and done["reload"]["proved"] and host.get("shop.example.com") == "200 two"
    ok(host.module(name="shop", content=killed), changed=False)
    host.run(
        *PYTHON,
        f"{PAYLOAD}/killed.py",
        stdin=arguments(False, False, {"name": "shop", "content": site("shop")}),
        check=False,
    )
    ok(host.module(name="other", content=site("other")), changed=True)
    assert host.get("shop.example.com") == "200 one"
    host.sh(f"rm {PAYLOAD}/killed.py")


@story
def stopped_nginx_stays_stopped(host: NginxTestHost) -> None:
    """The change is validated and made, and the result says why nothing was reloaded."""
    host.server("stop")
    refused(host.module(name="shop", content="bad"), "sites-enabled/shop")
    done = ok(host.module(name="shop", content=site("shop")), changed=True)
    assert done["reload"] == {
        "performed": False,
        "proved": False,
        "reason": "nginx is not running",
        "old_workers": [],
        "new_workers": [],
    }
    assert done["validation"]["method"] == host.method
    assert not host.sh("pgrep -x nginx || :") and not host.sh("ls /run/nginx.pid 2>/dev/null || :")
    ok(host.module(name="shop", content=site("shop")), changed=False)
    host.server("start")
    assert host.get("shop.example.com") == "200 one"


@story
def nginx_absent(host: NginxTestHost) -> None:
    """An error that says so; in check mode a warning."""
    preview = ok(host.module(check=True, name="shop", content=site("shop"), binary="/nowhere/nginx"), changed=True)
    assert preview["validation"]["method"] == "none" and "not installed" in str(preview["warnings"])
    unchanged_by(
        host, lambda: host.module(name="shop", content=site("shop"), binary="/nowhere/nginx"), "/nowhere/nginx.*binary"
    )
