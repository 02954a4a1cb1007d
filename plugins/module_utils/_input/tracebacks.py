# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the causes of an exception when its traceback is cut short. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t

# What Python writes between the exceptions of a chain (raise ... from ..., and one while another is handled).
_LINK = re.compile(r"\s*(?:The above exception was the direct cause|During handling of the above exception)")
_FRAME = re.compile(r'\s*File "[^"]*", line \d+')
# Lines of a message that is longer, and exceptions of a chain that is longer, are left out.
_MESSAGE, _MOST = 3, 10


def split_chain(lines: t.Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the lines of the last exception, and before them its causes, each by what it says and how it led on."""
    causes: list[list[str]] = []
    begin = 0
    for number, line in enumerate(lines):
        if _LINK.match(line):
            causes.append([*_message(lines[begin:number]), line])
            begin = number + 1
    last = [*lines[begin:]]
    while causes and last and not last[0].strip():
        last.pop(0)
    return [line for cause in causes[-_MOST:] for line in cause], last


def _message(lines: t.Sequence[str]) -> list[str]:
    """Return the exception below the last frame of a traceback."""
    frame = max((number for number, line in enumerate(lines) if _FRAME.match(line)), default=-1)
    below = [line for line in lines[frame + 1 :] if line.strip() and not line.startswith("    ")]
    return below[:_MESSAGE] if frame >= 0 else below[-1:]
