# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects that cannot be installed as they are: the message names the file, the line and what to write."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.dependencies import (
    Dependencies,
    DependencyError,
    plan_dependencies,
)
from ansible_collections.flaskops.stack.plugins.module_utils._app.projects import Surroundings
from ansible_collections.flaskops.stack.plugins.module_utils._build.fetch import package_files
from ansible_collections.flaskops.stack.plugins.module_utils._build.venv_commands import explain_install_failure


def plan(
    files: t.Mapping[str, str], listed: list[str] | None = None, installer: str = "uv", **around: t.Any
) -> Dependencies:
    here = {"names": set(files), "exists": lambda _path: False, **around}
    return plan_dependencies(listed, files.get, installer, Surroundings(**here))


POETRY = '[tool.poetry]\npackage-mode = false\n[tool.poetry.dependencies]\nflask = "^3"\n'
TOOLS = "[tool.ruff]\nline-length = 100\n"
MEMBER = '[project]\nname = "web"\ndependencies = ["common"]\n[tool.uv.sources]\ncommon = { workspace = true }\n'
ROOT = '[project]\nname = "mono"\n[tool.uv.workspace]\nmembers = ["services/*"]\n'
SETUP = "from setuptools import setup\n"


@pytest.mark.parametrize(
    ("files", "options", "says"),
    [
        (
            {"pyproject.toml": POETRY, "poetry.lock": ""},
            {},
            ["pyproject.toml line 2", "poetry export", "requirements.txt"],
        ),
        ({"Pipfile": "", "Pipfile.lock": "{}"}, {}, ["Pipfile.lock", "pipenv requirements > requirements.txt"]),
        ({"Pipfile": ""}, {}, ["Pipfile,", "pipenv requirements > requirements.txt"]),
        ({"poetry.lock": ""}, {}, ["poetry.lock", "poetry export"]),
        ({"requirements.in": "flask"}, {}, ["in requirements.in", "pip compile", "requirements: [requirements.in]"]),
        ({"setup.cfg": "[metadata]\nname = shop"}, {}, ["in setup.cfg", "commit a pyproject.toml", "[build-system]"]),
        ({"environment.yml": ""}, {}, ["environment.yml", "conda", "requirements.txt"]),
        ({"pylock.toml": ""}, {}, ["pylock.toml", "requirements: [pylock.toml]", "installer: uv"]),
        ({"web/poetry.lock": ""}, {"listed": ["web/poetry.lock"]}, ["lists web/poetry.lock,", "poetry export"]),
        ({"Pipfile.lock": ""}, {"listed": ["Pipfile.lock"]}, ["lists Pipfile.lock,", "pipenv requirements"]),
        ({"environment.yml": ""}, {"listed": ["environment.yml"]}, ["lists environment.yml,", "only conda"]),
        (
            {"pylock.toml": ""},
            {"listed": ["pylock.toml"], "installer": "pip"},
            ["lists pylock.toml,", "installer: uv"],
        ),
        (
            {"pyproject.toml": TOOLS, "requirements/dev.txt": "", "requirements/prod.txt": ""},
            {},
            ["only configures tools", "requirements: [requirements/prod.txt]", "requirements/dev.txt"],
        ),
        ({"requirements-prod.txt": ""}, {}, ["requirements: [requirements-prod.txt]"]),
        *(
            ({name: "", "README.txt": "", "robots.txt": ""}, {}, [f"requirements: [{name}]"])
            for name in ("requirements.in", "requirements.pip", "reqs.txt", "dev-requirements.txt", "Requirements.txt")
        ),
        ({"pixi.toml": "", "pixi.lock": ""}, {}, ["pixi.toml", "only pixi", "requirements.txt"]),
        ({"env.yml": ""}, {}, ["env.yml", "only conda", "requirements.txt"]),
        ({"pyproject.toml": "[tool.pixi.dependencies]\nflask = '*'\n"}, {}, ["pyproject.toml line 1", "only pixi"]),
        ({"web/pixi.toml": ""}, {"listed": ["web/pixi.toml"]}, ["lists web/pixi.toml,", "only pixi"]),
        ({"pyproject.toml": TOOLS}, {"listed": ["pyproject.toml"]}, ["lists pyproject.toml", "only configures tools"]),
        (
            {"pyproject.toml": MEMBER},
            {"subdirectory": "services/web"},
            [
                "pyproject.toml line 5",
                "'common'",
                "remove 'subdirectory'",
                "requirements: [services/web/pyproject.toml]",
            ],
        ),
        ({"pyproject.toml": MEMBER}, {"installer": "pip"}, ["line 5", "'common'", "installer: uv"]),
        (
            {"pyproject.toml": '[project]\n[tool.uv.sources.common]\npath = "../common"\n'},
            {"subdirectory": "web"},
            ["line 3", "'common'", "requirements: [web/pyproject.toml]"],
        ),
        (
            {"pyproject.toml": ROOT},
            {},
            ["pyproject.toml line 3", 'members = ["services/*"]', "services/web/pyproject.toml"],
        ),
        ({"pyproject.toml": ROOT, "uv.lock": ""}, {}, ["pyproject.toml line 3", "services/web/pyproject.toml"]),
        (
            {"requirements.txt": "flask\n-e git+https://u:tok@git.test/lib.git@main#egg=lib\n"},
            {},
            ["requirements.txt line 2", "write 'lib @ git+https://", "installer: pip"],
        ),
        ({"requirements.txt": "--editable=git+ssh://git@git.test/lib"}, {}, ["line 1", "'NAME @ git+ssh://"]),
        (
            {"requirements.txt": "# x\nflask @ file:///croot/flask_1716545870149/work\n"},
            {},
            ["requirements.txt line 2", "flask @ file:///croot/flask_1716545870149/work", "write 'flask'"],
        ),
        ({"requirements.txt": "a\n-r b.txt", "b.txt": "\nlib @ file:///C:/x"}, {}, ["b.txt line 2", "write 'lib'"]),
        ({"requirements.txt": "-e /home/me/lib"}, {}, ["requirements.txt line 1", "/home/me/lib", "git+https"]),
        (
            {"requirements.txt": "flask\ngunicorn==20.0.4"},
            {},
            ["requirements.txt line 2", "'gunicorn==20.0.4'", "older than 20.1", "gunicorn>=21.2"],
        ),
    ],
)
def test_what_cannot_be_installed_is_refused_with_what_to_write(
    files: dict[str, str], options: dict[str, t.Any], says: list[str]
) -> None:
    with pytest.raises(DependencyError) as raised:
        plan(files, **options)
    assert [word for word in says if word not in str(raised.value)] == []
    assert not re.search(r"\btok\b", str(raised.value))


@pytest.mark.parametrize(
    ("files", "options", "names"),
    [
        # What a tool configures beside does no harm.
        ({"pyproject.toml": TOOLS, "setup.py": SETUP}, {}, ["."]),
        ({"pyproject.toml": TOOLS, "setup.cfg": "[metadata]\n"}, {}, ["."]),
        ({"pyproject.toml": TOOLS, "requirements.txt": "flask"}, {}, ["requirements.txt"]),
        ({"pyproject.toml": TOOLS}, {"has_packages": True}, []),
        ({"Pipfile": ""}, {"has_packages": True}, []),
        ({"Pipfile": ""}, {"listed": []}, []),
        # An application of the standard library alone.
        ({"README.txt": "", "LICENSE.txt": "", "robots.txt": "", "runtime.txt": ""}, {}, []),
        ({"Pipfile": "", "requirements.txt": "flask"}, {}, ["requirements.txt"]),
        ({"pyproject.toml": "[build-system]\n", "setup.py": SETUP}, {}, ["."]),
        ({"pyproject.toml": "[tool.setuptools]\n"}, {}, ["."]),
        ({"pyproject.toml": POETRY.replace("false", "true")}, {}, ["."]),
        ({"pyproject.toml": POETRY, "requirements.txt": "flask"}, {}, ["requirements.txt"]),
        ({"services/web/pyproject.toml": MEMBER}, {"listed": ["services/web/pyproject.toml"]}, ["services/web"]),
        ({"pyproject.toml": ROOT.replace("[tool", 'dependencies = ["flask"]\n[tool')}, {}, ["."]),
        ({"pyproject.toml": ROOT.replace("[tool", 'dynamic = ["dependencies"]\n[tool')}, {}, ["."]),
        ({"requirements.txt": "-e git+https://git.test/x#egg=x"}, {"installer": "pip"}, ["requirements.txt"]),
        ({"requirements.txt": "x @ file:///srv/x"}, {"exists": lambda _path: True}, ["requirements.txt"]),
        ({"requirements.txt": "-e .\n-e git-lib"}, {}, ["requirements.txt"]),
        ({"pylock.toml": "lock-version = '1.0'"}, {"listed": ["pylock.toml"]}, ["pylock.toml"]),
        ({"requirements.txt": "gunicorn==23.0\ngunicorn-color==0.1"}, {}, ["requirements.txt"]),
        ({}, {}, []),
    ],
)
def test_what_can_be_installed_is(files: dict[str, str], options: dict[str, t.Any], names: list[str]) -> None:
    found = plan(files, **options)
    assert (found.names, found.warnings) == (names, ())


def test_a_lock_file_that_is_not_read_is_told() -> None:
    package = POETRY.replace("false", "true")
    (said,) = plan({"pyproject.toml": package, "poetry.lock": ""}).warnings
    assert "poetry.lock is not read" in said
    assert "poetry export" in said
    (said,) = plan({"pyproject.toml": package, "pylock.toml": ""}).warnings
    assert "pylock.toml is not read" in said
    assert "requirements: [pylock.toml]" in said
    (said,) = plan({"web/pyproject.toml": MEMBER, "uv.lock": ""}, ["web/pyproject.toml"]).warnings
    assert "uv.lock is not read for web" in said
    assert "requirements: [locked.txt, web/pyproject.toml]" in said


def test_what_pip_freeze_invents_is_explained() -> None:
    said = "because there is no version of pkg-resources==0.0.0 and you require pkg-resources==0.0.0"
    assert "remove that line" in explain_install_failure(said)


def test_files_about_packages_are_found(tmp_path: Path) -> None:
    for name in ("Pipfile", "requirements/prod.txt", "shop/requirements.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert package_files(str(tmp_path)) == {"Pipfile", "requirements/prod.txt"}
