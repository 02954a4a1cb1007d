# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detect tools that a package build lacks, and the setting that installs them. Private to flaskops.stack."""

from __future__ import annotations

import re

_COMPILER = r"(?:[\w./-]*-)?(?:gcc|g\+\+|cc|c\+\+|clang)"
_C = "build-essential and python3-dev"
_GIT = re.compile(r"Git executable not found|[Cc]annot find command ['`]?git\b")
_ASKED_GIT = re.compile(
    r"No such file or directory: '(?:/usr/bin/)?git'|git: (?:command )?not found|fatal: not a git repository"
)

# How gcc, clang and PyO3 say that a package uses a part of Python's C interface that this Python does not have.
_OLD_PACKAGE = re.compile(
    r"\berror: [^\n]*['\u2018](?:struct )?_?Py[A-Z_]\w+['\u2019]|fatal error: longintrepr\.h"
    r"|is newer than PyO3's maximum supported version"
)

# As uv and pip name the package whose build has failed.
_NOT_BUILT = re.compile(
    r"Failed to build `(?P<uv>\w[\w.=+!-]*)[ `]|Failed building wheel for (?P<pip>\w[\w.-]*)$", re.M
)

# In this order: what is looked for in the output of a build, what it needs, and the packages of the distribution.
_MISSING = tuple(
    (re.compile("|".join(patterns)), what, packages)
    for patterns, what, packages in (
        ([r"fatal error: Python\.h"], "needs the headers of Python", _C),
        (
            [
                rf"unable to execute '{_COMPILER}",
                rf"'[\w./-]*{_COMPILER}' failed: No such file",
                rf"No such file[^\n]*'{_COMPILER}'",
                rf"{_COMPILER}: (?:command )?not found",
                r"no acceptable C compiler|Unknown compiler\(s\)|No CMAKE_\w+_COMPILER",
                r"linker `cc` not found|Failed to find C compiler",
            ],
            "needs a compiler, which this host lacks",
            _C,
        ),
        (["pg_config"], "needs pg_config", f"libpq-dev, {_C}"),
        (
            ["mysql_config|Can not find valid pkg-config name"],
            "needs the client library of MySQL",
            f"pkg-config, default-libmysqlclient-dev, {_C}",
        ),
        (["mariadb_config"], "needs the client library of MariaDB", f"libmariadb-dev, {_C}"),
        (["curl-config"], "needs libcurl", f"libcurl4-openssl-dev, libssl-dev, {_C}"),
        (["krb5-config"], "needs the libraries of Kerberos", f"libkrb5-dev, {_C}"),
        (["libxml2 and libxslt development"], "needs libxml2 and libxslt", f"libxml2-dev, libxslt1-dev, {_C}"),
        ([r"fatal error: (?:lber|ldap|sasl)\.h"], "needs the libraries of LDAP", f"libldap-dev, libsasl2-dev, {_C}"),
        ([r"fatal error: sql(?:ext)?\.h"], "needs unixODBC", f"unixodbc-dev, {_C}"),
        ([r"fatal error: ffi\.h"], "needs libffi", f"libffi-dev, {_C}"),
        (
            ["headers or library files could not be found for (?:jpeg|zlib)"],
            "needs the libraries of images",
            f"libjpeg-dev, zlib1g-dev, {_C}",
        ),
        (
            [
                r"pkg-config[^\n]*(?:not found|No such file|could not be found|not installed|is required)",
                r"Unable to invoke pkg-config|No such file[^\n]*'pkg-config'|Did not find pkg-config",
            ],
            "needs pkg-config, which this host lacks",
            f"pkg-config, {_C} and the library that it looks for (a package whose name ends in -dev)",
        ),
        (
            [
                r"No package '[\w.+-]+' found|was not found in the pkg-config search path",
                r"fatal error: [\w./+-]+\.h(?:pp)?\b",
            ],
            "misses a library",
            "the package of the distribution with its headers (the name ends in -dev)",
        ),
        (
            ["[Cc]an't find Rust compiler|Cargo, the Rust package manager, is not|cargo[`']?: not found"],
            "needs Rust",
            "cargo",
        ),
        (["CMake must be installed|cmake[`']?: (?:command )?not found|Could not find CMake"], "needs CMake", "cmake"),
    )
)


def package_not_built(said: str) -> str:
    """Return the package whose build has failed, with its version where it is known; an empty text otherwise."""
    found = _NOT_BUILT.search(said)
    return (found["uv"] or found["pip"]) if found else ""


def explain_missing_tool(said: str) -> str:
    """Return the missing tool or library of a failed build and how to get it; an empty text for another failure."""
    if re.search("No module named '?pkg_resources", said):
        return (
            "the build of a package needs pkg_resources, which setuptools 81 and later do not have: add "
            "'setuptools<81' to build_constraints, or take a newer version of the package"
        )
    if _GIT.search(said):
        return "a requirement is in a repository of git, which this host lacks: add git to system_packages"
    if _ASKED_GIT.search(said):
        return (
            "the build of a project asks git, and a release has no repository of it: let the project read its version "
            "from a file or, with setuptools_scm or hatch-vcs, from the tags, which the build passes to these two; or, "
            "when it is the application's own, whose code needs no installation, list its dependencies in a file "
            "requirements.txt and set requirements: [requirements.txt]"
        )
    if _OLD_PACKAGE.search(said):
        return (
            "a package, or that version of it, is older than this host's Python, whose C interface it does not compile "
            "with: take a newer version of the package (by constraints where another one requires it), or set python "
            "to an older one, for which it has a wheel"
        )
    for pattern, what, packages in _MISSING:
        if pattern.search(said):
            return (
                f"a package has no wheel for this host, and its build {what}: add {packages} to system_packages, or "
                "choose a version of the package that has a wheel"
            )
    return ""
