# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parameters of nginx_site ask for, and what of it is refused with the reason."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.layout import Included, SitePaths
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.model import (
    NginxLayout,
    NginxSiteError,
    WantedFile,
    WantedSite,
)
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.request import (
    MAX_SIZE,
    content_of,
    site_paths_for,
    wanted_files,
    wanted_sites,
)

LAYOUT = NginxLayout("/etc/nginx/sites-available", "/etc/nginx/sites-enabled")
SITE = {
    "name": "shop",
    "state": "enabled",
    "content": None,
    "src": None,
    "template": None,
    "version": None,
    "foreign": "refuse",
    "rename_from": None,
}
FILE = {"path": "/etc/nginx/x", "state": "present", "content": "x\n", "src": None, "template": None, "mode": None}


def site(**changes: object) -> dict[str, t.Any]:
    return {**SITE, **changes}


def file(**changes: object) -> dict[str, t.Any]:
    return {**FILE, **changes}


def test_a_content_is_the_text_or_the_file_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "shop").write_bytes(b"of a file\n")
    assert content_of(site(content="text \u00e4\n"), "x") == "text \u00e4\n".encode()
    assert content_of(site(src=str(tmp_path / "shop")), "x") == b"of a file\n"
    assert content_of(site(), "x") is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"src": "/no/such/file"}, "site 'shop': src /no/such/file is not on the host; use template"),
        ({"template": "a.j2"}, "template a.j2 was not rendered"),
        ({"content": "a\0b"}, "has a NUL byte at 1"),
        ({"content": "x" * (MAX_SIZE + 1)}, f"has {MAX_SIZE + 1} bytes; {MAX_SIZE} are accepted"),
    ],
)
def test_what_is_no_content_is_refused(changes: dict[str, str], said: str) -> None:
    with pytest.raises(NginxSiteError) as failed:
        content_of(site(**changes), "site 'shop'")
    assert said in str(failed.value)


def test_one_site_by_its_name_is_a_list_of_one() -> None:
    one = site(content="x", version="0123456789ab")
    expected = [WantedSite("shop", "enabled", b"x", "0123456789ab")]
    assert wanted_sites({"sites": None, **one}, LAYOUT) == (expected, {})
    assert wanted_sites({"sites": [one], "name": None}, LAYOUT) == (expected, {})


def test_a_template_is_known_by_the_path_under_which_nginx_reads_the_site() -> None:
    _sites, origins = wanted_sites({"sites": [site(content="x", template="shop.j2")], "name": None}, LAYOUT)
    assert origins == {"/etc/nginx/sites-enabled/shop": "template shop.j2"}


def test_a_version_of_a_site_that_is_to_go_makes_no_sense() -> None:
    with pytest.raises(NginxSiteError, match="version 'previous' makes no sense with state absent"):
        wanted_sites({"sites": [site(state="absent", version="previous")], "name": None}, LAYOUT)


def test_a_file_without_a_directory_goes_where_sites_share_files() -> None:
    own = SitePaths(shared=Included("/etc/nginx/conf.d", ".conf"), include="/etc/nginx/flaskops-sites/*")
    first, second = wanted_files({"files": [file(path="log.conf"), file(path="map.conf", mode="0600")]}, own)
    assert first.path == "/etc/nginx/conf.d/log.conf"
    assert first.content and first.content.endswith(b"include /etc/nginx/flaskops-sites/*;\n")
    assert second == WantedFile("/etc/nginx/conf.d/map.conf", b"x\n", 0o600)


def test_a_file_that_is_to_go_needs_no_content() -> None:
    gone = file(state="absent", content=None)
    assert wanted_files({"files": [gone]}, SitePaths()) == [WantedFile("/etc/nginx/x", None)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"path": "a/b"}, "file 'a/b' must be an absolute path, or a name without a directory"),
        ({"content": None}, "has no content: give content, src or template, or state absent"),
        ({"mode": "rw"}, "mode 'rw' must be an octal string like '0644'"),
    ],
)
def test_a_file_that_cannot_be_is_refused(changes: dict[str, t.Any], said: str) -> None:
    with pytest.raises(NginxSiteError) as failed:
        wanted_files({"files": [file(**changes)]}, SitePaths())
    assert said in str(failed.value)


def test_a_main_file_that_is_about_to_be_decides_where_sites_go(tmp_path: Path) -> None:
    config = tmp_path / "nginx.conf"
    config.write_text("http { include conf.d/*.conf; }")
    planned = file(path=str(config), content=f"http {{ include {tmp_path}/sites-enabled/*.vhost; }}")
    found = site_paths_for({"config": str(config), "files": [planned]})
    assert found.sites == Included(f"{tmp_path}/sites-enabled", ".vhost")
    assert site_paths_for({"config": str(config), "files": None}).sites == Included(f"{tmp_path}/conf.d", ".conf")
