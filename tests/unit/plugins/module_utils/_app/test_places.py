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
from ansible_collections.flaskops.stack.plugins.module_utils._build.served import files_of, link_all, link_served
from ansible_collections.flaskops.stack.plugins.module_utils._build.venv import BuildError
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import Settings
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout, Manifest
from ansible_collections.flaskops.stack.plugins.module_utils._release.release import write_manifest
from ansible_collections.flaskops.stack.plugins.module_utils._site.lines import link_lines
from ansible_collections.flaskops.stack.plugins.module_utils._site.parse import parse_site

SHOP: dict[str, t.Any] = {"name": "shop", "source": "./shop", "app": "shop:app", "domains": ["shop.test"]}
RELEASE = "abcdef1-12345678"
PATH = f"/srv/shop/releases/{RELEASE}"
PACKAGES = f"{PATH}/venv/lib/python3.12/site-packages"


def test_everything_that_runs_gets_the_places_of_its_release() -> None:
    item = {
        **SHOP,
        "app": "shop:create_app('{release}/app/a.cfg', key={'a': 1})",
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
    assert app.app == f"shop:create_app('{PATH}/app/a.cfg', key={{'a': 1}})"
    assert f"made = target(*('{PATH}/app/a.cfg',), **{{'key': {{'a': 1}}}})" in app.wsgi
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
        ({"app": "shop:create_app('{nowhere}/x')"}, "app"),
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


def release_with(layout: Layout, name: str, library: str, *files: str) -> str:
    """Return the directory of a release whose virtualenv has a distribution with some files."""
    packages = Path(layout.release(name)) / "venv/lib" / library / "site-packages"
    for file in files:
        (packages / file).parent.mkdir(parents=True, exist_ok=True)
        (packages / file).write_text("")
    record = packages / "Flask_Money-1.0.dist-info" / "RECORD"
    record.parent.mkdir(parents=True)
    record.write_text("".join(f"{file},sha256=x,1\n" for file in files) + "../../../bin/static/x,,\n")
    write_manifest(layout.release(name), Manifest("shop", name, "shop", "shop", {}, "3.12", "shop:app", Settings()))
    return layout.release(name)


OLD, NEW = "aaaaaaa-11111111", "aaaaaaa-22222222"
FILES = ("money/static/a.css", "money/static/deep/static/b.css", "money/__init__.py")


def test_links_lead_to_packages_of_any_python_also_in_releases_from_before(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path), "shop")
    old = release_with(layout, OLD, "python3.11", "other/x.py")
    new = release_with(layout, NEW, "python3.12", *FILES)
    for _again in range(2):
        link_all(layout, NEW, [("", ""), ("flask.money", "static")])
        assert os.readlink(f"{new}/site-packages") == "venv/lib/python3.12/site-packages"
        assert os.listdir(f"{new}/packages") == ["flask-money--static"]
        assert sorted(os.listdir(f"{new}/packages/flask-money--static")) == ["a.css", "deep"]
        assert os.path.isdir(f"{old}/site-packages")
        assert not os.path.exists(f"{old}/packages")


@pytest.mark.parametrize(
    ("files", "served", "message"),
    [
        (FILES, ("nothing", "static"), "package 'nothing' is not in the virtualenv"),
        (FILES, ("flask-money", "assets"), "package 'flask-money' has no directory 'assets': set path"),
        (
            ("a/static/x", "b/static/x"),
            ("flask-money", "static"),
            "in a, b: set path to one of them, such as 'a/static'",
        ),
    ],
)
def test_what_the_virtualenv_lacks_is_refused(
    tmp_path: Path, files: tuple[str, ...], served: tuple[str, str], message: str
) -> None:
    path = release_with(Layout(str(tmp_path), "shop"), NEW, "python3.12", *files)
    with pytest.raises(BuildError, match=message):
        link_served(path, [served])
    link_served(path, [("flask-money", f"{files[0].partition('/')[0]}/static")])


def test_names_of_files_with_commas_and_quotes_are_no_other_directory(tmp_path: Path) -> None:
    path = release_with(Layout(str(tmp_path), "shop"), NEW, "python3.12", *FILES)
    record = Path(path) / "venv/lib/python3.12/site-packages/Flask_Money-1.0.dist-info/RECORD"
    quoted = '"money/static/Roboto-wdth,wght.ttf",sha256=x,1\n"money/static/a "",b"".css",sha256=x,1\n'
    record.write_text(record.read_text() + quoted)
    link_served(path, [("flask-money", "static")])
    assert (files_of(str(record.parents[1]), "flask-money") or [])[-2:] == [
        "money/static/Roboto-wdth,wght.ttf",
        'money/static/a ",b".css',
    ]


@pytest.mark.parametrize("damage", ["\0", "x" * 200000], ids=["nul", "long"])
def test_a_damaged_list_of_files_has_no_directory(tmp_path: Path, damage: str) -> None:
    path = release_with(Layout(str(tmp_path), "shop"), NEW, "python3.12", *FILES)
    record = Path(path) / "venv/lib/python3.12/site-packages/Flask_Money-1.0.dist-info/RECORD"
    record.write_text(damage)
    with pytest.raises(BuildError, match="package 'flask-money' has no directory 'static'"):
        link_served(path, [("flask-money", "static")])


def test_no_link_in_a_package_is_followed(tmp_path: Path) -> None:
    path = release_with(Layout(str(tmp_path), "shop"), NEW, "python3.12", *FILES)
    static = Path(path) / "venv/lib/python3.12/site-packages/money/static"
    static.rename(tmp_path / "outside")
    static.symlink_to(tmp_path / "outside")
    with pytest.raises(BuildError, match="has no directory 'static'"):
        link_served(path, [("flask-money", "static")])


def test_a_package_is_served_through_its_link() -> None:
    entry = {"url": "/static/", "package": "Flask_Money", "expires": 60}
    app = {**SHOP, "nginx": {"static": [entry, {"url": "/x/", "package": "a", "path": "static/x"}]}}
    assert parse_app(app, "/srv").served == (("Flask_Money", "static"), ("a", "static/x"))
    first, second = derive_sites([app], "/srv")[0]["static"]
    assert first == {
        "url": "/static/",
        "path": "/srv/shop/current/packages/flask-money--static",
        "previous": "/run/flaskops/previous/shop/packages/flask-money--static",
        "expires": 60,
    }
    assert second["path"].endswith("/packages/a--static--x")
    assert link_lines(f"{first['path']}/") == [
        'disable_symlinks if_not_owner "from=/srv/shop/current/packages/flask-money--static/";'
    ]


@pytest.mark.parametrize(
    "entry", [{"package": "../x"}, {"package": "x", "path": "../y"}, {"package": "x", "path": "/y"}, {"package": "a b"}]
)
def test_what_can_be_no_package_is_refused(entry: dict[str, t.Any]) -> None:
    with pytest.raises(AppError, match=r"app 'shop': nginx.static: (?:package|path) '"):
        parse_app({**SHOP, "nginx": {"static": [{"url": "/s/", **entry}]}}, "/srv")


def test_a_site_of_its_own_has_no_package() -> None:
    site = {"name": "a", "domains": ["a.test"], "static": [{"url": "/s/", "package": "x"}]}
    with pytest.raises(InputError, match="package 'x' is in the virtualenv of an application"):
        parse_site(site, {})
