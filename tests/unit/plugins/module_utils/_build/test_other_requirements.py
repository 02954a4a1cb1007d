# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module that is missing, because a second file of requirements is not installed."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._build.other_requirements import explain_other_requirements


@pytest.fixture
def release(tmp_path: Path) -> Path:
    (tmp_path / "app/requirements").mkdir(parents=True)
    for name in ("flask-3.1.0", "PyYAML-6.0"):
        (tmp_path / "venv/lib/python3.13/site-packages" / f"{name}.dist-info").mkdir(parents=True)
    (tmp_path / "app/requirements.txt").write_text("flask==3.1.0\npyyaml\n")
    return tmp_path


def told(release: Path, module: str) -> str:
    said = f"Traceback (most recent call last):\nModuleNotFoundError: No module named '{module}'"
    return explain_other_requirements(said, str(release), "shop")


@pytest.mark.parametrize("path", ["requirements-ui.txt", "ui_requirements.txt", "requirements/ui.txt"])
@pytest.mark.parametrize(
    ("line", "module"),
    [
        ("gradio>=4", "gradio"),
        ("Flask-Login==0.6.3 ; python_version > '3'", "flask_login"),
        ("flask_login", "flask_login.utils"),
        ("python-dotenv", "dotenv"),
        ("PyJWT", "jwt"),
        ("psycopg2-binary==2.9", "psycopg2"),
    ],
)
def test_the_file_that_names_it_is_named(release: Path, path: str, line: str, module: str) -> None:
    (release / "app" / path).write_text(f"# for the pages\n-r requirements.txt\n{line}\n")
    assert path in told(release, module)
    assert "list it in requirements" in told(release, module)


def test_a_file_whose_packages_are_named_otherwise_is_named_with_them(release: Path) -> None:
    (release / "app/requirements-ui.txt").write_text("flask\nbeautifulsoup4\nlxml\nhtml5lib\nother\n")
    assert "requirements-ui.txt (beautifulsoup4, lxml, html5lib and more)" in told(release, "bs4")


def test_a_file_for_tests_or_developers_is_not_guessed_and_yet_named_when_it_fits(release: Path) -> None:
    (release / "app/requirements-dev.txt").write_text("pytest\nblack\n")
    assert told(release, "bs4") == ""
    assert "requirements-dev.txt" in told(release, "pytest")


def test_where_all_is_installed_nothing_is_said(release: Path) -> None:
    (release / "app/requirements-ui.txt").write_text(
        "-r requirements.txt\nflask\ndataclasses; python_version < '3.7'\n"
    )
    assert "requirements-ui.txt" in told(release, "dataclasses")
    assert told(release, "bs4") == ""
    (release / "app/requirements-ui.txt").write_text("gradio\n")
    assert told(release, "shop.views") == ""
    assert explain_other_requirements("ValueError: no", str(release), "shop") == ""


def test_no_file_is_read_behind_a_link_that_leads_out(release: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("gradio\n")
    (release / "app/requirements-ui.txt").symlink_to(tmp_path / "secret.txt")
    assert told(release, "gradio") == ""
