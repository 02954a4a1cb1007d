# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout
from ansible_collections.flaskops.stack.plugins.module_utils._release.published import is_published

LAYOUT = Layout("/srv", "shop")
LINE = "    server unix:/srv/shop/current/run/0.sock;"


@pytest.fixture
def nginx(tmp_path: Path) -> Path:
    for name in ("sites-available", "sites-enabled", "conf.d"):
        (tmp_path / name).mkdir()
    (tmp_path / "nginx.conf").write_text("http {}")
    return tmp_path


def test_a_site_that_is_enabled_leads_to_it(nginx: Path) -> None:
    (nginx / "sites-available" / "shop@1").write_text(f"upstream x {{\n{LINE}\n}}")
    assert is_published(LAYOUT, nginx=str(nginx)) is False
    (nginx / "sites-enabled" / "shop").symlink_to(nginx / "sites-available" / "shop@1")
    assert is_published(LAYOUT, nginx=str(nginx)) is True
    assert is_published(Layout("/srv", "sho"), nginx=str(nginx)) is False


@pytest.mark.parametrize("place", ["conf.d/own.conf", "nginx.conf"])
def test_so_does_one_of_somebody_elses(nginx: Path, place: str) -> None:
    (nginx / place).write_text(LINE.replace("server ", "proxy_pass http://"))
    assert is_published(LAYOUT, nginx=str(nginx)) is True


def test_a_comment_and_a_link_to_nothing_do_not(nginx: Path) -> None:
    (nginx / "conf.d" / "own.conf").write_text(f"#{LINE}\nserver {{ # {LINE}\n}}")
    (nginx / "sites-enabled" / "gone").symlink_to("/no/such/file")
    assert is_published(LAYOUT, nginx=str(nginx)) is False


def test_a_large_file_beside_the_configuration_is_none(nginx: Path) -> None:
    (nginx / "conf.d" / "own.conf").write_text(LINE)
    with (nginx / "GeoLite2-City.mmdb").open("wb") as stream:
        stream.truncate(65 * 2**20)
    assert is_published(Layout("/srv", "blog"), nginx=str(nginx)) is False
    assert is_published(LAYOUT, nginx=str(nginx)) is True


def test_where_it_says_nothing_nothing_is_said(nginx: Path, tmp_path: Path) -> None:
    assert is_published(LAYOUT, nginx=str(tmp_path / "none")) is None
    assert is_published(LAYOUT, ["127.0.0.1:8000"], nginx=str(nginx)) is None
