# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.flaskops.stack.plugins.filter.nginx_site_configs import FilterModule

SITE = {
    "name": "shop",
    "domains": ["shop.test"],
    "upstream": ["10.0.0.1:8000"],
    "tls": {"certificate": "/c", "key": "/k"},
}


def test_the_filter_renders_for_a_version() -> None:
    render = FilterModule().filters()["nginx_site_configs"]
    assert "http2 on;" in render([SITE], "1.26.3")[-1]["content"]
    assert "http2 on;" in render([SITE])[-1]["content"]
    assert (
        "listen 443 ssl http2;"
        in render([SITE], version="1.18.0", defaults={"ipv6": False}, catch_all=False)[0]["content"]
    )


@pytest.mark.parametrize("catch_all", [False, "false", "no"])
def test_a_switch_may_come_from_the_command_line(catch_all: object) -> None:
    assert len(FilterModule().filters()["nginx_site_configs"]([SITE], catch_all=catch_all)) == 1


def test_a_switch_that_is_null_is_not_set() -> None:
    configs = FilterModule().filters()["nginx_site_configs"]
    assert configs([SITE], catch_all=None) == configs([SITE])


def test_an_impossible_site_is_an_error_of_the_filter() -> None:
    with pytest.raises(AnsibleFilterError, match="site 'shop': domains must list at least one host name"):
        FilterModule().filters()["nginx_site_configs"]([{**SITE, "domains": []}])


def test_an_impossible_site_is_a_problem_in_the_same_words_and_a_possible_one_is_none() -> None:
    problems = FilterModule().filters()["nginx_site_problems"]
    assert problems([{**SITE, "domains": []}]) == ["site 'shop': domains must list at least one host name"]
    assert problems([SITE], defaults={"ipv6": False}) == []
