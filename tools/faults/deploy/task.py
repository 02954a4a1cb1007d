# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys by a task that Ansible does not wrap, with the code that the host keeps. Runs inside a test host, as root."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import typing as t

from tools.faults.deploy.stage import Release
from tools.faults.deploy.subjects import Switch
from tools.faults.inject.injector import Ended
from tools.faults.inject.module import keep_code

_PLUGINS = "ansible_collections.flaskops.stack.plugins"
_MODULE = "gunicorn_service"


class Task(Switch):
    """From one release to another and back, each in an interpreter that is started for it, as action plugins do it.

    Where the host's answer is that it does not have the code, it is asked again as Ansible does it, which is the action
    plugins' own way out.
    """

    def __init__(self, one: Release | None, other: Release | None) -> None:
        """Keep the code."""
        super().__init__(one, other)
        code, self._task = (
            importlib.import_module(f"{_PLUGINS}.module_utils.{name}") for name in ("_host_code", "_host_task")
        )
        self._path = f"{code.ROOT}/{keep_code(_MODULE)}"
        arguments = importlib.import_module(f"{_PLUGINS}.modules.{_MODULE}").ARGUMENTS
        # By its name: what is sent to a host of Ansible is no more than this part.
        validation = importlib.import_module("ansible.module_utils.common.arg_spec")
        self._validator = validation.ArgumentSpecValidator(**arguments)

    def run(self, release: Release | None, strace: t.Sequence[str] = ()) -> Ended:
        """Go to a release."""
        checked = self._validator.validate({"services": [self.service(release)]})
        words = json.dumps(
            {"params": checked.validated_parameters, "check": False, "diff": False, "hidden": [], "log": ""}
        )
        program = [sys.executable, "-I", "-c", self._task.BOOTSTRAP, self._path, f"_entrypoints.{_MODULE}"]
        # What it starts is not followed, as in the other plans.
        tracer = ["strace", "-qq", *strace] if strace else []
        done = subprocess.run([*tracer, *program], input=words, capture_output=True, text=True, check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith(self._task.MARK)]
        if not lines:
            return Ended(done.returncode, {"failed": True, "msg": _without_result(done)})
        answer = lines[-1][len(self._task.MARK) :].strip()
        return Ended(done.returncode, json.loads(answer)) if answer else super().run(release)


def _without_result(done: subprocess.CompletedProcess[str]) -> str:
    """Return what the action plugins say then: the interpreter's last line, after the module's name."""
    said = f"{done.stderr}\n{done.stdout}".strip().splitlines()
    return f"module {_MODULE} ended without a result (exit code {done.returncode}): {said[-1] if said else 'no line'}"
