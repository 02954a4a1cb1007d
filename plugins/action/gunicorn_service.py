# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell the host who asks for the hand-over."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ..plugin_utils._operator import operator

Args = t.Dict[str, t.Any]


class ActionModule(ActionBase):
    """Run the module in the name of whoever runs Ansible."""

    def run(self, tmp: str | None = None, task_vars: Args | None = None) -> Args:
        """Return the module's result."""
        result: Args = super().run(tmp, task_vars)
        args = {"by": operator(), **self._task.args}
        result.update(self._execute_module(module_args=args, task_vars=task_vars))
        return result
