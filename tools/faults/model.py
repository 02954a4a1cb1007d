# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of `make faults` are asked for, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """What the caller of `make faults` asks of every part."""

    # By the names of their images: newer, older, or a release of Debian.
    distributions: tuple[str, ...]
    # Take each n-th point only.
    every: int = 1
    # Inject no more faults after so many minutes; 0 for no end.
    minutes: int = 0
    # In a row, under load, on each host that does it.
    swaps: int = 200
    deploys: int = 30
    # Run only what has this in its name, and no points and no load.
    only: str = ""
    # Leave the hosts for a look at them.
    keep: bool = False
    # How many hosts are worked on at once; 0 for as many as the part finds right.
    jobs: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a part has found: the line that counts, and what broke."""

    line: str
    broken: tuple[str, ...] = ()
