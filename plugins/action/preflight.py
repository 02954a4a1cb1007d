# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse variables with faults before anything reads them, and install what the module of this name finds missing."""

from __future__ import annotations

import typing as t

from ansible_collections.flaskops.stack.plugins.plugin_utils._action import Action

from ..module_utils._input.values import to_plain
from ..plugin_utils._host_code import execute
from ..plugin_utils._input_check import check_input, check_variables, joined, load_schema, misnamed_variables
from ..plugin_utils._run_record import followed, is_recorded, note_failure, note_plain_sites, notice_faults
from ..plugin_utils._task_process import LateErrors, freeze_gc, load_filters
from ..plugin_utils._unquoted import unquoted_faults
from ..plugin_utils._vaulted import vaulted_faults

Result = t.Dict[str, t.Any]

# Package lists that are younger than this many seconds are good enough.
_LISTS_VALID = 3600

# All roles begin with this plugin.
load_filters()


class ActionModule(LateErrors, Action):
    """Check the variables, run the module, and the package manager when there is something to install.

    In a playbook of ours, which starts with it, the variables are those of all roles, and the packages that its
    applications need are added to those that it is given. A role alone has had its variables checked by Ansible.
    """

    _supports_check_mode = True
    _requires_connection = True

    @followed("preflight")
    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        """Return what the module has found, with the versions that are installed in the end."""
        freeze_gc()
        super().run(tmp, task_vars)
        variables = task_vars or {}
        more, faults = self._checked(variables) if is_recorded(variables) else ({}, self._refusals())
        if faults:
            return {"failed": True, "msg": joined(faults)}
        found = self._preflight(more, task_vars)
        note_failure(task_vars or {}, "preflight", found)
        # Without O(install), and in check mode, the module's own word is the last one.
        if found.get("failed") or not found["changed"] or self._task.check_mode:
            return found
        installed = self._install(found["missing_packages"], task_vars)
        if installed.get("failed"):
            note_failure(task_vars or {}, "installation of packages", installed)
            missing = ", ".join(found["missing_packages"])
            return {**installed, "msg": f"Cannot install {missing}: {installed.get('msg', '')}"}
        again = self._preflight(more, task_vars)
        note_failure(task_vars or {}, "preflight", again)
        return {**again, "changed": True, "missing_packages": found["missing_packages"]}

    def _checked(self, variables: Result) -> tuple[Result, list[str]]:
        """Return what the host is to be asked for more, such as packages for builds, or all faults of the variables."""
        schema = load_schema()
        given = {name: self._templar.template(variables[name]) for name in schema if name in variables}
        values = {name: to_plain(value) for name, value in given.items()}
        for sentence in misnamed_variables(variables, schema):
            self._display.warning(sentence)
        faults = [*check_variables(values, schema), *notice_faults(variables, self)] or self._refusals()
        # A plain value has no mark of the place where it was written, and none of the vault.
        faults += unquoted_faults(given, schema)
        for name in ("flask_apps", "gunicorn_services"):
            faults += vaulted_faults(name, given.get(name), variables)
        if faults:
            return {}, faults
        found = check_input(self, values, variables)
        if found.plain_sites is not None:
            note_plain_sites(variables, found.plain_sites)
        if found.uncounted:
            self._display.warning(found.uncounted)
        return found.more, found.faults

    def _refusals(self) -> list[str]:
        """Return what filters of ours refused in an argument; raise the error of one that is wrong in another way."""
        if not self.untemplated:
            return []
        # Loaded for errors only.
        from ..plugin_utils._input_rules import own_sentence

        said = [own_sentence(error) for error in self.untemplated]
        if not all(said):
            raise self.untemplated[said.index("")]
        return said

    def _preflight(self, more: Result, task_vars: Result | None) -> Result:
        given = self._task.args
        packages = [*(given.get("packages") or []), *more.get("packages", [])]
        args = {**given, **more, **({"packages": packages} if packages else {})}
        return execute(self, "flaskops.stack.preflight", dict(args), task_vars)

    def _install(self, packages: list[str], task_vars: Result | None) -> Result:
        arguments = {
            "name": packages,
            "install_recommends": False,
            "update_cache": True,
            "cache_valid_time": _LISTS_VALID,
        }
        return t.cast(Result, self._execute_module("ansible.builtin.apt", arguments, task_vars=task_vars))
