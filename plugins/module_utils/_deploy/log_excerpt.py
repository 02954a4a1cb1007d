# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the lines of a log that say why a service ended. Private to flaskops.stack."""

from __future__ import annotations

import re

from .._input.tracebacks import split_chain

_UNIT = r"(?:\S+@\S+ - )?(?:gunicorn|Worker \S+ \d+|Job \S+) of "
_BEGINS = re.compile(rf"(?:Starting|Started) {_UNIT}")
_IS_ENDED = re.compile(rf"Stopping {_UNIT}")
# What systemd says whenever a service starts or ends; what it says when it could not start one is kept.
_NOISE = re.compile(
    rf"(?:Starting|Started|Stopping|Stopped) {_UNIT}"
    r"|\S+@\S+: (?:Killing process|Consumed|Deactivated|Scheduled restart|Failed with result)"
)
_TROUBLE = re.compile(
    r"\[(?:ERROR|CRITICAL)\]|^Traceback |^\s*\w*(?:Error|Exception)\b|^Error: |: Failed |: No such file"
)
# gunicorn's own lines, and systemd's; everything else between them belongs to what was said before.
_HEAD = re.compile(r"\[\d{4}-\d\d-\d\d |\S+@\S+\.(?:service|socket): ")


def excerpt(log: str, lines: int) -> str:
    """Return at most so many lines of a log: those of the first trouble, else the last ones.

    The first is the cause: gunicorn's other workers and its master follow with tracebacks of their own. Of a long one
    the end is kept, where the exception is. What is said by a service that was told to end is no cause of that.
    """
    kept = _telling(log)
    first = next((number for number, line in enumerate(kept) if _TROUBLE.search(line)), None)
    if first is None:
        return "\n".join(kept[-lines:])
    after = range(first + 1, len(kept))
    end = next((number for number in after if _HEAD.match(kept[number])), len(kept))
    block = kept[first:end]
    if len(block) > lines:
        causes, last = split_chain(block[1:])
        # The end of the last exception is worth more lines than the causes of a long chain.
        left = max(lines - 2 - len(causes), lines // 2)
        return "\n".join([block[0], *causes, *(["[...]"] if len(last) > left else []), *last[-left:]])
    return "\n".join(block + kept[end : end + lines - len(block)])


def has_trouble(log: str) -> bool:
    """Tell whether a log says why something went wrong."""
    return any(map(_TROUBLE.search, _telling(log)))


def _telling(log: str) -> list[str]:
    return [line for line in _until_ended(log.splitlines()) if line.strip() and not _NOISE.match(line)]


def _until_ended(lines: list[str]) -> list[str]:
    """Return the lines until somebody ended the service that was started last."""
    begun = max((number for number, line in enumerate(lines) if _BEGINS.match(line)), default=-1)
    found = (number for number in range(begun + 1, len(lines)) if _IS_ENDED.match(lines[number]))
    ended = next(found, len(lines))
    # The journal gets systemd's word and the service's own by two ways.
    swapped = 0 < ended < len(lines) and lines[ended - 1].endswith("Handling signal: term")
    return lines[: ended - 1 if swapped else ended]
