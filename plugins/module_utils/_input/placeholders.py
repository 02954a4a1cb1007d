# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Placeholders for the places of a release, such as {venv}. Private to flaskops.stack.

Braces have other meanings, too: JSON, formats of Python, variables of a shell. So a placeholder is one of four names,
and nothing else is replaced. What can only be a mistaken one is refused: a name that is nearly one of these, and one
that stands where a directory would. A backslash before the brace keeps it as it is, and is taken away.
"""

from __future__ import annotations

import re
import typing as t

from .similar import most_similar
from .values import InputError

NAMES = ("release", "shared", "venv", "site_packages")

# Not ${name} of a shell, %{name} of a log format, {{ name }} of a template.
_BRACES = re.compile(r"(?<![${%])(\\?)\{([A-Za-z][\w-]*)\}(?!\})")
_LOWER = re.compile(r"[a-z][a-z0-9_]*")
# What a path may follow in a value or in a line of a file.
_BEFORE_PATH = re.compile(r"(?:^|[\s=,;'\"]|:///)\Z")
_FORMATTED = re.compile(r"\b[rR]?[fF][rR]?['\"]\Z")
# {env}, {shape} and {name} are other words; {share} and {relase} are none.
_NEAR = 0.86


def check_placeholders(where: str, text: str) -> None:
    """Raise InputError, which names the known ones, for a placeholder that does not exist."""
    for found in _placeholders(text):
        if not found[1] and found[2] not in NAMES:
            raise InputError(
                f"{where} has the placeholder '{{{found[2]}}}', which does not exist: there are {_known()}. For braces "
                f"that stay, write '\\{{{found[2]}}}'"
            )


def check_place(where: str, path: str) -> None:
    """Raise InputError for a path with a placeholder that does not exist, or that is not at its beginning."""
    for found in _BRACES.finditer(path):
        if found[2] not in NAMES or found.start() or found[1] or path[found.end() :][:1] not in ("", "/"):
            raise InputError(
                f"{where} '{path}' has '{{{found[2]}}}' in it: a path may begin with {_known()}, and has no other "
                "braces"
            )


def fill(text: str, places: t.Mapping[str, str]) -> str:
    """Return a text with the places, by their names, in place of placeholders."""
    return _sub(text, lambda found: found[0][1:] if found[1] else places.get(found[2], found[0]))


def literal(text: str) -> str:
    """Return what C(fill) makes C(text) of."""
    return _sub(text, lambda found: "\\" + found[0])


def _known() -> str:
    return ", ".join(f"{{{name}}}" for name in NAMES)


def _sub(text: str, replaced: t.Callable[[t.Match[str]], str]) -> str:
    parts, end = [], 0
    for found in _placeholders(text):
        parts += [text[end : found.start()], replaced(found)]
        end = found.end()
    return "".join([*parts, text[end:]])


def _placeholders(text: str) -> t.Iterator[t.Match[str]]:
    """Yield what is a placeholder, or was meant as one."""
    for found in _BRACES.finditer(text):
        if found[2] in NAMES or _is_near(found[2]) or (_LOWER.fullmatch(found[2]) and _is_place(text, found)):
            yield found


def _is_near(name: str) -> bool:
    return bool(most_similar(name, NAMES, _NEAR))


def _is_place(text: str, found: t.Match[str]) -> bool:
    """Tell whether braces are a whole text, or are followed by the rest of a path and by nothing preceded."""
    line, after = text[: found.start()].rpartition("\n")[2].rstrip("\\"), text[found.end() : found.end() + 1]
    before = line[-4:]
    is_whole = len(found[0].lstrip("\\")) == len(text.lstrip("\\"))
    return is_whole or (after == "/" and bool(_BEFORE_PATH.search(before)) and not _FORMATTED.search(before))
