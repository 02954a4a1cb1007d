# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill nginx_site, or let it fail, at each of its system calls. Runs inside the test host, as root, beside strace.

Two states of three sites are changed into each other. After each blow nginx's tree must be one of the two, whole,
C(nginx -t) must pass, the server must answer, and the next run must complete the change and leave nothing behind.
"""

from __future__ import annotations

import argparse
import collections
import http.client
import json
import re
import subprocess
import sys
import typing as t
from pathlib import Path

MODULE = [sys.executable, "-m", "ansible_collections.flaskops.stack.plugins.modules.nginx_site"]
CALLS = (
    "openat,open,creat,write,pwrite64,rename,renameat,renameat2,symlink,symlinkat,link,linkat,unlink,unlinkat,mkdir,mkdirat,"
    "rmdir,fsync,fdatasync,syncfs,ftruncate,fchown,chown,lchown,fchownat,fchmod,chmod,fchmodat,utime,utimes,utimensat,"
    "setxattr,fsetxattr,flock,kill,clone,clone3,fork,vfork"
)
ENABLED = Path("/etc/nginx/sites-enabled")
TRACE = Path("/opt/flaskops-test/trace")
_LINE = re.compile(r"^(\w+)\((.*)$")


def site(name: str, text: str) -> dict[str, str]:
    """Return one site of a state."""
    listen = f"listen 80; server_name {name}.example.com;"
    return {"name": name, "content": f'server {{ {listen} location / {{ return 200 "{name} {text}"; }} }}\n'}


class State(t.NamedTuple):
    """A wanted set and what a visitor sees of it."""

    params: dict[str, t.Any]
    texts: dict[str, str]


def state(texts: dict[str, str], snippet: str) -> State:
    """Return a state with these sites; the snippet is a further file of the transaction."""
    files = [{"path": "/etc/nginx/conf.d/extra.conf", "content": f"# {snippet}\n"}] if snippet else []
    return State({"sites": [site(*item) for item in texts.items()], "purge": True, "files": files, "keep": 1}, texts)


PLANS = {
    "one": (state({"a": "1", "b": "1"}, ""), state({"a": "2", "b": "1"}, "")),
    "files": (state({"a": "1", "b": "1", "c": "1"}, "1"), state({"a": "2", "b": "2", "d": "2"}, "2")),
    "many": (state({"a": "1", "b": "1", "c": "1"}, ""), state({"a": "2", "b": "2", "d": "2"}, "")),
}


def run(wanted: State, before: list[str] | None = None) -> tuple[int, dict[str, t.Any]]:
    """Run the module and return its exit code and result."""
    stdin = json.dumps({"ANSIBLE_MODULE_ARGS": wanted.params})
    done = subprocess.run([*(before or []), *MODULE], input=stdin, capture_output=True, text=True, check=False)
    try:
        return done.returncode, json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return done.returncode, {"failed": True, "msg": done.stderr[-2000:] or f"died with {done.returncode}"}


def tree() -> dict[str, str]:
    """Return what nginx would read: names and the contents that their links lead to."""
    return {entry.name: entry.read_text() for entry in ENABLED.iterdir() if not entry.name.startswith(".")}


def served(name: str) -> str:
    """Return what a visitor of a site reads."""
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=5)
    try:
        connection.request("GET", "/", headers={"Host": f"{name}.example.com", "Connection": "close"})
        return connection.getresponse().read().decode()
    except OSError as exc:
        return f"nothing: {exc}"


def expected(wanted: State) -> dict[str, str]:
    """Return the tree of a state."""
    return {item["name"]: item["content"] for item in wanted.params["sites"]}


def leftovers() -> list[str]:
    """Return what a run must not leave behind."""
    found = [*Path("/etc/nginx").rglob(".flaskops*"), *Path("/run").glob("flaskops-*")]
    return [str(path) for path in [*found, *Path("/var/lib/flaskops/nginx_site").glob("*.json")]]


def judge(old: State, new: State, told: str) -> str:
    """Return what is wrong after a blow; '' when nothing is."""
    now = tree()
    if now not in (expected(old), expected(new)):
        return f"{told}: neither the old nor the new tree: {sorted(now)}"
    if subprocess.run(["nginx", "-t"], capture_output=True, check=False).returncode != 0:
        return f"{told}: nginx -t fails"
    for name in set(old.texts) & set(new.texts):
        if served(name) not in (f"{name} {old.texts[name]}", f"{name} {new.texts[name]}"):
            return f"{told}: {name} answers {served(name)!r}"
    _rc, result = run(new)
    if result.get("failed"):
        return f"{told}: the next run fails: {result.get('msg')}"
    if tree() != expected(new) or any(served(name) != f"{name} {text}" for name, text in new.texts.items()):
        return f"{told}: the next run does not complete the change"
    _rc, again = run(new)
    return "" if not again.get("failed") and not again["changed"] else f"{told}: the run after that changes something"


def back(old: State, told: str) -> str:
    """Go back to the old state; return what is wrong with that."""
    _rc, result = run(old)
    if leftovers():
        return f"{told}: left behind: {leftovers()}"
    return "" if not result.get("failed") and tree() == expected(old) else f"{told}: no way back: {result}"


def points(old: State, new: State) -> list[tuple[str, int, str]]:
    """Return the calls that a run makes once it holds the lock, each with its number among the calls of its name."""
    run(new, ["strace", "-qq", "-o", str(TRACE), "-e", f"trace={CALLS}"])
    run(old)
    counts: collections.Counter[str] = collections.Counter()
    found, locked = [], False
    for line in TRACE.read_text().splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        counts[match.group(1)] += 1
        locked = locked or (match.group(1) == "flock")
        reads = match.group(1).startswith("open") and "O_CREAT" not in line and "O_WRONLY" not in line
        if locked and not reads:
            found.append((match.group(1), counts[match.group(1)], match.group(2)[:100]))
    return found


def strike(old: State, new: State, blow: str, every: int, first: int) -> tuple[int, list[str]]:
    """Strike at each (or each n-th) point and return how many there were and what broke."""
    broken, count = [], 0
    for call, number, text in points(old, new)[first::every]:
        inject = [
            "strace",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            f"trace={call}",
            "-e",
            f"inject={call}:{blow}:when={number}",
        ]
        rc, result = run(new, inject)
        count += 1
        told = f"{blow} at {call} {number} ({text}), rc {rc}, {str(result.get('msg', ''))[:300]}"
        wrong = judge(old, new, told) or back(old, told)
        if wrong:
            broken.append(wrong)
            print("BROKEN", wrong, flush=True)
            subprocess.run(["systemctl", "reset-failed", "nginx"], check=False)
            subprocess.run(["systemctl", "restart", "nginx"], check=False)
            run(old)
    return count, broken


def main() -> int:
    """Strike, and print the count as JSON in the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan", choices=PLANS)
    parser.add_argument("blow", help="signal=KILL, error=ENOSPC, …")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    old, new = PLANS[arguments.plan]
    (ENABLED / "default").unlink(missing_ok=True)
    _rc, result = run(old)
    if result.get("failed"):
        print(json.dumps({"points": 0, "broken": [f"the first state: {result.get('msg')}"]}))
        return 1
    count, broken = strike(old, new, arguments.blow, arguments.every, arguments.first)
    print(json.dumps({"points": count, "broken": broken}))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
