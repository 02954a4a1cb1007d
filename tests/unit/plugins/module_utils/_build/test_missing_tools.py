# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build says that misses something on the host, and what brings it."""

from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._build.missing_tools import (
    explain_missing_tool,
    package_not_built,
)
from ansible_collections.flaskops.stack.plugins.module_utils._build.venv_commands import explain_install_failure

C = "build-essential and python3-dev"


@pytest.mark.parametrize(
    ("said", "packages"),
    [
        ("src/x.c:1:10: fatal error: Python.h: No such file or directory", "build-essential and python3-dev"),
        ("error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-gcc'", "build-essential and python3-dev"),
        ("Error: pg_config executable not found.", f"libpq-dev, {C}"),
        ("Exception: Can not find valid pkg-config name.", f"pkg-config, default-libmysqlclient-dev, {C}"),
        ("OSError: mariadb_config not found.", f"libmariadb-dev, {C}"),
        (
            "ConfigurationError: Could not run curl-config: [Errno 2] No such file or directory: 'curl-config'",
            f"libcurl4-openssl-dev, libssl-dev, {C}",
        ),
        ("CalledProcessError: Command 'krb5-config --libs gssapi' returned non-zero exit status 127.", "libkrb5-dev"),
        ("Error: Please make sure the libxml2 and libxslt development packages are installed.", "libxslt1-dev"),
        ("Modules/common.h:15:10: fatal error: lber.h: No such file or directory", f"libldap-dev, libsasl2-dev, {C}"),
        ("src/pyodbc.h:56:10: fatal error: sql.h: No such file or directory", f"unixodbc-dev, {C}"),
        ("The headers or library files could not be found for jpeg,", f"libjpeg-dev, zlib1g-dev, {C}"),
        ("c/_cffi_backend.c:15:10: fatal error: ffi.h: No such file or directory", f"libffi-dev, {C}"),
        ("error: Unable to invoke pkg-config.", f"pkg-config, {C}"),
        ("/bin/sh: 1: pkg-config: not found", f"pkg-config, {C} and the library that it looks for"),
        ("fatal error: snappy-c.h: No such file or directory", "the name ends in -dev"),
        ("error: can't find Rust compiler", "add cargo to system_packages"),
        ("CMake must be installed to build", "add cmake to system_packages"),
    ],
)
def test_the_packages_are_named_with_their_setting(said: str, packages: str) -> None:
    told = explain_missing_tool(f"  building\n  {said}\n  failed")
    assert packages in told and "system_packages" in told and "has a wheel" in told


@pytest.mark.parametrize(
    "said",
    [
        # greenlet 3.0.1, 1.1.2, aiohttp 3.8, cchardet, multidict 5 on Python 3.13, and others.
        "x.cpp:200:13: error: `PyThreadState' {aka `struct _ts'} has no member named `cframe'",
        "x.cpp:266:34: error: `_PyCFrame' was not declared in this scope; did you mean `_frame'?",
        "x.c:3379:27: error: too few arguments to function `_PyLong_AsByteArray'",
        "x.cpp:196:12: fatal error: longintrepr.h: No such file or directory",
        "x.c:655:5: error: implicit declaration of function `Py_TRASHCAN_SAFE_BEGIN'; did you mean",
        "x.c:10:1: error: unknown type name `Py_UNICODE'",
        "x.c:9:17: error: invalid use of incomplete typedef `PyFrameObject' {aka `struct _frame'}",
    ],
)
@pytest.mark.parametrize("quotes", ["\u2018\u2019", "''"])
def test_a_package_older_than_this_python_is_told_from_a_missing_header(said: str, quotes: str) -> None:
    # gcc's quotes, in UTF-8 and in the locale C.
    said = said.replace("`", quotes[0]).replace("'", quotes[1])
    command = "error: Command '['x86_64-linux-gnu-g++', '-fPIC']' returned non-zero exit status 1."
    told = explain_install_failure(f"Failed to build `greenlet==3.0.1`\n  {said}\n  {command}")
    assert "older than this host's Python" in told and "newer version" in told and "set python to" in told
    assert "system_packages" not in told


def test_a_package_in_rust_that_is_older_than_this_python_is_told_as_well() -> None:
    said = (
        "error: the configured Python interpreter version (3.13) is newer than PyO3's maximum supported version (3.12)"
    )
    assert "older than this host's Python" in explain_missing_tool(said)


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("error: Failed to build `greenlet==3.0.1`\n  cause: The build backend returned an error", "greenlet==3.0.1"),
        ("  \u00d7 Failed to build `shop @ file:///x/app`\n", "shop"),
        ("  ERROR: Failed building wheel for cchardet\nFailed to build cchardet", "cchardet"),
        ("error: subprocess-exited-with-error\n  Getting requirements to build wheel did not run", ""),
        ("error: Failed to build `-e x`", ""),
    ],
)
def test_the_package_that_cannot_be_built_is_named(said: str, name: str) -> None:
    """The end of a compiler's output does not name it."""
    assert package_not_built(said) == name


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
