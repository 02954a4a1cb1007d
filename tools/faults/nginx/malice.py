# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of hostile input for nginx_site: each row ends in a clear error, and leaves no trace."""

from __future__ import annotations

import hashlib
import typing as t
from dataclasses import dataclass

from tools.faults.nginx.host import NginxTestHost
from tools.faults.nginx.story import AVAILABLE, ENABLED, names, ok, refused, site, story, unchanged_by
from tools.lab.host import CommandError

# 12 MiB that nginx reads line by line, and then a mistake.
_BIG = "(echo 'map $uri $big {'; seq 500000 | sed 's|.*|/page/number/& 1;|'; echo '}'"
_LOOP = "include /etc/nginx/sites-enabled/%s;\n"


@dataclass(frozen=True)
class Row:
    """Something hostile: how it comes about, the call, and words of the error."""

    name: str
    params: dict[str, t.Any]
    words: tuple[str, ...]
    prepare: str = ""


def content(name: str, text: str, *words: str) -> Row:
    """Return a row in which the content of one site is hostile."""
    return Row(name, {"name": "a", "content": text}, words)


def name(what: str, text: str) -> Row:
    """Return a row in which the name of a site is hostile."""
    return Row(f"a name {what}", {"name": text, "content": site("x")}, ("name|embedded null",))


def src(what: str, make: str, *words: str) -> Row:
    """Return a row in which a file of the host is hostile."""
    return Row(what, {"name": "a", "src": "/opt/hostile"}, words, f"{make} > /opt/hostile")


def place(what: str, prepare: str, *words: str, foreign: str = "refuse") -> Row:
    """Return a row in which what stands in the place of the link is hostile."""
    params = {"name": "odd", "content": site("odd"), "foreign": foreign}
    return Row(what, params, words, f"cd {ENABLED}; {prepare}")


ROWS = (
    content(
        "an unknown directive", site("a", more="nonsense on;"), 'unknown directive "nonsense" in .*sites-enabled/a:4'
    ),
    content("a brace that is not closed", "server {", "sites-enabled/a", "unexpected end of file"),
    content("a brace that was not opened", site("a") + "}\n", 'unexpected "}" in .*sites-enabled/a:7'),
    content("a string that is not closed", 'server { server_name "a;\n}', "sites-enabled/a"),
    content("500 blocks, one in the other", "server { " + "location /x { " * 500, "sites-enabled/a"),
    content("an include of itself", _LOOP % "a", "includes itself"),
    content("an include of all sites", _LOOP % "*", "includes itself"),
    Row(
        "two sites that include each other",
        {"sites": [{"name": "a", "content": _LOOP % "b"}, {"name": "b", "content": _LOOP % "a"}]},
        ("includes itself", "sites-enabled/a -> .*sites-enabled/b"),
    ),
    content(
        "an include of a file that is missing",
        "include no/such.conf;\n",
        "/etc/nginx/no/such.conf",
        "sites-enabled/a:1",
    ),
    content("a byte order mark", "\ufeffserver { listen 80; }\n", "site 'a': .* byte order mark"),
    src("a binary file", "head -c 5000 /dev/urandom", "NUL|nginx refused"),
    src("a binary file without NUL bytes", "head -c 5000 /dev/urandom | tr -d '\\0'", "sites-enabled/a"),
    src("12 MiB with a mistake at the end", f"{_BIG}; echo 'oops;')", 'directive "oops" in .*sites-enabled/a:500003'),
    src("20 MB", "head -c 20000000 /dev/zero | tr '\\0' '#'", "20000000 bytes"),
    Row("a file that is not there", {"name": "a", "src": "/opt/none"}, ("/opt/none",)),
    Row("a directory as source", {"name": "a", "src": "/opt"}, ("/opt", "directory")),
    *(
        name(what, text)
        for what, text in {
            "that is empty": "",
            "that is the directory": ".",
            "that is the directory above": "..",
            "that leads upwards": "../x",
            "with a slash": "a/b",
            "that is absolute": "/etc/passwd",
            "with a newline": "a\nb",
            "with a newline at the end": "a\n",
            "with a NUL": "a\0b",
            "with the mark of versions": "a@b",
            "with a leading dot": ".hidden",
            "that is not ASCII": "ümlaut",
            "with letters that look like others": "\u0430",
            "with right-to-left marks": "a\u202eb",
            "that is too long": "x" * 65,
            "with a blank": "a b",
            "with a star": "*",
            "with a semicolon": "a;b",
        }.items()
    ),
    Row("a name that comes twice", {"sites": [{"name": "a", "content": "#"}] * 2}, ("listed twice",)),
    place("a directory in the place of the link", "mkdir odd", "directory"),
    place("a directory, to be replaced", "mkdir odd", "directory", foreign="replace"),
    place("a link that is a directory", "mkdir -p /opt/odd; ln -s /opt/odd odd", "link to /opt/odd"),
    place("a dangling link", "ln -s /nowhere odd", "link to /nowhere"),
    place("a link to itself", "ln -s odd odd", "link to odd"),
    place("a regular file", "echo '# theirs' > odd", "regular file"),
    place("a FIFO", "mkfifo odd", "neither a file nor a link"),
    Row(
        "one directory for versions and links",
        {"name": "a", "content": "#", "directory_available": ENABLED},
        ("two directories",),
    ),
    Row("no versions to keep", {"name": "a", "content": "#", "keep": 0}, ("keep",)),
    Row("an owner that does not exist", {"name": "a", "content": "#", "owner": "nobody-here"}, ("owner",)),
    Row(
        "a file among the sites",
        {"files": [{"path": f"{ENABLED}/x", "content": "#"}]},
        ("lies in a directory of sites",),
    ),
    Row("a file that is a directory", {"files": [{"path": "/etc/nginx", "content": "#"}]}, ("directory",)),
)


@story
def hostile_table(host: NginxTestHost) -> None:
    """Each row is refused with an error that names what is wrong, and nothing is touched."""
    clean = f"rm -rf {ENABLED}/odd /opt/odd /opt/hostile"
    for row in ROWS:
        host.sh(f"{clean}; {row.prepare or ':'}")
        try:
            unchanged_by(host, lambda row=row: host.module(**row.params), *row.words)  # type: ignore[misc]
        except (AssertionError, CommandError) as exc:
            raise AssertionError(f"{row.name}: {exc}") from exc
    host.sh(clean)


@story
def odd_but_right(host: NginxTestHost) -> None:
    """A link to a directory and a dangling one are replaced when asked; 12 MiB that nginx accepts are no mistake."""
    for target in ("/opt/odd", "/nowhere"):
        host.sh(f"mkdir -p /opt/odd; ln -sfn {target} {ENABLED}/odd")
        ok(host.module(name="odd", content=site("odd"), foreign="replace"), changed=True)
        assert host.get("odd.example.com") == "200 one" and host.sh("ls -d /opt/odd") == "/opt/odd"
        ok(host.module(name="odd", state="absent"), changed=True)
    host.sh(f"rmdir /opt/odd; {_BIG}) > /opt/hostile; echo '{site('big')}' >> /opt/hostile")
    ok(host.module(name="big", src="/opt/hostile"), changed=True)
    assert host.get("big.example.com") == "200 one"
    ok(host.module(name="big", src="/opt/hostile"), changed=False)
    host.sh("rm /opt/hostile")


@story
def links_of_an_attacker(host: NginxTestHost) -> None:
    """Where others may write to a directory, their links lead no run to write, or to remove, somewhere else."""
    wanted = site("shop").encode()
    version = f"shop@{hashlib.sha256(wanted).hexdigest()[:12]}"
    host.sh(
        "rm -rf /opt/victim; mkdir /opt/victim; echo secret > /opt/victim/file; chmod 600 /opt/victim/file; "
        f"chmod 1777 {AVAILABLE} {ENABLED}; rm -rf /tmp/flaskops-nginx-*"
    )
    show = "cd /opt/victim; stat -c '%n %U %a %Y' . file; cat file"
    before = host.sh(show)
    plant = (
        f"cd {AVAILABLE}; ln -s /opt/victim/file {version}; ln -s /opt/victim/file shop@000000000000; "
        "ln -s /opt/victim .flaskops-x; ln -s /opt/victim/file .flaskops-y; "
        f"cd {ENABLED}; i=0; while [ $i -lt 3000 ]; do echo .flaskops-shop-$i; i=$((i+1)); done "
        "| xargs -n 1000 sh -c 'for n; do ln -s /opt/victim/file $n; done' sh; "
        "cd /tmp; ln -s /opt/victim flaskops-nginx-link; mkdir flaskops-nginx-own; echo x > flaskops-nginx-own/file"
    )
    host.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-ec", plant)
    try:
        ok(host.module(name="shop", content=wanted.decode()), changed=True)
        assert host.get("shop.example.com") == "200 one"
        assert host.sh(f"stat -c '%F %U %a' {AVAILABLE}/{version}") == "regular file root 644"
        # The version that is linked is replaced by a link, too.
        host.sh(f"ln -sf /opt/victim/file {AVAILABLE}/{version}")
        ok(host.module(name="shop", content=wanted.decode()), changed=True)
        assert host.sh(f"stat -c '%F %U %a' {AVAILABLE}/{version}") == "regular file root 644"
        refused(host.module(name="shop", version="000000000000"), "000000000000")
        ok(host.module(name="shop", state="absent"), changed=True)
        assert before == host.sh(show) and "shop" not in names(host)
        assert host.sh("cat /tmp/flaskops-nginx-own/file; readlink /tmp/flaskops-nginx-link") == "x\n/opt/victim"
    finally:
        host.sh(
            f"chmod 755 {AVAILABLE} {ENABLED}; rm -rf /opt/victim /tmp/flaskops-nginx-link /tmp/flaskops-nginx-own "
            f"{AVAILABLE}/.flaskops-* {AVAILABLE}/shop@*; find {ENABLED} -name '.flaskops-*' -delete"
        )
