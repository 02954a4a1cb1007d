# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read values that a user wrote, with errors that name them. Private to flaskops.stack.

Numbers and flags are read here for all options, as Ansible reads them. YAML makes something else of a word or a number
without quotes, and filters read variables before any argument specification was applied to them.
"""

from __future__ import annotations

import datetime
import json
import re
import typing as t
from dataclasses import dataclass

from .redact import mask_urls

# A size of systemd.resource-control(5): bytes, with K, M, G or T; a percentage; or no limit.
_SIZE = re.compile(r"[0-9]+[KMGT]?|[0-9]+(?:\.[0-9]+)?%|infinity")
_QUOTA = re.compile(r"[0-9]+%")
_WHOLE = re.compile(r"[+-]?[0-9]+(?:\.0+)?")
_TRUE, _FALSE = {"true", "yes", "on", "1", "y", "t"}, {"false", "no", "off", "0", "n", "f"}

# A longer value is cut in an error.
_LONGEST = 120

# sockaddr_un.sun_path holds 108 bytes with its terminating NUL (unix(7)).
MAX_SOCKET_PATH = 107

# useradd(8) accepts 32 characters; a unit name and a path take all of these.
_NAME = re.compile(r"[a-z][a-z0-9-]{0,29}[a-z0-9]|[a-z]")


class InputError(ValueError):
    """A value that cannot be used as what it was written for."""


class UnsafeNameError(ValueError):
    """A name or a path that the stack cannot use."""


def read_whole(value: object) -> int | None:
    """Return the whole number that a value stands for, None when it is no number; Jinja gives some as texts."""
    if isinstance(value, str):
        text = value.strip()
        return int(text.partition(".")[0]) if _WHOLE.fullmatch(text) else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def read_flag(value: object) -> bool | None:
    """Return the truth value that a value stands for, None when it is none."""
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return bool(value) if value in (0, 1) else None
    word = value.strip().lower() if isinstance(value, str) else ""
    return word in _TRUE if word in _TRUE | _FALSE else None


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
    """Return the value of the option C(path); raise InputError, which says what to write, for what cannot be one."""
    if isinstance(kind, Whole):
        return as_int(path, value, least=None)
    return _text(value, kind, path) if isinstance(kind, Text) else as_bool(path, value)


def _text(value: object, kind: Text, path: str) -> str:
    plain_date = isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)
    if plain_date or (isinstance(value, (str, int, float)) and not isinstance(value, bool)):
        return str(value)
    found = "another type" if kind.secret else shown(value)
    structure = isinstance(value, (t.Mapping, list, tuple))
    why = "write" if structure else "YAML reads some words without quotes as something else. Write it in quotes, as"
    raise InputError(f"{path} must be a text, not {found}: {why} {path.rpartition('.')[2]}: '{kind.example}'")


def shown(value: object) -> str:
    """Return a value as an error shows it."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, t.Mapping):
        # Its values may be secrets.
        return f"a dictionary with the keys {', '.join(map(str, value))}" if value else "an empty dictionary"
    text = mask_urls(json.dumps(value, default=str, ensure_ascii=False))
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def as_int(key: str, value: object, least: int | None = 0) -> int:
    """Return a whole number of at least C(least)."""
    number = read_whole(value)
    if number is None or (least is not None and number < least):
        bound = "" if least is None else f", {least} or more"
        raise InputError(f"{key} must be a whole number{bound}, not {shown(value)}")
    return number


def as_bool(key: str, value: object) -> bool:
    """Return a truth value."""
    flag = read_flag(value)
    if flag is None:
        raise InputError(f"{key} must be true or false, not {shown(value)}")
    return flag


def as_line(key: str, value: object) -> str:
    """Return a text of one line without control characters: it goes into a unit file or a header."""
    if isinstance(value, (bool, list, tuple, dict)) or value is None:
        raise InputError(f"{key} '{value}' must be a text")
    text = str(value)
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise InputError(f"{key} {text!r} must be one line without control characters")
    return text


def as_size(key: str, value: object) -> str:
    """Return a limit of memory as systemd reads it; empty for none."""
    text = as_line(key, value).strip()
    if text and not _SIZE.fullmatch(text):
        raise InputError(f"{key} '{text}' must be a size such as 512M or 2G, a percentage of memory, or empty")
    return text


def as_quota(key: str, value: object) -> str:
    """Return a share of processor time as systemd reads it; empty for no limit."""
    text = as_line(key, value).strip()
    if text and not _QUOTA.fullmatch(text):
        raise InputError(f"{key} '{text}' must be a percentage of one CPU such as 150%, or empty")
    return text


def as_mapping(key: str, value: object) -> dict[str, object]:
    """Return a dictionary with texts as keys."""
    if value is None or value == "":
        return {}
    if not isinstance(value, t.Mapping):
        raise InputError(f"{key} '{value}' must be a dictionary")
    return {str(name): content for name, content in value.items()}


def as_variables(key: str, value: object) -> dict[str, str]:
    """Return variables of the environment as texts; errors do not show a value, which may be a secret."""
    if value is None or value == "":
        return {}
    if not isinstance(value, t.Mapping):
        raise InputError(f"{key} must be a dictionary, not {_kind(value)}")
    return {str(name): _variable(f"{key}.{name}", content) for name, content in value.items()}


def _variable(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise InputError(
        f"{name} is {_kind(value)}, and an environment variable is a text: write '' for an empty one, and use the "
        "filter to_json for a list or a dictionary"
    )


def _kind(value: object) -> str:
    if value is None:
        return "nothing (null)"
    if isinstance(value, t.Mapping):
        return "a dictionary"
    return "a list" if isinstance(value, (list, tuple)) else type(value).__name__


def refuse_unknown(what: str, given: t.Iterable[str], known: t.Collection[str]) -> None:
    """Raise InputError for keys that nobody reads: most are typing errors."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise InputError(f"{what} has no setting '{unknown[0]}': choose from {', '.join(sorted(known))}")


def check_name(name: str) -> str:
    """Return C(name) when it is safe as a user, a unit and a path; raise UnsafeNameError otherwise."""
    if not _NAME.fullmatch(name):
        raise UnsafeNameError(
            f"name '{name}' must be 1 to 31 lower-case letters, digits or '-', start with a letter "
            "and not end with '-': it becomes a system user, a unit name and a path"
        )
    return name


def check_socket_path(path: str) -> str:
    """Return C(path) when a unix socket can have it; raise UnsafeNameError otherwise."""
    size = len(path.encode("utf-8", "surrogateescape"))
    if size > MAX_SOCKET_PATH:
        raise UnsafeNameError(
            f"socket path '{path}' has {size} bytes; Linux accepts {MAX_SOCKET_PATH}: choose a shorter name or root"
        )
    return path
