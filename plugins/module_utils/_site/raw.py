# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read lines of nginx configuration that a user wrote. Private to flaskops.stack."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._input.values import InputError
from .syntax import LUA_BLOCK, Directive, descend, parse, read

# Directives that answer a request, so that it is not passed to the site's upstream.
_ANSWERS = frozenset(
    ["return", "rewrite", "root", "alias", "try_files", "stub_status", "empty_gif", "internal", "js_content"]
    + [f"content_by_lua{form}" for form in ("", "_block", "_file")]
)
# Code that can answer, and mostly lets the request pass, such as a check of who asks.
_FILTERS = ("access_by_lua", "rewrite_by_lua", "server_rewrite_by_lua")
# Directives that add to others of their name instead of replacing them.
_REPEATABLE = frozenset(["listen", "server_name", "include", "location", "if", "set", "set_real_ip_from"])
_HEADERS = frozenset(["proxy_set_header", "add_header", "proxy_hide_header"])


@dataclass(frozen=True)
class Statement:
    """One directive of the outermost level, without what is inside its block."""

    words: tuple[str, ...]
    text: str
    block: bool


def read_statements(text: str) -> list[Statement]:
    """Return the directives of the outermost level; raise InputError when they would not end where the text ends."""
    found, problem = read(text)
    if problem:
        raise InputError(problem)
    return [_statement(text, directive) for directive in found]


def _statement(text: str, directive: Directive) -> Statement:
    written = [directive.name, *(text[start:end] for start, end in directive.spans)]
    return Statement((directive.name, *directive.args), " ".join(written), directive.block is not None)


def has_long_word(text: str) -> bool:
    """Tell whether a quoted word spans lines, so that indenting would change it; a text of Lua may."""
    return any(
        directive.name.endswith(LUA_BLOCK) or any("\n" in text[start:end] for start, end in directive.spans)
        for directive in descend(parse(text))
    )


def header_lines(statements: t.Iterable[Statement]) -> list[str]:
    """Return the directives about headers, which a block inherits only when it has none of its kind."""
    return [f"{statement.text};" for statement in statements if statement.words[0] in _HEADERS]


def answers(statements: t.Iterable[Statement]) -> bool:
    """Tell whether one of the directives answers requests itself."""
    names = {statement.words[0] for statement in statements}
    return bool(names & _ANSWERS) or any(name.endswith("_pass") for name in names)


def may_answer(statements: t.Sequence[Statement]) -> bool:
    """Tell whether one of the directives can answer requests, be it that it lets some of them pass."""
    return answers(statements) or any(statement.words[0].startswith(_FILTERS) for statement in statements)


def overridden(statements: t.Iterable[Statement]) -> frozenset[str]:
    """Return the directives that a user's lines take the place of, as C(directive_key) names them."""
    return frozenset(
        directive_key(statement.words)
        for statement in statements
        if not statement.block and statement.words[0] not in _REPEATABLE
    )


def directive_key(words: t.Sequence[str]) -> str:
    """Return what two directives that replace each other have in common: the name, and for headers the header's."""
    if words[0] in _HEADERS and len(words) > 1:
        return f"{words[0]} {words[1].lower()}"
    return words[0]
