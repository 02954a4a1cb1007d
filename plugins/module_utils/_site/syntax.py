# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read nginx configuration as nginx reads it: words, directives and blocks. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t

_SPACE = r"[ \t\r\n]*(?:\#[^\n]*(?:\n[ \t\r\n]*|\Z))*"
# ngx_conf_read_token(): quotes count only where a word begins, "${" does not open a block, "}" ends no word.
_TOKEN = re.compile(
    rf"""{_SPACE}
    (?: ([;{{}}])
      | ("(?:[^"\\]|\\[\s\S])*" | '(?:[^'\\]|\\[\s\S])*')
      | (?=[^"'\#]) ((?:[^ \t\r\n;{{\\$]+|\\[\s\S]|\$\{{|\$)+) )""",
    re.VERBOSE,
)
_BETWEEN = re.compile(_SPACE, re.VERBOSE)
# The group of _TOKEN that holds a mark.
_MARK = 1
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {'"': '"', "'": "'", "\\": "\\", "t": "\t", "r": "\r", "n": "\n"}
# Blocks of code in another language, with quotes and comments of its own.
LUA_BLOCK = "_by_lua_block"
_LUA = re.compile(
    r"""--\[(=*)\[.*?\]\1\] | --[^\n]* | \[(=*)\[.*?\]\2\] | "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' | ([{}])""",
    re.VERBOSE | re.DOTALL,
)


class Directive(t.NamedTuple):
    """One directive; C(offset) and C(spans) are places in the text of its file, C(block) is None without braces."""

    name: str
    args: tuple[str, ...]
    offset: int
    spans: tuple[tuple[int, int], ...]
    block: list[Directive] | None


def _unescape(match: re.Match[str]) -> str:
    return _ESCAPED.get(match.group(1), match.group(0))


def _value(raw: str) -> str:
    if raw[0] in "\"'":
        raw = raw[1:-1]
    return _ESCAPE.sub(_unescape, raw) if "\\" in raw else raw


def _lua_end(text: str, position: int) -> int:
    """Return the place behind the brace that closes a Lua block opened just before C(position); -1 when none does."""
    depth = 1
    for match in _LUA.finditer(text, position):
        depth += {"{": 1, "}": -1}.get(match.group(3) or "", 0)
        if depth == 0:
            return match.end()
    return -1


def parse(text: str) -> list[Directive]:
    """Return the directives of a text; what follows the first syntax error is left out (nginx reports the error)."""
    return read(text)[0]


def read(text: str) -> tuple[list[Directive], str]:
    """Return the directives of a text up to its first syntax error, and that error; empty when there is none."""
    top: list[Directive] = []
    stack = [top]
    words: list[str] = []
    spans: list[tuple[int, int]] = []
    match, position = _TOKEN.match(text), 0
    while match is not None:
        group, position = match.lastindex or 3, match.end()
        mark = match.group(_MARK)
        if mark is None:
            words.append(_value(match.group(group)))
            spans.append(match.span(group))
        elif bool(words) == (mark == "}") or (mark == "}" and len(stack) == 1):
            return top, _unexpected(text, position, mark, words if len(stack) > 1 else [])
        elif mark == "}":
            stack.pop()
        else:
            block: list[Directive] | None = [] if mark == "{" else None
            stack[-1].append(Directive(words[0], tuple(words[1:]), spans[0][0], tuple(spans[1:]), block))
            words, spans = [], []
            if block is not None and stack[-1][-1].name.endswith(LUA_BLOCK):
                position = _lua_end(text, position)
                if position < 0:
                    return top, _NOT_CLOSED
            elif block is not None:
                stack.append(block)
        match = _TOKEN.match(text, position)
    return top, _unfinished(text, position, words, len(stack) > 1)


_NOT_CLOSED = "it ends without a '}'"


def _unexpected(text: str, position: int, mark: str, words: t.Sequence[str]) -> str:
    line = f"line {text.count(chr(10), 0, position) + 1} has a '{mark}' "
    if mark != "}":
        return line + "without a directive before it"
    return line + (f"after '{words[-1]}'" if words else "without a '{'")


def _unfinished(text: str, position: int, words: t.Sequence[str], inside: bool) -> str:
    """Return what is wrong where no further word or mark is."""
    between = _BETWEEN.match(text, position)
    rest = between.end() if between else position
    if rest < len(text):
        return f"line {text.count(chr(10), 0, rest) + 1} has a quote that does not close, or a '\\' at its end"
    if words:
        return f"it ends without a ';' after '{' '.join(words)}'"
    return _NOT_CLOSED if inside else ""


def descend(directives: t.Iterable[Directive]) -> t.Iterator[Directive]:
    """Yield all directives of a file, those inside blocks too, without following includes."""
    for directive in directives:
        yield directive
        if directive.block:
            yield from descend(directive.block)
