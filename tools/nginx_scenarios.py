# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx_site must do on a host with a running nginx, told as short stories with their ends."""

from __future__ import annotations

import re
import typing as t

from nginx_host import Host

Story = t.Callable[[Host], None]
STORIES: list[Story] = []
AVAILABLE, ENABLED = "/etc/nginx/sites-available", "/etc/nginx/sites-enabled"


def story(function: Story) -> Story:
    """List a story."""
    STORIES.append(function)
    return function


def site(name: str, text: str = "one", listen: str = "80", more: str = "") -> str:
    """Return a site that answers with a text."""
    return f'server {{\n  listen {listen};\n  server_name {name}.example.com;\n  {more}\n  location / {{ return 200 "{text}"; }}\n}}\n'


def tree(host: Host) -> str:
    """Return a picture of everything that nginx's directory holds, and of what a test might leave elsewhere."""
    return host.sh(
        "cd /etc/nginx; find . \\( -type f -exec sha256sum {} + \\) -o \\( -type l -printf '%p -> %l\\n' \\) "
        "-o -printf '%p %y\\n' | sort; find /var/lib/flaskops /run/lock/flaskops | sort; ls /tmp | grep flaskops || :; "
        "ls -lA /var/log/nginx /var/lib/nginx /run | grep -v ^total | awk '{print $1,$3,$4,$NF}'"
    )


def names(host: Host) -> set[str]:
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


def unchanged_by(host: Host, call: t.Callable[[], dict[str, t.Any]], *words: str) -> str:
    """Make a call that must be refused and must leave no trace."""
    before = tree(host)
    message = refused(call(), *words)
    after = tree(host)
    assert before == after, f"{before}\n---\n{after}"
    return message


def reset(host: Host) -> None:
    """Bring nginx back to what its package installs, and wait until it runs so."""
    host.sh(
        "rm -rf /var/lib/flaskops /etc/nginx/sites-enabled /etc/nginx/sites-available/*@* /etc/nginx/extra /tmp/flaskops-*; "
        "mkdir /etc/nginx/sites-enabled; ln -s /etc/nginx/sites-available/default /etc/nginx/sites-enabled/default; "
        "test -e /opt/nginx.orig || cp -a /etc/nginx /opt/nginx.orig; "
        "cp /opt/nginx.orig/nginx.conf /etc/nginx/nginx.conf; cp /opt/nginx.orig/sites-available/default /etc/nginx/sites-available/; "
        "rm -f /etc/nginx/conf.d/*; truncate -s 0 /var/log/nginx/error.log"
    )
    host.server("restart")


@story
def check_apply_check_apply(host: Host) -> None:
    """Changed, changed, unchanged, unchanged; the check writes nothing, and predicts exactly."""
    wanted = {"name": "shop", "content": site("shop")}
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
def the_test_touches_nothing_of_the_live_server(host: Host) -> None:
    """New logs, caches, sockets and pid files of the candidate are not made by its validation."""
    more = (
        "access_log /var/log/nginx/new.log; error_log /var/log/nginx/newer.log; access_log /etc/nginx/odd.log; "
        "client_body_temp_path /var/lib/nginx/fresh;"
    )
    content = "proxy_cache_path /var/lib/nginx/cache keys_zone=x:1m;\n" + site("shop", more=more)
    before = tree(host)
    inode = host.sh("stat -c '%i %Y %s' /var/log/nginx/*.log /run/nginx.pid")
    ok(host.module(check=True, name="shop", content=content))
    assert tree(host) == before
    assert inode == host.sh("stat -c '%i %Y %s' /var/log/nginx/*.log /run/nginx.pid")
    refused(host.module(name="shop", content=content + "nonsense;"), "nonsense")
    assert tree(host).replace("/run/lock/flaskops", "").count("new.log") == 0
    assert inode == host.sh("stat -c '%i %Y %s' /var/log/nginx/*.log /run/nginx.pid")
    ok(host.module(name="shop", content=content), changed=True)
    host.sh("rm -rf /etc/nginx/odd.log")


@story
def a_broken_candidate_is_refused(host: Host) -> None:
    """nginx's own message names the real file and line; nothing changes."""
    ok(host.module(name="shop", content=site("shop")))
    host.module(name="shop", content=site("shop"))
    message = unchanged_by(
        host,
        lambda: host.module(name="shop", content=site("shop", more="nonsense on;")),
        r'unknown directive "nonsense" in /etc/nginx/sites-enabled/shop:4',
        "shop:4: nonsense on;",
    )
    assert "/tmp/" not in message and "already broken" not in message, message
    unchanged_by(
        host, lambda: host.module(name="new", content="server {"), "sites-enabled/new", "unexpected end of file"
    )
    unchanged_by(host, lambda: host.module(name="new", content="}\n"), 'unexpected "}"')
    unchanged_by(host, lambda: host.module(check=True, name="new", content="x y;"), "sites-enabled/new:1")


@story
def several_sites_are_one_transaction(host: Host) -> None:
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
def states_and_history(host: Host) -> None:
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
def an_edited_version_is_mended(host: Host) -> None:
    """What somebody changed by hand behind the link comes back, and nginx loads it."""
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
def a_swallowed_reload_is_undone(host: Host) -> None:
    """A port that another process holds: the links go back and nginx runs the old configuration."""
    ok(host.module(name="shop", content=site("shop")))
    host.run(
        "sh",
        "-c",
        "python3 -c 'import socket,time; s=socket.socket(); s.bind((\"0.0.0.0\", 8099)); s.listen(); time.sleep(60)' >/dev/null 2>&1 & echo $! > /opt/holder; sleep 0.3",
    )
    wanted = [{"name": "shop", "content": site("shop", "two")}, {"name": "b", "content": site("b", listen="8099")}]
    before = host.sh(f"ls -l {ENABLED} | awk '{{print $9,$11}}'")
    message = refused(host.module(sites=wanted), r"bind\(\) to 0.0.0.0:8099 failed", "previous configuration")
    assert before == host.sh(f"ls -l {ENABLED} | awk '{{print $9,$11}}'"), message
    assert host.get("shop.example.com") == "200 one"
    assert not host.sh("ls /var/lib/flaskops/nginx_site/*.json 2>/dev/null || :")
    host.sh("kill $(cat /opt/holder)")
    ok(host.module(sites=wanted), changed=True)
    assert host.get("b.example.com", port=8099) == "200 one"


@story
def an_owed_reload_is_paid(host: Host) -> None:
    """A run killed between swap and reload is completed by the next one, whatever that one wants."""
    ok(host.module(name="shop", content=site("shop")))
    killed = site("shop", "two")
    script = "import os, sys\n"
    script += "from ansible_collections.flaskops.stack.plugins.module_utils import _nginx_server as server\n"
    script += "server.Master.reload = lambda self, timeout: os.kill(os.getpid(), 9)\n"
    script += "from ansible_collections.flaskops.stack.plugins.modules import nginx_site\nnginx_site.main()\n"
    host.write("/opt/flaskops-test/killed.py", script)
    from nginx_host import arguments

    said = host.run(
        "python3",
        "/opt/flaskops-test/killed.py",
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
        "python3",
        "/opt/flaskops-test/killed.py",
        stdin=arguments(False, False, {"name": "shop", "content": site("shop")}),
        check=False,
    )
    ok(host.module(name="other", content=site("other")), changed=True)
    assert host.get("shop.example.com") == "200 one"
    host.sh("rm /opt/flaskops-test/killed.py")


@story
def stopped_nginx_stays_stopped(host: Host) -> None:
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
def nginx_absent(host: Host) -> None:
    """An error that says so; in check mode a warning."""
    preview = ok(host.module(check=True, name="shop", content=site("shop"), binary="/nowhere/nginx"), changed=True)
    assert preview["validation"]["method"] == "none" and "not installed" in str(preview["warnings"])
    unchanged_by(
        host, lambda: host.module(name="shop", content=site("shop"), binary="/nowhere/nginx"), "/nowhere/nginx.*binary"
    )


@story
def foreign_things_stay(host: Host) -> None:
    """Links, files and directories that are not ours are refused, left alone or taken over, as asked."""
    unchanged_by(
        host,
        lambda: host.module(name="default", content=site("x")),
        "link to /etc/nginx/sites-available/default",
        "replace",
    )
    unchanged_by(host, lambda: host.module(name="default", state="absent"), "did not make")
    host.sh(f"echo '# edited' >> {AVAILABLE}/default")
    left = ok(host.module(name="default", state="disabled", foreign="unmodified"), changed=False)
    assert left["sites"][0]["state"] == "foreign" and "left alone" in str(left["warnings"])
    host.sh(f"cp /opt/nginx.orig/sites-available/default {AVAILABLE}/default")
    ok(host.module(name="default", state="disabled", foreign="unmodified"), changed=True)
    assert host.sh(f"ls {AVAILABLE}") == "default"
    ok(host.module(name="default", state="disabled", foreign="unmodified"), changed=False)
    host.sh(
        f"printf '%s' '{site('reg', 'regular')}' > {ENABLED}/reg; mkdir {ENABLED}/dir; ln -s /nowhere {ENABLED}/.dangling; mkfifo {ENABLED}/.pipe"
    )
    unchanged_by(host, lambda: host.module(name="reg", content=site("reg")), "regular file")
    unchanged_by(host, lambda: host.module(name="dir", content=site("dir"), foreign="replace"), "directory")
    host.sh(f"rmdir {ENABLED}/dir")
    ok(host.module(name="reg", content=site("reg"), foreign="replace"), changed=True)
    ok(host.module(name="reg", version="previous"), changed=True)
    assert host.get("reg.example.com") == "200 regular"
    host.sh(f"ln -s /nowhere {ENABLED}/gone")
    refused(host.module(name="other", content=site("other")), "already broken before", "gone")
    unchanged_by(host, lambda: host.module(name="gone", content=site("gone")), "link to /nowhere")
    mended = ok(host.module(name="gone", content=site("gone"), foreign="replace"), changed=True)
    assert mended["reload"]["proved"]


@story
def who_is_to_blame(host: Host) -> None:
    """A host that was broken before is named as such; a change that mends it is accepted."""
    host.write(f"{ENABLED}/theirs", "broken here;\n")
    message = unchanged_by(
        host, lambda: host.module(name="shop", content=site("shop")), "already broken before this change"
    )
    assert "/etc/nginx/sites-enabled/theirs:1" in message
    ok(host.module(name="theirs", content=site("theirs"), foreign="replace"), changed=True)
    assert host.get("theirs.example.com") == "200 one"


@story
def other_files_take_part(host: Host) -> None:
    """nginx.conf, a new snippet and a site that needs both change together, or not at all."""
    conf = host.sh("cat /etc/nginx/nginx.conf") + "\n"
    new = conf.replace("sites-enabled/*;", "sites-enabled/*;\n\tmap $uri $mine { default yes; }")
    files = [
        {"path": "/etc/nginx/nginx.conf", "content": new},
        {"path": "/etc/nginx/extra/deep/x.conf", "content": "add_header X-Mine $mine;\n"},
    ]
    wanted = {"name": "shop", "content": site("shop", "$mine", more="include extra/deep/x.conf;")}
    unchanged_by(host, lambda: host.module(**wanted), "x.conf|mine")
    before = tree(host)
    ok(host.module(check=True, files=files, **wanted), changed=True)
    assert before == tree(host)
    done = ok(host.module(files=files, **wanted), changed=True)
    assert [item["changed"] for item in done["files"]] == [True, True]
    assert host.get("shop.example.com") == "200 yes"
    ok(host.module(files=files, **wanted), changed=False)
    assert "nginx.conf" in host.sh("ls /var/lib/flaskops/nginx_site/*/")
    broken = [{"path": "/etc/nginx/nginx.conf", "content": new + "nope;"}]
    unchanged_by(host, lambda: host.module(files=broken), r"/etc/nginx/nginx.conf:\d+", "nope")
    unread = [{"path": "/etc/nginx/nginx.conf", "content": "events {}\nhttp {}\n"}]
    unchanged_by(
        host,
        lambda: host.module(files=unread, name="new", content=site("new")),
        "would not read /etc/nginx/sites-enabled/new",
    )
    gone = [{"path": "/etc/nginx/extra/deep/x.conf", "state": "absent"}]
    unchanged_by(host, lambda: host.module(files=gone), "x.conf")
    ok(
        host.module(files=[*gone, {"path": "/etc/nginx/nginx.conf", "content": conf}], name="shop", state="absent"),
        changed=True,
    )
    assert not host.sh("ls /etc/nginx/extra/deep")


@story
def mistakes_that_nginx_overlooks(host: Host) -> None:
    """Duplicate names, two defaults, TLS and not: both files are named; what was there before only warns."""
    ok(host.module(name="a", content=site("a")))
    twice = {"name": "b", "content": site("b").replace("b.example.com", "b.example.com A.example.com")}
    unchanged_by(
        host,
        lambda: host.module(**twice),
        "a.example.com.*sites-enabled/a:1.*sites-enabled/b:1",
        "duplicate_server_name",
    )
    ok(host.module(**twice, tolerate=["duplicate_server_name"]), changed=True)
    there = ok(host.module(name="c", content=site("c")), changed=True)
    assert "a.example.com" in str(there["warnings"])
    unchanged_by(host, lambda: host.module(name="d", content=site("d"), strict=True), "a.example.com")
    second = {"name": "e", "content": site("e", listen="80 default_server")}
    unchanged_by(host, lambda: host.module(**second), "two default servers.*sites-enabled/default:.*sites-enabled/e")
    host.sh(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=t -addext subjectAltName=DNS:t.example.com "
        "-keyout /etc/nginx/t.key -out /etc/nginx/t.crt 2>/dev/null; openssl genrsa -out /etc/nginx/o.key 2048 2>/dev/null; "
        "openssl req -x509 -key /etc/nginx/o.key -days 2 -not_before 20200101000000Z -not_after 20200102000000Z -subj /CN=old.example.com -out /etc/nginx/old.crt 2>/dev/null"
        " || faketime 2020-01-01 openssl req -x509 -key /etc/nginx/o.key -days 1 -subj /CN=old.example.com -out /etc/nginx/old.crt || :"
    )
    tls = "ssl_certificate t.crt; ssl_certificate_key /etc/nginx/t.key;"
    unchanged_by(
        host, lambda: host.module(name="f", content=site("f", listen="80 ssl", more=tls)), "with TLS and without"
    )
    unchanged_by(
        host,
        lambda: host.module(name="f", content=site("f", listen="443 ssl", more=tls)),
        "t.crt.*does not cover f.example.com",
        "t.example.com",
    )
    wrong = tls.replace("/etc/nginx/t.key", "o.key")
    unchanged_by(
        host,
        lambda: host.module(name="t", content=site("t", listen="443 ssl", more=wrong)),
        "key values mismatch",
        r"certificate t.crt does not match the key o.key in .*sites-enabled/t:1",
    )
    ok(host.module(name="t", content=site("t", listen="443 ssl", more=tls)), changed=True)
    if host.sh("ls /etc/nginx/old.crt 2>/dev/null || :"):
        old = "ssl_certificate old.crt; ssl_certificate_key o.key;"
        unchanged_by(
            host,
            lambda: host.module(name="old", content=site("old", listen="443 ssl", more=old)),
            "old.crt.*is expired",
        )
    host.sh("rm -f /etc/nginx/*.crt /etc/nginx/*.key")


@story
def hostile_input(host: Host) -> None:
    """Bad names and odd contents end in a clear error, and nothing is touched."""
    for name in ("", ".", "..", "../x", "a/b", "a\nb", "a@b", ".hidden", "ümlaut", "x" * 65, "a b"):
        unchanged_by(host, lambda name=name: host.module(name=name, content=site("x")), "name")
    unchanged_by(
        host, lambda: host.module(sites=[{"name": "a", "content": "#"}, {"name": "a", "content": "#"}]), "listed twice"
    )
    host.sh("head -c 5000 /dev/urandom > /opt/binary; head -c 20000000 /dev/zero | tr '\\0' '#' > /opt/huge")
    unchanged_by(host, lambda: host.module(name="a", src="/opt/binary"), "NUL|nginx refused")
    unchanged_by(host, lambda: host.module(name="a", src="/opt/huge"), "20000000 bytes")
    unchanged_by(host, lambda: host.module(name="a", src="/opt/none"), "/opt/none")
    host.sh("(echo 'map $uri $big {'; seq 500000 | sed 's|.*|/page/number/& 1;|'; echo '}'; echo 'oops;') > /opt/big")
    unchanged_by(
        host, lambda: host.module(name="a", src="/opt/big"), 'directive "oops" in /etc/nginx/sites-enabled/a:500003'
    )
    unchanged_by(
        host, lambda: host.module(name="a", content="include /etc/nginx/sites-enabled/a;\n"), "includes itself"
    )
    unchanged_by(
        host, lambda: host.module(name="a", content="include /etc/nginx/sites-enabled/*;\n"), "includes itself"
    )
    unchanged_by(
        host,
        lambda: host.module(name="a", content="include nothing/here.conf;\n"),
        r"/etc/nginx/nothing/here.conf.*failed",
        "sites-enabled/a:1",
    )
    unchanged_by(
        host,
        lambda: host.module(name="a", content="\ufeffserver { listen 80; server_name bom.example.com; }\nfoo"),
        "sites-enabled/a",
    )
    unchanged_by(host, lambda: host.module(name="a", content='server { server_name "a;\n}'), "sites-enabled/a")
    unchanged_by(host, lambda: host.module(name="a", content="server { " + "location /x { " * 500), "sites-enabled/a")
    unchanged_by(host, lambda: host.module(name="a", content=site("a"), directory_available=ENABLED), "two directories")
    unchanged_by(host, lambda: host.module(name="a", content=site("a"), keep=0), "keep")
    unchanged_by(host, lambda: host.module(name="a", content=site("a"), owner="nobody-here"), "owner")
    unchanged_by(
        host, lambda: host.module(files=[{"path": f"{ENABLED}/x", "content": "#"}]), "lies in a directory of sites"
    )
    unchanged_by(host, lambda: host.module(files=[{"path": "/etc/nginx", "content": "#"}]), "directory")
    host.sh(f"mkdir /tmp/evil && ln -s /etc/passwd {AVAILABLE}/evil@000000000000")
    ok(host.module(name="evil", content=site("evil")), changed=True)
    host.sh(f"rm {AVAILABLE}/evil@000000000000; rmdir /tmp/evil; rm -f /opt/big /opt/huge /opt/binary")
