# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx_site must do where nginx is not laid out as Debian does it."""

from __future__ import annotations

import json
import typing as t
from concurrent.futures import ThreadPoolExecutor

from tools.faults.nginx.host import NginxTestHost
from tools.faults.nginx.story import ENABLED, hold_port, names, ok, refused, site, story, tree, unchanged_by
from tools.faults.payload import PYTHON

_SECOND = """
pid /run/second.pid;
error_log /var/log/nginx/second-error.log;
events {}
http {
  access_log /var/log/nginx/second.log;
  include conf.d/*.conf;
}
"""


@story
def a_second_nginx_with_links_in_conf_d(host: NginxTestHost) -> None:
    """Its own configuration, pid file, directories and suffix; the first nginx is left alone."""
    host.sh("rm -rf /srv/second; mkdir -p /srv/second/conf.d")
    host.write("/srv/second/nginx.conf", _SECOND)
    host.write("/srv/second/conf.d/hand.conf", site("hand", "hand", listen="8082"))
    first = host.sh("cat /run/nginx.pid; pgrep -P $(cat /run/nginx.pid)")
    second: dict[str, t.Any] = {
        "config": "/srv/second/nginx.conf",
        "directory_available": "/srv/second/sites",
        "directory_enabled": "/srv/second/conf.d",
        "suffix": ".conf",
        "service": "second",
    }
    try:
        stopped = ok(host.module(name="shop", content=site("shop", listen="8082"), **second), changed=True)
        assert stopped["reload"]["reason"] == "nginx is not running"
        host.sh("nginx -c /srv/second/nginx.conf")
        ok(host.module(name="shop", content=site("shop", listen="8082"), **second), changed=False)
        done = ok(host.module(name="shop", content=site("shop", "two", listen="8082"), **second), changed=True)
        assert done["reload"]["proved"], done
        assert host.get("shop.example.com", port=8082) == "200 two"
        assert host.sh("ls /srv/second/conf.d").split() == ["hand.conf", "shop.conf"]
        refused(host.module(name="hand", content="#", **second), "regular file")
        host.sh("rm /run/second.pid")
        lost = ok(host.module(name="shop", content=site("shop", "three", listen="8082"), **second), changed=True)
        assert lost["reload"]["proved"], "a lost pid file"
        refused(host.module(name="bad", content="bad;", **second), r"/srv/second/conf.d/bad.conf:1")
        assert first == host.sh("cat /run/nginx.pid; pgrep -P $(cat /run/nginx.pid)")
    finally:
        host.sh(
            "kill $(pgrep -f 'master process nginx -c /srv/second') 2>/dev/null; rm -rf /srv/second /run/second.pid",
            check=False,
        )


@story
def names_end_as_the_include_says(host: NginxTestHost) -> None:
    """With sites-enabled/*.conf, links get that ending without being asked."""
    host.sh(f"sed -i 's#sites-enabled/[*];#sites-enabled/*.conf;#' /etc/nginx/nginx.conf; rm {ENABLED}/default")
    host.server("reload")
    sites = [{"name": name, "content": site(name)} for name in ("a", "b")]
    ok(host.module(sites=sites), changed=True)
    ok(host.module(sites=sites), changed=False)
    assert names(host) == {"a.conf", "b.conf"} and host.get("b.example.com") == "200 one"
    ok(host.module(sites=[], purge=True), changed=True)
    assert names(host) == set()


@story
def sites_have_a_directory_of_their_own_beside_conf_d(host: NginxTestHost) -> None:
    """Where only conf.d is included, as by nginx.org's package, the shared file includes them."""
    host.sh("sed -i '/sites-enabled/d' /etc/nginx/nginx.conf; rm -rf /etc/nginx/sites-enabled")
    host.write("/etc/nginx/conf.d/default.conf", site("welcome", "welcome"))
    host.server("reload")
    shared = {"path": "shared.conf", "content": "log_format short '$status';\n"}
    log = "access_log /var/log/nginx/new.log short;"
    wanted: dict[str, t.Any] = {"sites": [{"name": "0", "content": site("0", more=log)}], "files": [shared]}
    try:
        ok(host.module(check=True, **wanted), changed=True)
        assert ok(host.module(**wanted), changed=True)["reload"]["proved"]
        ok(host.module(**wanted), changed=False)
        assert host.get("0.example.com") == "200 one" and host.get("welcome.example.com") == "200 welcome"
        assert host.sh("ls /etc/nginx/flaskops-sites") == "0"
        ok(host.module(name="0", state="absent"), changed=True)
        assert host.sh("ls /etc/nginx/flaskops-sites") == ""
    finally:
        host.sh("rm -rf /etc/nginx/flaskops-sites /etc/nginx/conf.d/*")
    ok(host.module(name="plain", content=site("plain")), changed=True)
    assert host.sh("ls /etc/nginx/conf.d") == "plain.conf" and host.get("plain.example.com") == "200 one"


@story
def directories_behind_links(host: NginxTestHost) -> None:
    """A directory of sites that is itself a link is used where it is."""
    host.sh(f"mkdir -p /srv/links && mv {ENABLED} /srv/links/enabled && ln -s /srv/links/enabled {ENABLED}")
    try:
        sites = [{"name": name, "content": site(name)} for name in ("a", "b")]
        ok(host.module(check=True, sites=sites), changed=True)
        ok(host.module(sites=sites), changed=True)
        assert host.get("b.example.com") == "200 one" and "a" in names(host)
        assert host.sh(f"readlink {ENABLED}") == "/srv/links/enabled"
        refused(host.module(name="c", content="nonsense;"), "sites-enabled/c:1")
    finally:
        host.sh(f"rm -rf {ENABLED} /srv/links")


@story
def a_subdirectory_does_not_matter(host: NginxTestHost) -> None:
    """Where the links cannot change by one exchange they change one after the other."""
    host.sh(f"mkdir {ENABLED}/.sub; echo x > {ENABLED}/.sub/file")
    sites = [{"name": name, "content": site(name)} for name in ("a", "b")]
    ok(host.module(sites=sites), changed=True)
    ok(host.module(sites=[], purge=True), changed=True)
    assert names(host) == {".sub", "default"} and host.sh(f"cat {ENABLED}/.sub/file") == "x"


@story
def other_peoples_entries_survive_an_exchange(host: NginxTestHost) -> None:
    """Regular files keep their inode, owner and mode, and links their target, when many links change."""
    host.sh(
        f"cd {ENABLED}; echo '# x' > file; chown www-data file; chmod 640 file; ln -s ../snippets/snakeoil.conf .rel"
    )
    show = f"cd {ENABLED}; stat -c '%i %U %a %n' file; readlink .rel default; stat -c '%U %a' ."
    before = host.sh(show)
    ok(host.module(sites=[{"name": name, "content": site(name)} for name in ("a", "b", "c")]), changed=True)
    assert before == host.sh(show)


@story
def what_nginx_reads_is_what_we_read(host: NginxTestHost) -> None:
    """Our reading of includes gives the files of C(nginx -T)."""
    host.sh("cd /etc/nginx; mkdir -p extra/a extra/b; echo '# 1' > extra/a/x.conf; echo '# 2' > extra/b/y.conf")
    more = (
        "include extra/*/[xy].conf; include /etc/nginx/extra/a/?.conf; include proxy_params; include extra/none*.conf;"
    )
    ok(host.module(name="shop", content="types { text/x x; }\n" + site("shop", more=more)), changed=True)
    script = (
        "import json; "
        "from ansible_collections.flaskops.stack.plugins.module_utils._nginx.staged_tree import StagedTree; "
        "print(json.dumps(list(StagedTree({}).load('/etc/nginx/nginx.conf').files)))"
    )
    ours = json.loads(host.run(*PYTHON, "-c", script).out)
    theirs = host.sh("nginx -T 2>/dev/null | sed -n 's/^# configuration file \\(.*\\):$/\\1/p'").splitlines()
    assert sorted(ours) == sorted(set(theirs)), f"{ours} {theirs}"


@story
def dynamic_modules_are_loaded(host: NginxTestHost) -> None:
    """A relative load_module is found in both ways to validate."""
    host.install("libnginx-mod-http-echo")
    host.sh("rm -f /etc/nginx/modules-enabled/*")
    host.write("/etc/nginx/modules-enabled/50-echo.conf", "load_module modules/ngx_http_echo_module.so;\n")
    ok(host.module(name="shop", content=site("shop").replace("return 200", "echo")), changed=True)
    assert host.get("shop.example.com") == "200 one"
    unchanged_by(
        host, lambda: host.module(name="b", content=site("b").replace("return 200", "ecko")), "sites-enabled/b:5"
    )
    host.sh("rm -f /etc/nginx/modules-enabled/*echo*")
    refused(host.module(name="b", content=site("b")), "already broken", 'directive "echo"')


@story
def relative_certificates_are_found(host: NginxTestHost) -> None:
    """Certificates beside nginx.conf and in a directory below are found in both ways to validate."""
    host.sh(
        "mkdir -p /etc/nginx/extra; cd /etc/nginx/extra; openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=t "
        "-addext subjectAltName=DNS:t.example.com -keyout t.key -out t.crt 2>/dev/null; ln -s ../extra/t.key other.key"
    )
    tls = "ssl_certificate extra/t.crt; ssl_certificate_key extra/other.key;"
    ok(host.module(name="t", content=site("t", listen="443 ssl", more=tls)), changed=True)
    missing = tls.replace("t.crt", "none.crt")
    message = refused(
        host.module(name="t", content=site("t", listen="443 ssl", more=missing)), "/etc/nginx/extra/none.crt"
    )
    assert "flaskops-nginx" not in message


@story
def a_late_failure_is_found_in_a_new_error_log(host: NginxTestHost) -> None:
    """A port that is taken is logged where the new configuration says, and is found there."""
    hold_port(host)
    conf = (
        host.sh("cat /etc/nginx/nginx.conf").replace("/var/log/nginx/error.log", "/var/log/nginx/new-error.log") + "\n"
    )
    wanted: dict[str, t.Any] = {"name": "b", "content": site("b", listen="8099")}
    files = [{"path": "/etc/nginx/nginx.conf", "content": conf}]
    tolerated = host.module(files=files, tolerate=["socket_in_use"], **wanted)
    refused(tolerated, r"bind\(\) to 0.0.0.0:8099 failed", "previous configuration")
    assert "new-error" not in host.sh("cat /etc/nginx/nginx.conf")
    host.sh("kill $(cat /opt/holder)")
    ok(host.module(files=files, **wanted), changed=True)


@story
def a_master_that_has_just_started_is_waited_for(host: NginxTestHost) -> None:
    """No worker of the first generation is taken for proof of a reload."""
    for text in ("one", "two", "three"):
        host.server("restart")
        done = ok(host.module(name="shop", content=site("shop", text)), changed=True)
        assert done["reload"]["old_workers"] and host.get("shop.example.com") == f"200 {text}"


@story
def a_pid_file_of_somebody_else_is_not_believed(host: NginxTestHost) -> None:
    """A stale pid file that names another process leads to no signal for it."""
    host.server("stop")
    host.sh("sleep 30 >/dev/null 2>&1 & echo $! > /run/nginx.pid")
    before = tree(host)
    done = ok(host.module(name="shop", content=site("shop")), changed=True)
    assert done["reload"]["reason"] == "nginx is not running" and before != tree(host)
    assert host.sh("kill $(cat /run/nginx.pid) && echo alive") == "alive"
    host.sh("rm -f /run/nginx.pid")


@story
def directories_that_are_not_there_are_made(host: NginxTestHost) -> None:
    """A first run on a host that has neither directory, and includes the one that is to be."""
    host.write("/etc/nginx/conf.d/own.conf", "include /etc/nginx/extra/enabled/*;\n")
    places: dict[str, t.Any] = {
        "directory_available": "/etc/nginx/extra/kept",
        "directory_enabled": "/etc/nginx/extra/enabled",
    }
    before = tree(host)
    ok(host.module(check=True, sites=[{"name": "shop", "content": site("shop")}], **places), changed=True)
    assert tree(host) == before
    ok(host.module(sites=[{"name": "shop", "content": site("shop")}], **places), changed=True)
    assert host.get("shop.example.com") == "200 one"


@story
def two_runs_at_once_come_one_after_the_other(host: NginxTestHost) -> None:
    """Neither loses what the other has done; one that would have to wait too long says for which process."""
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(host.module, name=f"s{number}", content=site(f"s{number}")) for number in range(4)]
        for run in runs:
            ok(run.result(), changed=True)
    assert names(host) == {"default", "s0", "s1", "s2", "s3"}
    assert all(host.get(f"s{number}.example.com") == "200 one" for number in range(4))
    holder = (
        "import fcntl, glob, time; f = open(glob.glob('/run/flaskops/_locks/nginx-*')[0], 'r+'); fcntl.flock(f, 2); "
    )
    said = json.dumps({"pid": 4711, "who": "root", "since": "now", "what": ""})
    host.write("/opt/holder.py", f"{holder}f.truncate(); f.write({said!r}); f.flush(); time.sleep(30)")
    host.sh("python3 /opt/holder.py >/dev/null 2>&1 & echo $! > /opt/holder; sleep 1")
    unchanged_by(host, lambda: host.module(name="late", content="#", lock_timeout=1), "is held by .*4711")
    host.sh("kill $(cat /opt/holder)")


@story
def what_nginx_is_started_with_counts(host: NginxTestHost) -> None:
    """Directives on the command line of nginx's process, or of its unit, are part of the configuration."""
    given = "daemon on; thread_pool custom threads=2;"
    unit = "/etc/systemd/system/nginx.service.d"
    lines = ["[Service]", "ExecStartPre=", "ExecStart=", f"ExecStart=/usr/sbin/nginx -g '{given}'"]
    systemd = bool(host.sh("[ ! -d /run/systemd/system ] || echo yes"))
    wanted: dict[str, t.Any] = {"name": "shop", "content": site("shop", more="aio threads=custom;")}
    unchanged_by(host, lambda: host.module(**wanted), "custom")
    host.server("stop")
    if systemd:
        host.write(f"{unit}/given.conf", "\n".join([*lines, ""]))
        host.sh("systemctl daemon-reload")
        # Before it runs, the unit tells.
        ok(host.module(check=True, **wanted), changed=True)
        host.server("start")
    else:
        unchanged_by(host, lambda: host.module(**wanted), "custom")
        host.run("nginx", "-g", given)
    done = ok(host.module(**wanted), changed=True)
    assert done["reload"]["proved"], done
    assert host.get("shop.example.com") == "200 one"
    ok(host.module(name="shop", state="absent"), changed=True)
    host.server("stop")
    if systemd:
        host.sh(f"rm -r {unit}; systemctl daemon-reload")
    host.server("start")
