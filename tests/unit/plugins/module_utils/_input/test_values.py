# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import SettingsError, as_variables


def test_values_of_the_environment_become_texts() -> None:
    given = {"A": True, "B": False, "C": 7, "D": 1.5, "E": "x", "F": "", 1: "y"}
    expected = {"A": "true", "B": "false", "C": "7", "D": "1.5", "E": "x", "F": "", "1": "y"}
    assert as_variables("environment", given) == expected


@pytest.mark.parametrize("nothing", [None, "", {}])
def test_no_environment_is_an_empty_one(nothing: object) -> None:
    assert as_variables("environment", nothing) == {}


@pytest.mark.parametrize(
    ("value", "kind"),
    [(None, "nothing (null)"), (["hunter2"], "a list"), ({"hunter2": 1}, "a dictionary"), (b"hunter2", "bytes")],
)
def test_what_is_no_text_is_refused_and_not_shown(value: object, kind: str) -> None:
    with pytest.raises(SettingsError) as caught:
        as_variables("secrets", {"KEY": value})
    assert str(caught.value).startswith(f"secrets.KEY is {kind}, and an environment variable is a text: ")
    assert "hunter2" not in str(caught.value)


def test_an_environment_that_is_no_dictionary_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError, match="secrets must be a dictionary") as caught:
        as_variables("secrets", ["hunter2"])
    assert "hunter2" not in str(caught.value)
