# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._system.systemd_defaults import parse_span


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1min 30s", 90.0),
        ("10s", 10.0),
        ("1h 500ms", 3600.5),
        ("2.5s", 2.5),
        ("infinity", float("inf")),
        ("", None),
        ("soon", None),
        ("5 minutes", None),
    ],
)
def test_a_time_is_read_as_systemd_shows_it(text: str, seconds: float | None) -> None:
    assert parse_span(text) == seconds
