# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options as YAML, as a person would write it: prose is folded, short lists and values stand on one line."""

from __future__ import annotations

import json
import textwrap
import typing as t

import yaml

from tools.specs.model import Option

WIDTH = 118


def option_lines(options: t.Iterable[Option], indent: int, below: str, twice: t.Collection[str] = ()) -> list[str]:
    """Return options as YAML; C(below) is the key of nested ones, C(twice) the names of those that get an anchor."""
    lines: list[str] = []
    options = list(options)
    # An option below these may have one of their names.
    inner = () if any(option.name in twice for option in options) else twice
    for option in options:
        anchor = f" &{option.name}" if option.name in twice else ""
        lines += [f"{' ' * indent}{option.name}:{anchor}", *_attributes(option, indent + 2, below, inner)]
    return lines


def _attributes(option: Option, indent: int, below: str, twice: t.Collection[str]) -> list[str]:
    lines = prose_lines("description", option.description, indent)
    values: dict[str, t.Any] = {
        "type": option.type,
        "elements": option.elements,
        "choices": list(option.choices),
        "required": option.required,
    }
    for key, value in values.items():
        lines += value_lines(key, value, indent) if value else []
    if option.has_default:
        lines += value_lines("default", option.default, indent)
    if option.version_added:
        lines += value_lines("version_added", option.version_added, indent)
    if option.options:
        lines.append(f"{' ' * indent}{below}:")
        if twice and option.name.endswith("_defaults"):
            lines += [f"{' ' * (indent + 2)}{nested.name}: *{nested.name}" for nested in option.options]
        else:
            lines += option_lines(option.options, indent + 2, below, twice)
    return lines


def prose_lines(key: str, paragraphs: t.Sequence[str], indent: int) -> list[str]:
    """Return a key with its text, or with a list of paragraphs."""
    start = f"{' ' * indent}{key}:"
    if len(paragraphs) > 1:
        return [start, *(line for text in paragraphs for line in _item_lines(text, indent + 2))]
    (text,) = paragraphs
    if _is_plain(text) and len(start) + 1 + len(text) <= WIDTH:
        return [f"{start} {text}"]
    return [f"{start} >-", *_folded(text, indent + 2)]


def _item_lines(text: str, indent: int) -> list[str]:
    if not _is_plain(text):
        return [f"{' ' * indent}- >-", *_folded(text, indent + 2)]
    first, *rest = _folded(text, indent + 2)
    return [f"{' ' * indent}- {first.lstrip()}", *rest]


def _folded(text: str, indent: int) -> list[str]:
    start = " " * indent
    return textwrap.wrap(
        text, WIDTH, initial_indent=start, subsequent_indent=start, break_long_words=False, break_on_hyphens=False
    )


def _is_plain(text: str) -> bool:
    """Tell whether YAML reads a text as itself without quotes."""
    try:
        return bool(yaml.safe_load(f"- {text}") == [text])
    except yaml.YAMLError:
        return False


def value_lines(key: str, value: object, indent: int) -> list[str]:
    """Return a key with a value that is no prose."""
    start = f"{' ' * indent}{key}:"
    line = f"{start} {flat(value)}"
    if len(line) <= WIDTH or not isinstance(value, list):
        return [line]
    return [start, *(f"{' ' * (indent + 2)}- {flat(item)}" for item in value)]


def flat(value: object) -> str:
    """Return a value on one line."""
    if isinstance(value, list):
        return f"[{', '.join(json.dumps(item) if set(str(item)) & set('[]{},') else flat(item) for item in value)}]"
    if isinstance(value, str) and value and _is_plain(value):
        return value
    return json.dumps(value, ensure_ascii=False)
