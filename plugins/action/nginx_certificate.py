# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run nginx_certificate with the code that the host keeps."""

from __future__ import annotations

import typing as t

from ansible_collections.flaskops.stack.plugins.plugin_utils._action import Action

from ..plugin_utils._host_code import execute
from ..plugin_utils._run_record import note_failure


class ActionModule(Action):
    """Run the module."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return the module's result."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        result.update(execute(self, "flaskops.stack.nginx_certificate", self._task.args, variables))
        note_failure(variables, "nginx", result, bool(self._task.no_log))
        return result
