# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find texts that lost a part because they stand in YAML without quotes. Private to flaskops.stack.

YAML reads 1.10 as the number 1.1, 0755 as 493 and 12:30:00 as 45000. Ansible marks a number with the place where it
was written, also through C({{ name }}): what stands there is compared with the text that would be used.
"""

from __future__ import annotations

import datetime
import re
import typing as t
from contextlib import suppress

import yaml

from ..module_utils._input.redact import is_secret

try:
    from ansible._internal._datatag._tags import Origin
except ImportError:  # Private to Ansible, which may move it: without it, places are unknown.
    Origin = None

Options = t.Mapping[str, t.Any]

# Texts, of which a number with one decimal may have had two: 3.1 for 3.10. Where it was written is not always known.
_VERSIONS = ("version", "python")
# No Python is called 3.50 or more.
_LAST_SHORTENED_PYTHON = 3.4
# Dictionaries whose values are no texts: Python's own, for gunicorn.
_NO_TEXTS = ("extra",)
_LABELS = {"flask_apps": "app", "gunicorn_services": "service", "nginx_sites": "site"}
# The characters of a number or a date, behind an anchor or a tag.
_WRITTEN = re.compile(r"(?:[&!]\S*\s+)*([^\s,\]}#]+)")


def unquoted_faults(values: t.Mapping[str, object], schema: Options) -> list[str]:
    """Return which values of variables, as Ansible has templated them, are not the texts that were written."""
    return [fault for name, value in values.items() for fault in _of_variable(name, value, schema[name])]


def _of_variable(name: str, value: object, option: Options) -> t.Iterator[str]:
    if name not in _LABELS:
        yield from _of_value(value, option, name)
        return
    for number, entry in enumerate(value if isinstance(value, (list, tuple)) else ()):
        if isinstance(entry, t.Mapping):
            called = entry.get("name")
            label = f"{_LABELS[name]} '{called}'" if isinstance(called, str) else f"{name}[{number}]"
            yield from (f"{label}: {fault}" for fault in _of_fields(entry, option["options"], ""))


def _of_fields(given: Options, options: Options, path: str) -> t.Iterator[str]:
    for key, value in given.items():
        if key in options and key not in _NO_TEXTS:
            yield from _of_value(value, options[key], f"{path}{key}")


def _of_value(value: object, option: Options, path: str) -> t.Iterator[str]:
    """Yield what is wrong with the value of one option; what is of a wrong type is for others to say."""
    if isinstance(value, t.Mapping) and "options" in option:
        yield from _of_fields(value, option["options"], f"{path}.")
    elif isinstance(value, (t.Mapping, list, tuple)):
        for place, inner in _parts(value, path):
            yield from _of_value(inner, {**option, "type": option.get("elements", "raw")}, place)
    elif option["type"] in ("str", "path", "raw"):
        fault = _fault(value, path)
        if fault:
            yield fault


def _parts(value: Options | t.Sequence[object], path: str) -> t.Iterator[tuple[str, object]]:
    if isinstance(value, t.Mapping):
        yield from ((f"{path}.{key}", inner) for key, inner in value.items())
    else:
        yield from ((f"{path}[{number}]", inner) for number, inner in enumerate(value))


def _fault(value: object, path: str) -> str:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    is_date = isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)
    if not (is_number or is_date):
        return ""
    read, key, written = str(value), re.split(r"[.\[]", path)[-1], _written(value)
    if written == read or (not written and not _may_have_lost(value, key)):
        return ""
    if any(map(is_secret, path.split("."))):
        return f"{path} stands without quotes, and YAML reads something else than is written: put it in quotes"
    if written:
        example = f"'{written}'" if path.endswith("]") else f"{key}: '{written}'"
        return f"{path} is {written} without quotes, which YAML reads as {read}: write {example}"
    return (
        f"{path} is the number {read}, which it also is where {read}0 was written: put it in quotes where it comes "
        f"from, such as {key}: '{read}'"
    )


def _may_have_lost(value: object, key: str) -> bool:
    named = key in _VERSIONS or key.endswith(tuple(f"_{name}" for name in _VERSIONS))
    if not named or not isinstance(value, float) or (key == "python" and value > _LAST_SHORTENED_PYTHON):
        return False
    return len(str(value).partition(".")[2]) < 2


def _written(value: object) -> str:
    """Return what a user has written for a number or a date; an empty text when that cannot be known."""
    origin = Origin.get_tag(value) if Origin else None
    if not (origin and origin.path and origin.line_num and origin.col_num):
        return ""
    lines: list[str] = []
    # Gone since it was read, or not a text.
    with suppress(OSError, UnicodeError), open(origin.path, encoding="utf-8") as stream:
        lines = stream.read().split("\n")
    line = lines[origin.line_num - 1] if origin.line_num <= len(lines) else ""
    found = _WRITTEN.match(line[origin.col_num - 1 :])
    # Another text stands there where the file is encrypted, or has changed.
    with suppress(yaml.YAMLError, ValueError):
        if found and yaml.safe_load(found[1]) == value:
            return found[1]
    return ""
