# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A build of minutes says what it is doing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._build import progress as _progress
from ansible_collections.flaskops.stack.plugins.plugin_utils import _progress_watch


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(_progress_watch, "say", lines.append)
    return lines


def test_the_step_is_shown_when_a_build_takes_long(shown: list[str]) -> None:
    # Another run builds the wiki.
    said = "wiki: fetching the source\nshop: installing the requirements with uv\n"
    with _progress_watch.watched(lambda: said, "web1", ["shop"], 0.01):
        time.sleep(0.2)
    assert shown[0].startswith("web1: shop: installing the requirements with uv (")
    assert not [line for line in shown if "wiki" in line]


def test_a_quick_build_and_a_connection_that_fails_show_nothing(shown: list[str]) -> None:
    def fail() -> str:
        raise OSError("connection closed")

    with _progress_watch.watched(lambda: "shop: fetching the source", "web1", ["shop"], 60):
        pass
    with _progress_watch.watched(fail, "web1", ["shop"], 0.01):
        time.sleep(0.1)
    assert shown == []


def test_what_is_done_is_there_as_long_as_it_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "PROGRESS", str(tmp_path / "progress"))
    with _progress.building("shop"):
        _progress.report_progress("shop", "fetching the source")
        assert (tmp_path / "progress" / "shop").read_text() == "shop: fetching the source\n"
    assert list((tmp_path / "progress").iterdir()) == []
