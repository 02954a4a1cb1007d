# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill gunicorn_service, or let it fail, at each system call and command of a deploy. Runs inside the test host.

Meanwhile visitors ask through nginx and past it, and must lose nothing. After each fault the link must lead to a whole
release that answers, and status must say so; the next run must complete the change, the one after that find nothing to
do, and nothing may be left behind.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import re
import sys
import typing as t

from tools import traffic
from tools.faults.deploy import stage, subjects
from tools.faults.deploy.keep import Keeping
from tools.faults.deploy.task import Task
from tools.faults.deploy.verdict import LOST, lost
from tools.faults.inject import injector
from tools.faults.inject.commands import Commands
from tools.faults.inject.trace import CHANGES, KILL, READS, WAITS, Point

PLANS: dict[str, tuple[type[subjects.Switch], str, str]] = {
    # Other code: A and back.
    "code": (subjects.Switch, "one", "two"),
    # Other code, environment and settings, with worker, timer, hooks and a TCP address on one side only.
    "rich": (subjects.Switch, "one", "rich"),
    "refused": (subjects.Refusal, "one", "sick"),
    "unwell": (subjects.GateRefusal, "one", "unwell"),
    "dying": (subjects.LateRefusal, "one", "dying"),
    "rollback": (subjects.Rollback, "two", "one"),
    "first": (subjects.Removal, "", "one"),
    # The same as code, by the code that the host keeps and without Ansible's own.
    "task": (Task, "one", "two"),
    # What is kept of the modules' code.
    "keep": (Keeping, "", "one"),
    "serve": (subjects.Build, "one", "two"),
}
CALLS = f"{READS},{CHANGES},{WAITS},connect,sendto"
# By these a virtualenv is built of files that are on the host: 300 in a row into a directory that nothing uses yet.
RARE = {"link": 8}
COMMANDS = ("systemctl", "systemd-run", "systemd-analyze", "journalctl", "setsid", "git", "sync")
# Light: what counts is that there is a request at each moment.
KINDS, PAUSE = (traffic.NEW, traffic.KEPT, traffic.PAST), 0.1
# The C library's own, which takes a file that it cannot read for one without names; a device that cannot fail; and
# what is read of all processes.
_IDLE = re.compile(r'nscd|"/etc/(?:passwd|group|nsswitch\.conf)"|"/dev/null"|"/proc/\d+/|"/sys/fs/cgroup/')


def worth(point: Point) -> bool:
    """Tell whether a call is worth a fault: the result's own way out, and what is not needed, are not."""
    result = point.call == "write" and point.text.startswith(("1,", "2,"))
    return not result and not _IDLE.search(point.text)


def subject_of(plan: str) -> subjects.Switch:
    """Return the change that a plan injects faults into."""
    kind, one, other = PLANS[plan]
    known = stage.releases()
    return kind(known.get(one), known[other])


def crowd(visited: bool) -> t.ContextManager[traffic.Visitors | None]:
    """Return visitors who ask meanwhile, where there is something to visit."""
    pages = {variant.page.encode() for name, variant in stage.VARIANTS.items() if name not in ("sick", "unwell")}
    site = traffic.Site(stage.HOST, traffic.one_of(pages.__contains__), socket=stage.SOCKET, repeat=False)
    return traffic.Visitors(site, KINDS, PAUSE, str(LOST)) if visited else contextlib.nullcontext()


def inject(arguments: argparse.Namespace) -> dict[str, t.Any]:
    """Inject faults, and return the counts."""
    stage.wipe()
    lost()
    subject = subject_of(arguments.plan)
    if wrong := subject.ready("the first state"):
        return {"injected": {}, "unreached": 0, "broken": [wrong], "requests": 0}
    where = {"every": arguments.every, "first": arguments.first}
    commands = [fault for fault in arguments.faults if fault.startswith("command=")]
    calls = [fault for fault in arguments.faults if fault not in commands]
    injectors: list[injector.Injector] = (
        [injector.Calls(calls, calls=CALLS, worth=worth, once=True, rare=RARE, **where)] if calls else []
    )
    injectors += [Commands(COMMANDS, commands, **where)] if commands else []
    with crowd(subject.visited) as visiting:
        found = [injector.inject_all(subject, one, arguments.until).to_json() for one in injectors]
        requests = visiting.answered if visiting else 0
    return {
        "injected": {fault: number for result in found for fault, number in result["injected"].items()},
        "unreached": sum(result["unreached"] for result in found),
        "left": sum(result["left"] for result in found),
        "broken": [text for result in found for text in result["broken"]],
        "requests": requests,
    }


def leave(arguments: argparse.Namespace) -> dict[str, t.Any]:
    """Kill the module at one of its points, spread over all of them, and leave it at that."""
    subject = subject_of(arguments.plan)
    calls = injector.Calls([KILL], calls=CALLS, worth=worth)
    if wrong := subject.ready("the first state"):
        return {"label": wrong}
    injections = calls.find(subject)
    subject.ready("after a look")
    while subject.way != f"{PLANS[arguments.plan][1]} to {PLANS[arguments.plan][2]}":
        subject.change()
        subject.ready("turned round")
    label, _reached = calls.inject(subject, *injections[int(len(injections) * arguments.part)])
    return {"label": label}


def look(arguments: argparse.Namespace) -> dict[str, t.Any]:
    """Look at what a fault and a restart of the host have left."""
    subject = subject_of(arguments.plan)
    subject.ended = injector.Ended(-9, {})
    page = {release.id: release.page for release in stage.releases().values()}[stage.current()]
    wrong = stage.await_nothing(lambda: "" if stage.read() == page else f"visitors read {stage.read()!r}, not {page!r}")
    wrong = wrong or subject.judge(arguments.label)
    if wrong:
        subject.mend()
    return {"wrong": wrong}


def main() -> int:
    """Do what is asked for, and print the result as JSON in the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    actions = parser.add_subparsers(required=True)
    for action, what in (("prepare", stage.prepare), ("inject", inject), ("leave", leave), ("look", look)):
        one = actions.add_parser(action)
        one.set_defaults(do=what)
        if action != "prepare":
            one.add_argument("plan", choices=PLANS)
        if action == "inject":
            one.add_argument("faults", nargs="+", help="signal=KILL, error=ENOSPC, command=fails, …")
            one.add_argument("--every", type=int, default=1, help="take each n-th point only")
            one.add_argument("--until", type=float, default=math.inf, help="seconds since 1970")
            one.add_argument("--first", type=int, default=0, help="which of n to begin with")
        if action == "leave":
            one.add_argument("part", type=float, help="how far the run gets, from 0 to 1")
        if action == "look":
            one.add_argument("label", help="what leave has printed")
    arguments = parser.parse_args()
    if arguments.do is stage.prepare:
        stage.prepare()
        return 0
    print(json.dumps(arguments.do(arguments)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
