# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show text as it is, and write data to a file of the controller."""

from __future__ import annotations

import json
import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible_collections.flaskops.stack.plugins.plugin_utils._action import Action

from ..module_utils._input.printable import printable
from ..module_utils._input.values import with_defaults
from ..module_utils._system.files import read_file, write_file
from ..plugin_utils._run_record import followed
from ..plugin_utils._say import say

Args = t.Dict[str, t.Any]

# begin argument spec: written by `make specs` from tools/specs/schema/
OPTIONS: dict[str, t.Any] = {
    "text": {"type": "str", "required": True},
    "data": {"type": "raw"},
    "path": {"type": "path"},
    "fail": {"type": "bool", "default": False},
}
# end argument spec


class ActionModule(Action):
    """Do without the host."""

    _requires_connection = False
    _supports_check_mode = True

    @followed("end")
    def run(self, tmp: str | None = None, task_vars: Args | None = None) -> Args:
        """Return whether the file has changed."""
        result: Args = super().run(tmp, task_vars)
        _checked, given = self.validate_argument_spec(OPTIONS)
        args = with_defaults(given, OPTIONS)
        if args["fail"]:
            return {**result, "failed": True, "msg": printable(args["text"].rstrip("\n"))}
        say(printable(args["text"].rstrip("\n")))
        path = os.path.abspath(args["path"]) if args["path"] else ""
        changed = bool(path) and self._write(path, args["data"])
        return {**result, "changed": changed, "path": path}

    def _write(self, path: str, data: object) -> bool:
        """Write the file if it shall be another; return whether it is."""
        text = json.dumps(data, indent=1, sort_keys=True) + "\n"
        try:
            if read_file(path) == text.encode():
                return False
            if not self._task.check_mode:
                write_file(path, text.encode())
        except OSError as exc:
            raise AnsibleActionFail(f"path '{path}' cannot be written on the controller: {exc}") from exc
        return True
