# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When two releases may have the same virtualenv."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.application import parse_app
from ansible_collections.flaskops.stack.plugins.module_utils._app.dependencies import plan_dependencies
from ansible_collections.flaskops.stack.plugins.module_utils._build import build as _build_module
from ansible_collections.flaskops.stack.plugins.module_utils._build.fetch import text_reader
from ansible_collections.flaskops.stack.plugins.module_utils._system.planted import PlantedError


def key(revision: str, files: t.Mapping[str, str], **changes: t.Any) -> str:
    app = parse_app({"name": "shop", "source": "./shop", "app": "shop:app", **changes}, "/srv")
    plan = SimpleNamespace(
        app=app, revision=SimpleNamespace(revision=revision), interpreter=SimpleNamespace(version="3.13.5")
    )
    dependencies = plan_dependencies(app.requirements, files.get, app.installer)
    return _build_module._venv_key(t.cast("t.Any", plan), dependencies)


def test_the_key_of_what_is_understood_stays_as_it_was() -> None:
    files = {"requirements.txt": "-r base.txt\n", "base.txt": "flask\n"}
    expected = "5987ffc0f7cffe30be37cd081d4617b86e6aba5a2fa5b6e16fcd81c7648309a4"
    assert key("1", files) == key("2", files) == expected


@pytest.mark.parametrize(
    ("files", "changes"),
    [
        ({"requirements.txt": "--find-links wheels\nshop-lib\n"}, {}),
        ({"requirements.txt": "flask # note \\\n-r base.txt\n", "base.txt": "six\n"}, {}),
        ({"requirements.txt": "flask\n"}, {"packages": ["vendor/shop_lib.whl"]}),
        ({"requirements.txt": "flask\n"}, {"packages": ["shop_lib.whl"]}),
        ({"requirements.txt": "flask\n"}, {"gunicorn_requirement": "gunicorn @ file:vendor/gunicorn"}),
    ],
)
def test_what_may_come_from_the_source_makes_the_key_depend_on_all_of_it(
    files: dict[str, str], changes: dict[str, t.Any]
) -> None:
    assert key("1", files, **changes) != key("2", files, **changes)


def test_a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "requirements.txt")
    with pytest.raises(PlantedError, match=r"requirements\.txt is a FIFO"):
        text_reader(str(tmp_path))("requirements.txt")


def test_a_directory_in_the_place_of_a_file_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").mkdir()
    assert text_reader(str(tmp_path))("requirements.txt") is None
