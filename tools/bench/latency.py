# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What visitors feel while new code gets in: ours against systemctl restart and reload of the same application."""

from __future__ import annotations

import json
import math
import threading
import time
import typing as t
from dataclasses import dataclass
from html import escape

from tools.common import ROOT

from .host import BenchHost
from .model import Budget, Measurement, Plan, Result, Subject

DEPLOY = ROOT / "playbooks" / "deploy.yml"
SITE = ROOT / "playbooks" / "site.yml"
TRAFFIC = ROOT / "tools" / "traffic.py"

MAX_P99 = 1.5
SECONDS, AT = 14, 4
CONNECTIONS, PAUSE = 16, 0.03
WORKERS = 2

# A second of imports is what an application with an ORM and a few dozen dependencies takes.
APPLICATION = """
import time
time.sleep(1)
from flask import Flask, jsonify
app = Flask(__name__)

@app.get("/")
def index():
    return jsonify(version="{version}")
"""

_PREPARE = f"""
mkdir -p /opt/plain /var/lib/bench/plain && cd /var/lib/bench/plain
printf 'flask\\n' > requirements.txt
python3 -m venv /opt/plain/venv
/opt/plain/venv/bin/pip install --quiet --disable-pip-version-check flask gunicorn
cat > /etc/systemd/system/plain.service <<'END'
[Service]
Type=notify
WorkingDirectory=/var/lib/bench/plain
ExecStart=/opt/plain/venv/bin/gunicorn -k gthread --threads 4 -w {WORKERS} -b unix:/run/plain.sock app:app
ExecReload=/bin/kill -HUP $MAINPID
KillMode=mixed
END
cat > /etc/nginx/sites-enabled/plain <<'END'
server {{
    listen 80;
    server_name plain.test;
    location / {{ proxy_pass http://unix:/run/plain.sock; proxy_set_header Host $host; }}
}}
END
systemctl daemon-reload && systemctl start plain.service && nginx -t -q && systemctl reload nginx.service
# Workers of before may close a connection that is kept alive.
sleep 2
"""


@dataclass(frozen=True)
class Trace:
    """All requests of one run: when each began, in seconds, how long it took, and whether it failed."""

    name: str
    requests: tuple[tuple[float, float, bool], ...]
    # When the way in began and ended.
    began: float
    ended: float

    def between(self, first: float, last: float) -> list[float]:
        """Return the sorted times of the requests that began in a span."""
        return sorted(seconds for when, seconds, _failed in self.requests if first <= when < last)

    @property
    def steady(self) -> float:
        """Return the 99th percentile before anything happened."""
        return percentile(self.between(0.5, self.began))

    @property
    def during(self) -> float:
        """Return the 99th percentile from the beginning of the way in to a second after its end."""
        return percentile(self.between(self.began, self.ended + 1))

    @property
    def failed(self) -> int:
        """Return how many requests failed."""
        return sum(failed for _when, _seconds, failed in self.requests)


def percentile(ordered: t.Sequence[float], share: float = 0.99) -> float:
    """Return the value below which the share lies."""
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


def visited(host: BenchHost, name: str, site: str, change: t.Callable[[], float]) -> Trace:
    """Visit a site for a bounded time while it changes once."""
    script = (
        f"python3 /var/lib/bench/traffic.py --host {site} --path / --connections {CONNECTIONS} --pause {PAUSE} "
        f"--seconds {SECONDS} --series /var/lib/bench/series.json >/dev/null"
    )
    load = threading.Thread(target=host.script, args=(script,))
    started = time.time()
    load.start()
    time.sleep(AT)
    began = time.time()
    change()
    ended = time.time()
    load.join()
    series = json.loads(host.script("cat /var/lib/bench/series.json"))
    requests = tuple((when - started, abs(seconds), seconds < 0) for when, seconds in series)
    return Trace(name, requests, began - started, ended - started)


def latency(host: BenchHost, plan: Plan) -> Result:
    """Measure what visitors feel of a deploy, of a restart and of a reload; the traces are drawn by their own."""
    host.script("mkdir -p /var/lib/bench/plain")
    host.script("cat > /var/lib/bench/traffic.py", stdin=TRAFFIC.read_text(encoding="utf-8"))
    source = host.work / "calm"
    source.mkdir(exist_ok=True)
    (source / "requirements.txt").write_text("flask\n", encoding="utf-8")
    app = {"name": "calm", "source": str(source), "app": "app:app", "domains": ["calm.test"]}
    variables = host.write_json("calm.json", {"flask_apps": [{**app, "gunicorn": {"workers": WORKERS}}]})
    numbers = iter(range(1000))

    def renew() -> str:
        text = APPLICATION.format(version=next(numbers))
        (source / "app.py").write_text(text, encoding="utf-8")
        return text

    host.script("cat > /var/lib/bench/plain/app.py", stdin=renew())
    host.play(SITE, variables)
    host.script(_PREPARE)
    traces: dict[str, list[Trace]] = {"deploy.yml": [], "systemctl reload": [], "systemctl restart": []}

    def keep(trace: Trace) -> float:
        traces[trace.name].append(trace)
        return trace.during

    def deploy() -> float:
        renew()
        return keep(visited(host, "deploy.yml", "calm.test", lambda: host.play(DEPLOY, variables).seconds))

    def systemctl(verb: str) -> float:
        host.script("cat > /var/lib/bench/plain/app.py", stdin=renew())
        return keep(
            visited(host, f"systemctl {verb}", "plain.test", lambda: host.ssh(f"systemctl {verb} plain.service"))
        )

    measured = plan.measure(
        Subject("deploy.yml", "p99 while a release gets in", deploy),
        Subject("systemctl reload", "p99 while gunicorn starts its workers anew", lambda: systemctl("reload")),
        Subject("systemctl restart", "p99 while the service is restarted", lambda: systemctl("restart")),
    )
    (host.work.parent / "latency.svg").write_text(draw([runs[-1] for runs in traces.values()]), encoding="utf-8")
    ours = traces["deploy.yml"]
    steady = Measurement("steady", "p99 before each deploy.yml", tuple(trace.steady for trace in ours))
    failed = Budget("requests failed by deploy.yml", sum(trace.failed for trace in ours), 0)
    p99 = Budget("p99 during a deploy / steady p99", measured[0].median / steady.median, MAX_P99, measured[0], steady)
    notes = tuple(
        f"{name}: {sum(trace.failed for trace in runs)} of {sum(len(trace.requests) for trace in runs)} requests failed"
        for name, runs in traces.items()
    )
    return Result("What visitors feel of new code", (steady, *measured), (p99, failed), notes)


_WIDTH, _HEIGHT, _LEFT, _GAP = 860, 150, 60, 34
_FONT = 'font-family="sans-serif" font-size="13"'
_COLORS = {"deploy.yml": "#228833", "systemctl reload": "#4477aa", "systemctl restart": "#cc3311"}


def draw(traces: t.Sequence[Trace]) -> str:
    """Return a picture of every request over time, one panel for each way in; failures are crosses."""
    worst = max((seconds for trace in traces for _when, seconds, _failed in trace.requests), default=1.0)
    height = (_HEIGHT + _GAP) * len(traces) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {_FONT}>',
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
    ]
    for number, trace in enumerate(traces):
        parts += _panel(trace, 24 + number * (_HEIGHT + _GAP), worst)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(trace: Trace, top: int, worst: float) -> list[str]:
    across, up = (_WIDTH - _LEFT - 10) / SECONDS, _HEIGHT / math.sqrt(worst * 1000)
    color = _COLORS.get(trace.name, "#222")

    def x(when: float) -> float:
        return _LEFT + when * across

    def y(seconds: float) -> float:
        # A square root shows both a millisecond and a second.
        return top + _HEIGHT - math.sqrt(seconds * 1000) * up

    lost = f"{trace.failed} of {len(trace.requests)} failed"
    title = f"{trace.name}: p99 {trace.steady * 1000:.1f} ms before, {trace.during * 1000:.1f} ms during, {lost}"
    left, width = x(trace.began), x(trace.ended) - x(trace.began)
    parts = [
        f'<text x="{_LEFT}" y="{top - 6}" fill="#222">{escape(title)}</text>',
        f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{_HEIGHT}" fill="#ddd"/>',
    ]
    for label in (1, 10, 100, 1000):
        if label <= worst * 1000:
            parts.append(f'<path d="M{_LEFT} {y(label / 1000):.1f}H{_WIDTH - 10}" stroke="#bbb" stroke-width="0.5"/>')
            parts.append(f'<text x="4" y="{y(label / 1000) + 4:.1f}" fill="#667">{label} ms</text>')
    for when, seconds, failed in trace.requests:
        shape = f"M{x(when) - 3:.1f} {y(seconds):.1f}h6m-3 -3v6" if failed else f"M{x(when):.1f} {y(seconds):.1f}h1"
        parts.append(f'<path d="{shape}" stroke="{"#000" if failed else color}" stroke-width="1.5"/>')
    return parts
