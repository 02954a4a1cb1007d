# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where sites belong on hosts whose nginx.conf is not Debian's, and which group may connect to sockets there."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx import socket_group as _socket_group
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.layout import (
    Included,
    SitePaths,
    account_of,
    parse_site_paths,
    read_site_paths,
)
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.model import NginxLayout, NginxSiteError
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.request import site_paths_for, wanted_files
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.socket_group import socket_group

CONFIG = "/etc/nginx/nginx.conf"
DEBIAN = """user www-data;
include /etc/nginx/modules-enabled/*.conf;
events { worker_connections 768; }
http {
    include /etc/nginx/mime.types;
    include /etc/nginx/conf.d/*.conf;
    include /etc/nginx/sites-enabled/*;
}
"""
SUFFIX = DEBIAN.replace("sites-enabled/*", "sites-enabled/*.conf")
ORG = "user  nginx;\nhttp {\n    include       /etc/nginx/mime.types;\n    include /etc/nginx/conf.d/*.conf;\n}\n"
OWN = SitePaths(
    Included("/etc/nginx/flaskops-sites", ""), Included("/etc/nginx/conf.d", ".conf"), "/etc/nginx/flaskops-sites/*"
)


def places(text: str, shared: bool = True, own: bool = False) -> SitePaths:
    return parse_site_paths(text, CONFIG, shared, own)


def test_debians_layout_is_the_usual_one() -> None:
    assert places(DEBIAN) == places("") == places("http {}") == SitePaths()
    assert SitePaths().shared_path("flaskops.conf") == "/etc/nginx/conf.d/flaskops.conf"


@pytest.mark.parametrize(
    ("include", "suffix"),
    [("/etc/nginx/sites-enabled/*.conf", ".conf"), ("sites-enabled/*.vhost", ".vhost"), ('"sites-enabled/*"', "")],
)
def test_names_of_links_end_as_the_include_says(include: str, suffix: str) -> None:
    found = places(DEBIAN.replace("/etc/nginx/sites-enabled/*", include))
    assert found == SitePaths(Included("/etc/nginx/sites-enabled", suffix), Included("/etc/nginx/conf.d", ".conf"))


def test_without_an_include_of_sites_they_have_a_directory_of_their_own() -> None:
    """The package of nginx.org includes conf.d only. What sites share has to come before them, with any names."""
    assert places(ORG) == OWN
    assert places(ORG, shared=False, own=True) == OWN
    assert places(ORG.replace("/etc/nginx/conf.d", "conf.d")) == OWN


def test_without_anything_that_is_shared_any_include_will_do() -> None:
    assert places(ORG, shared=False).sites == Included("/etc/nginx/conf.d", ".conf")
    vhosts = ORG.replace("conf.d/*.conf", "vhosts/*.vhost")
    assert places(vhosts, shared=False).sites == Included("/etc/nginx/vhosts", ".vhost")
    assert places(vhosts).shared_path("flaskops.conf") == "/etc/nginx/vhosts/flaskops.vhost"


def test_sites_that_come_before_what_they_share_get_another_place() -> None:
    lines = DEBIAN.splitlines(keepends=True)
    assert places("".join([*lines[:5], lines[6], lines[5], *lines[7:]])) == OWN


def test_sites_that_are_there_stay_where_they_are(tmp_path: Path) -> None:
    """Version 1.0 had them there in any order; a second link would claim the same names."""
    lines = DEBIAN.replace("/etc/nginx", str(tmp_path)).splitlines(keepends=True)
    config = tmp_path / "nginx.conf"
    config.write_text("".join([*lines[:5], lines[6], lines[5], *lines[7:]]))
    (tmp_path / "sites-enabled").mkdir()
    (tmp_path / "sites-enabled" / "foreign").symlink_to("../sites-available/foreign")
    assert read_site_paths(str(config), shared=True).include
    (tmp_path / "sites-enabled" / "shop").symlink_to("/etc/nginx/sites-available/shop@0123456789ab")
    assert read_site_paths(str(config), shared=True).sites == Included(f"{tmp_path}/sites-enabled", "")
    (tmp_path / "flaskops-sites").mkdir()
    assert read_site_paths(str(config), shared=True).include


def test_includes_elsewhere_do_not_count() -> None:
    assert places("stream { include /etc/nginx/sites-enabled/*; }\n" + ORG) == OWN
    assert places(ORG.replace("http {", "http { server { include /etc/nginx/sites-enabled/*; }")) == OWN
    assert places("#" + ORG.replace("http {", "http {\n# include /etc/nginx/sites-enabled/*;")) == OWN
    assert places(ORG.replace("conf.d/*.conf", "conf.d/*/*.conf")) == SitePaths()


def test_what_the_caller_chooses_overrules_what_is_found() -> None:
    assert places(SUFFIX).chosen(None, None) == Included("/etc/nginx/sites-enabled", ".conf")
    assert places(SUFFIX).chosen("/srv/sites/", None) == Included("/srv/sites", "")
    assert places(SUFFIX).chosen("/srv/sites", ".x") == Included("/srv/sites", ".x")
    assert places(SUFFIX).chosen(None, ".x") == Included("/etc/nginx/sites-enabled", ".x")


def file_item(path: str, content: str = "# shared\n", state: str = "present") -> dict[str, str | None]:
    return {"path": path, "content": content, "state": state, "src": None, "template": None, "mode": None}


def test_a_shared_file_includes_the_sites_where_nothing_else_does() -> None:
    shared, other = wanted_files({"files": [file_item("flaskops.conf"), file_item("/etc/nginx/x")]}, OWN)
    assert shared.path == "/etc/nginx/conf.d/flaskops.conf"
    assert (shared.content or b"").endswith(b"\ninclude /etc/nginx/flaskops-sites/*;\n")
    assert other.content == b"# shared\n"
    (usual,) = wanted_files({"files": [file_item("flaskops.conf")]}, SitePaths())
    assert usual.content == b"# shared\n"
    with pytest.raises(NginxSiteError, match=r"conf\.d/x.*absolute path, or a name"):
        wanted_files({"files": [file_item("conf.d/x")]}, OWN)


def test_a_main_file_that_is_about_to_change_counts(tmp_path: Path) -> None:
    config = tmp_path / "nginx.conf"
    config.write_text(ORG)
    params = {"config": str(config), "files": [file_item("flaskops.conf")]}
    assert site_paths_for(params).include == f"{tmp_path}/flaskops-sites/*"
    assert site_paths_for({**params, "files": [*params["files"], file_item(str(config), DEBIAN)]}) == SitePaths()
    (tmp_path / "flaskops-sites").mkdir()
    assert site_paths_for({**params, "files": None}).sites.directory == f"{tmp_path}/flaskops-sites"
    assert NginxLayout("/a", *site_paths_for(params).sites).link("shop") == f"{tmp_path}/flaskops-sites/shop"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (DEBIAN, ("www-data", "www-data")),
        (ORG, ("nginx", "nginx")),
        ("#user nobody;\nuser web staff;\n", ("web", "staff")),
        ("user \"nginx\" 'web';\n", ("nginx", "web")),
        ("# pid x; user nobody;\n", None),
        ("worker_processes 1;\n", None),
        ("", None),
    ],
)
def test_the_account_is_read_from_the_main_file(text: str, expected: tuple[str, str] | None) -> None:
    assert account_of(text) == expected


def test_the_default_group_of_sockets_is_that_of_nginx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "nginx.conf"
    me = pwd.getpwuid(os.geteuid()).pw_name
    config.write_text(f"user {me} nogroup;\n")
    assert socket_group("www-data", str(config)) == "nogroup"
    assert socket_group("staff", str(config)) == "staff"
    monkeypatch.setattr(_socket_group, "_members", lambda _group: [me])
    assert socket_group("www-data", str(config)) == "www-data"
    config.write_text("user no-such-user;\n")
    assert socket_group("www-data", str(config)) == "www-data"
    assert socket_group("www-data", str(tmp_path / "absent")) == "www-data"
