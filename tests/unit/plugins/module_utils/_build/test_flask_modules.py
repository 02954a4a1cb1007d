# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of an installed application by which Flask names its instance folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._build.flask_modules import flask_modules

OWN = '{"url": "file://RELEASE/app", "dir_info": {}}'


@pytest.fixture
def release(tmp_path: Path) -> Path:
    (tmp_path / "venv/lib/python3.13/site-packages").mkdir(parents=True)
    return tmp_path


def install(release: Path, name: str, files: dict[str, str], url: str = "") -> None:
    packages = release / "venv/lib/python3.13/site-packages"
    info = packages / f"{name}-1.0.dist-info"
    info.mkdir()
    for path, text in files.items():
        (packages / path).parent.mkdir(parents=True, exist_ok=True)
        (packages / path).write_text(text)
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in files))
    if url:
        (info / "direct_url.json").write_text(url.replace("RELEASE", str(release)))


def test_a_single_module_of_the_source_is_one(release: Path) -> None:
    install(release, "shop", {"shop.py": ""}, OWN)
    install(release, "flask", {"flask/__init__.py": ""})
    assert flask_modules(str(release), {"type": "directory", "location": "/src"}) == ["shop"]


def test_of_a_package_the_modules_count_that_make_the_object(release: Path) -> None:
    files = {
        "shop/__init__.py": "",
        "shop/web/__init__.py": "app = Flask(\n    __name__)",
        "shop/factory.py": "def create_app():\n    return flask.Flask(import_name=__name__)",
        "shop/models.py": "db = SQLAlchemy()",
        "shop/static/a.css": "Flask(__name__)",
    }
    install(release, "shop", files, OWN.replace("/app", "/app/web"))
    assert flask_modules(str(release), {"type": "git"}) == ["shop", "shop.factory", "shop.web"]


def test_of_an_application_from_an_index_it_is_its_distribution(release: Path) -> None:
    install(release, "My_Shop", {"myshop/__init__.py": "", "myshop/app.py": "Flask(__name__)"})
    install(release, "other", {"other.py": "Flask(__name__)"}, '{"url": "https://x.example.com/other.whl"}')
    assert flask_modules(str(release), {"type": "pypi", "location": "my-shop==1.0"}) == ["myshop", "myshop.app"]
    assert flask_modules(str(release), {"type": "git", "location": "my-shop"}) == []


@pytest.mark.parametrize(
    "url", ["[]", "{", '{"url": 1}', '{"url": "file://RELEASE/application"}', '{"url": "file:///"}']
)
def test_what_a_build_has_left_there_is_no_application(release: Path, url: str) -> None:
    install(release, "shop", {"shop.py": ""}, url)
    assert flask_modules(str(release), {"type": "git"}) == []


def test_no_link_and_no_path_that_leads_out_is_read(release: Path) -> None:
    outside = release / "outside.py"
    outside.write_text("Flask(__name__)")
    install(release, "shop", {"shop/__init__.py": ""}, OWN)
    packages = release / "venv/lib/python3.13/site-packages"
    (packages / "shop/linked.py").symlink_to(outside)
    os.mkfifo(packages / "shop/fifo.py")
    with open(packages / "shop-1.0.dist-info/RECORD", "a", encoding="utf-8") as record:
        record.write("shop/linked.py,,\nshop/fifo.py,,\n../../../../outside.py,,\n/etc/x.py,,\n../bin/my-tool.py,,\n")
    assert flask_modules(str(release), {"type": "git"}) == ["shop"]


def test_a_list_of_files_that_is_none_stops_nothing(release: Path) -> None:
    install(release, "shop", {"shop.py": ""}, OWN)
    record = release / "venv/lib/python3.13/site-packages/shop-1.0.dist-info/RECORD"
    record.unlink()
    os.mkfifo(record)
    assert flask_modules(str(release), {"type": "git"}) == []
