# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of a server block: what depends on nginx's version, on a site's name and on where a path lies."""

from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._site.lines import (
    Port,
    block,
    cache_lines,
    link_lines,
    log_lines,
)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ((1, 25, 0), ["listen 443 ssl http2;", "listen [::]:443 ssl http2;"]),
        ((1, 25, 1), ["listen 443 ssl;", "listen [::]:443 ssl;", "http2 on;"]),
    ],
)
def test_http2_is_asked_for_as_the_version_of_nginx_knows_it(version: tuple[int, ...], expected: list[str]) -> None:
    assert Port(443, tls=True, ipv6=True, http2=True).lines(version) == expected


def test_http2_needs_tls() -> None:
    assert Port(80, tls=False, ipv6=False, http2=True).lines((1, 26), " default_server") == [
        "listen 80 default_server;"
    ]


def test_a_block_is_indented_and_its_empty_lines_stay_empty() -> None:
    assert block("location /", ["a;", "", "b;"]) == ["location / {", "    a;", "", "    b;", "}"]


@pytest.mark.parametrize(
    ("log_format", "access"),
    [
        ("combined", "/var/log/nginx/shop.access.log combined"),
        ("json", "/var/log/nginx/shop.access.log flaskops_json"),
        ("off", "off"),
    ],
)
def test_requests_are_logged_in_the_format_that_is_asked_for(log_format: str, access: str) -> None:
    assert log_lines("shop", log_format, "warn") == [
        f"access_log {access};",
        "error_log /var/log/nginx/shop.error.log warn;",
    ]


def test_only_what_never_changes_is_kept_by_browsers_without_a_fingerprint() -> None:
    assert cache_lines(True, 60) == ['add_header Cache-Control "public, max-age=60, immutable";']
    assert cache_lines(False, 60)[1] == "add_header Cache-Control $flaskops_cache;"


@pytest.mark.parametrize(
    ("path", "fence"),
    [
        ("/srv/shop/current/app/static/", "/srv/shop/current/app/"),
        ("/run/flaskops/previous/shop/app/static/", "/run/flaskops/previous/shop/app/"),
        ("/srv/shop/shared/uploads/", ""),
    ],
)
def test_links_in_a_release_lead_to_files_of_its_owner_only(path: str, fence: str) -> None:
    assert link_lines(path) == ([f'disable_symlinks if_not_owner "from={fence}";'] if fence else [])
