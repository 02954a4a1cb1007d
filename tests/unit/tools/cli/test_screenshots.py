# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The screenshots of error pages in docs/: there is one of each page in each language, and they stay small."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._site.error_pages import CODES, MAINTENANCE
from ansible_collections.flaskops.stack.plugins.module_utils._site.parse import parse_site

from tools.cli import screenshots

ROOT = Path(__file__).parents[4]
NAMES = {*CODES, MAINTENANCE}


def test_each_page_is_shown_in_each_language() -> None:
    assert {*screenshots.PAGES, MAINTENANCE} == NAMES == screenshots.ENGLISH.keys()
    pictures = {path.name for path in screenshots.PLACE.iterdir()}
    assert pictures == {f"{name}-{language}.png" for name in NAMES for language in screenshots.LANGUAGES}
    assert all(path.stat().st_size < 30_000 for path in screenshots.PLACE.iterdir())


def test_each_picture_stands_in_the_documentation() -> None:
    text = (ROOT / "docs" / "operating.md").read_text("utf-8")
    assert [path.name for path in screenshots.PLACE.iterdir() if f"](error-pages/{path.name})" not in text] == []


@pytest.mark.parametrize("name", sorted(NAMES))
def test_what_a_page_has_to_say_is_what_the_shared_file_says(name: str) -> None:
    place = "plugins/module_utils/_site/error_pages.py" if name == MAINTENANCE else "roles/nginx/files/flaskops.conf"
    assert f'"{screenshots.ENGLISH[name]}"' in (ROOT / place).read_text("utf-8")


def test_the_site_is_one_that_a_user_may_write() -> None:
    site = parse_site(screenshots.site(), {})
    assert {text.status for text in site.error_pages or ()} == NAMES
