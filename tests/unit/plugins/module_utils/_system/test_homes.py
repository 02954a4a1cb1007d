# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service with ProtectHome=yes would not see."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._system.homes import is_in_home, uses_home


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        ("/home/anna/shop", True),
        ("/root/shop", True),
        ("/run/user/1000/x", True),
        ("/srv/shop", False),
        ("/homes/x", False),
    ],
)
def test_homes_are_those_that_systemd_hides(path: str, hidden: bool) -> None:
    assert is_in_home("/srv", path) is hidden


def test_an_interpreter_counts_where_its_link_leads(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").symlink_to("/home/anna/.local/share/uv/python/bin/python3.12")
    assert uses_home("/srv/shop/app", str(tmp_path))
    assert not is_in_home("/srv/shop/app", str(tmp_path))
