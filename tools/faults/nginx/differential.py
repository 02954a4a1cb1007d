# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare how nginx_site validates a configuration that is not there yet with what `nginx -t` says when it is.

Runs inside a test host, as root. Random configurations, right ones and mutated ones, are tested before they are on
disk, in a mount namespace where there may be one and in a shadow tree, and then on disk. Prints one object at its end.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import re
import shutil
import subprocess
import typing as t
from pathlib import Path

from ansible_collections.flaskops.stack.plugins.module_utils._nginx import binary as _nginx_binary
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.policy import NAMESPACE, NONE, SHADOW
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.staged_tree import StagedTree

from tools.faults.inject.injector import PROGRESS

ROOT, ORIGINAL = Path("/etc/nginx"), Path("/opt/nginx.differential")
# Where else a configuration is, with a link at its usual place.
ELSEWHERE = Path("/opt/elsewhere/conf")
CERTIFICATES = ("/etc/ssl", "/etc/nginx/certs", "/opt/elsewhere/ssl")
CERTIFICATE_PATHS = [
    "../ssl/t.{0}",
    "../../etc/ssl/t.{0}",
    "../../../../../../etc/ssl/t.{0}",
    "./.././../etc//ssl/t.{0}",
    "/etc/ssl/t.{0}",
    "/etc/nginx/../ssl/t.{0}",
    "certs/t.{0}",
    "certs/../certs/t.{0}",
    "sites-available/../certs/t.{0}",
    "linked/t.{0}",
]
LINES = [
    "access_log /var/log/nginx/{0}.log;",
    "access_log ../../../var/log/nginx/{0}.log;",
    "error_log /var/log/nginx/e{0}.log warn;",
    "error_log stderr;",
    "access_log off;",
    "root /srv/{0};",
    "root ../../../../../../srv;",
    "client_body_temp_path /var/lib/nginx/t{0};",
    "include snippets/fastcgi-php.conf;",
    "include ../nginx/snippets/none-*.conf;",
    "include extra/*.inc;",
    "include /etc/nginx/extra/*.inc;",
    "include ../elsewhere.d/*.conf;",
    "include ../../etc/elsewhere.d/a.conf;",
    "include linked/*.inc;",
    "include sites-available/../extra/one.inc;",
    "auth_basic x; auth_basic_user_file ../htpasswd;",
    "location / {{ proxy_pass http://unix:/run/{0}.sock; }}",
    "location /{0} {{ return 200 '{0}'; }}",
    "location ~ ^/(../)+x {{ return 403; }}",
    "rewrite ^/a/(.*)$ /b/$1 last;",
    'add_header X-{0} "a;b{{c";',
    "set $x '#no comment';",
    "# a comment }}",
    "if ($host = {0}) {{ return 301 https://$host$request_uri; }}",
]
MAIN = [
    ("pid /run/nginx.pid;", "pid /run/other.pid;"),
    ("pid /run/nginx.pid;", ""),
    ("include /etc/nginx/sites-enabled/*;", "include sites-enabled/*;"),
    ("include /etc/nginx/sites-enabled/*;", "include ../nginx/sites-enabled/*;"),
    ("include /etc/nginx/sites-enabled/*;", "include sites-enabled/*; include extra/http.conf;"),
    ("include /etc/nginx/mime.types;", "include mime.types;"),
    ("access_log /var/log/nginx/access.log;", "access_log /var/log/nginx/m.log;"),
    ("gzip on;", "gzip on; proxy_cache_path /var/lib/nginx/c keys_zone=z:1m;"),
    ("user www-data;", "user daemon;"),
]
# What nginx does not accept, or only by chance.
WRONG_MAIN = [("user www-data;", "user no-such-user;"), ("gzip on;", "nonsense on;")]
WRONG_CERTIFICATES = [
    "linked/../t.{0}",
    "linked/t.{0}",
    "extra/new.{0}",
    "/etc/nginx/extra/new.{0}",
    "none/t.{0}",
    "../none/t.{0}",
]
WRONG_LINES = [
    "access_log /var/log/nginx/none/{0}.log;",
    "access_log ../../../../../none/{0}.log;",
    "include extra/none.inc;",
    "include ../nginx/none.inc;",
    "auth_basic;",
    "client_max_body_size {0};",
]
RARE = 0.06
Tree = dict[str, str | None]


def server(dice: random.Random, name: str) -> str:
    """Return a site with some lines, most of them right."""
    port = dice.choice([80, 8080, 8443])
    lines = [f"listen {port};", f"server_name {name}.test;"]
    if dice.random() < 0.5:
        path = dice.choice(WRONG_CERTIFICATES if dice.random() < RARE else CERTIFICATE_PATHS)
        lines[0] = f"listen {port + 1000} ssl;"
        lines += [f"ssl_certificate {path.format('crt')};", f"ssl_certificate_key {path.format('key')};"]
    lines += [line.format(name) for line in dice.sample(LINES, dice.randint(0, 5))]
    lines += [line.format(name) for line in WRONG_LINES if dice.random() < RARE / len(WRONG_LINES)]
    return "server {\n  " + "\n  ".join(lines) + "\n}\n"


def mutated(dice: random.Random, text: str) -> str:
    """Return a text with something wrong, or at least different, in it."""
    words = re.split(r"(\s+|[;{}])", text)
    place = dice.randrange(len(words))
    kind = dice.randrange(6)
    if kind == 0:
        words[place] = ""
    elif kind == 1:
        words[place] *= 2
    elif kind == 2:
        other = dice.randrange(len(words))
        words[place], words[other] = words[other], words[place]
    elif kind == 3:
        words.insert(place, dice.choice(["'", '"', "\\", "#", "${", "{", "}", ";", "\n", "\r", "\t", "é", "../"]))
    elif kind == 4:
        words[place] = words[place][::-1]
    else:
        words[place:] = []
    return "".join(words)


def draw(dice: random.Random) -> tuple[Tree, Tree]:
    """Return files before a change, and what the change makes of them (None: they go)."""
    before: Tree = {f"sites-enabled/s{number}": server(dice, f"s{number}") for number in range(dice.randint(0, 3))}
    before["extra/one.inc"] = "add_header X-One 1;\n"
    after: Tree = {}
    for number in range(dice.randint(1, 4)):
        name = f"sites-enabled/s{number}"
        after[name] = None if name in before and dice.random() < 0.3 else server(dice, f"s{number}")
    if dice.random() < 0.3:
        after["extra/one.inc"] = dice.choice([None, "add_header X-Two 2;\n", "nonsense;\n"])
    if dice.random() < 0.3:
        after["extra/http.conf"] = "map $uri $mine { default 1; }\n"
    if dice.random() < 0.4:
        after["extra/new.crt"], after["extra/new.key"] = (
            Path(f"/etc/ssl/t.{end}").read_text() for end in ("crt", "key")
        )
    if dice.random() < 0.4:
        text = (ORIGINAL / "nginx.conf").read_text()
        for old, new in dice.sample([*MAIN, *(WRONG_MAIN if dice.random() < RARE else [])], 2):
            text = text.replace(old, new)
        after["nginx.conf"] = text
    changed = [name for name, text in after.items() if text and not name.endswith((".crt", ".key"))]
    if changed and dice.random() < 0.3:
        name = dice.choice(changed)
        after[name] = mutated(dice, after[name] or "")
    return before, after


def lay_out(dice: random.Random) -> None:
    """Make nginx's directory as it was installed, with what configurations refer to; some of it by links."""
    for path in (ROOT, ELSEWHERE):
        if path.is_symlink():
            path.unlink()
        shutil.rmtree(path, ignore_errors=True)
    ELSEWHERE.parent.mkdir(parents=True, exist_ok=True)
    home = ROOT
    if dice.random() < 0.3:
        home = ELSEWHERE
        ROOT.symlink_to(home)
    shutil.copytree(ORIGINAL, home, symlinks=True)
    (home / "sites-enabled/default").unlink(missing_ok=True)
    if dice.random() < 0.3:
        shutil.rmtree("/opt/elsewhere/sites", ignore_errors=True)
        (home / "sites-enabled").rename("/opt/elsewhere/sites")
        (home / "sites-enabled").symlink_to("/opt/elsewhere/sites")
    (home / "extra").mkdir()
    (home / "linked").symlink_to(dice.choice(["/opt/elsewhere/ssl", "certs", "../ssl"]))
    if dice.random() < RARE:
        (home / "sites-enabled/dangling").symlink_to("/nowhere")
    for directory in CERTIFICATES:
        Path(directory).mkdir(parents=True, exist_ok=True)
        for end in ("crt", "key"):
            shutil.copy(f"/opt/t.{end}", f"{directory}/t.{end}")
    Path("/etc/elsewhere.d").mkdir(exist_ok=True)
    Path("/etc/elsewhere.d/a.conf").write_text("add_header X-Else 1;\n")


def put(tree: Tree) -> None:
    """Write files below nginx's directory."""
    for name, text in tree.items():
        if text is None:
            (ROOT / name).unlink()
        else:
            (ROOT / name).write_text(text)


def future_verdict(after: Tree, method: str) -> tuple[bool, str, str]:
    """Return what is said of a change that is not made: whether it is right, why not, and how that was found out."""
    changes = {str(ROOT / name): None if text is None else text.encode() for name, text in after.items()}
    if method == SHADOW:
        _nginx_binary.shutil.which = lambda name: None if name == "unshare" else which(name)  # type: ignore[attr-defined]
    try:
        verdict = _nginx_binary.Nginx("nginx", str(ROOT / "nginx.conf")).test(StagedTree(changes))
    finally:
        _nginx_binary.shutil.which = which  # type: ignore[attr-defined]
    return verdict.ok, error_of(verdict.output), verdict.method


which = shutil.which


def error_of(output: str) -> str:
    """Return the first error in nginx's words; numbers of processes and lines of warnings do not matter."""
    for line in output.splitlines():
        match = re.search(r"\[(?:emerg|alert)\] (?:\d+#\d+: )?(.*)", line)
        if match:
            return match.group(1)
    return ""


def plain_verdict() -> tuple[bool, str]:
    """Return what nginx itself says of what is on disk."""
    said = subprocess.run(["nginx", "-t"], capture_output=True, text=True, errors="replace", check=False)
    return said.returncode == 0, error_of(said.stderr)


def compare(seed: int, methods: t.Sequence[str]) -> tuple[str, list[str]]:
    """Return nginx's error, and where the ways to find that out differ."""
    dice = random.Random(seed)  # noqa: S311 - a configuration must come again by its number
    lay_out(dice)
    before, after = draw(dice)
    put(before)
    found = [(method, future_verdict(after, method)) for method in methods]
    put(after)
    right, error = plain_verdict()
    wrong = [
        f"configuration {seed}, {method}: {(ok, said)} but nginx says {(right, error)}"
        for method, (ok, said, way) in found
        if (ok, said) != (right, error) or way not in (method, NONE)
    ]
    return "" if right else error, wrong


def main() -> None:
    """Compare so many configurations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("number", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--methods", default=f"{NAMESPACE},{SHADOW}")
    asked = parser.parse_args()
    if not ORIGINAL.exists():
        shutil.copytree(ROOT, ORIGINAL, symlinks=True)
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=t -keyout /opt/t.key -out /opt/t.crt"
    subprocess.run(make.split(), capture_output=True, check=True)
    wrong: list[str] = []
    errors: collections.Counter[str] = collections.Counter()
    for seed in range(asked.first, asked.first + asked.number):
        error, differences = compare(seed, asked.methods.split(","))
        errors[error] += 1
        wrong += differences
        if seed % 50 == 0:
            print(f"{PROGRESS} configuration {seed}", flush=True)
    shutil.rmtree(ELSEWHERE.parent, ignore_errors=True)
    if ROOT.is_symlink():
        ROOT.unlink()
    shutil.rmtree(ROOT, ignore_errors=True)
    shutil.copytree(ORIGINAL, ROOT, symlinks=True)
    print(json.dumps({"configurations": asked.number, "right": errors[""], "wrong": wrong}))


if __name__ == "__main__":
    main()
