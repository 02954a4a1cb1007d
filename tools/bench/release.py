# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""New code against a script that people write by hand; how long an activation and a rollback take."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from tools.common import ROOT, ToolError

from .host import BenchHost
from .model import Budget, Measurement, Plan, Result, Subject, ratio
from .site import HELLO, SITE, WORKERS

DEPLOY = ROOT / "playbooks" / "deploy.yml"
ROLLBACK = ROOT / "playbooks" / "rollback.yml"

# Of new code with nothing new to install, without and with what the daily command is measured against besides.
MAX_RELEASE, MAX_DAILY = 2.5, 2.0
# Of the same by site.yml, which looks at packages and nginx besides.
MAX_SITE = 1.5
# Seconds beyond the application's own import.
MAX_ACTIVATION, MAX_ROLLBACK = 1.5, 2.0

# Seconds after which nothing is left to do of what a run has put behind itself: it looks once a second.
_REST = 2.5

# What people write by hand: no health check, no way back, and requests are lost while gunicorn restarts.
SCRIPT = """
set -e
cd /opt/{name}/app
git fetch --quiet origin
git reset --quiet --hard origin/main
/opt/{name}/venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
systemctl restart hand-{name}.service
"""

# A release is done when the new code answers; gunicorn is ready for systemd before its workers have imported anything.
_ANSWERED = """
until curl --silent --fail --unix-socket /run/{name}.sock --output /dev/null http://localhost{health}
do sleep 0.05; done
"""

_PREPARE_SCRIPT = """
git clone --quiet /var/lib/bench/{name}.git /opt/{name}/app
python3 -m venv /opt/{name}/venv
cd /opt/{name}/app
/opt/{name}/venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt gunicorn
mkdir -p /opt/{name}/app/instance
cat > /etc/systemd/system/hand-{name}.service <<'END'
[Service]
Type=notify
WorkingDirectory=/opt/{name}/app
ExecStart=/opt/{name}/venv/bin/gunicorn -k gthread --threads 4 -w {workers} -b unix:/run/{name}.sock {app}
END
systemctl daemon-reload
systemctl start hand-{name}.service
"""

_PREPARE_ORIGIN = """
git config --global user.name bench
git config --global user.email bench@bench.test
git config --global --replace-all safe.directory '*'
git init --quiet --initial-branch main /var/lib/bench/{name}
cd /var/lib/bench/{name}
git add . && git commit --quiet --message 1
git clone --quiet --bare . /var/lib/bench/{name}.git
git remote add origin /var/lib/bench/{name}.git
"""

_COMMIT = """
cd /var/lib/bench/{name}
date +%s.%N > built.txt
git add . && git commit --quiet --message next && git push --quiet origin main
"""

# What an application with an ORM and a few dozen dependencies takes.
_LARGE = """
import time
time.sleep(1)
from flask import Flask
app = Flask(__name__)

@app.get("/")
def index():
    return "well"
"""


@dataclass(frozen=True)
class Application:
    """What is released on both sides."""

    name: str
    what: str
    app: str
    health: str

    def fill(self, text: str) -> str:
        """Return a script for this application."""
        return text.format(name=self.name, app=self.app, health=self.health, workers=WORKERS)

    @property
    def variables(self) -> dict[str, object]:
        """Return what a user writes of it."""
        source = f"/var/lib/bench/{self.name}.git"
        gunicorn = {"workers": WORKERS, "health": {"path": self.health}}
        app = {"name": self.name, "source": source, "app": self.app, "domains": [f"{self.name}.test"]}
        return {"flask_apps": [{**app, "gunicorn": gunicorn}]}


SMALL = Application("small", "examples/hello, which imports in an instant", "hello:create_app()", "/healthz")
LARGE = Application("large", "an application that imports for a second", "large:app", "/")


class Releases:
    """An application on the host on both sides, and the ways in for its new code."""

    def __init__(self, host: BenchHost, application: Application) -> None:
        self.host, self.application = host, application
        fill = application.fill
        host.script(fill("mkdir -p /var/lib/bench/{name} /opt/{name}"))
        if application is SMALL:
            host.copy(HELLO, fill("/var/lib/bench/{name}"))
        else:
            host.script(fill("cat > /var/lib/bench/{name}/large.py"), stdin=_LARGE)
            host.script(fill("echo flask > /var/lib/bench/{name}/requirements.txt"))
        host.install("curl")
        for script in (_PREPARE_ORIGIN, _PREPARE_SCRIPT):
            host.script(fill(script))
        self.variables = host.write_json(f"{application.name}.json", application.variables)
        host.play(SITE, self.variables)

    def _commit(self) -> None:
        """Make new code; what the run before has left to systemd and rm(1) is not to be paid by this one."""
        self.host.script(self.application.fill(_COMMIT))
        time.sleep(_REST)

    def deploy(self, playbook: Path) -> float:
        """Release a new commit with a playbook."""
        self._commit()
        play = self.host.play(playbook, self.variables)
        if not play.changed:
            raise ToolError("a run after a new commit changed nothing; it has to deploy the commit")
        return play.seconds

    def run_script(self) -> float:
        """Release a new commit by hand, until it answers."""
        self._commit()
        return self.host.ssh(self.application.fill(SCRIPT + _ANSWERED))

    def roll_back(self) -> float:
        """Deploy, and go back."""
        self.deploy(DEPLOY)
        time.sleep(_REST)
        return self.host.play(ROLLBACK, None, "--extra-vars", f"app={self.application.name}").seconds

    def activation(self) -> float:
        """Return how long the host's own record says that the last activation took."""
        last = self.host.script(f"tail -n 1 /var/lib/flaskops/{self.application.name}/history.jsonl")
        return float(json.loads(last)["seconds"])

    def import_time(self) -> float:
        """Return how long the application's import takes, in its own virtualenv."""
        module = self.application.app.partition(":")[0]
        current = f"/srv/{self.application.name}/current"
        program = f"import time; began = time.monotonic(); import {module}; print(time.monotonic() - began)"
        return float(self.host.script(f"cd {current}/app && {current}/venv/bin/python -c '{program}'"))


def small(host: BenchHost, plan: Plan) -> Result:
    """Measure new code of a small application: the daily command and site.yml against a script over SSH."""
    return _release(Releases(host, SMALL), plan)


def large(host: BenchHost, plan: Plan) -> Result:
    """Measure the same with an application that imports for a second."""
    return _release(Releases(host, LARGE), plan)


def _release(releases: Releases, plan: Plan) -> Result:
    activations: list[float] = []
    imports: list[float] = []

    def daily() -> float:
        seconds = releases.deploy(DEPLOY)
        activations.append(releases.activation())
        imports.append(releases.import_time())
        return seconds

    script, deploy, site, back = plan.measure(
        Subject(
            "script", "git fetch, pip install and restart in a script over SSH, until it answers", releases.run_script
        ),
        Subject("deploy.yml", "build, start beside the old release, probe, switch, drain", daily),
        Subject("site.yml", "the same, after packages and nginx were looked at", lambda: releases.deploy(SITE)),
        Subject("rollback.yml", "to the release before, with the same gate", releases.roll_back),
    )
    own = statistics.median(imports)
    activation = Measurement("activation", "start, gate, switch and drain, as the host recorded it", tuple(activations))
    return Result(
        f"New code of {releases.application.what}",
        (script, deploy, site, activation, back),
        (
            ratio("deploy.yml / script", deploy, script, MAX_RELEASE),
            ratio("deploy.yml / script, as the daily command", deploy, script, MAX_DAILY),
            ratio("site.yml / deploy.yml", site, deploy, MAX_SITE),
            Budget("seconds of an activation beyond the import", activation.median - own, MAX_ACTIVATION),
            Budget("seconds of a rollback beyond the import", back.median - own, MAX_ROLLBACK),
        ),
        (f"The import alone takes {own:.2f} s.",),
    )
