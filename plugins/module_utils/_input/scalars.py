# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read texts, numbers and flags as Ansible does. Private to flaskops.stack.

YAML makes something else of a word or a number without quotes, and filters read variables before any argument
specification was applied to them.
"""

from __future__ import annotations

import datetime
import json
import typing as t
from dataclasses import dataclass

from .redact import mask_urls
from .values import read_flag, read_whole

# A longer value is cut in an error.
_LONGEST = 120


class ScalarError(ValueError):
    """A value that is no text, number or flag where one is meant."""


@dataclass(frozen=True)
class Text:
    """A text option."""

    # A value, as a user writes it in YAML.
    example: str
    # It is shown nowhere.
    secret: bool = False


@dataclass(frozen=True)
class Whole:
    """An option that is a whole number."""


@dataclass(frozen=True)
class Flag:
    """An option that is true or false."""


Scalar = t.Union[Text, Whole, Flag]


def scalar(value: object, kind: Scalar, path: str) -> str | int | bool:
    """Return the value of the option C(path); raise ScalarError, which says what to write, for what cannot be one."""
    if isinstance(kind, Whole):
        return _whole(value, path)
    return _text(value, kind, path) if isinstance(kind, Text) else _flag(value, path)


def _whole(value: object, path: str) -> int:
    number = read_whole(value)
    if number is None:
        raise ScalarError(f"{path} must be a whole number, not {shown(value)}")
    return number


def _flag(value: object, path: str) -> bool:
    flag = read_flag(value)
    if flag is None:
        raise ScalarError(f"{path} must be true or false, not {shown(value)}")
    return flag


def _text(value: object, kind: Text, path: str) -> str:
    plain_date = isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)
    if plain_date or (isinstance(value, (str, int, float)) and not isinstance(value, bool)):
        return str(value)
    found = "another type" if kind.secret else shown(value)
    structure = isinstance(value, (t.Mapping, list, tuple))
    why = "write" if structure else "YAML reads some words without quotes as something else. Write it in quotes, as"
    raise ScalarError(f"{path} must be a text, not {found}: {why} {path.rpartition('.')[2]}: '{kind.example}'")


def shown(value: object) -> str:
    """Return a value as an error shows it."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, t.Mapping):
        # Its values may be secrets.
        return f"a dictionary with the keys {', '.join(map(str, value))}" if value else "an empty dictionary"
    text = mask_urls(json.dumps(value, default=str, ensure_ascii=False))
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
