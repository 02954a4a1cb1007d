# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx_site must do with what is not its own, and with mistakes that nginx overlooks."""

from __future__ import annotations

import typing as t
from functools import partial

from tools.faults.nginx.host import NginxTestHost
from tools.faults.nginx.story import AVAILABLE, ENABLED, ok, refused, site, story, tree, unchanged_by


@story
def foreign_things_stay(host: NginxTestHost) -> None:
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
    host.write(f"{ENABLED}/reg", site("reg", "regular"))
    host.sh(f"cd {ENABLED}; mkdir dir; ln -s /nowhere .dangling; mkfifo .pipe")
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
def who_is_to_blame(host: NginxTestHost) -> None:
    """A host that was broken before is named as such; a change that mends it is accepted."""
    host.write(f"{ENABLED}/theirs", "broken here;\n")
    message = unchanged_by(
        host, lambda: host.module(name="shop", content=site("shop")), "already broken before this change"
    )
    assert "/etc/nginx/sites-enabled/theirs:1" in message
    ok(host.module(name="theirs", content=site("theirs"), foreign="replace"), changed=True)
    assert host.get("theirs.example.com") == "200 one"


@story
def other_files_take_part(host: NginxTestHost) -> None:
    """nginx.conf, a new snippet and a site that needs both change together, or not at all."""
    conf = host.sh("cat /etc/nginx/nginx.conf") + "\n"
    new = conf.replace("sites-enabled/*;", "sites-enabled/*;\n\tmap $uri $mine { default yes; }")
    files = [
        {"path": "/etc/nginx/nginx.conf", "content": new},
        {"path": "/etc/nginx/extra/deep/x.conf", "content": "add_header X-Mine $mine;\n"},
    ]
    wanted: dict[str, t.Any] = {"name": "shop", "content": site("shop", "$mine", more="include extra/deep/x.conf;")}
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
def mistakes_that_nginx_overlooks(host: NginxTestHost) -> None:
    """Duplicate names, two defaults, TLS and not: both files are named; what was there before only warns."""
    ok(host.module(name="a", content=site("a")))
    twice: dict[str, t.Any] = {
        "name": "b",
        "content": site("b").replace("b.example.com", "b.example.com A.example.com"),
    }
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
    second: dict[str, t.Any] = {"name": "e", "content": site("e", listen="80 default_server")}
    unchanged_by(host, lambda: host.module(**second), "two default servers.*sites-enabled/default:.*sites-enabled/e")
    host.sh(
        "cd /etc/nginx; openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=t "
        "-addext subjectAltName=DNS:t.example.com -keyout t.key -out t.crt 2>/dev/null; "
        "openssl genrsa -out o.key 2048 2>/dev/null; openssl req -x509 -key o.key -subj /CN=old.example.com "
        "-not_before 20200101000000Z -not_after 20200102000000Z -out old.crt 2>/dev/null || rm -f old.crt"
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
def an_exchanged_certificate_is_checked(host: NginxTestHost) -> None:
    """A certificate that is another one under its path goes live only when it is right, also with other changes."""
    make = (
        "cd /etc/nginx; openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=t "
        "-addext subjectAltName=DNS:{0} -keyout t.key -out t.crt 2>/dev/null"
    )
    host.sh(make.format("t.example.com"))
    tls: dict[str, t.Any] = {
        "name": "t",
        "content": site("t", listen="443 ssl", more="ssl_certificate t.crt; ssl_certificate_key t.key;"),
    }
    ok(host.module(**tls), changed=True)
    host.sh(make.format("wrong.example.com"))
    other: dict[str, t.Any] = {"name": "shop", "content": site("shop")}
    # Alone, with another site, and with a new version of its own; nginx goes on with what it has.
    for wanted in (tls, other, {"sites": [tls, other]}, {**tls, "content": tls["content"] + "# new\n"}):
        for check in (True, False):
            words = ("t.crt.*does not cover t.example.com", "certificate_names")
            unchanged_by(host, partial(host.module, check=check, **wanted), *words)
    accepted = ok(host.module(**other, tolerate=["certificate_names"]), changed=True)
    assert accepted["unloaded"] == ["/etc/nginx/t.crt", "/etc/nginx/t.key"], accepted
    # What nginx was loaded with is a warning from now on.
    ok(host.module(name="shop", content=site("shop", "two")), changed=True)
    host.sh(make.format("t.example.com"))
    mended = ok(host.module(name="shop", content=site("shop")), changed=True)
    assert not mended.get("warnings"), mended
    # It was loaded without the module: it is not new any more.
    host.sh(make.format("wrong.example.com"))
    host.server("reload")
    host.sh("sleep 1")
    ok(host.module(**other), changed=False)
    host.server("stop")
    host.sh(make.format("more.example.com"))
    unchanged_by(host, partial(host.module, name="shop", content=site("shop", "two")), "does not cover t.example.com")
    host.sh("rm -f /etc/nginx/t.crt /etc/nginx/t.key")
