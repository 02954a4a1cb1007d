# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._site.syntax import Directive, descend, parse


def flat(text: str) -> list[object]:
    def one(item: Directive) -> object:
        words = [item.name, *item.args]
        block = item.block
        return words if block is None else [*words, [one(inner) for inner in block]]

    return [one(item) for item in parse(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("a b c;", [["a", "b", "c"]]),
        ("a{b;}c d{}", [["a", [["b"]]], ["c", "d", []]]),
        ("# a;\nb; # c;\n", [["b"]]),
        ("a b#c;", [["a", "b#c"]]),
        ("a \"b; c\" 'd } e';", [["a", "b; c", "d } e"]]),
        (r'a "b\"c" d\;e;', [["a", 'b"c', r"d\;e"]]),
        (r'a "x\ty\\z";', [["a", "x\ty\\z"]]),
        ('a b"c d";', [["a", 'b"c', 'd"']]),
        ("a ${b}c $d;", [["a", "${b}c", "$d"]]),
        ("a ''; b \"\";", [["a", ""], ["b", ""]]),
        ("location ~ \\.php$ { x; }", [["location", "~", "\\.php$", [["x"]]]]),
        ("location ~ ^/a{2,3}$ { x; }", [["location", "~", "^/a", [["2,3}$", [["x"]]]]]]),
        ('location ~ "^/a{2,3}$" { x; }', [["location", "~", "^/a{2,3}$", [["x"]]]]),
        ("if ($a = b) { c; }", [["if", "($a", "=", "b)", [["c"]]]]),
        ("a\r\n\tb\r\n;", [["a", "b"]]),
        ("a {\n  b }\n;\n}", [["a", []]]),
        (
            "content_by_lua_block { if a then b = '}' end -- }\n return { {} } } c;",
            [["content_by_lua_block", []], ["c"]],
        ),
        ("a; b { c;", [["a"], ["b", [["c"]]]]),
        ('a; b "c', [["a"]]),
        ("a; } b;", [["a"]]),
        # What stands in a comment closes nothing, also where nothing follows it.
        ("a; b # c;", [["a"]]),
        ("a; # b;", [["a"]]),
        ("a; b # c;\n;", [["a"], ["b"]]),
        ("content_by_lua_block { x = [[ } ]] y = {", [["content_by_lua_block", []]]),
        ("a; ; b;", [["a"]]),
        ("a; {} b;", [["a"]]),
    ],
)
def test_text_is_read_as_nginx_reads_it(text: str, expected: list[object]) -> None:
    assert flat(text) == expected


def test_directives_inside_blocks_are_found_too() -> None:
    assert [directive.name for directive in descend(parse("a { b { c; } } d;"))] == ["a", "b", "c", "d"]
