# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task that runs with the code kept on the host, as the host sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import syslog
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.common.parameters import remove_values
from ansible_collections.flaskops.stack.plugins.module_utils import _host_task
from ansible_collections.flaskops.stack.plugins.module_utils._host_code import PACKAGE
from ansible_collections.flaskops.stack.plugins.module_utils._host_task import BOOTSTRAP, MARK, mask

TASK = """
import os
def run(params, check, diff):
    print("a line of a program", end="", flush=True)
    mask = os.umask(0)
    return {"params": params, "check": check, "diff": diff, "umask": mask}
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """Code as it is kept, with one task."""
    package = tmp_path / "code" / PACKAGE
    package.mkdir(parents=True)
    (tmp_path / "code").chmod(0o755)
    source = Path(_host_task.__file__).parent
    for name in ("_host_code.py", "_host_task.py"):
        (package / name).write_text((source / name).read_text())
    (package / "__init__.py").touch()
    (package / "_task.py").write_text(TASK)
    return package.parent


def call(code: Path, **given: t.Any) -> tuple[dict[str, t.Any] | None, subprocess.CompletedProcess[str]]:
    """Run the task as the controller does; return its result, if it has one, and the process."""
    asked = {"params": {}, "check": False, "diff": False, "hidden": [], "log": "", "facility": "LOG_USER", **given}
    words = [sys.executable, "-I", "-c", BOOTSTRAP, str(code), "_task"]
    done = subprocess.run(words, input=json.dumps(asked), capture_output=True, text=True, check=False)
    line = done.stdout.rpartition(MARK)[2].strip()
    return json.loads(line) if line else None, done


def test_every_login_shell_takes_the_program() -> None:
    # csh ends a command at the end of a line, and replaces what follows '!'; fish makes one of two backslashes.
    assert not set("\n!") & set(BOOTSTRAP)
    assert "\\\\" not in BOOTSTRAP


def test_it_returns_what_the_task_returns(code: Path) -> None:
    result, done = call(code, params={"a": ["é", None, 1.5]}, diff=True)
    assert result == {"params": {"a": ["é", None, 1.5]}, "check": False, "diff": True, "umask": 0o022}
    assert (done.returncode, done.stderr) == (0, "")


def test_a_result_of_any_length_arrives_though_the_interpreter_ends_at_once(code: Path) -> None:
    (code / PACKAGE / "_task.py").write_text(
        TASK.replace("import os\n", "import atexit, os\natexit.register(print, 'taken apart')\n")
    )
    text = "x" * 3_000_000
    result, done = call(code, params={"text": text})
    assert result and result["params"] == {"text": text}
    assert "taken apart" not in done.stdout


def test_a_task_that_fails_without_a_result_says_why(code: Path) -> None:
    (code / PACKAGE / "_task.py").write_text("def run(params, check, diff):\n    raise MemoryError('no room')\n")
    result, done = call(code)
    assert (result, done.returncode) == (None, 1)
    assert "MemoryError: no room" in done.stderr


def test_use_is_noted_so_that_the_code_is_not_removed_but_not_in_check_mode(code: Path) -> None:
    for check, noted in ((True, False), (False, True)):
        os.utime(code, (1, 1))
        result, _done = call(code, check=check)
        assert result and result["check"] is check
        assert (os.stat(code).st_mtime > 1) is noted


def test_code_that_is_not_there_has_to_be_sent(tmp_path: Path) -> None:
    # More input than a pipe holds: no process may be left writing.
    result, done = call(tmp_path / "code", params={"a": "x" * 300_000})
    assert (result, done.returncode, done.stdout.strip(), done.stderr) == (None, 0, MARK.strip(), "")


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_code_that_others_can_have_changed_is_not_run(code: Path, mode: int) -> None:
    code.chmod(mode)
    result, done = call(code)
    assert (result, done.stdout.strip()) == (None, MARK.strip())


@pytest.mark.parametrize("damage", ["import no_such_module", "a b"])
def test_code_that_this_python_cannot_read_has_to_be_sent(code: Path, damage: str) -> None:
    (code / PACKAGE / "_host_code.py").write_text(damage)
    result, done = call(code)
    assert (result, done.returncode, done.stdout.strip()) == (None, 0, MARK.strip())


@pytest.mark.parametrize("damage", ["remove", "empty"])
def test_a_task_whose_code_is_damaged_has_to_be_sent(code: Path, damage: str) -> None:
    task = code / PACKAGE / "_task.py"
    task.unlink() if damage == "remove" else task.write_text("")
    result, done = call(code)
    assert (result, done.returncode, done.stdout.strip()) == (None, 0, MARK.strip())


def test_nothing_of_the_directory_where_it_runs_is_imported(code: Path, tmp_path: Path, monkeypatch: t.Any) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('read from the working directory')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert call(code)[0]


def test_secrets_are_in_no_result(code: Path) -> None:
    result, done = call(code, params={"said": "it is s3cret!", "whole": "s3cret"}, hidden=["s3cret"])
    assert result
    assert result["params"] == {"said": "it is ********!", "whole": "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"}
    assert "s3cret" not in done.stdout


@pytest.mark.parametrize("hidden", [[], ["a"], ["17"], ["abc", "b"], ["True"], ["None"]])
def test_secrets_are_hidden_as_ansible_hides_them(hidden: list[str]) -> None:
    value = {"a": ["abc", "xabcx", 17, 175, 1.75, True, None], "b": {"c": ["17", "b"]}}
    assert mask(value, hidden) == remove_values(value, set(hidden))


def test_the_call_is_in_the_log_under_the_name_and_the_facility_that_ansible_has(monkeypatch: t.Any) -> None:
    opened: list[tuple[object, ...]] = []
    monkeypatch.setattr(syslog, "openlog", lambda *given: opened.append(given))
    monkeypatch.setattr(syslog, "syslog", lambda *given: opened.append(given))
    _host_task._log("_entrypoints.nginx_site", "Invoked", "LOG_LOCAL3")
    name = "ansible-flaskops.stack.nginx_site"
    assert opened == [(name, 0, syslog.LOG_LOCAL3), (syslog.LOG_INFO, "Invoked")]
