# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._acme.lifetime import (
    DAY,
    HOUR,
    RenewBefore,
    parse_renew_before,
)


@pytest.mark.parametrize(
    ("text", "lifetime", "hours"),
    [
        ("", 90 * DAY, 720),
        ("", 45 * DAY, 360),
        # Short ones: half, as certbot 4.0 does it.
        ("", 6 * DAY, 72),
        ("30d", 90 * DAY, 720),
        ("30", 90 * DAY, 720),
        ("48h", 6 * DAY, 48),
        ("33%", 100 * DAY, 792),
        # More than the lifetime would renew it in each run.
        ("30d", 6 * DAY, 96),
        ("1h", HOUR, 1),
    ],
)
def test_a_certificate_is_renewed_so_long_before_its_end(text: str, lifetime: float, hours: int) -> None:
    assert parse_renew_before(text).of(lifetime) == hours * HOUR


@pytest.mark.parametrize("text", ["0", "67%", "0%", "-3", "3 weeks", "a", "30d30d", "99999d"])
def test_what_says_no_time_is_refused_with_what_is_accepted(text: str) -> None:
    with pytest.raises(ValueError, match=f"renew_before '{text}' must be days"):
        parse_renew_before(text)


def test_the_default_is_neither() -> None:
    assert parse_renew_before("") == RenewBefore()
