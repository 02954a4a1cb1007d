# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time of day as it is written down. Private to flaskops.stack."""

from __future__ import annotations

import time


def utc_now() -> str:
    """Return the time in UTC to the second, as ISO 8601 has it; such texts sort like the times that they are of."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
