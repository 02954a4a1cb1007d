# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse variables with faults before anything reads them, and install what the module of this name finds missing."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ..module_utils._input.values import to_plain
from ..plugin_utils._input_check import check_variables, joined, load_schema
from ..plugin_utils._run_record import is_recorded, note_failure
from ..plugin_utils._task_process import LateErrors, freeze_gc, load_filters

Result = t.Dict[str, t.Any]

# Package lists that are younger than this many seconds are good enough.
_LISTS_VALID = 3600

# All roles begin with this plugin.
load_filters()


class ActionModule(LateErrors, ActionBase):
    """Check the variables, run the module, and the package manager when there is something to install."""

    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        """Return what the module has found, with the versions that are installed in the end."""
        freeze_gc()
        super().run(tmp, task_vars)
        faults = self._faults(task_vars or {})
        if faults:
            return {"failed": True, "msg": joined(faults)}
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

    def _faults(self, variables: Result) -> list[str]:
        """Return what is wrong with the variables; raise the error of an argument that is wrong in another way.

        A role alone has had its variables checked by Ansible, and reads only some of them.
        """
        playbook = is_recorded(variables)
        faults = self._wrong_types(variables) if playbook else []
        if faults or not (self.untemplated or self._task.args.get("refuse")):
            return faults
        # Loaded for errors only.
        from ..plugin_utils._input_rules import check_rules, own_sentence

        said = [own_sentence(error) for error in self.untemplated]
        if not all(said):
            raise self.untemplated[said.index("")]
        if not playbook:
            return said
        names = ("flask_apps", "nginx_sites", "nginx_site_defaults", "flask_root")
        apps, sites, defaults, root = (to_plain(self._templated(name, variables)) for name in names)
        found = check_rules(apps or [], sites or [], defaults or {}, root or "/srv")
        return found or said

    def _wrong_types(self, variables: Result) -> list[str]:
        schema = load_schema()
        values = {name: self._templated(name, variables) for name in schema if name in variables}
        return check_variables({name: to_plain(value) for name, value in values.items()}, schema)

    def _templated(self, name: str, variables: Result) -> t.Any:
        return self._templar.template(variables[name]) if name in variables else None

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
