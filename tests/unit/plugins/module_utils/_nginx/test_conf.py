# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import fnmatch

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.conf import (
    Configuration,
    ConfigurationError,
    load,
    quote,
    replace_words,
)
from ansible_collections.flaskops.stack.plugins.module_utils._site.syntax import parse


def loaded(**files: str) -> Configuration:
    tree = {f"/etc/nginx/{name.replace('_', '.')}": text.encode() for name, text in files.items()}
    return load("/etc/nginx/main", tree.get, lambda pattern: sorted(fnmatch.filter(tree, pattern)))


def test_includes_take_their_place_in_the_order_of_reading() -> None:
    config = loaded(
        main="http { include sites/*; gzip on; } include late.conf;",
        **{"sites/b": "server { include snip; }", "sites/a": "map {}", "snip": "listen 80;", "late_conf": "user x;"},
    )
    http = next(placed for placed in config.top() if placed.directive.name == "http")
    assert [(placed.directive.name, placed.file) for placed in config.inside(http)] == [
        ("map", "/etc/nginx/sites/a"),
        ("server", "/etc/nginx/sites/b"),
        ("gzip", "/etc/nginx/main"),
    ]
    assert [placed.directive.name for placed in config.top()] == ["http", "user"]
    assert list(config.files) == [f"/etc/nginx/{name}" for name in ("main", "sites/a", "sites/b", "snip", "late.conf")]


def test_a_missing_file_is_left_to_nginx() -> None:
    assert loaded(main="include none;").missing == ["/etc/nginx/none"]


@pytest.mark.parametrize(
    "files", [{"main": "include main;"}, {"main": "include a;", "a": "http { include b; }", "b": "include a;"}]
)
def test_a_file_that_includes_itself_is_named(files: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"/etc/nginx/(main|a) includes itself"):
        loaded(**files)


def test_lines_count_from_one() -> None:
    config = loaded(main="\n\na;\nb\n;")
    assert [config.line(placed) for placed in config.top()] == [3, 4]


def test_replaced_words_keep_the_count_of_lines() -> None:
    text = "a 'x\ny' b;\nc d;"
    first, second = parse(text)
    changed = replace_words(text, [(second.spans[0], quote('"e"')), (first.spans[0], "z")])
    assert changed == 'a z\n b;\nc "\\"e\\"";'
    assert parse(changed)[1].args == ('"e"',)
