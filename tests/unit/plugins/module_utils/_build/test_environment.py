# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What reaches the build scripts of packages."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.dependencies import Dependencies
from ansible_collections.flaskops.stack.plugins.module_utils._build.environment import inherited_environment
from ansible_collections.flaskops.stack.plugins.module_utils._build.venv import Builder, BuildError
from ansible_collections.flaskops.stack.plugins.module_utils._build.venv_commands import VenvRequest
from ansible_collections.flaskops.stack.plugins.module_utils._system.fence import Fence


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "No_Proxy", "all_proxy", "SSL_CERT_FILE", "LC_CTYPE"])
def test_proxies_certificates_and_locale_are_inherited(name: str) -> None:
    assert inherited_environment({name: "x"})[name] == "x"


@pytest.mark.parametrize(
    "name",
    ["CI_JOB_TOKEN", "AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK", "ANSIBLE_VAULT", "PYTHONPATH", "LD_PRELOAD", "HOME"],
)
def test_nothing_else_is(name: str) -> None:
    assert name not in inherited_environment({name: "x"})


def test_there_is_a_path_and_one_language_for_errors() -> None:
    found = inherited_environment({"PATH": "/root/bin", "LC_ALL": "de_DE.UTF-8"})
    assert "/usr/bin" in found["PATH"]
    assert "/root/bin" not in found["PATH"]
    assert found["LC_ALL"] == "C.UTF-8"


def test_no_token_of_the_task_reaches_an_installer(
    tmp_path: Path, no_systemd: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI_JOB_TOKEN", "hunter2")
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")
    program = tmp_path / "uv"
    program.write_text("#!/bin/sh\nenv\nexit 1\n")
    program.chmod(0o755)
    request = VenvRequest("uv", sys.executable, str(tmp_path / "venv"), str(tmp_path), str(tmp_path), uv=str(program))
    unit = Fence("flaskops-build-shop.service", [], sys.executable, "Build of shop")
    with unit as fence, pytest.raises(BuildError) as failure:
        Builder(request, fence, 20, str, {}, getpass.getuser()).build(Dependencies(), [], [])
    assert "https_proxy=http://proxy.example.com:3128" in str(failure.value)
    assert "hunter2" not in str(failure.value)
