# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build says that misses something on the host, and what brings it."""

from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._build.missing_tools import explain_missing_tool


@pytest.mark.parametrize(
    ("said", "packages"),
    [
        ("src/x.c:1:10: fatal error: Python.h: No such file or directory", "build-essential and python3-dev"),
        ("error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-gcc'", "build-essential and python3-dev"),
        ("Error: pg_config executable not found.", "libpq-dev and build-essential"),
        ("Exception: Can not find valid pkg-config name.", "default-libmysqlclient-dev"),
        ("/bin/sh: 1: pkg-config: not found", "pkg-config and the library that it looks for"),
        ("fatal error: ffi.h: No such file or directory", "the name ends in -dev"),
        ("error: can't find Rust compiler", "add cargo to system_packages"),
        ("CMake must be installed to build", "add cmake to system_packages"),
    ],
)
def test_the_packages_are_named_with_their_setting(said: str, packages: str) -> None:
    told = explain_missing_tool(f"  building\n  {said}\n  failed")
    assert packages in told and "system_packages" in told and "has a wheel" in told


def test_an_old_package_that_wants_pkg_resources_gets_the_setting_for_it() -> None:
    assert "'setuptools<81' to build_constraints" in explain_missing_tool(
        "ModuleNotFoundError: No module named 'pkg_resources'"
    )


@pytest.mark.parametrize(
    "said",
    [
        "cause: Git operation failed\n  cause: Git executable not found. Ensure that Git is installed and available.",
        "No such file or directory: 'git' while executing command git version\nERROR: Cannot find command 'git'",
    ],
)
def test_a_requirement_in_a_repository_needs_git(said: str) -> None:
    assert "add git to system_packages" in explain_missing_tool(said)


@pytest.mark.parametrize(
    "said", ["FileNotFoundError: [Errno 2] No such file or directory: 'git'", "fatal: not a git repository (or any"]
)
def test_a_build_that_asks_git_for_its_version_is_told_that_there_is_no_repository(said: str) -> None:
    assert "requirements: [requirements.txt]" in explain_missing_tool(said)


@pytest.mark.parametrize("said", ["", "SyntaxError: invalid syntax", "No module named 'shop'"])
def test_a_mistake_of_the_source_is_none_of_the_host(said: str) -> None:
    assert explain_missing_tool(said) == ""
