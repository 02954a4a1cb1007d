# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Confirm a change of the firewall over a new connection, or tell that it was reverted."""

from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible_collections.flaskops.stack.plugins.plugin_utils._action import Action

from ..module_utils._input.values import read_whole
from ..plugin_utils._host_code import execute

Args = t.Dict[str, t.Any]

_MODULE = "flaskops.stack.nginx_firewall"
# The timer of the host has run, and the old rules are loaded, this many seconds after its time.
_SPARE_SECONDS = 5
# The default of the module.
_REVERT_AFTER = 60


class ActionModule(Action):
    """Run the module, and once more over a new connection when it has changed something."""

    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: Args | None = None) -> Args:
        """Return the module's result."""
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        began = time.monotonic()
        answer = execute(self, _MODULE, args, task_vars)
        token = answer.pop("confirm", "")
        if answer.get("failed") or not token:
            return answer
        try:
            # An old connection would live on where no new one is let in.
            self._connection.reset()
            confirmed = self._confirm(token, task_vars)
        except AnsibleConnectionFailure:
            confirmed = self._confirm_late(token, began + _seconds(args.get("revert_after")), task_vars)
        return {**answer, **confirmed, "changed": False} if confirmed.get("failed") else answer

    def _confirm(self, token: str, task_vars: Args | None) -> Args:
        return execute(self, _MODULE, {**self._task.args, "confirm": token}, task_vars)

    def _confirm_late(self, token: str, reverted: float, task_vars: Args | None) -> Args:
        """Return what the host says when its timer has brought the old rules back: the new ones were not confirmed."""
        time.sleep(max(reverted + _SPARE_SECONDS - time.monotonic(), 0))
        return self._confirm(token, task_vars)


def _seconds(value: object) -> int:
    """Return after how many seconds the host brings the old rules back, as the module has read it."""
    number = read_whole(value)
    return _REVERT_AFTER if number is None else number
