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
# Messages of systemd at each start and stop; those about a failed start are kept.
_NOISE = re.compile(
    rf"(?:Starting|Started|Stopping|Stopped) {_UNIT}"
    r"|\S+@\S+: (?:Killing process|Consumed|Deactivated|Scheduled restart|Failed with result)"
)
_TROUBLE = re.compile(
    r"\[(?:ERROR|CRITICAL)\]|^Traceback |^\s*\w*(?:Error|Exception)\b|^Error: |: Failed |: No such file"
)
# How gunicorn's master reports that a worker has ended; what the worker itself has logged is above that.
_AFTERMATH = re.compile(r"\[ERROR\] (?:Worker \(pid:\d+\) |Shutting down: Master|Reason: )")
_USUAL = re.compile(r"\[\d{4}-\d\d-\d\d [^\]]*\] \[\d+\] \[INFO\]")
# The first lines of messages of gunicorn and systemd; lines in between continue the message before.
_HEAD = re.compile(r"\[\d{4}-\d\d-\d\d |\S+@\S+\.(?:service|socket): ")


def excerpt(log: str, lines: int) -> str:
    """Return at most C(lines) lines of a log: from the first error, else the last ones.

    The first error is the cause: other workers and gunicorn's master follow with tracebacks of their own. Of a long one
    the end is kept, where the exception is. When the first error only says that a worker has ended, what was printed
    before it counts, too. Messages after the stop of the service are ignored.
    """
    kept = _telling(log)
    first = next((number for number, line in enumerate(kept) if _TROUBLE.search(line)), None)
    if first is None:
        return "\n".join(kept[-lines:])
    after = range(first + 1, len(kept))
    end = next((number for number in after if _HEAD.match(kept[number])), len(kept))
    said = _last_words(kept[:first], lines // 2) if _AFTERMATH.search(kept[first]) else []
    block = [*said, *kept[first:end]]
    if len(block) > lines:
        causes, last = split_chain(block[1:])
        # The last exception gets more lines than the chain of its causes.
        most = max(lines - 2 - len(causes), lines // 2)
        return "\n".join([block[0], *causes, *(["[...]"] if len(last) > most else []), *last[-most:]])
    return "\n".join(block + kept[end : end + lines - len(block)])


def _last_words(before: list[str], most: int) -> list[str]:
    """Return the last lines that are no usual messages of gunicorn."""
    return [line for line in before if not _USUAL.match(line)][-most:]


def has_trouble(log: str) -> bool:
    """Tell whether a log contains an error."""
    return any(map(_TROUBLE.search, _telling(log)))


def _telling(log: str) -> list[str]:
    return [line for line in _until_ended(log.splitlines()) if line.strip() and not _NOISE.match(line)]


def _until_ended(lines: list[str]) -> list[str]:
    """Return the lines until the stop of the service that was started last."""
    begun = max((number for number, line in enumerate(lines) if _BEGINS.match(line)), default=-1)
    found = (number for number in range(begun + 1, len(lines)) if _IS_ENDED.match(lines[number]))
    ended = next(found, len(lines))
    # The messages of systemd and of the service may arrive in another order.
    swapped = 0 < ended < len(lines) and lines[ended - 1].endswith("Handling signal: term")
    return lines[: ended - 1 if swapped else ended]
