# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/site.yml: a second run, ten applications, and new code against a hand-written script."""

from __future__ import annotations

from pathlib import Path

from common import ROOT, ToolError

from .host import BenchHost
from .model import Budget, Plan, Result, Subject, ratio

SITE = ROOT / "playbooks" / "site.yml"
HELLO = ROOT / "examples" / "hello"

MAX_TASKS = 12
MAX_SECOND_RUN = 3.5
MAX_TEN_APPS = 2.5
MAX_RELEASE = 2.5
WORKERS = 2

# What people write by hand: no health check, no way back, and requests are lost while gunicorn restarts.
SCRIPT = """
set -e
cd /opt/hand/app
git fetch --quiet origin
git reset --quiet --hard origin/main
/opt/hand/venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
systemctl restart hand.service
"""

# A release is done when the new code answers; gunicorn is ready for systemd before its workers have imported anything.
_ANSWERED = """
until curl --silent --fail --unix-socket /run/hand.sock --output /dev/null http://localhost/healthz; do sleep 0.05; done
"""

_PREPARE_SCRIPT = f"""
apt-get -qq install --no-install-recommends curl >/dev/null
mkdir -p /opt/hand
git clone --quiet /var/lib/bench/hello.git /opt/hand/app
python3 -m venv /opt/hand/venv
/opt/hand/venv/bin/pip install --quiet --disable-pip-version-check --requirement /opt/hand/app/requirements.txt gunicorn
mkdir -p /opt/hand/app/instance
cat > /etc/systemd/system/hand.service <<'END'
[Service]
Type=notify
WorkingDirectory=/opt/hand/app
ExecStart=/opt/hand/venv/bin/gunicorn -k gthread --threads 4 -w {WORKERS} -b unix:/run/hand.sock hello:create_app()
END
systemctl daemon-reload
systemctl start hand.service
"""

_PREPARE_ORIGIN = """
git config --global user.name bench
git config --global user.email bench@bench.test
git config --global --add safe.directory '*'
git init --quiet --initial-branch main /var/lib/bench/work
cd /var/lib/bench/work
git add . && git commit --quiet --message 1
git clone --quiet --bare . /var/lib/bench/hello.git
git remote add origin /var/lib/bench/hello.git
"""

_COMMIT = """
cd /var/lib/bench/work
date +%s.%N > hello/static/built.txt
git add . && git commit --quiet --message next && git push --quiet origin main
"""


def hello(number: int) -> dict[str, object]:
    """Return the description of the example application under one of many names."""
    return {
        "name": f"hello{number}",
        "source": str(HELLO),
        "app": "hello:create_app()",
        "domains": [f"hello{number}.test"],
        "gunicorn": {"workers": WORKERS},
    }


def second_run(host: BenchHost, plan: Plan) -> Result:
    """Measure runs that change nothing, with one application and with ten."""
    ping = host.write(
        "ping.yml", [{"hosts": "all", "gather_facts": False, "become": True, "tasks": [{"ansible.builtin.ping": {}}]}]
    )
    one = host.write("one.json", {"flask_apps": [hello(0)]})
    ten = host.write("ten.json", {"flask_apps": [hello(number) for number in range(10)]})
    host.play(SITE, ten)
    tasks: list[int] = []

    def unchanged(variables: Path) -> float:
        play = host.play(SITE, variables)
        if play.changed:
            raise ToolError(f"a second run has to change nothing; these tasks did: {'; '.join(play.changed)}")
        tasks.append(len(play.tasks))
        return play.seconds

    ping_time, one_time, ten_time = plan.measure(
        Subject("ping", "a playbook with one ping task", lambda: host.play(ping).seconds),
        Subject("one app", "second run of site.yml with one application", lambda: unchanged(one)),
        Subject("ten apps", "second run of site.yml with ten applications", lambda: unchanged(ten)),
    )
    return Result(
        "A second run",
        (ping_time, one_time, ten_time),
        (
            Budget("tasks of a second run", max(tasks), MAX_TASKS),
            ratio("second run, one app / one ping task", one_time, ping_time, MAX_SECOND_RUN),
            ratio("second run, ten apps / one app", ten_time, one_time, MAX_TEN_APPS),
        ),
    )


def code_release(host: BenchHost, plan: Plan) -> Result:
    """Measure a new commit without a change of dependencies: ours against a script over SSH."""
    host.execute("mkdir -p /var/lib/bench/work")
    host.copy(HELLO, "/var/lib/bench/work")
    host.execute(_PREPARE_ORIGIN)
    host.execute(_PREPARE_SCRIPT)
    app = {**hello(0), "name": "release", "source": "/var/lib/bench/hello.git", "domains": ["release.test"]}
    release = host.write("release.json", {"flask_apps": [app]})
    host.play(SITE, release)

    def deploy(*tags: str) -> float:
        host.execute(_COMMIT)
        play = host.play(SITE, release, *tags)
        if not play.changed:
            raise ToolError("a run after a new commit changed nothing; it has to deploy the commit")
        return play.seconds

    def run_script() -> float:
        host.execute(_COMMIT)
        return host.ssh(SCRIPT + _ANSWERED)

    script, site, daily = plan.measure(
        Subject("script", "git fetch, pip install and restart in a script over SSH, until it answers", run_script),
        Subject("site.yml", "site.yml: build, start beside the old release, probe, switch, drain", deploy),
        Subject("site.yml, tag deploy", "the same without the role nginx", lambda: deploy("--tags", "deploy")),
    )
    return Result(
        "A release of new code",
        (script, site, daily),
        (ratio("code-only release / hand-written script", site, script, MAX_RELEASE),),
    )
