# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment file: what is written, and that reading it gives the same."""

from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._service.environment import (
    merge_environment,
    parse_environment,
    render_environment,
)
from hypothesis import given
from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\n\"\\$`'# "), max_size=50)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", '"plain"'),
        ("", '""'),
        (' "a" ', '" \\"a\\" "'),
        ("$HOME `id`", '"\\$HOME \\`id\\`"'),
        ("C:\\new", '"C:\\\\new"'),
        ("one\ntwo # three", '"one\ntwo # three"'),
    ],
)
def test_what_a_shell_would_expand_is_protected(value: str, text: str) -> None:
    assert render_environment({"X": value}) == f"X={text}\n"


@given(st.dictionaries(NAMES, TEXT, max_size=5))
def test_reading_gives_what_was_written(values: dict[str, str]) -> None:
    assert parse_environment(render_environment(values)) == values


def test_the_order_is_always_the_same() -> None:
    assert render_environment({"B": "1", "A": "2"}) == 'A="2"\nB="1"\n'


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("1X", "v", "'1X' must be"),
        ("A-B", "v", "'A-B' must be"),
        ("X", "a\0b", "control character"),
        ("X", "a\rb", "control character"),
        ("X", "\ud800", "UTF-8"),
        ("X", "x" * 131072, "131074 bytes"),
    ],
)
def test_what_systemd_would_ignore_or_linux_refuse_is_refused(name: str, value: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        render_environment({name: value})
    assert value == "v" or value[:20] not in str(caught.value)


@pytest.mark.parametrize("key", ["environment", "secrets"])
@pytest.mark.parametrize(
    "name", ["GUNICORN_CMD_ARGS", "GUNICORN_FD", "LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET", "PYTHONHOME"]
)
def test_what_overrules_the_release_is_refused_by_name(key: str, name: str) -> None:
    given = {"environment": {"A": "1"}, "secrets": {}, key: {name: "--bind 0.0.0.0:80"}}
    with pytest.raises(InputError, match=f"{key} must not set '{name}'.*: (use|leave it out)") as said:
        merge_environment(**given)
    assert "0.0.0.0" not in str(said.value)
