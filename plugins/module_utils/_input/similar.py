# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the known word that was probably meant by an unknown one. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

# How alike two words have to be, from 0 to 1, for a hint in an error.
ALIKE = 0.6


def similar(word: str, known: t.Iterable[str], likeness: float = ALIKE, most: int = 1) -> list[str]:
    """Return the known words that are like one, the most similar first; case and kind of dash make no difference."""
    # Loaded for errors only: Ansible compiles and imports anew in each run.
    import difflib

    words: dict[str, str] = {}
    for one in known:
        words.setdefault(_plain(one), one)
    return [words[found] for found in difflib.get_close_matches(_plain(word), words, most, likeness)]


def most_similar(word: str, known: t.Iterable[str], likeness: float = ALIKE) -> str:
    """Return the known word that is most similar to one; an empty text when none is."""
    return next(iter(similar(word, known, likeness)), "")


def _plain(word: str) -> str:
    return word.lower().replace("-", "_")
