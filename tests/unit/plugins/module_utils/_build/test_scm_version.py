# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A build that would ask git for its version is told it."""

from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._build.scm_version import (
    scm_environment,
    scm_files,
    scm_version,
)
from packaging.version import Version

SCM = '[build-system]\nrequires = ["setuptools", "setuptools_scm"]\n'
SETUP = 'setup(name="my.shop-web", use_scm_version=True)\n'
FOR_SHOP = "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_MY_SHOP_WEB"


@pytest.mark.parametrize(
    ("described", "version"),
    [
        ("v1.2.3-0-gabc1234", "1.2.3"),
        ("1.2-4-gabc1234", "1.2.post4+gabc1234"),
        ("shop-1.2.3-0-gabc1234", "1.2.3"),
        ("release/v1.2.3-0-gabc1234", "1.2.3"),
        ("v1.2.3rc1-0-gabc1234", "1.2.3rc1"),
        ("v1.2.3rc1-2-gabc1234", "1.2.3rc1.post2+gabc1234"),
        ("v2.0.0-beta.1-0-gabc1234", "2.0.0-beta.1"),
        ("v2.0.0-alpha-3-gabc1234", "2.0.0-alpha.post3+gabc1234"),
        ("V2.0.0-RC1-0-gabc1234", "2.0.0-RC1"),
        # Neither is the version 1, nor the version 2.
        ("v1.2-1-0-gabc1234", "0+g0123456"),
        ("v1.2-hotfix-2-3-gabc1234", "0+g0123456"),
        ("v1.2.post1-0-gabc1234", "1.2.post1"),
        ("v1.2.post1-3-gabc1234", "1.2.post1+3.gabc1234"),
        ("v1.3.dev0-3-gabc1234", "1.3.dev0+3.gabc1234"),
        ("", "0+g0123456"),
        ("production-3-gabc1234", "0+g0123456"),
    ],
)
def test_the_version_is_that_of_the_tag(described: str, version: str) -> None:
    assert scm_version(described, "0123456789") == version
    assert Version(version)


@pytest.mark.parametrize(
    ("files", "variables"),
    [
        ({"setup.py": SETUP, "pyproject.toml": SCM}, {FOR_SHOP}),
        ({"setup.py": SETUP}, {FOR_SHOP}),
        ({"setup.cfg": "[metadata]\nname = my.shop-web\n", "pyproject.toml": SCM, "setup.py": "setup()"}, {FOR_SHOP}),
        ({"pyproject.toml": f'{SCM}[project]\ndynamic = ["version"]\nname = "my.shop-web"\n'}, {FOR_SHOP}),
        (
            {"pyproject.toml": '[tool.poetry]\nname = "my.shop-web"\n[tool.poetry-dynamic-versioning]\n'},
            {FOR_SHOP, "POETRY_DYNAMIC_VERSIONING_BYPASS"},
        ),
        ({"pyproject.toml": '[tool.pdm.version]\nsource = "scm"\n'}, {"PDM_BUILD_SCM_VERSION"}),
        ({"pyproject.toml": '[project]\nname = "shop"\nversion = "1"\n'}, set()),
        ({"setup.py": 'setup(name="shop", version="1")'}, set()),
        ({}, set()),
    ],
)
def test_only_what_asks_git_is_told(files: dict[str, str], variables: set[str]) -> None:
    found = scm_environment(files.get, lambda: "v1.2.0-0-gabc1234", "0123456789")
    assert found == dict.fromkeys(variables, "1.2.0")


@pytest.mark.parametrize("tool", ["setuptools_scm", "hatch-vcs", "pbr", "versioningit", "setuptools-git-versioning"])
def test_tools_without_a_variable_of_their_own_read_what_a_sdist_has(tool: str) -> None:
    files = {"pyproject.toml": f'[build-system]\nrequires = ["{tool}"]\n[project]\nname = "shop"\n'}
    text = scm_files(files.get, lambda: "v1.2.0-0-gabc1234", "0")["PKG-INFO"]
    assert text == "Metadata-Version: 2.1\nName: shop\nVersion: 1.2.0\n"


def test_a_sdist_keeps_its_version() -> None:
    files = {"setup.py": SETUP, "PKG-INFO": "Version: 7\n"}
    assert scm_files(files.get, lambda: "", "0") == {}
    assert scm_environment(files.get, lambda: "", "0") == {}
