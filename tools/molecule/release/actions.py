# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done to a host, and what has to come of it."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from tools.molecule.release.checks import App, Outcome
from tools.molecule.release.host import InventoryHost, StoryError

DEPLOY = "playbooks/deploy.yml"
ROLLBACK = "playbooks/rollback.yml"


@dataclass(frozen=True)
class Scene:
    """What a step starts from: the host, what serves, and which release each state of the application was."""

    host: InventoryHost
    serves: App
    releases: t.Mapping[App, str]


Act = t.Callable[[Scene], Outcome]


def run(scene: Scene, playbook: str, variables: t.Mapping[str, t.Any]) -> str:
    """Run a playbook that must succeed; return what it says."""
    ended = scene.host.play(playbook, variables)
    if not ended.succeeded:
        raise StoryError(f"{playbook} failed on {scene.host.name}:\n{ended.output}")
    return ended.output


def deploy(app: App) -> Act:
    """Deploy what is well."""

    def act(scene: Scene) -> Outcome:
        run(scene, DEPLOY, app.variables())
        return Outcome((app,))

    return act


def refuse(app: App, *words: str, passing: bool = False) -> Act:
    """Deploy what is to be refused, with these words; what served goes on."""

    def act(scene: Scene) -> Outcome:
        ended = scene.host.play(DEPLOY, app.variables())
        if ended.succeeded:
            raise StoryError(f"{scene.host.name} accepted {app}:\n{ended.output}")
        missing = [word for word in words if not re.search(word, ended.output)]
        if missing:
            raise StoryError(f"the error does not say {missing}:\n{ended.output}")
        return Outcome((scene.serves,), failed=words[0], passing=passing)

    return act


def go_back(to: App, *, named: bool = False) -> Act:
    """Go back to what served before, or to a release by its name."""

    def act(scene: Scene) -> Outcome:
        wanted = {"app": "shop", **({"release": scene.releases[to]} if named else {})}
        says = run(scene, ROLLBACK, wanted)
        if f"to {scene.releases[to]}" not in says:
            raise StoryError(f"rollback.yml does not say where it went:\n{says}")
        return Outcome((to,))

    return act
