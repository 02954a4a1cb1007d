# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a manifest something has damaged, so that it cannot be used."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._release.damage import fault_of

SOUND: dict[str, t.Any] = {
    "name": "shop",
    "id": "1111111-11111111",
    "user": "shop",
    "group": "shop",
    "source": {"type": "git"},
    "python": "3.12",
    "app": "shop:app",
    "settings": {"sandbox": {"MemoryMax": "1G"}, "health": {"status": [200]}},
}


def test_a_sound_manifest_has_no_fault_also_with_what_a_later_version_added() -> None:
    assert fault_of(SOUND) == fault_of({**SOUND, "unheard_of": [1]}) == ""


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"user": 5}, "as user"),
        ({"source": "x"}, "as source"),
        ({"source": {"type": 1}}, "a text as source.type"),
        ({"shared": "uploads"}, "as shared"),
        ({"keep": True}, "as keep"),
        ({"hooks": []}, "as hooks"),
        ({"settings": {"workers": "5"}}, "as settings.workers"),
        ({"settings": {"preload": 1}}, "as settings.preload"),
        ({"settings": {"timeout": False}}, "as settings.timeout"),
        ({"settings": {"health": {"path": None}}}, "as settings.health.path"),
    ],
)
def test_what_is_something_else_is_named(changes: dict[str, t.Any], fault: str) -> None:
    assert fault_of({**SOUND, **changes}).endswith(fault)


def test_what_is_missing_is_named() -> None:
    assert fault_of({key: SOUND[key] for key in SOUND if key not in ("app", "group")}) == "lacks app, group"
