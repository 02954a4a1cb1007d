# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reach a host before anything changes on any, and see which releases it serves."""

from __future__ import annotations

import os
import shlex
import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible_collections.flaskops.stack.plugins.plugin_utils._action import Action

from ..module_utils._input.values import with_defaults
from ..plugin_utils._run_record import followed, note, note_lost
from ..plugin_utils._task_process import freeze_gc

Args = t.Dict[str, t.Any]

_REACHED = "flaskops-reached"
# One command and no module: it is sent to every host of a fleet in every run.
_SCRIPT = (
    "cd {root} 2>/dev/null && for link in */current; do "
    '[ -L "$link" ] && echo "$link $(readlink "$link")"; done; echo ' + _REACHED
)

# begin argument spec: written by `make specs` from tools/specs/schema/
OPTIONS: dict[str, t.Any] = {
    "root": {"type": "path", "default": "/srv"},
    "without_lost": {"type": "bool", "default": False},
}
# end argument spec


class ActionModule(Action):
    """Ask with the rights that the run will have; a host that does not answer fails the task."""

    _requires_connection = True
    _supports_check_mode = True

    @followed("reach")
    def run(self, tmp: str | None = None, task_vars: Args | None = None) -> Args:
        """Return the release that each application of the host serves."""
        freeze_gc()
        variables = task_vars or {}
        result: Args = super().run(tmp, task_vars)
        _checked, given = self.validate_argument_spec(OPTIONS)
        args = with_defaults(given, OPTIONS)
        try:
            answer = self._low_level_execute_command(_SCRIPT.format(root=shlex.quote(args["root"])))
        except AnsibleConnectionFailure as exc:
            return {**result, **_lost(variables, str(exc), args["without_lost"])}
        out = str(answer.get("stdout", ""))
        if _REACHED not in out.splitlines():
            # Some ways to connect only pass on what their own program says.
            said = str(answer.get("stderr", "")).strip() or out.strip() or f"exit code {answer.get('rc')}"
            return {**result, **_lost(variables, said, args["without_lost"])}
        serving = parse(out)
        note(variables, "reached", serving=serving)
        return {**result, "changed": False, "serving": serving}


def _lost(variables: Args, reason: str, accepted: bool) -> Args:
    """Return the result for a host that does not answer."""
    note_lost(variables, "reach", reason, accepted)
    if accepted:
        return {"unreachable": True, "msg": reason}
    return {"failed": True, "msg": _explain(str(variables.get("inventory_hostname", "")), reason)}


def parse(text: str) -> dict[str, str]:
    """Return the release of each application from lines such as C(shop/current releases/ID)."""
    found = dict(line.split(" ", 1) for line in text.splitlines() if "/current " in line)
    return {os.path.dirname(link): os.path.basename(target.rstrip("/")) for link, target in found.items()}


def _explain(host: str, reason: str) -> str:
    return (
        f"{host} cannot be reached: {reason.strip()}\nNothing was changed on any host. Mend it, leave it out with "
        f"--limit 'all:!{host}', or go on without the hosts that cannot be reached: -e without_lost=true"
    )
