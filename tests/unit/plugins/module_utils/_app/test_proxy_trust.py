# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.proxy_trust import trust_warnings

SHOP: dict[str, t.Any] = {"name": "shop", "domains": ["shop.test"], "trusted_hops": 2}


def test_two_hops_from_anybody_are_a_warning_with_the_way_out() -> None:
    [said] = trust_warnings([SHOP, {"name": "blog", "domains": ["blog.test"], "trusted_hops": 1}], {})
    assert "app 'shop': trusted_hops is 2" in said
    assert "nginx.trusted_proxies" in said
    assert "nginx.behind_proxy: true" in said
    assert trust_warnings([{**SHOP, "nginx": {"trusted_proxies": []}}], {})


@pytest.mark.parametrize(
    ("changes", "defaults"),
    [
        ({"nginx": {"trusted_proxies": ["10.0.0.1"]}}, {}),
        ({}, {"trusted_proxies": "10.0.0.1"}),
        ({"nginx": {"behind_proxy": True}}, {}),
        ({"nginx": {"template": "shop.conf.j2"}}, {}),
        ({"domains": []}, {}),
        ({"trusted_hops": 0}, {}),
    ],
)
def test_who_has_thought_of_it_is_not_warned(changes: dict[str, t.Any], defaults: dict[str, t.Any]) -> None:
    assert trust_warnings([{**SHOP, **changes}], defaults) == []
