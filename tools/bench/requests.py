# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that a host answers in a second: ours against the stack of the usual tutorial, and against bare nginx.

h2load runs on the host itself. Every comparison has a row "ours again", the same subject once more, to show the noise.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from functools import partial

from tools.common import ROOT, ToolError

from .host import BenchHost
from .latency import percentile
from .model import MEMORY, MILLISECONDS, RATE, Budget, Measurement, Plan, Result, Subject, ratio

SITE = ROOT / "playbooks" / "site.yml"

MIN_JSON, MAX_JSON_P99 = 1.25, 1.0
MIN_OF_DIRECT = 0.85
MIN_WAIT = 4.5
MIN_CPU = 0.9
MIN_STATIC = 0.95
MIN_TLS = 0.9

# What an application does: answer at once, wait for a database, compute.
APPLICATION = """
import time
from flask import Flask, jsonify

app = Flask(__name__)


@app.get("/")
@app.get("/json")
def answer():
    return jsonify(hello="world", items=list(range(10)))


@app.get("/wait")
def wait():
    time.sleep(0.05)
    return jsonify(waited=50)


@app.get("/cpu")
def cpu():
    until = time.thread_time() + 0.005
    while time.thread_time() < until:
        sum(range(100))
    return jsonify(computed=5)
"""
_FILE = "file.css"
_BYTES = 10 * 1024

_READY = "/var/lib/bench/requests"
# Both have the same gunicorn and the same Flask; beside them the same nginx serves the file with nothing set.
_RIVALS = f"""
mkdir -p /opt/tutorial /var/www/bare/static
cat > /opt/tutorial/app.py
cp /srv/ours/current/app/static/{_FILE} /var/www/bare/static/
python3 -m venv /opt/tutorial/venv
/srv/ours/current/venv/bin/python -c '
from importlib.metadata import distributions
for one in distributions():
    print(one.metadata["Name"] + "==" + one.version)' > /opt/tutorial/requirements.txt
/opt/tutorial/venv/bin/pip install --quiet --disable-pip-version-check --requirement /opt/tutorial/requirements.txt
cat > /etc/systemd/system/tutorial.service <<'END'
[Service]
User=www-data
WorkingDirectory=/opt/tutorial
ExecStart=/opt/tutorial/venv/bin/gunicorn --workers 4 --bind 127.0.0.1:8000 app:app
END
cat > /etc/nginx/sites-enabled/rivals <<END
server {{
    listen 80;
    server_name tutorial.test;
    location / {{ include proxy_params; proxy_pass http://127.0.0.1:8000; }}
}}
server {{
    listen 80;
    listen 443 ssl;
    $(grep -hE '^ *(ssl_certificate|ssl_certificate_key|http2) ' /etc/nginx/sites-enabled/ours | sort -u)
    server_name bare.test;
    root /var/www/bare;
}}
END
systemctl daemon-reload && systemctl restart tutorial.service && nginx -t -q && systemctl reload nginx.service
sleep 2
mkdir -p {_READY}
"""


@dataclass(frozen=True)
class Load:
    """How h2load asks."""

    requests: int
    connections: int


@dataclass(frozen=True)
class Visit:
    """What one run of h2load has found."""

    rate: float
    # In milliseconds.
    p99: float


# How many requests take a second or two; those of the waiting route take the tutorial's workers five.
JSON = Load(4000, 10)
WAIT = Load(384, 64)
CPU = Load(500, 10)
STATIC = Load(20000, 10)
TLS = Load(10000, 10)

_RATE = re.compile(r"^finished in .*?, ([\d.]+) req/s", re.MULTILINE)
_GOOD = re.compile(r"^status codes: (\d+) 2xx", re.MULTILINE)
_LOG = "/run/h2load.log"
_SOCKET = "/srv/ours/current/run/0.sock"


def read_visit(output: str, log: str, requests: int) -> Visit:
    """Return what h2load has printed and logged; raise ToolError when a request has failed.

    A line of the log has when a request began, its status, and how many microseconds it took.
    """
    rate, good = _RATE.search(output), _GOOD.search(output)
    if not rate or not good or int(good.group(1)) != requests:
        raise ToolError(f"h2load: not all of {requests} requests were answered with 2xx:\n{output}")
    times = sorted(int(line.split()[2]) / 1000 for line in log.splitlines())
    return Visit(float(rate.group(1)), percentile(times))


def prepare(host: BenchHost) -> None:
    """Deploy ours, and put the rivals beside it; once for each host."""
    if not host.sh(f"test -d {_READY} || echo new"):
        return
    source = host.work / "ours"
    (source / "static").mkdir(parents=True, exist_ok=True)
    (source / "app.py").write_text(APPLICATION, encoding="utf-8")
    (source / "requirements.txt").write_text("flask\n", encoding="utf-8")
    (source / "static" / _FILE).write_text((".a{color:#123456}\n" * _BYTES)[:_BYTES], encoding="utf-8")
    nginx = {
        "static": [{"url": "/static/", "path": "static"}],
        "tls": {"mode": "self_signed", "redirect": False},
    }
    app = {"name": "ours", "source": str(source), "app": "app:app", "domains": ["ours.test"], "nginx": nginx}
    host.play(SITE, host.write_json("ours.json", {"flask_apps": [app]}))
    host.install("nghttp2-client")
    host.script(_RIVALS, stdin=APPLICATION)


def visit(host: BenchHost, load: Load, *target: str) -> Visit:
    """Run h2load once."""
    words = [f"--requests={load.requests}", f"--clients={load.connections}", "--max-concurrent-streams=1"]
    host.script(f"rm -f {_LOG}")
    output = host.run("h2load", *words, f"--log-file={_LOG}", *target).out
    return read_visit(output, host.script(f"cat {_LOG}"), load.requests)


def plain(site: str, path: str) -> tuple[str, ...]:
    """Return what asks a site over HTTP/1.1."""
    return ("--h1", "--connect-to=127.0.0.1:80", f"http://{site}.test{path}")


def secure(site: str, path: str) -> tuple[str, ...]:
    """Return what asks a site over TLS and HTTP/2."""
    return ("--connect-to=127.0.0.1:443", f"https://{site}.test{path}")


class Comparison:
    """Subjects that h2load asks in turn."""

    def __init__(self, host: BenchHost, load: Load) -> None:
        self._host, self._load = host, load
        self._p99s: dict[str, list[float]] = {}
        self._subjects: list[Subject] = []

    def add(self, name: str, what: str, *target: str) -> None:
        """Add a subject."""
        self._p99s[name] = []
        self._subjects.append(Subject(name, what, partial(self._run, name, target), RATE))

    def _run(self, name: str, target: tuple[str, ...]) -> float:
        found = visit(self._host, self._load, *target)
        self._p99s[name].append(found.p99)
        return found.rate

    def measure(self, plan: Plan) -> tuple[dict[str, Measurement], dict[str, Measurement]]:
        """Return rates and p99 by subject."""
        rates = {item.name: item for item in plan.measure(*self._subjects)}
        p99s = {
            name: Measurement(f"{name}, p99", item.what, tuple(self._p99s[name]), MILLISECONDS)
            for name, item in rates.items()
        }
        return rates, p99s


_TUTORIAL = "4 sync workers on TCP, plain proxy_pass"
_OURS = "flask_apps with nothing set"
_BARE = "the same nginx with the file and nothing set"


def _against_tutorial(host: BenchHost, load: Load, path: str) -> Comparison:
    prepare(host)
    comparison = Comparison(host, load)
    comparison.add("tutorial", _TUTORIAL, *plain("tutorial", path))
    comparison.add("ours", _OURS, *plain("ours", path))
    comparison.add("ours again", "the same, to show the noise", *plain("ours", path))
    return comparison


def _noise(rates: t.Mapping[str, Measurement]) -> str:
    return f"ours again / ours, which is noise: {rates['ours again'].median / rates['ours'].median:.2f}"


def _result(
    title: str, load: Load, rates: dict[str, Measurement], p99s: dict[str, Measurement], *budgets: Budget
) -> Result:
    title = f"{title} ({load.requests} requests, {load.connections} connections)"
    return Result(title, (*rates.values(), *p99s.values()), budgets, (_noise(rates),))


def json_route(host: BenchHost, plan: Plan) -> Result:
    """Measure a route that answers at once, also without nginx."""
    comparison = _against_tutorial(host, JSON, "/json")
    comparison.add(
        "our gunicorn",
        "asked on its socket, without nginx",
        "--h1",
        f"--base-uri=unix:{_SOCKET}",
        "http://ours.test/json",
    )
    rates, p99s = comparison.measure(plan)
    return _result(
        "A JSON route",
        JSON,
        rates,
        p99s,
        ratio("JSON, ours / tutorial", rates["ours"], rates["tutorial"], MIN_JSON, at_least=True),
        ratio("JSON, p99 of ours / tutorial", p99s["ours"], p99s["tutorial"], MAX_JSON_P99),
        ratio(
            "JSON, through nginx / gunicorn", rates["ours again"], rates["our gunicorn"], MIN_OF_DIRECT, at_least=True
        ),
    )


def wait_route(host: BenchHost, plan: Plan) -> Result:
    """Measure a route that waits, as for a database."""
    rates, p99s = _against_tutorial(host, WAIT, "/wait").measure(plan)
    budget = ratio("50 ms of waiting, ours / tutorial", rates["ours"], rates["tutorial"], MIN_WAIT, at_least=True)
    return _result("A route that waits for 50 ms", WAIT, rates, p99s, budget)


def cpu_route(host: BenchHost, plan: Plan) -> Result:
    """Measure a route that computes, and the memory of both sides afterwards."""
    rates, p99s = _against_tutorial(host, CPU, "/cpu").measure(plan)
    budget = ratio("5 ms of computing, ours / tutorial", rates["ours"], rates["tutorial"], MIN_CPU, at_least=True)
    found = _result("A route that computes for 5 ms", CPU, rates, p99s, budget)
    used = (
        Measurement("tutorial, memory", _TUTORIAL, (memory(host, "tutorial.service"),), MEMORY),
        Measurement("ours, memory", _OURS, (memory(host, "ours@*.service"),), MEMORY),
    )
    return Result(found.title, found.measurements + used, found.budgets, found.notes)


def memory(host: BenchHost, unit: str) -> float:
    """Return the MiB of the processes of a unit; what they share counts once."""
    script = f"""
    name=$(systemctl list-units --plain --no-legend --state=running '{unit}' | cut -d ' ' -f 1)
    group=$(systemctl show --property=ControlGroup --value "$name")
    for pid in $(cat "/sys/fs/cgroup$group/cgroup.procs"); do cat "/proc/$pid/smaps_rollup"; done
    """
    return sum(map(int, re.findall(r"^Pss: +(\d+) kB", host.script(script), re.MULTILINE))) / 1024


def static_file(host: BenchHost, plan: Plan) -> Result:
    """Measure a file of 10 KiB."""
    prepare(host)
    path = f"/static/{_FILE}"
    comparison = Comparison(host, STATIC)
    comparison.add("bare nginx", _BARE, *plain("bare", path))
    comparison.add("ours", _OURS, *plain("ours", path))
    comparison.add("ours again", "the same, to show the noise", *plain("ours", path))
    rates, p99s = comparison.measure(plan)
    budget = ratio("static file, ours / bare nginx", rates["ours"], rates["bare nginx"], MIN_STATIC, at_least=True)
    return _result("A static file of 10 KiB", STATIC, rates, p99s, budget)


def tls_file(host: BenchHost, plan: Plan) -> Result:
    """Measure the same file over TLS and HTTP/2: bare nginx with the same certificate shows what OpenSSL takes."""
    prepare(host)
    path = f"/static/{_FILE}"
    comparison = Comparison(host, TLS)
    comparison.add("bare nginx", f"{_BARE} but the certificate", *secure("bare", path))
    comparison.add("ours", _OURS, *secure("ours", path))
    comparison.add("ours again", "the same, to show the noise", *secure("ours", path))
    comparison.add("ours, plain", "over HTTP/1.1 without TLS", *plain("ours", path))
    rates, p99s = comparison.measure(plan)
    budget = ratio("TLS and HTTP/2, ours / bare nginx", rates["ours"], rates["bare nginx"], MIN_TLS, at_least=True)
    return _result("The same file over TLS and HTTP/2", TLS, rates, p99s, budget)
