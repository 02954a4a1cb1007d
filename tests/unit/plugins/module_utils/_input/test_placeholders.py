# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Placeholders: what is one, what only looks like one, and what is refused."""

from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.placeholders import (
    check_place,
    check_placeholders,
    fill,
    literal,
)
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError

PLACES = {"release": "/r", "shared": "/s", "venv": "/v", "site_packages": "/p"}

# What environments and commands had in them before there were placeholders.
OTHERS = [
    "",
    "{}",
    '{"a": {"b": 1}, "c": "{levelname}: {message}"}',
    "{levelname} {message} {name!r} {0} {x:>10}",
    "{env}:{shape}:{key}",
    "${release} ${HOME}/x ${nowhere}/x",
    "%{release} {{ release }} {{release}}/x",
    "https://x.test/{tenant}/callback",
    "find . -exec rm {} ;",
    "^[a-z]{2,3}$",
    "\\{message}: text",
    "f'{base}/x' f\"{base}/x\"",
    "{A}/x",
]


@pytest.mark.parametrize("text", OTHERS)
def test_braces_with_another_meaning_stay_as_they_are(text: str) -> None:
    check_placeholders("environment.X", text)
    assert fill(text, PLACES) == text


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{release}/app", "/r/app"),
        ("sqlite:///{shared}/x.db", "sqlite:////s/x.db"),
        ("{venv}/bin:{site_packages}:/usr/bin", "/v/bin:/p:/usr/bin"),
        ('{"path": "{shared}", "f": "{levelname}"}', '{"path": "/s", "f": "{levelname}"}'),
        ("\\{release}/app", "{release}/app"),
        ("\\{nowhere}/app", "{nowhere}/app"),
    ],
)
def test_places_take_the_place_of_placeholders(text: str, filled: str) -> None:
    check_placeholders("environment.X", text)
    assert fill(text, PLACES) == filled


@pytest.mark.parametrize(
    "text",
    [
        "{nowhere}",
        "{nowhere}/app",
        "sqlite:///{nowhere}/x.db",
        '{"path": "{nowhere}/x"}',
        "--config={current}/x",
        "a\n{home}/x",
        "in {relase} or",
        "{share}",
        "{RELEASE}/x",
        "{site-packages}/x",
        "{sitepackages}",
    ],
)
def test_a_placeholder_that_does_not_exist_is_refused_with_those_that_do(text: str) -> None:
    with pytest.raises(
        InputError, match=r"environment\.X has the placeholder .*: there are \{release}, \{shared}, \{venv}"
    ):
        check_placeholders("environment.X", text)


@pytest.mark.parametrize("text", [*OTHERS, "{release} \\{release} \\\\{venv}", "{nowhere}/x", "\\{nowhere}/x"])
def test_a_file_can_be_copied_as_it_is(text: str) -> None:
    check_placeholders("files 'a'", literal(text))
    assert fill(literal(text), PLACES) == text


@pytest.mark.parametrize("path", ["static", "{release}/app/static", "{site_packages}/x/static", "{venv}", "a b/c"])
def test_a_static_path_may_begin_with_a_place(path: str) -> None:
    check_place("nginx.static[0].path", path)


@pytest.mark.parametrize("path", ["{nowhere}/static", "a/{shared}", "{venv}x", "{venv}/{shared}", "\\{venv}/a"])
def test_any_other_braces_in_a_static_path_are_refused(path: str) -> None:
    with pytest.raises(InputError, match=r"a path may begin with \{release}"):
        check_place("nginx.static[0].path", path)
