# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._venv_build import Builder, BuildError
from ansible_collections.flaskops.stack.plugins.module_utils._venv_commands import Request

ME = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("name = 'shop'\n")
    (tmp_path / "package" / "template.py").write_text("{% not Python %}")
    (tmp_path / "package" / "template.txt").write_text("{% not Python %}")
    (tmp_path / "wsgi.py").write_text("import package\n")
    return tmp_path


def builder(code: Path) -> Builder:
    request = Request("pip", sys.executable, "", str(code), str(code), "")
    return Builder(request, ME, 20, str, {"PYTHONDONTWRITEBYTECODE": "1"})


def compiled(code: Path) -> set[str]:
    return {path.name.partition(".")[0] for path in code.rglob("*.pyc")}


def test_what_is_code_is_compiled_and_what_is_none_is_left(code: Path) -> None:
    with builder(code).compiling(str(code)):
        pass
    assert compiled(code) == {"__init__", "wsgi"}
    builder(code).compile([str(code)])
    assert compiled(code) == {"__init__", "wsgi"}


def test_an_import_takes_what_was_compiled(code: Path) -> None:
    with builder(code).compiling(str(code)):
        pass
    said = subprocess.run(
        [sys.executable, "-v", "-c", "import package"], cwd=code, check=True, stderr=subprocess.PIPE, text=True
    ).stderr
    assert "__init__.cpython" in next(line for line in said.splitlines() if "matches" in line and "package" in line)


def test_what_is_done_beside_it_ends_it_when_it_fails(code: Path) -> None:
    with pytest.raises(KeyError), builder(code).compiling(str(code)):
        raise KeyError


def test_a_compiler_that_does_not_end_is_named(code: Path) -> None:
    os.mkfifo(code / "endless.py")
    slow = Builder(Request("pip", sys.executable, "", str(code), str(code), ""), ME, 0.5, str, {})
    with pytest.raises(BuildError, match=r"did not end within 0\.5 s.*build_timeout is 0\.5 s"), slow.compiling(
        str(code)
    ):
        pass
