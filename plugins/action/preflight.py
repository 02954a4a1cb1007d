# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install what the module of the same name finds missing."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ..plugin_utils._run_record import note_failure
from ..plugin_utils._task_process import freeze_gc, load_filters

Result = t.Dict[str, t.Any]

# Package lists that are younger than this many seconds are good enough.
_LISTS_VALID = 3600

# All roles begin with this plugin.
load_filters()


class ActionModule(ActionBase):
    """Run the module, and the package manager when there is something to install."""

    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        """Return what the module has found, with the versions that are installed in the end."""
        freeze_gc()
        super().run(tmp, task_vars)
        found = self._preflight(task_vars)
        note_failure(task_vars or {}, "preflight", found)
        # Without O(install), and in check mode, the module's own word is the last one.
        if found.get("failed") or not found["changed"] or self._task.check_mode:
            return found
        installed = self._install(found["missing_packages"], task_vars)
        if installed.get("failed"):
            note_failure(task_vars or {}, "installation of packages", installed)
            packages = ", ".join(found["missing_packages"])
            return {**installed, "msg": f"Cannot install {packages}: {installed.get('msg', '')}"}
        return {**self._preflight(task_vars), "changed": True, "missing_packages": found["missing_packages"]}

    def _preflight(self, task_vars: Result | None) -> Result:
        return t.cast(Result, self._execute_module("flaskops.stack.preflight", task_vars=task_vars))

    def _install(self, packages: list[str], task_vars: Result | None) -> Result:
        arguments = {
            "name": packages,
            "install_recommends": False,
            "update_cache": True,
            "cache_valid_time": _LISTS_VALID,
        }
        return t.cast(Result, self._execute_module("ansible.builtin.apt", arguments, task_vars=task_vars))
