# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/site.yml: a second run, of one application and of ten."""

from __future__ import annotations

from pathlib import Path

from tools.common import ROOT, ToolError

from .host import BenchHost
from .model import Budget, Plan, Result, Subject, ratio

SITE = ROOT / "playbooks" / "site.yml"
HELLO = ROOT / "examples" / "hello"

MAX_TASKS = 7
MAX_SECOND_RUN = 2.2
MAX_TEN_APPS = 2.5
WORKERS = 2


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
    ping = host.write_json(
        "ping.yml", [{"hosts": "all", "gather_facts": False, "become": True, "tasks": [{"ansible.builtin.ping": {}}]}]
    )
    one = host.write_json("one.json", {"flask_apps": [hello(0)]})
    ten = host.write_json("ten.json", {"flask_apps": [hello(number) for number in range(10)]})
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
