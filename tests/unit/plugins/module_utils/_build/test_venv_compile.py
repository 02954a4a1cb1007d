# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import getpass
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._build.venv import Builder, BuildError
from ansible_collections.flaskops.stack.plugins.module_utils._build.venv_commands import VenvRequest
from ansible_collections.flaskops.stack.plugins.module_utils._system.fence import Fence


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("name = 'shop'\n")
    (tmp_path / "package" / "template.py").write_text("{% not Python %}")
    (tmp_path / "package" / "template.txt").write_text("{% not Python %}")
    (tmp_path / "wsgi.py").write_text("import package\n")
    return tmp_path


@pytest.fixture
def fence(no_systemd: None) -> t.Iterator[Fence]:
    with Fence("flaskops-build-shop.service", [], sys.executable, "Build of shop") as started:
        yield started


@pytest.fixture
def builder(code: Path, fence: Fence) -> Builder:
    request = VenvRequest("pip", sys.executable, "", str(code), str(code), "")
    return Builder(request, fence, 20, str, {"PYTHONDONTWRITEBYTECODE": "1"}, getpass.getuser())


def compiled(code: Path) -> set[str]:
    return {path.name.partition(".")[0] for path in code.rglob("*.pyc")}


def test_what_is_code_is_compiled_and_what_is_none_is_left(code: Path, builder: Builder) -> None:
    with builder.compiling(str(code)):
        pass
    assert compiled(code) == {"__init__", "wsgi"}
    builder.compile([str(code)])
    assert compiled(code) == {"__init__", "wsgi"}


def test_an_import_takes_what_was_compiled(code: Path, builder: Builder) -> None:
    with builder.compiling(str(code)):
        pass
    said = subprocess.run(
        [sys.executable, "-v", "-c", "import package"], cwd=code, check=True, stderr=subprocess.PIPE, text=True
    ).stderr
    assert "__init__.cpython" in next(line for line in said.splitlines() if "matches" in line and "package" in line)


def test_what_is_done_beside_it_may_fail(code: Path, builder: Builder) -> None:
    with pytest.raises(KeyError), builder.compiling(str(code)):
        raise KeyError


def test_a_compiler_that_does_not_end_is_named(code: Path, fence: Fence) -> None:
    os.mkfifo(code / "endless.py")
    slow = Builder(
        VenvRequest("pip", sys.executable, "", str(code), str(code), ""), fence, 0.5, str, {}, getpass.getuser()
    )
    with pytest.raises(BuildError, match=r"did not end within 0\.5 s.*build_timeout is 0\.5 s"), slow.compiling(
        str(code)
    ):
        pass
