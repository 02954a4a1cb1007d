# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send the code of a module to hosts that do not have it yet. Private to flaskops.stack."""

from __future__ import annotations

import os
import tempfile
import typing as t
import zipfile

from ansible import constants
from ansible.plugins.action import ActionBase

from ..module_utils import _host_code
from ..module_utils._host_code import PACKAGE, digest, read_code
from ..module_utils._input.values import to_plain
from ._host_task import CodeMissingError, host_task
from ._task_process import freeze_gc

Args = t.Dict[str, t.Any]


def execute(action: ActionBase, module: str, args: Args, task_vars: Args | None) -> Args:
    """Run a module with the code that the host keeps; where it is not there yet, send it."""
    freeze_gc()
    files = read_code(os.path.dirname(_host_code.__file__))
    # In either way the module gets the same values: Ansible and Python write a time of YAML's differently.
    # A variable that is null stands for one that is not set, also where it is an argument that has a default.
    values = {key: value for key, value in to_plain(args).items() if value is not None}
    given = {**values, "code": digest(files)}
    task = host_task(action, module, given)
    try:
        answer = task.run(action, task_vars or {}) if task else None
        if answer is None:
            answer = _run_module(action, module, given, task_vars)
        if not answer.pop("code_is_missing", False):
            return answer
    except CodeMissingError:
        pass
    remote = remote_directory(action)
    archive = str(action._connection._shell.join_path(remote, "code.zip"))
    _send(action, files, archive)
    action._fixup_perms2((remote, archive))
    return _run_module(action, module, {**given, "code_archive": archive}, task_vars)


def _run_module(action: ActionBase, module: str, args: Args, task_vars: Args | None) -> Args:
    """Have Ansible run a module, whose names of files are UTF-8 as in C(HostTask)."""
    given = action._task.environment or []
    action._task.environment = [*(given if isinstance(given, list) else [given]), {"PYTHONUTF8": "1"}]
    return t.cast(Args, action._execute_module(module, args, task_vars=task_vars))


def remote_directory(action: ActionBase) -> str:
    """Return the directory that the task has on the host, which Ansible removes when the task ends.

    A second one would take the first one's place, and the first would never be removed: a module with its arguments
    is in it, where pipelining is off.
    """
    return str(action._connection._shell.tmpdir or action._make_tmp_path())


def _send(action: ActionBase, files: t.Mapping[str, bytes], target: str) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix="flaskops-", dir=constants.DEFAULT_LOCAL_TMP)
    os.close(descriptor)
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(f"{PACKAGE}/{name}", content)
        action._transfer_file(temporary, target)
    finally:
        os.unlink(temporary)
