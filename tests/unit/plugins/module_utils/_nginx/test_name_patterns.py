# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which names a regular expression of nginx stands for."""

from __future__ import annotations

import re

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.name_patterns import names_of, tail_of


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        (r"~^a\.test$", "a.test"),
        (r"~^A\.Test$", "a.test"),
        (r"~^(www\.)?a\.test$", "a.test www.a.test"),
        (r"~^(?:www|shop)\.a\.(?P<top>test|org)$", "shop.a.org shop.a.test www.a.org www.a.test"),
        (r"~^w[12]?\.a\.test$", "w.a.test w1.a.test w2.a.test"),
        (r"~^(?<n>a|b(c|d))[.]test$", "a.test bc.test bd.test"),
    ],
)
def test_a_few_names_are_listed(pattern: str, names: str) -> None:
    found = names_of(pattern)
    assert found is not None
    assert sorted(found) == names.split()
    python = re.compile(pattern[1:].replace("(?<", "(?P<"), re.IGNORECASE)
    assert all(python.search(name) for name in found)


@pytest.mark.parametrize(
    "pattern",
    [
        *("~a.test", "~^a.test", "~a.test$", "~^a.test$", "~^$*$", "~^a*$", "~^a+$", "~^a{2}$", "~^??$"),
        *(r"~^\d\.test$", "~^[a-z]$", "~^[^a]$", "~^[a$", "~^(a$", "~^a)$", "~^(?=a)$", "~^a$|^b$", "~^a\\$"),
        "~^[abcd][abcd][abcd][abcd]$",
        # Whatever begins with the first, or ends with the last.
        r"~^a\.test|www\.a\.test$",
        f"~^{'(' * 5000}a{')' * 5000}$",
    ],
)
def test_what_may_be_any_name_is_not_listed(pattern: str) -> None:
    assert names_of(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "tail"),
    [
        (r"~^(.+)\.a\.test$", ".a.test"),
        (r"~^.+\.A[.]test$", ".a.test"),
        (r"~^\d\.test$", ".test"),
        (r"~shop\.a\.test$", ".a.test"),
        (r"~^(.+)\.a\.test", ""),
        (r"~^(.+)\.(a|b)$", ""),
        (r"~^x$|^.+\.a\.test$", ""),
        (r"~^(x|y).+\.a\.test$", ".a.test"),
        (r"~^.+\.a?\.test$", ".test"),
        (r"~test$", ""),
    ],
)
def test_how_all_names_end(pattern: str, tail: str) -> None:
    assert tail_of(pattern) == tail
