# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of a server block: what depends on nginx's version, on a site's name and on where a path lies."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._site.lines import (
    Port,
    answer_headers,
    block,
    cache_lines,
    file_headers,
    link_lines,
    log_lines,
    place_lines,
    variable,
)
from ansible_collections.flaskops.stack.plugins.module_utils._site.model import Site, Static

SNIPPET = Path(__file__).parents[5] / "roles/nginx/files/flaskops.conf"
SHOP = Site("shop", domains=("shop.test",), config="return 204;")


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ((1, 25, 0), ["listen 443 ssl http2;", "listen [::]:443 ssl http2;"]),
        ((1, 25, 1), ["listen 443 ssl;", "listen [::]:443 ssl;", "http2 on;"]),
    ],
)
def test_http2_is_asked_for_as_the_version_of_nginx_knows_it(version: tuple[int, ...], expected: list[str]) -> None:
    assert Port(443, tls=True, ipv6=True, http2=True).lines(version) == expected


def test_no_variable_of_a_site_is_one_of_all_sites() -> None:
    shared = set(re.findall(r"\$flaskops_([a-z0-9]+)_(\w+)", SNIPPET.read_text(encoding="utf-8")))
    assert ("log", "host") in shared and ("error", "retry") in shared
    for name, what in shared:
        assert variable(replace(SHOP, name=name), what) != f"$flaskops_{name}_{what}"
    # The others are as they were.
    assert variable(replace(SHOP, name="log"), "peer") == "$flaskops_log_peer"
    assert variable(replace(SHOP, name="shop-closed"), "peer") == "$flaskops_shop_closed_peer"
    assert variable(SHOP, "closed_title") == "$flaskops_shop_closed_title"


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


@pytest.mark.parametrize(
    ("url", "path", "root"),
    [
        ("/static/", "/srv/shop/current/app/static/", "$flaskops_root"),
        ("/static/", "/srv/shop/current/app/shop/static/", "$flaskops_root/shop"),
        ("/", "/srv/shop/current/app/public/", "$flaskops_root/public"),
        ("/a/b/", "/srv/shop/current/app/a/b/", "$flaskops_root"),
    ],
)
def test_files_are_kept_open_by_the_path_with_the_id_of_the_release(url: str, path: str, root: str) -> None:
    lines = [line.strip() for line in place_lines(SHOP, Static(url, path), 32)]
    assert lines[:2] == ['root "/srv/shop/current";', 'if ($realpath_root ~ "^(.+)$") {']
    assert lines[2:4] == ['set $flaskops_root "$1/app";', f'root "{root}";']
    assert {'if ($flaskops_root = "") {', "open_file_cache max=32 inactive=10s;"} < set(lines)
    assert not any(line.startswith("alias") for line in lines)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/assets/", "/srv/shop/current/app/static/"),
        ("/shop/static/", "/srv/shop/current/app/static/"),
        ("/static/", "/srv/shop/current/static/"),
        ("/app/static/", "/srv/shop/current/app/static/"),
    ],
)
def test_by_another_path_through_the_link_nothing_is_kept_open(url: str, path: str) -> None:
    lines = place_lines(SHOP, Static(url, path), 32)
    assert lines[0] == f'alias "{path}";'
    assert ("open_file_cache off;" in lines) == ("/current/app/" in path)


def test_files_that_belong_to_no_release_are_left_to_the_settings_of_nginx() -> None:
    assert place_lines(SHOP, Static("/files/", "/var/www/files/"), 32) == ['alias "/var/www/files/";']


def test_a_worker_of_nginx_does_not_run_out_of_files() -> None:
    assert "open_file_cache off;" in place_lines(SHOP, Static("/static/", "/srv/shop/current/app/static/"), 0)


@pytest.mark.parametrize(("log_format", "told"), [("json", True), ("combined", False)])
def test_the_log_knows_the_release_of_a_file_by_any_path(log_format: str, told: bool) -> None:
    lines = place_lines(replace(SHOP, access_log=log_format), Static("/a/", "/srv/shop/current/app/b/"), 32)
    assert ("set $flaskops_root $realpath_root;" in lines) is told


def test_files_have_the_same_headers_as_answers_of_an_application_that_sends_none() -> None:
    found = dict(line.rstrip(";").split()[1:3] for line in file_headers(answer_headers(SHOP)))
    maps = re.findall(r"map \$upstream_http_\w+ (\$\w+) \{\s+default \"\";\s+\"\" (\S+);", SNIPPET.read_text())
    said = dict(maps)
    given = dict(line.rstrip(";").split()[1:3] for line in answer_headers(SHOP))
    assert found == {name: said[value] for name, value in given.items()}
    assert file_headers(["add_header X-Mine $flaskops_frame always;"]) == ["add_header X-Mine SAMEORIGIN always;"]
