# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a task with the code kept on the host, without Ansible's module wrapper. Private to flaskops.stack."""

from __future__ import annotations

import json
import shlex
import typing as t
from dataclasses import dataclass
from importlib import import_module

from ansible import constants
from ansible.module_utils.basic import heuristic_log_sanitize
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._host_code import ROOT
from ..module_utils._host_task import BOOTSTRAP, MARK, mask
from ._become import explain_missing, explain_refused

Args = t.Dict[str, t.Any]

_MODULES = "ansible_collections.flaskops.stack.plugins.modules"
# Where Ansible would look for an interpreter; that takes it a command of its own in each run.
_INTERPRETER = "/usr/bin/python3"
# Exit codes of a shell for a program that cannot be run, and for one that is not there.
_NO_PROGRAM = (126, 127)
# Lines of a complaint, which may be shown whole.
_FEW_LINES = 3
# What only the controller may say: which hosts there are, what Ansible is to do with a result, where interpreters are.
_INTERNAL = ("_ansible_", "add_host", "add_group")
_INTERNAL_FACTS = ("discovered_interpreter_", "ansible_discovered_interpreter_")


class CodeMissingError(Exception):
    """The host does not have the code."""


@dataclass(frozen=True)
class HostTask:
    """A call of a module that the host can answer with the code that it keeps."""

    # The module's name without its collection.
    module: str
    # Name of the code.
    code: str
    # As Ansible's own check returns them.
    params: Args
    hidden: t.FrozenSet[str]

    @property
    def invocation(self) -> Args:
        """Return what is shown of the parameters."""
        return t.cast(Args, remove_values(self.params, self.hidden))

    def run(self, action: ActionBase, variables: Args) -> Args | None:
        """Return the module's result, or None where its interpreter is not there; raise CodeMissingError."""
        task = action._task
        given = {
            "params": self.params,
            "check": task.check_mode,
            "diff": task.diff,
            "hidden": self._masked,
            "log": "" if task.no_log else self._log_line(variables),
            "facility": variables.get("ansible_syslog_facility", constants.DEFAULT_SYSLOG_FACILITY),
        }
        Display().vvv(f"Running {self.module} with the code {self.code} that the host keeps.")
        ended = action._low_level_execute_command(self._command(action, variables), in_data=json.dumps(given).encode())
        line = _result_line(ended["stdout"])
        if line is None:
            failed = _without_become(ended)
            return failed if failed or ended["rc"] in _NO_PROGRAM else self._without_result(ended)
        if not line:
            raise CodeMissingError
        result = _without_internal(json.loads(line))
        return {**result, "invocation": {"module_args": self.invocation}}

    @property
    def _masked(self) -> list[str]:
        # The longest first: one may be the beginning of another, of which the rest would be shown.
        return sorted(self.hidden, key=len, reverse=True)

    def _log_line(self, variables: Args) -> str:
        """Return what the log of the host says of the call; an empty text where the user wants nothing there."""
        if constants.config.get_config_value("DEFAULT_NO_TARGET_SYSLOG", variables=variables):
            return ""
        context = constants.config.get_config_value("TARGET_LOG_INFO", variables=variables)
        shown = [f"{key}={heuristic_log_sanitize(str(value), self.hidden)}" for key, value in self.invocation.items()]
        return " ".join([*([context] if context else []), "Invoked with", *shown])

    def _command(self, action: ActionBase, variables: Args) -> str:
        program = shlex.quote(BOOTSTRAP)
        words = [
            interpreter(action, variables),
            "-I",
            # The names of an application's files have to be those that visitors ask for, also where the locale is not
            # one of UTF-8.
            *("-X", "utf8"),
            "-c",
            program,
            f"{ROOT}/{self.code}",
            f"_entrypoints.{self.module}",
        ]
        return " ".join(filter(None, [action._compute_environment_string(), *words]))

    def _without_result(self, ended: Args) -> Args:
        stdout, stderr = (mask(ended[stream], self._masked) for stream in ("stdout", "stderr"))
        said = [line.strip() for line in f"{stderr}\n{stdout}".splitlines() if line.strip()]
        return {
            "failed": True,
            "msg": f"module {self.module} ended without a result (exit code {ended['rc']}): {_last_words(said)}",
            "module_stdout": stdout,
            "module_stderr": stderr,
            "rc": ended["rc"],
        }


def host_task(action: ActionBase, module: str, args: Args) -> HostTask | None:
    """Return the call of a module (its full name) with plain arguments, or None where Ansible has to run it.

    These are a connection without pipelining, an asynchronous or delegated task, arguments that only the host can
    complete, and wrong arguments, which the module refuses in Ansible's words.
    """
    task = action._task
    if task.async_val or task.delegate_to or not action._is_pipelining_enabled("new"):
        return None
    name = module.rpartition(".")[2]
    arguments = import_module(f"{_MODULES}.{name}").ARGUMENTS
    if _names_home(arguments["argument_spec"], args):
        return None
    checked = ArgumentSpecValidator(**arguments).validate(args)
    if checked.error_messages:
        return None
    return HostTask(name, args["code"], checked.validated_parameters, frozenset(checked._no_log_values))


def interpreter(action: ActionBase, variables: Args) -> str:
    """Return the interpreter that the user has chosen, or the distribution's."""
    setting = constants.config.get_config_value("INTERPRETER_PYTHON", variables=variables)
    chosen = str(action._templar.template(setting) or "").strip()
    return _INTERPRETER if not chosen or chosen.startswith("auto") else chosen


def _result_line(stdout: str) -> str | None:
    """Return the last result that was printed, which is empty where the code is missing; None where there is none.

    Results may have the mark in a text, and shells print lines when they end, too.
    """
    lines = [line for line in stdout.split("\n") if line.startswith(MARK)]
    return lines[-1][len(MARK) :].strip() if lines else None


def _without_become(ended: Args) -> Args | None:
    """Return the failure of a host on which the task got no rights of root; None where something else is missing."""
    said = f"{ended['stderr']}\n{ended['stdout']}"
    reason = explain_missing(said) if ended["rc"] in _NO_PROGRAM else explain_refused(said)
    return {"failed": True, "msg": reason, "rc": ended["rc"]} if reason else None


def _last_words(lines: t.Sequence[str]) -> str:
    """Return what a program said at its end. sudo(8) begins with the cause, Python ends with it."""
    if not lines:
        return "it printed nothing"
    return "; ".join(lines) if len(lines) <= _FEW_LINES and lines[0].startswith("sudo:") else lines[-1]


def _without_internal(result: Args) -> Args:
    """Return what a host may say in a result; each version of ansible-core has another function for it, 2.21 none."""
    kept = {key: value for key, value in result.items() if not key.startswith(_INTERNAL)}
    if isinstance(facts := kept.get("ansible_facts"), dict):
        kept["ansible_facts"] = {key: value for key, value in facts.items() if not key.startswith(_INTERNAL_FACTS)}
    return kept


def _names_home(spec: t.Mapping[str, t.Any], params: t.Mapping[str, t.Any]) -> bool:
    """Tell whether a path has a home or a variable in it, whose value the host knows."""
    for key, option in spec.items():
        value = params.get(key)
        if option.get("type") == "path" and isinstance(value, str) and (value.startswith("~") or "$" in value):
            return True
        for item in value if isinstance(value, list) else [value]:
            if "options" in option and isinstance(item, dict) and _names_home(option["options"], item):
                return True
    return False
