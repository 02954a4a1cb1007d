# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others do to a host, or to the controller, while releases are deployed."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from tools.common import ToolError
from tools.molecule.release.actions import DEPLOY, Act, Scene, run
from tools.molecule.release.checks import App, Outcome, glance
from tools.molecule.release.host import InventoryHost, StoryError, finish

RESTART = "molecule/shared/restart.yml"
LOCK = "/run/flaskops/_locks/shop.lock"
HOLDER = f'python3 -c \'import json; print(json.load(open("{LOCK}"))["pid"])\''
HELD = re.compile(r"is held by another run \(.+@.+, process \d+, since \S+, for: ")
RELOADS = "for time in 1 2 3 4 5 6 7 8; do nginx -s reload; sleep 0.7; done"
RELEASES = "/srv/shop/releases"
BEFORE_SWITCH = "between start and switch"
# What a shell on the host says yes to when it is time, while {before} serves.
MOMENTS = {
    "while a release is built": f"[ $(ls {RELEASES} | wc -l) -gt $(ls {RELEASES}/*/release.json | wc -l) ]",
    BEFORE_SWITCH: "[ $(ls /etc/systemd/system/shop@*.service | wc -l) -gt 1 ]",
    "after the switch": '[ "$(readlink /srv/shop/current)" != releases/{before} ]',
}


def restart(scene: Scene) -> Outcome:
    """Turn the host off and on."""
    run(scene, RESTART, {})
    wait_for_answer(scene.host)
    return Outcome((scene.serves,))


def wait_for_answer(host: InventoryHost) -> None:
    """Wait until the application answers: the host is up before the application has been imported."""
    for _time in range(60):
        try:
            host.ask("/healthz", "shop.test")
        except ToolError:
            time.sleep(0.5)
        else:
            return
    raise StoryError(f"{host.name} does not serve after the restart")


def deploy_twice(one: App, other: App, *, patient: bool) -> Act:
    """Deploy two versions at the same time; those who do not wait for each other are told who is at it."""

    def act(scene: Scene) -> Outcome:
        more = {} if patient else {"flask_lock_timeout": 0.5}
        processes = [scene.host.begin(DEPLOY, {**app.variables(), **more}) for app in (one, other)]
        runs = [finish(process) for process in processes]
        refused = [ended.output for ended in runs if not ended.succeeded]
        if len(refused) != (0 if patient else 1):
            raise StoryError(f"{len(refused)} of two were refused:\n" + "\n".join(ended.output for ended in runs))
        if not all(HELD.search(output) for output in refused):
            raise StoryError(f"the error does not name who holds the lock:\n{refused[0]}")
        return Outcome((one, other), passing=True)

    return act


def deploy_while_nginx_is_reloaded(app: App) -> Act:
    """Deploy while another program reloads nginx again and again."""

    def act(scene: Scene) -> Outcome:
        words = ["docker", "exec", scene.host.name, "sh", "-euc", RELOADS]
        with subprocess.Popen(words, stderr=subprocess.DEVNULL) as reloading:
            run(scene, DEPLOY, app.variables())
        if reloading.returncode:
            raise StoryError("nginx could not be reloaded")
        return Outcome((app,))

    return act


def interrupt(scene: Scene, app: App, moment: str) -> subprocess.Popen[str]:
    """Begin a deploy, and return when the moment has come."""
    process = scene.host.begin(DEPLOY, app.variables())
    scene.host.wait_for(MOMENTS[moment].format(before=scene.releases[scene.serves]))
    return process


def kill_controller(app: App, moment: str, *, module: bool) -> Act:
    """Kill Ansible in the middle of a deploy, with its module or without; the next deploy puts everything right."""

    def act(scene: Scene) -> Outcome:
        process = interrupt(scene, app, moment)
        kill_tree(process.pid)
        process.communicate()
        holder = scene.host.script(HOLDER)
        if module:
            scene.host.script(f"kill -9 {holder}")
        else:
            # It goes on without anybody to tell.
            glance(scene.host, scene.serves)
            scene.host.wait_for(f"! [ -d /proc/{holder} ]")
        row = glance(scene.host, scene.serves)
        if row["lock"] or (row["unfinished"] and not module):
            raise StoryError(f"status tells of lock {row['lock']} and unfinished deploy {row['unfinished']}")
        run(scene, DEPLOY, app.variables())
        return Outcome((app,), passing=True)

    return act


def lose_power(app: App, moment: str) -> Act:
    """Let the power fail in the middle of a deploy; what served before serves, until the next deploy."""

    def act(scene: Scene) -> Outcome:
        process = interrupt(scene, app, moment)
        # At once: while a playbook begins that does it, the deploy comes to its end.
        subprocess.run(["docker", "kill", scene.host.name], check=True, stdout=subprocess.DEVNULL)
        run(scene, RESTART, {"patience": 0})
        process.communicate()
        wait_for_answer(scene.host)
        glance(scene.host, scene.serves)
        run(scene, DEPLOY, app.variables())
        return Outcome((app,))

    return act


def kill_tree(pid: int) -> None:
    """Kill a process and all that it has started, also those in sessions of their own."""
    family = [pid]
    for one in family:
        children = " ".join(path.read_text() for path in Path(f"/proc/{one}/task").glob("*/children"))
        family += map(int, children.split())
    for one in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
