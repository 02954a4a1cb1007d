# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application beside the shop, whose disk is small and becomes full."""

from __future__ import annotations

from tools.molecule.release.actions import DEPLOY, Scene, run
from tools.molecule.release.checks import ROOTS, App, Outcome

NAME = "small"
ROOT = ROOTS[NAME]
SMALL = App("v1", name=NAME)
# Files without content need no room, but a name each.
FILL = "cat /dev/zero > {0}; for number in $(seq 30000); do true > {0}.$number || exit 0; done"
FULL_BUILD = App("v2", name=NAME, hooks={"build": [["sh", "-c", FILL.format("filler")]]})
FULL_SWITCH = App("v2", name=NAME, hooks={"before_switch": [["sh", "-c", FILL.format(f"{ROOT}/{NAME}/shared/filler")]]})


def publish(scene: Scene) -> Outcome:
    """Publish it, on a disk with room for two releases, and names for them."""
    scene.host.script(f"mkdir -p {ROOT}; mount -t tmpfs -o size=150m,nr_inodes=20k,mode=755 small {ROOT}")
    run(scene, "playbooks/site.yml", SMALL.variables())
    return Outcome((SMALL,))


def make_room(scene: Scene) -> Outcome:
    """Deploy when there is room again."""
    scene.host.script(f"find {ROOT}/{NAME}/shared -name 'filler*' -delete")
    app = App("v2", name=NAME)
    run(scene, DEPLOY, app.variables())
    return Outcome((app,))


def remove(scene: Scene) -> Outcome:
    """Take it away again, which the shop does not notice."""
    run(scene, "playbooks/remove.yml", {"app": NAME, "flask_root": ROOT, "purge_data": True})
    scene.host.script(f"umount {ROOT}")
    return Outcome((scene.serves,))
