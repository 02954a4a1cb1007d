# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which word was probably meant."""

from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.similar import most_similar, similar


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("domain", ["domains", "source"], "domains"),
        ("Body-Size", ["body_size"], "body_size"),
        ("x-forwarded-proto", ["X-Forwarded-Port", "X-Forwarded-Proto"], "X-Forwarded-Proto"),
        ("shop", ["wiki"], ""),
        ("shop", [], ""),
    ],
)
def test_the_most_similar_word_is_found_as_it_is_written(word: str, known: list[str], meant: str) -> None:
    assert most_similar(word, known) == meant


def test_several_are_found_the_most_similar_first() -> None:
    assert similar("v1.2", ["v1.2.1", "v1.1", "main", "V1.2"], most=5) == ["V1.2", "v1.2.1", "v1.1"]
    assert similar("v1.2", ["v1.2.1", "v1.1"], likeness=0.9) == []
