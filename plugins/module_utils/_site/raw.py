# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read lines of nginx configuration that a user wrote. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from .values import SiteError

# As nginx reads words: quotes and comments count at the start of a word only, and "${" does not open a block.
_WORD = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
      | (?P<mark>[{};])
      | (?P<bare>(?:\\.|\$\{|[^\s{};"'\\\#])(?:\\.|\$\{|[^\s{;\\])*)
      | (?P<space>\s+)""",
    re.VERBOSE | re.DOTALL,
)
# Directives that answer a request, so that it is not passed to the site's upstream.
_ANSWERS = frozenset(["return", "rewrite", "root", "alias", "try_files", "stub_status", "empty_gif", "internal"])
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
    """Return the directives of the outermost level; raise SiteError when they would not end where the text ends."""
    # Lua has quotes and comments of its own: that is left to nginx.
    if "_by_lua_block" in text:
        return []
    found: list[Statement] = []
    words: list[str] = []
    depth = 0
    for mark, word, line in _split(text):
        if not mark:
            words += [word] if depth == 0 else []
            continue
        if mark == "}" and (depth == 0 or words):
            raise SiteError(f"line {line} has a '}}' " + ("without a '{'" if depth == 0 else f"after '{words[-1]}'"))
        if depth == 0:
            if not words:
                raise SiteError(f"line {line} has a '{mark}' without a directive before it")
            found.append(Statement(tuple(map(_unquote, words)), " ".join(words), mark == "{"))
            words = []
        depth += {"{": 1, "}": -1}.get(mark, 0)
    if words or depth:
        raise SiteError("it ends without " + (f"a ';' after '{' '.join(words)}'" if words else "a '}'"))
    return found


def _split(text: str) -> t.Iterator[tuple[str, str, int]]:
    """Yield (mark, word, line) with one of the first two empty."""
    position = 0
    while position < len(text):
        match, line = _WORD.match(text, position), text.count("\n", 0, position) + 1
        if not match:
            raise SiteError(f"line {line} has a quote that does not close, or a '\\' at its end")
        position = match.end()
        if match.lastgroup == "mark":
            yield match.group(), "", line
        elif match.lastgroup in ("quoted", "bare"):
            yield "", match.group(), line


def _unquote(word: str) -> str:
    return word[1:-1] if word[0] in "\"'" else word


def has_long_word(text: str) -> bool:
    """Tell whether a quoted word spans lines, so that indenting would change it."""
    return any("\n" in word for _mark, word, _line in _split(text))


def header_lines(statements: t.Iterable[Statement]) -> list[str]:
    """Return the directives about headers, which a block inherits only when it has none of its kind."""
    return [f"{statement.text};" for statement in statements if statement.words[0] in _HEADERS]


def answers(statements: t.Iterable[Statement]) -> bool:
    """Tell whether one of the directives answers requests itself."""
    names = {statement.words[0] for statement in statements}
    return bool(names & _ANSWERS) or any(name.endswith(("_pass", "_by_lua_file", "js_content")) for name in names)


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
