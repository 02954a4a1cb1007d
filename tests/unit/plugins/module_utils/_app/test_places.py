# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The places of a release in all that an application says of it."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.application import AppError, identify, parse_app
from ansible_collections.flaskops.stack.plugins.module_utils._app.derive import derive_sites
from ansible_collections.flaskops.stack.plugins.module_utils._app.places import fill_app, places_of
from ansible_collections.flaskops.stack.plugins.module_utils._build.served import link_all, link_served
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import Settings
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout, Manifest
from ansible_collections.flaskops.stack.plugins.module_utils._release.release import write_manifest

SHOP: dict[str, t.Any] = {"name": "shop", "source": "./shop", "app": "shop:app", "domains": ["shop.test"]}
RELEASE = "abcdef1-12345678"
PATH = f"/srv/shop/releases/{RELEASE}"
PACKAGES = f"{PATH}/venv/lib/python3.12/site-packages"


def test_everything_that_runs_gets_the_places_of_its_release() -> None:
    item = {
        **SHOP,
        "environment": {"CONFIG": "{release}/app/a.cfg", "PLAIN": "a {x}"},
        "secrets": {"KEY": "{release}"},
        "files": [{"path": "a.cfg", "content": "P = '{site_packages}'"}],
        "hooks": {"migrate": ["flask --dir {venv}"], "rollback": {"down": [["x", "{shared}/y"]]}},
        "workers": [{"name": "w", "command": "rq -P {release}"}],
        "timers": [{"name": "t", "command": "{venv}/bin/x", "schedule": "daily"}],
    }
    raw = parse_app(item, "/srv")
    app = fill_app(raw, places_of(Layout("/srv", "shop"), RELEASE, "3.12.4"))
    assert app.environment == {"CONFIG": f"{PATH}/app/a.cfg", "PLAIN": "a {x}"}
    assert app.secrets == {"KEY": "{release}"}
    assert app.files[0].content == f"P = '{PACKAGES}'"
    assert app.hooks.migrate == (("flask", "--dir", f"{PATH}/venv"),)
    assert app.hooks.rollback["down"] == (("x", "/srv/shop/shared/y"),)
    assert [process["command"][-1] for process in (*app.workers, *app.timers)] == [PATH, f"{PATH}/venv/bin/x"]
    assert raw.has_braces and not parse_app(SHOP, "/srv").has_braces
    # The places name the release, so that they cannot be part of its name.
    assert identify(raw, "git", "a" * 40, "3.12.4")


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"environment": {"A": "{nowhere}/x"}}, "environment.A"),
        ({"files": [{"path": "a", "content": "x = '{nowhere}/x'"}]}, "files 'a'"),
        ({"hooks": {"build": ["ls {nowhere}"]}}, "hooks.build"),
        ({"hooks": {"rollback": {"down": ["ls {nowhere}"]}}}, "hooks.rollback.down"),
        ({"workers": [{"name": "w", "command": "x {nowhere}/y"}]}, "workers 'w': command"),
        ({"timers": [{"name": "t", "command": "x {nowhere}/y", "schedule": "daily"}]}, "timers 't': command"),
        ({"nginx": {"static": [{"url": "/s/", "path": "{nowhere}/s"}]}}, r"nginx.static\[0\].path"),
    ],
)
def test_the_place_of_a_wrong_placeholder_is_named(more: dict[str, t.Any], where: str) -> None:
    with pytest.raises(AppError, match=f"app 'shop': {where} .*nowhere"):
        parse_app({**SHOP, **more}, "/srv")


@pytest.mark.parametrize(
    ("path", "found", "before"),
    [
        ("static", "/srv/shop/current/app/static", "app/static"),
        ("{release}/app/static", "/srv/shop/current/app/static", "app/static"),
        ("{venv}/share/x", "/srv/shop/current/venv/share/x", "venv/share/x"),
        ("{site_packages}/x/static", "/srv/shop/current/site-packages/x/static", "site-packages/x/static"),
        ("/opt/static", "/opt/static", ""),
        ("/srv/shop/current/venv/x", "/srv/shop/current/venv/x", ""),
    ],
)
def test_nginx_follows_the_switch_also_in_the_virtualenv(path: str, found: str, before: str) -> None:
    (site,) = derive_sites([{**SHOP, "nginx": {"static": [{"url": "/s/", "path": path}]}}], "/srv")
    (entry,) = site["static"]
    assert entry["path"] == found
    assert entry.get("previous", "") == (f"/run/flaskops/previous/shop/{before}" if before else "")


def test_a_shared_directory_may_be_named_by_its_place() -> None:
    nginx = {"static": [{"url": "/media/", "path": "{shared}/uploads"}]}
    app = parse_app({**SHOP, "shared": ["uploads"], "nginx": nginx}, "/srv")
    assert app.places == (("/media/", "uploads", ""),)


def test_a_link_leads_to_the_packages_of_any_python(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path), "shop")
    for name, library in (("aaaaaaa-11111111", "python3.11"), ("aaaaaaa-22222222", "python3.12")):
        os.makedirs(f"{layout.release(name)}/venv/lib/{library}/site-packages")
        write_manifest(layout.release(name), Manifest("shop", name, "shop", "shop", {}, "3.12", "shop:app", Settings()))
    for _again in range(2):
        link_all(layout)
        assert os.readlink(f"{layout.release('aaaaaaa-22222222')}/site-packages") == "venv/lib/python3.12/site-packages"
        assert os.path.isdir(f"{layout.release('aaaaaaa-11111111')}/site-packages")
    (tmp_path / "none").mkdir()
    link_served(str(tmp_path / "none"))
    assert os.listdir(tmp_path / "none") == []
