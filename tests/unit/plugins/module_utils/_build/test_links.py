# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._build.links import check_links
from ansible_collections.flaskops.stack.plugins.module_utils._build.venv import BuildError
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout
from ansible_collections.flaskops.stack.plugins.module_utils._site.model import Site, Static
from ansible_collections.flaskops.stack.plugins.module_utils._site.render import render_site

SHARED = ["instance", "static/up"]


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """Return a release as a build leaves it, below a root that is a link itself."""
    (tmp_path / "data").mkdir()
    (tmp_path / "srv").symlink_to("data")
    path = tmp_path / "srv" / "shop" / "releases" / "a"
    for name in ("app/static/css", "app/lib", "venv/bin", "venv/lib/python3/site-packages/shop", "venv/var"):
        (path / name).mkdir(parents=True)
    shared = tmp_path / "srv" / "shop" / "shared"
    (path / "app" / "instance").symlink_to(shared / "instance")
    (path / "app" / "static" / "up").symlink_to(shared / "static" / "up")
    (path / "venv" / "var" / "shop-instance").symlink_to(shared / "instance")
    (path / "venv" / "lib64").symlink_to("lib")
    (path / "venv" / "bin" / "python").symlink_to("/usr/bin/python3")
    return path


def check(release: Path) -> None:
    trees = [str(release / "app"), str(release / "venv")]
    check_links(Layout(str(release.parents[2]), "shop"), str(release), trees, SHARED)


def test_links_of_ours_and_such_as_stay_inside_are_accepted(release: Path) -> None:
    (release / "app" / "static" / "app.js").symlink_to("../lib/app.js")
    (release / "app" / "static" / "css" / "all").symlink_to(release / "app" / "lib")
    (release / "app" / "static" / "admin").symlink_to("../../venv/lib/python3/site-packages/shop")
    check(release)


@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("app/static/passwd", "/etc/passwd"),
        ("app/static/root", "/"),
        ("app/static/css/deep", "../../../../../../../../etc"),
        ("app/static/log", "/var/log/nginx/blog.access.log"),
        ("app/static/nothing", "/no/such/file"),
        ("app/static/up2", "../../../../shared/static/up"),
        ("app/static/current", "../../../../current/app"),
        ("app/static/settings", "../../../b/env"),
        ("app/static/twice", "css/../../../venv/bin/python"),
        ("app/config.py", "/etc/shop.py"),
        ("venv/lib/python3/site-packages/shop/static", "/etc"),
    ],
)
def test_a_link_that_leads_out_is_refused_by_name(release: Path, place: str, target: str) -> None:
    (release / place).symlink_to(target)
    with pytest.raises(BuildError) as caught:
        check(release)
    assert f"'{place}' is a link to '{target}', outside of the release" in str(caught.value)
    assert "hooks.build" in str(caught.value)
    assert "shared" in str(caught.value)


def test_a_chain_of_links_is_followed_to_its_end(release: Path) -> None:
    (release / "app" / "lib" / "out").symlink_to(release / "app" / "lib" / "more")
    (release / "app" / "lib" / "more").symlink_to("/etc")
    (release / "app" / "static" / "x").symlink_to("../lib/out/passwd")
    with pytest.raises(BuildError, match="outside of the release"):
        check(release)


def test_a_shared_directory_that_a_hook_has_exchanged_is_refused(release: Path) -> None:
    (release / "app" / "instance").unlink()
    (release / "app" / "instance").symlink_to("/etc")
    with pytest.raises(BuildError, match="'app/instance' is a link to '/etc'"):
        check(release)


def test_nginx_follows_no_link_of_a_release_to_files_of_others() -> None:
    own = Static("/static/", "/srv/shop/current/app/static/", previous="/run/flaskops/previous/shop/app/static/")
    other = Static("/files/", "/var/www/files/")
    elsewhere = Static("/assets/", "/srv/shop/current/app/static/")
    text = render_site(Site("shop", domains=("shop.test",), static=(own, elsewhere, other)), (1, 18, 0))
    assert text.count("disable_symlinks") == 3
    place = text.partition('location ^~ "/static/" {')[2].partition("location")[0]
    assert 'disable_symlinks if_not_owner "from=$flaskops_root/";' in place
    place = text.partition('alias "/srv/shop/current/app/static/";')[2]
    assert place.lstrip().startswith('disable_symlinks if_not_owner "from=/srv/shop/current/app/";')
    assert 'disable_symlinks if_not_owner "from=/run/flaskops/previous/shop/app/";' in text
