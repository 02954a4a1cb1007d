# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options and their defaults as Python, formatted as `ruff format` does it."""

from __future__ import annotations

import json
import typing as t

from tools.specs.model import Option

WIDTH = 120


def argument_spec(options: t.Iterable[Option]) -> dict[str, t.Any]:
    """Return what AnsibleModule is told of options."""
    return {option.name: _argument(option) for option in options}


def _argument(option: Option) -> dict[str, t.Any]:
    spec: dict[str, t.Any] = {"type": option.type}
    if option.elements:
        spec["elements"] = option.elements
    if option.required:
        spec["required"] = True
    if option.choices:
        spec["choices"] = list(option.choices)
    if option.has_default:
        spec["default"] = option.default
    if option.no_log is not None:
        spec["no_log"] = option.no_log
    if option.options:
        spec["options"] = argument_spec(option.options)
    if option.mutually_exclusive:
        spec["mutually_exclusive"] = list(option.mutually_exclusive)
    return spec


class Name(str):
    """Python for a value: the name of a constant, or a call."""

    __slots__ = ()


class Call(Name):
    """Python for a call, whose arguments are values."""

    function: str
    arguments: tuple[object, ...]

    def __new__(cls, function: str, arguments: t.Iterable[object]) -> Call:
        """Name the function and its arguments; a keyword is a C(Name)."""
        given = tuple(arguments)
        call = super().__new__(cls, f"{function}({', '.join(map(flat, given))})")
        call.function, call.arguments = function, given
        return call


def assignment(name: str, value: object) -> str:
    """Return the line or lines that give a constant its value."""
    return "\n".join(_lines(f"{name} = ", value, 0, ""))


def _lines(start: str, value: object, indent: int, end: str) -> list[str]:
    line = f"{' ' * indent}{start}{flat(value)}{end}"
    if isinstance(value, Call) and len(line) > WIDTH:
        return _call_lines(start, value, indent, end)
    if isinstance(value, Name) and len(line) > WIDTH and value.endswith(")"):
        # A call, whose arguments get a line of their own.
        name, _open, arguments = value[:-1].partition("(")
        return [f"{' ' * indent}{start}{name}(", f"{' ' * (indent + 4)}{arguments}", f"{' ' * indent}){end}"]
    if len(line) <= WIDTH or not isinstance(value, (dict, list, tuple)) or not value:
        return [line]
    inner = indent + 4
    if isinstance(value, dict):
        items = [_lines(f"{flat(key)}: ", item, inner, ",") for key, item in value.items()]
    else:
        items = [_lines("", item, inner, ",") for item in value]
    opening, closing = "{}" if isinstance(value, dict) else "()" if isinstance(value, tuple) else "[]"
    content = [line for item in items for line in item]
    return [f"{' ' * indent}{start}{opening}", *content, f"{' ' * indent}{closing}{end}"]


def _call_lines(start: str, call: Call, indent: int, end: str) -> list[str]:
    """Return a call whose arguments have a line of their own, or one each."""
    inner = " " * (indent + 4)
    content = [f"{inner}{', '.join(map(flat, call.arguments))}"]
    if len(content[0]) > WIDTH:
        content = [line for argument in call.arguments for line in _lines("", argument, indent + 4, ",")]
    return [f"{' ' * indent}{start}{call.function}(", *content, f"{' ' * indent}){end}"]


def flat(value: object) -> str:
    """Return a value on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flat(key)}: {flat(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flat, value)) + "]"
    if isinstance(value, tuple):
        return f"({', '.join(map(flat, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, str) and not isinstance(value, Name):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
