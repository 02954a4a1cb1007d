# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All steps, in their order."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tools.molecule.release.actions import Act, deploy, go_back, refuse
from tools.molecule.release.checks import App
from tools.molecule.release.disruptions import (
    BEFORE_SWITCH,
    MOMENTS,
    deploy_twice,
    deploy_while_nginx_is_reloaded,
    kill_controller,
    lose_power,
    restart,
)
from tools.molecule.release.full_disk import FULL_BUILD, FULL_SWITCH, make_room, publish, remove


@dataclass(frozen=True)
class Step:
    """A step, whose visitors come meanwhile, whether nginx is reloaded, and whether they stay away instead."""

    name: str
    act: Act
    visits: str = "shop"
    reloads: bool = False
    visited: bool = True


# It answers at once or never.
SOON = {"timeout": 6}
V2 = App("v2")
GREETED = replace(V2, greeting="Welcome")
SYNCHRONOUS = replace(GREETED, threads=False)
BROKEN_MIGRATION = {"migrate": [["sh", "-c", "echo there is no such table; exit 3"]]}


def slow(version: str, greeting: str = "Hello") -> App:
    """Return a release whose deploy lasts long enough in each of its parts to be interrupted there."""
    return App(version, greeting, hooks={stage: ["sleep 1"] for stage in ("build", "before_switch", "after_switch")})


STEPS = (
    Step("version 2", deploy(V2)),
    Step("version 3 cannot be imported", refuse(App("v3"), "cannot be loaded", "a_module_that_nobody_has")),
    Step("version 4 answers 500 to the probe", refuse(App("v4", health=SOON), "/healthz answered 500", "wanted 200")),
    Step(
        "version 5 hangs",
        refuse(App("v5", health=SOON), "no answer to /healthz|/healthz was not answered", "waited 6 s"),
    ),
    Step("version 5 hangs in its import", refuse(App("v5-import", health=SOON), "not loaded within health.timeout")),
    Step(
        "version 6 dies after ten seconds",
        refuse(App("v6", health={"watch": 20}), "soon after the switch", "serves again", passing=True),
    ),
    Step(
        "a migration fails",
        refuse(App("v7", hooks=BROKEN_MIGRATION), "hook migrate", "failed with exit code 3", "there is no such table"),
    ),
    Step("another environment", deploy(GREETED)),
    Step("another class of workers", deploy(SYNCHRONOUS)),
    Step("a rollback", go_back(GREETED)),
    Step("a rollback by name", go_back(App("v1"), named=True)),
    Step("two deploys at once", deploy_twice(App("v7"), App("v8"), patient=True)),
    Step("two deploys at once, neither waits", deploy_twice(slow("v7"), slow("v8"), patient=False)),
    Step("another application on a small disk", publish, reloads=True),
    Step("the disk is full while a release is built", refuse(FULL_BUILD, "No space left|disk is full"), visits="small"),
    Step("the disk is full at the switch", refuse(FULL_SWITCH, "disk is full"), visits="small"),
    Step("there is room again", make_room, visits="small"),
    Step("the other application goes", remove, reloads=True),
    Step("nginx is reloaded by another program", deploy_while_nginx_is_reloaded(App("v9")), reloads=True),
    *(
        Step(f"the controller is killed {moment}", kill_controller(slow("v1", moment), moment, module=False))
        for moment in MOMENTS
    ),
    # At every other moment, too: make faults.
    Step(
        f"controller and module are killed {BEFORE_SWITCH}",
        kill_controller(slow("v2", "killed"), BEFORE_SWITCH, module=True),
    ),
    Step("a restart of the host", restart, visited=False),
    Step("the power fails before the switch", lose_power(slow("v8", "power"), BEFORE_SWITCH), visited=False),
    Step("the day after", deploy(V2)),
)
