# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's defaults of systemd for units. Private to flaskops.stack."""

from __future__ import annotations

import re
from functools import lru_cache

from .command import CommandError, Commands

# DefaultTimeoutStopSec= of systemd-system.conf(5), which hosts may set.
_STOP = 90.0
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def parse_span(text: str) -> float | None:
    """Return the seconds of a time as systemctl(1) shows it, such as C(1min 30s); None for what is none."""
    if text == "infinity":
        return float("inf")
    words = [re.fullmatch(r"(\d+(?:\.\d+)?)([a-z]+)", word) for word in text.split()]
    if not words or not all(word and word.group(2) in _UNITS for word in words):
        return None
    return sum(float(word.group(1)) * _UNITS[word.group(2)] for word in words if word)


@lru_cache(maxsize=None)
def default_stop_seconds(commands: Commands) -> float:
    """Return how long a unit may take to end whose file is gone."""
    try:
        said = commands.run(["systemctl", "show", "--property", "DefaultTimeoutStopUSec"]).out
    except (CommandError, OSError):
        return _STOP
    found = parse_span(said.strip().partition("=")[2])
    return _STOP if found is None else found
