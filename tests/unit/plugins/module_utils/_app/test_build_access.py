# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build is given to reach private packages, and what its release is then."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.application import (
    App,
    AppError,
    build_key,
    identify,
    parse_app,
)
from ansible_collections.flaskops.stack.plugins.module_utils._app.build_access import build_variables
from ansible_collections.flaskops.stack.plugins.module_utils._input.redact import masked, secret_part

TOKEN = "glpat-hunter2"


def app(**more: t.Any) -> App:
    item = {"name": "shop", "source": "https://git.example.com/shop.git", "app": "shop:app", **more}
    return parse_app(item, "/srv")


def ids(one: App) -> tuple[str, str]:
    return identify(one, "git", "0" * 40, "3.13"), build_key(one, "git", "0" * 40, "3.13")


def test_a_variable_of_a_build_makes_another_release_and_only_when_it_is_set() -> None:
    plain = ids(app())
    assert ids(app(build_environment={})) == plain
    assert ids(app(build_environment={"SHOP_VERSION": "1"})) != plain
    assert ids(app(build_environment={"SHOP_VERSION": "1"})) != ids(app(build_environment={"SHOP_VERSION": "2"}))


def test_a_token_that_is_exchanged_makes_no_other_release() -> None:
    assert ids(app(build_secrets={"TOKEN": TOKEN})) == ids(app(build_secrets={"TOKEN": "another"})) == ids(app())


def test_values_are_shown_nowhere() -> None:
    one = app(build_secrets={"TOKEN": TOKEN}, build_environment={"X": "plain"})
    assert TOKEN not in repr(one)
    assert one.mask(f"git clone https://{TOKEN}@x failed") == "git clone https://********@x failed"
    item = {"name": "shop", "build_secrets": {"TOKEN": TOKEN}, "build_environment": {"X": "plain"}}
    shown = {**item, **masked(item)}
    assert TOKEN not in json.dumps(shown)
    assert {**shown, **secret_part(item)} == item


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"build_environment": {"HOME": "/x"}}, "build_environment must not set 'HOME'"),
        ({"build_environment": {"LD_PRELOAD": "/x"}}, "build_environment must not set 'LD_PRELOAD'"),
        ({"build_secrets": {"PATH": "/x"}}, "build_secrets must not set 'PATH'"),
        (
            {"build_secrets": {"A": "1"}, "build_environment": {"A": "1"}},
            "'A' is in build_environment and in b",
        ),
        ({"build_secrets": {"a b": TOKEN}}, "a b"),
        ({"build_with_deploy_key": True}, "there is no deploy_key"),
    ],
)
def test_what_a_build_cannot_have_is_named(more: dict[str, t.Any], words: str) -> None:
    with pytest.raises(AppError, match=words) as failure:
        app(**more)
    assert TOKEN not in str(failure.value)


def test_the_deploy_key_reaches_git_as_a_file() -> None:
    command = build_variables({}, {}, "/c", True, "")["GIT_SSH_COMMAND"]
    assert "-i /c/deploy_key" in command
    assert "StrictHostKeyChecking=accept-new" in command
    assert "StrictHostKeyChecking=yes" in build_variables({}, {}, "/c", True, "host key")["GIT_SSH_COMMAND"]
    assert build_variables({"A": "1"}, {"B": "2"}, "/c", False, "") == {"A": "1", "B": "2"}
