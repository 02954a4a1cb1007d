# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options as a table of Markdown, and their prose without Ansible's markup."""

from __future__ import annotations

import json
import re
import typing as t

from tools.specs.model import Option

_LITERAL = re.compile(r"\b[OVCME]\(((?:\\.|[^)])*)\)")
_PLUGIN = re.compile(r"\bP\(([^)#]*)(?:#[^)]*)?\)")
# An option of another module or role.
_ELSEWHERE = re.compile(r"\bR?[OV]\(([\w.]+)#(module|role):(?:main:)?((?:\\.|[^)])*)\)")


def table(options: t.Iterable[Option]) -> str:
    """Return a table of options, with the nested ones below those that hold them."""
    rows = [f"| `{path}` | {kind(option)} | {_cell(option)} |" for path, option in _listed(options)]
    return "\n".join(["| variable | type, default | meaning |", "| --- | --- | --- |", *rows]) + "\n"


def _listed(options: t.Iterable[Option], path: str = "") -> t.Iterator[tuple[str, Option]]:
    """Yield every option with its path; options that are described elsewhere in the table are not listed again."""
    for option in options:
        yield path + option.name, option
        if not option.name.endswith("_defaults"):
            below = "[]." if option.type == "list" else "."
            yield from _listed(option.options, path + option.name + below)


def kind(option: Option) -> str:
    """Return an option's type or choices, and its default."""
    accepted = " · ".join(f"`{choice}`" for choice in option.choices) or option.type
    if option.required:
        return f"{accepted}, **required**"
    if not option.has_default:
        return accepted
    default = option.default
    return f"{accepted}, `{default if isinstance(default, str) and default else json.dumps(default)}`"


def _cell(option: Option) -> str:
    return prose(" ".join(option.description)).replace("|", "\\|")


def prose(text: str, quote: str = "`") -> str:
    """Return a description as Markdown, or with other quotes around what is literal."""
    text = _ELSEWHERE.sub(rf"{quote}\3{quote} of \2 {quote}\1{quote}", text)
    text = _LITERAL.sub(lambda markup: quote + re.sub(r"\\(.)", r"\1", markup[1]) + quote, text)
    return _PLUGIN.sub(rf"{quote}\1{quote}", text)
