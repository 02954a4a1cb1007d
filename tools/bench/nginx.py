# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx_site: what a task costs, what a thousand sites cost, and four tasks per site as people write them today."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from tools.common import ToolError
from tools.faults.payload import PAYLOAD, PYTHON, install

from .host import BenchHost
from .model import Budget, Measurement, Plan, Result, Subject, ratio

MAX_UNCHANGED_MS = 60
MAX_CHANGE_MS = 400
MAX_MANY = 3
MAX_GROWTH = 1
TIMES = 15
COUNTS = (10, 100, 1000)
COMPARED = (1, 10, 100)
# More are published once: four tasks for each take minutes.
SEVERAL = 10

# As role nginx writes it, shorter.
SITE = """\
upstream s{number} {{ server unix:/srv/s{number}/current/run/0.sock; }}
server {{
  # {text}
  listen 80;
  server_name s{number}.test www.s{number}.test;
  client_max_body_size 16m;
  location /static/ {{ alias /srv/s{number}/static/; expires 1y; add_header Cache-Control "public, immutable"; }}
  location / {{
    proxy_pass http://s{number};
    proxy_set_header Host $host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_read_timeout 60s;
  }}
}}
"""

# What nginx itself takes: it ends when workers of the new configuration have replaced the old ones.
_OWN = r"""
import os, subprocess, time
def title(pid):
    try:
        return open(f"/proc/{pid}/cmdline").read()
    except OSError:
        return ""
def workers():
    pids = open(f"/proc/{master}/task/{master}/children").read().split()
    return {pid for pid in pids if title(pid).startswith("nginx: worker") and "shutting" not in title(pid)}
master = open("/run/nginx.pid").read().strip()
old = workers()
started = time.perf_counter()
subprocess.run(["nginx", "-t"], check=True, capture_output=True)
subprocess.run(["nginx", "-s", "reload"], check=True, capture_output=True)
while not workers() or workers() & old:
    time.sleep(0.005)
print(time.perf_counter() - started)
"""

# The module's process from its start to its end, as action plugins run it when the host keeps its code.
_MODULE = r"""
import json, subprocess, sys, time
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.flaskops.stack.plugins.module_utils import _host_code, _host_task
from ansible_collections.flaskops.stack.plugins.modules.nginx_site import ARGUMENTS
from tools.faults.inject.module import keep_code
path = f"{_host_code.ROOT}/{keep_code('nginx_site')}"
params = ArgumentSpecValidator(**ARGUMENTS).validate(json.load(sys.stdin)).validated_parameters
words = json.dumps({"params": params, "check": False, "diff": False, "hidden": [], "log": ""})
command = [sys.executable, "-I", "-c", _host_task.BOOTSTRAP, path, "_entrypoints.nginx_site"]
started = time.perf_counter()
done = subprocess.run(command, input=words, capture_output=True, text=True)
seconds = time.perf_counter() - started
result = json.loads(done.stdout.rpartition(_host_task.MARK)[2] or '{}')
assert result.get("reload", {}).get("proved"), (result, done.stderr)
print(seconds)
"""

_PREPARE = """
rm -f /etc/nginx/sites-enabled/default
sed -i 's/# server_names_hash_bucket_size.*/server_names_hash_max_size 8192;/' /etc/nginx/nginx.conf
systemctl restart nginx
"""
# ext4 does not reuse inodes that were freed a moment ago, and searches longer for others with each repetition.
_IN_MEMORY = """
systemctl stop nginx
cp -a /etc/nginx /root/nginx
mount -t tmpfs tmpfs /etc/nginx
cp -a /root/nginx/. /etc/nginx/
systemctl start nginx
"""
# On a fast machine it is restarted more often than systemd allows a unit that fails.
_EMPTY = """
rm -rf /var/lib/flaskops /etc/nginx/sites-enabled/* /etc/nginx/sites-available/s*
systemctl reset-failed nginx
systemctl restart nginx
"""

Task = dict[str, object]


def site(number: int, text: str) -> str:
    """Return a site with a text in it that makes it another one."""
    return SITE.format(number=number, text=text)


class Stamps:
    """Texts that were not used before."""

    def __init__(self) -> None:
        self._number = 0

    def next(self) -> str:
        """Return one."""
        self._number += 1
        return f"text {self._number}"


def _playbook(host: BenchHost, name: str, *tasks: Task) -> Path:
    play = {"hosts": "all", "gather_facts": False, "become": True, "tasks": list(tasks)}
    return host.write_json(name, [play])


def task(host: BenchHost, _plan: Plan) -> Result:
    """Measure tasks with one site, unchanged and changed, and tasks that do nothing: the three take turns in one play.

    What counts is the difference of the smallest times: what else the machine does is no property of the module.
    """
    host.install("nginx")
    host.script(_PREPARE + _EMPTY)
    tasks: list[Task] = []
    for number in range(TIMES):
        wanted = {"name": "s1", "content": site(1, f"text {number}")}
        tasks += [
            {"name": "change", "flaskops.stack.nginx_site": wanted},
            {"name": "empty", "ansible.builtin.ping": {}},
            {"name": "unchanged", "flaskops.stack.nginx_site": wanted},
        ]
    play = host.play(_playbook(host, "tasks.json", *tasks))
    if play.changed.count("change") != TIMES or len(play.changed) != TIMES:
        raise ToolError(f"{TIMES} tasks of {len(tasks)} have to change something; these did: {'; '.join(play.changed)}")
    seconds = {
        name: tuple(second for what, second in play.timed if what == name) for name in ("empty", "unchanged", "change")
    }

    def added(what: str, name: str, limit: float) -> Budget:
        added_ms = (min(seconds[name]) - min(seconds["empty"])) * 1000
        return Budget(f"{what}, ms more than an empty module", added_ms, limit)

    return Result(
        "nginx_site: one site in one task",
        (
            Measurement("empty", "ping, an empty module", seconds["empty"]),
            Measurement("unchanged", "nginx_site with a site that is in place", seconds["unchanged"]),
            Measurement(
                "change", "nginx_site with a new content: validated, swapped, reload proved", seconds["change"]
            ),
        ),
        (
            added("one unchanged site", "unchanged", MAX_UNCHANGED_MS),
            added("a change with validation and proved reload", "change", MAX_CHANGE_MS),
        ),
    )


def many(host: BenchHost, plan: Plan) -> Result:
    """Measure one transaction over many sites on the host, against nginx's own test and reload of the same tree."""
    host.install("nginx")
    host.script(_PREPARE + _EMPTY)
    install(host)
    host.write(f"{PAYLOAD}/own.py", _OWN)
    host.write(f"{PAYLOAD}/module.py", _MODULE)
    stamps = Stamps()

    def change(count: int) -> float:
        text = stamps.next()
        sites = [{"name": f"s{number}", "content": site(number, text)} for number in range(count)]
        words = json.dumps({"sites": sites, "purge": True})
        return float(host.run(*PYTHON, f"{PAYLOAD}/module.py", stdin=words).out)

    def own() -> float:
        return float(host.run("python3", f"{PAYLOAD}/own.py").out)

    change(1)
    disk = plan.measure(
        Subject("1000 sites, disk", "the first 1000 sites, nginx's tree on disk", partial(change, 1000)),
        Subject("nginx, disk", "nginx -t and reload until new workers run, the same tree", own),
        most=1,
    )
    host.script(_EMPTY + _IN_MEMORY)
    found: list[Measurement] = []
    for count in COUNTS:
        change(count)
        found += plan.measure(
            Subject(
                f"{count} sites",
                f"{count} sites changed, nginx's tree in memory",
                partial(change, count),
            ),
            Subject(f"nginx, {count} sites", "nginx -t and reload until new workers run, the same tree", own),
        )
    few, most, most_own = found[0], found[-2], found[-1]
    per_site = Budget("cost per site, of 1,000 / of 10", (most.median / 1000) / (few.median / 10), MAX_GROWTH)
    return Result(
        "nginx_site: many sites in one transaction",
        (*disk, *found),
        (ratio("1,000 sites / nginx's own test and reload", most, most_own, MAX_MANY), per_site),
    )


def _ours(count: int) -> list[Task]:
    sites = [{"name": f"s{number}", "template": f"s{number}.j2"} for number in range(count)]
    return [{"flaskops.stack.nginx_site": {"sites": sites}}]


def _theirs(count: int) -> list[Task]:
    available, enabled = "/etc/nginx/sites-available", "/etc/nginx/sites-enabled"
    tasks: list[Task] = []
    for name in [f"s{number}" for number in range(count)]:
        tasks += [
            {"ansible.builtin.template": {"src": f"{name}.j2", "dest": f"{available}/{name}"}},
            {"ansible.builtin.file": {"src": f"{available}/{name}", "dest": f"{enabled}/{name}", "state": "link"}},
            {"ansible.builtin.command": {"cmd": "nginx -t"}},
            {"ansible.builtin.service": {"name": "nginx", "state": "reloaded"}},
        ]
    return tasks


def four_tasks(host: BenchHost, plan: Plan) -> Result:
    """Measure how long it takes to publish sites, against four tasks for each of them."""
    host.install("nginx")
    host.script(_PREPARE)
    templates = host.work / "templates"
    templates.mkdir(exist_ok=True)
    for number in range(max(COMPARED)):
        (templates / f"s{number}.j2").write_text(site(number, "{{ inventory_hostname }}"), encoding="utf-8")

    def publish(playbook: Path) -> float:
        host.script(_EMPTY)
        return host.play(playbook).seconds

    found: list[Measurement] = []
    budgets = []
    for count in COMPARED:
        ours, theirs = (
            partial(publish, _playbook(host, f"{name}{count}.json", *tasks))
            for name, tasks in (("ours", _ours(count)), ("theirs", _theirs(count)))
        )
        mine, four = plan.measure(
            Subject(f"one task, {count}", f"nginx_site with {count} new, from templates", ours),
            Subject(f"four tasks, {count}", "template, file, command nginx -t, service: for each site", theirs),
            most=1 if count > SEVERAL else 0,
        )
        found += [mine, four]
        budgets.append(ratio(f"{count} new, one task / four tasks each", mine, four, 1))
    return Result("nginx_site: against four tasks per site", tuple(found), tuple(budgets))
