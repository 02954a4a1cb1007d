# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times are written down so that their texts sort as they do."""

from __future__ import annotations

import re
import time

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._system.files import utc_now


def test_a_time_is_in_utc_to_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", utc_now())
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert abs(time.mktime(time.strptime(utc_now(), "%Y-%m-%dT%H:%M:%SZ")) - time.time() + 9 * 3600) < 60
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
