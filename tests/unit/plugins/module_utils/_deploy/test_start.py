# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.start import _is_taken, _meet


def test_an_address_in_use_is_told_from_a_free_one() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        address = f"127.0.0.1:{held.getsockname()[1]}"
        assert _is_taken(address)
    assert not _is_taken(address)


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("0.0.0.0:80", "[::]:80", True),
        ("[::]:80", "127.0.0.1:80", True),
        ("[::]:80", "[::1]:80", True),
        ("127.0.0.1:80", "0.0.0.0:80", True),
        ("0.0.0.0:80", "[::1]:80", False),
        ("0.0.0.0:80", "[::]:81", False),
        ("127.0.0.1:80", "127.0.0.2:80", False),
        ("127.0.0.1:80", "[::1]:80", False),
    ],
)
def test_an_address_for_all_excludes_others_of_its_port(one: str, other: str, meet: bool) -> None:
    assert [_meet(*pair) for pair in ((one, other), (other, one))] == [meet, meet]
