# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._site.raw import (
    answers,
    directive_key,
    has_long_word,
    header_lines,
    may_answer,
    overridden,
    read_statements,
)


def test_the_directives_of_the_outermost_level_are_found() -> None:
    text = """
    # proxy_pass http://nowhere;
    client_max_body_size 1g; add_header X-Note "a; } b" always;
    location /x { return 404; if ($a) { return 403; } }
    set $b ${c}d;
    """
    found = read_statements(text)
    assert [statement.words[0] for statement in found] == ["client_max_body_size", "add_header", "location", "set"]
    assert found[1].words == ("add_header", "X-Note", "a; } b", "always")
    assert found[1].text == 'add_header X-Note "a; } b" always'
    assert [statement.block for statement in found] == [False, False, True, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("deny all", "it ends without a ';' after 'deny all'"),
        ("}", "line 1 has a '}' without a '{'"),
        ("deny all;\n} server {", "line 2 has a '}' without a '{'"),
        ("location / {", "it ends without a '}'"),
        ("location / { deny all; } }", "without a '{'"),
        ("deny all }", "after 'all'|without a '{'"),
        (";", "line 1 has a ';' without a directive"),
        ("{ }", "line 1 has a '{' without a directive"),
        ('return 200 "x', "quote that does not close"),
        ("return 200 'x", "quote that does not close"),
        ("return 200 x\\", "at its end"),
        ("deny all; # }\n{", "without a directive"),
        ("location / { deny all }", "line 1 has a '}' after 'all'"),
        ("location / {\n;\n}", "line 2 has a ';' without a directive"),
        ("location / { deny all", "it ends without a ';' after 'deny all'"),
        ("deny all # ;", "it ends without a ';' after 'deny all'"),
        ("deny all; # }\nallow 'x", "line 2 has a quote that does not close"),
        ("content_by_lua_block { if x then y = '}' end -- }", "it ends without a '}'"),
        ("# content_by_lua_block\n}", "line 2 has a '}' without a '{'"),
        ("content_by_lua_block { ngx.say('{') } }", "without a '{'"),
    ],
)
def test_lines_that_would_reach_beyond_their_block_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_statements(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment }",
        "rewrite ^/a}b$ /c;",
        'rewrite "^/a{2}$" /c;',
        "location ~ \\.php$ { deny all; }",
        "set $x a#b;",
        "set $x a'b;",
        "content_by_lua_block { ngx.say('}') -- it's\n }",
    ],
)
def test_lines_that_nginx_takes_are_taken(text: str) -> None:
    read_statements(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("return 204;", True),
        ("alias /x/;", True),
        ("fastcgi_pass unix:/x;", True),
        ("proxy_pass http://x;", True),
        ("js_content x;", True),
        ("allow 10.0.0.0/8; deny all;", False),
        ("proxy_pass_header X;", False),
        ("if ($x) { return 403; }", False),
        ("", False),
    ],
)
def test_it_is_known_which_lines_answer_a_request(text: str, expected: bool) -> None:
    assert answers(read_statements(text)) is expected


def test_lua_is_read_as_lua_and_what_stands_beside_it_as_nginx() -> None:
    text = """
    # content_by_lua_block is not used here
    gzip off;
    set_by_lua_block $a { return [[ ' } ]] -- it's
    }
    location / { content_by_lua_block { ngx.say("}") } }
    """
    found = read_statements(text)
    assert [statement.words for statement in found] == [("gzip", "off"), ("set_by_lua_block", "$a"), ("location", "/")]


@pytest.mark.parametrize(
    ("text", "expected", "possible"),
    [
        ("content_by_lua_block { ngx.say('a') }", True, True),
        ("content_by_lua_file /a.lua;", True, True),
        ("content_by_lua 'x';", True, True),
        # They let the request pass, or end it.
        ("access_by_lua_block { check() }", False, True),
        ("access_by_lua_file /a.lua;", False, True),
        ("rewrite_by_lua_block { ngx.exit(404) }", False, True),
        ("header_filter_by_lua_block { }", False, False),
        ("log_by_lua_file /a.lua;", False, False),
        ("# content_by_lua_block { }", False, False),
    ],
)
def test_it_is_known_which_lua_answers_and_which_may(text: str, expected: bool, possible: bool) -> None:
    statements = read_statements(text)
    assert (answers(statements), may_answer(statements)) == (expected, possible)


def test_headers_replace_those_of_their_name_only() -> None:
    taken = overridden(
        read_statements(
            "proxy_set_header HOST x; add_header X-A y; gzip off; include x; set $a b; if (x) { deny all; }"
        )
    )
    assert taken == {"proxy_set_header host", "add_header x-a", "gzip"}
    assert directive_key(["proxy_set_header", "Host", "$host"]) == "proxy_set_header host"


def test_lines_about_headers_keep_their_quotes() -> None:
    lines = header_lines(read_statements("add_header X-A 'b c' always; gzip on; proxy_set_header X-D \"\";"))
    assert lines == ["add_header X-A 'b c' always;", 'proxy_set_header X-D "";']


def test_a_word_that_spans_lines_is_noticed() -> None:
    assert has_long_word('return 200 "a\nb";')
    assert has_long_word('location / { return 200 "a\nb"; }')
    assert not has_long_word('return 200\n"a b";')
    assert not has_long_word("# a 'word\n# that spans lines")


def test_lua_keeps_its_lines_which_may_be_those_of_a_string() -> None:
    assert has_long_word("content_by_lua_block { ngx.say([[a\nb]]) -- it's\n}")
