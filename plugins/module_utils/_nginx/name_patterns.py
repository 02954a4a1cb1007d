# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host names that a regular expression in C(server_name) stands for. Private to flaskops.stack."""

from __future__ import annotations

import re

# Nobody lists more names than these in an expression: one that has more stands for a whole domain.
_MOST = 64
_GROUP = re.compile(r"\?(?::|p?<\w+>)")
_TAIL = re.compile(r"((?:\\\.|\[\.\]|[a-z0-9-])+)\$$")


class _UnknownError(ValueError):
    """A part of an expression that stands for too many texts, or is none that is read here."""


def names_of(pattern: str) -> frozenset[str] | None:
    """Return the names for which C(~^...$) stands, None when there are many or they cannot be told."""
    text = pattern[1:].lower()
    # Each of several expressions has only one of the two marks.
    if not (text.startswith("^") and text.endswith("$")) or _has_choice(text):
        return None
    reader = _Reader(text[1:-1])
    try:
        found = reader.alternatives()
        return None if reader.rest else frozenset(found)
    except (_UnknownError, RecursionError):
        return None


def tail_of(pattern: str) -> str:
    """Return how all names end for which an expression stands, from a dot on; an empty text when that is not known."""
    found = _TAIL.search(pattern.lower())
    if not found or _has_choice(pattern):
        return ""
    text = found[1].replace("\\.", ".").replace("[.]", ".")
    return text[text.index(".") :] if "." in text else ""


def _has_choice(pattern: str) -> bool:
    """Tell whether an expression consists of several, of which each may end otherwise."""
    depth, bare = 0, re.sub(r"\\.|\[[^]]*\]", "", pattern)
    for mark in bare:
        depth += (mark == "(") - (mark == ")")
        if mark == "|" and depth == 0:
            return True
    return False


class _Reader:
    """Reads an expression, and lists the texts that it matches as a whole."""

    def __init__(self, text: str) -> None:
        self.rest = text

    def alternatives(self) -> set[str]:
        """Read up to the end of a group."""
        found = self._sequence()
        while self.rest.startswith("|"):
            self._skip(1)
            found |= self._sequence()
        return found

    def _sequence(self) -> set[str]:
        found = {""}
        while self.rest and self.rest[0] not in "|)":
            more = self._part()
            if self.rest.startswith("?"):
                self._skip(1)
                more |= {""}
            if len(found) * len(more) > _MOST:
                raise _UnknownError
            found = {first + second for first in found for second in more}
        return found

    def _part(self) -> set[str]:
        mark = self._skip(1)
        if mark == "(":
            return self._group()
        if mark == "[":
            return self._choice()
        if mark == "\\":
            mark = self._skip(1)
            if mark.isalnum() or not mark:
                raise _UnknownError
            return {mark}
        if mark in ".^$*+{?":
            raise _UnknownError
        return {mark}

    def _group(self) -> set[str]:
        kind = _GROUP.match(self.rest)
        self._skip(kind.end() if kind else 0)
        found = self.alternatives()
        if self._skip(1) != ")":
            raise _UnknownError
        return found

    def _choice(self) -> set[str]:
        marks = self._skip(self.rest.find("]"))
        self._skip(1)
        if not marks or re.search(r"[\\^]|.-.", marks):
            raise _UnknownError
        return set(marks)

    def _skip(self, number: int) -> str:
        found, self.rest = self.rest[: max(0, number)], self.rest[max(0, number) :]
        return found
