# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.names import (
    UnsafeNameError,
    check_name,
    check_socket_path,
)


@pytest.mark.parametrize("name", ["a", "shop", "shop-2", "a" * 31])
def test_a_plain_name_is_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "Shop", "2shop", "shop-", "-shop", "sh op", "../shop", "shop.conf", "shöp", "a\n", "a" * 32]
)
def test_a_name_that_is_no_user_unit_or_path_is_refused(name: str) -> None:
    with pytest.raises(UnsafeNameError, match="lower-case letters"):
        check_name(name)


def test_a_socket_path_of_107_bytes_is_the_longest() -> None:
    assert check_socket_path("/" + "x" * 106)
    with pytest.raises(UnsafeNameError, match="has 108 bytes"):
        check_socket_path("/" + "x" * 107)
