# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._acme.attempts import Attempt, Attempts


def test_an_attempt_is_what_was_written_until_it_is_forgotten(tmp_path: Path) -> None:
    attempts, attempt = Attempts(f"{tmp_path}/state"), Attempt(1.5, "why", "https://ca.test/dir", ("a.test",), 9)
    assert attempts.read("shop") is None
    attempts.forget("shop")
    attempts.write("shop", attempt)
    assert (attempts.read("shop"), (tmp_path / "state").stat().st_mode & 0o777) == (attempt, 0o700)
    attempts.forget("shop")
    assert attempts.read("shop") is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"when": "x"}', "null"])
def test_one_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "shop.json").write_text(text)
    assert Attempts(str(tmp_path)).read("shop") is None


def test_a_limit_holds_for_the_same_names_at_the_same_ca() -> None:
    attempt = Attempt(0, "x", "ca", ("a", "b"), 10)
    assert attempt.forbids("ca", ("b", "a"), 9)
    assert not attempt.forbids("ca", ("b", "a"), 10)
    # The clock was wrong then: nobody knows how long the limit holds.
    assert not Attempt(7, "x", "ca", ("a", "b"), 10).forbids("ca", ("a", "b"), 6)
    assert not attempt.forbids("ca", ("a",), 9) and not attempt.forbids("other", ("a", "b"), 9)
