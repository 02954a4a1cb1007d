# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make what is quoted of logs and programs harmless for a terminal. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t

# Colours (SGR of ECMA-48), which programs write also where no terminal shows them, go without a trace.
_COLOURS = re.compile(r"(?:\x1b\[|\x9b)[0-9;:]*m")
# Controls but newline and tab, what changes the direction of text, separators of lines, and halves of characters.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_NEWLINES = re.compile(r"\r+\n?")
# What leads to the lines below it.
_LEADING = re.compile(r"[.;] [^.;:]*:$")


def printable(text: str) -> str:
    """Return a text in which no character moves the cursor, sets a title or changes what stands elsewhere."""
    return _CONTROLS.sub(_escaped, _NEWLINES.sub("\n", _COLOURS.sub("", text)))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def short_reason(error: str) -> str:
    """Return the line of an error that stands in the history; what was printed below it may be secret."""
    return _LEADING.sub("", error.splitlines()[0])


def printable_result(value: t.Any) -> t.Any:
    """Return the result of a module, with all texts in it printable."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, t.Mapping):
        return {printable_result(key): printable_result(content) for key, content in value.items()}
    if isinstance(value, (list, tuple)):
        return [printable_result(content) for content in value]
    return value
