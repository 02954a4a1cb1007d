# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Static files in shared directories, which the application answers for."""

from __future__ import annotations

import os
import socket
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.application import identify, parse_app
from ansible_collections.flaskops.stack.plugins.module_utils._app.derive import derive_sites
from ansible_collections.flaskops.stack.plugins.module_utils._release.shared_files import shared_places
from ansible_collections.flaskops.stack.plugins.module_utils._service.wsgi import render_wsgi
from ansible_collections.flaskops.stack.plugins.module_utils._site.render import site_configs

BASE = "/srv/shop"
UPLOADS = {"url": "/media/", "path": "uploads"}
SHOP: dict[str, t.Any] = {"name": "shop", "source": "./shop", "app": "shop:app", "domains": ["shop.test"]}


@pytest.mark.parametrize(
    ("static", "shared", "places"),
    [
        ([UPLOADS], ["uploads"], (("/media/", "uploads", ""),)),
        ([UPLOADS], ["uploads/"], (("/media/", "uploads", ""),)),
        ([{"url": "media", "path": "./uploads/"}], ["uploads"], (("/media/", "uploads", ""),)),
        ([{"url": "/media/", "path": "uploads/public"}], ["uploads"], (("/media/", "uploads", "public"),)),
        ([{"url": "/static/", "path": "static"}], ["static/media/up"], (("/static/media/up/", "static/media/up", ""),)),
        ([{"url": "/m/", "path": f"{BASE}/shared/uploads"}], ["uploads"], (("/m/", "uploads", ""),)),
        ([{"url": "/m/", "path": f"{BASE}/current/app/uploads/a"}], ["uploads"], (("/m/", "uploads", "a"),)),
        ([{"url": "/instance/", "path": "instance"}], None, (("/instance/", "instance", ""),)),
        ([{"url": "/static/", "path": "static"}], ["uploads"], ()),
        ([{"url": "/static/", "path": "uploads2"}], ["uploads"], ()),
        # All of the code with its data in it is not what anybody means.
        ([{"url": "/code/", "path": "."}], None, ()),
        ([{"url": "/", "path": "uploads"}], ["uploads"], ()),
        ([{"url": "/m/", "path": "/srv/blog/shared/uploads"}], ["uploads"], ()),
        (None, ["uploads"], ()),
        ("text", ["uploads"], ()),
    ],
)
def test_what_is_shared_is_told_from_what_is_not(static: object, shared: list[str] | None, places: object) -> None:
    assert shared_places(static, shared, BASE) == places


def test_the_innermost_path_comes_first() -> None:
    static = [UPLOADS, {"url": "/media/new/", "path": "new"}]
    assert [url for url, *_rest in shared_places(static, ["uploads", "new"], BASE)] == ["/media/new/", "/media/"]


def rendered(app: dict[str, t.Any]) -> str:
    """Return the file of an application's site."""
    [config] = site_configs(derive_sites([{**SHOP, **app}], "/srv"), {}, "1.26.3", catch_all=False)
    return str(config["content"])


def test_nginx_passes_what_it_may_not_read_to_the_application() -> None:
    text = rendered({"shared": ["uploads"], "nginx": {"static": [UPLOADS, {"url": "/static/", "path": "static"}]}})
    place = text.partition('location ^~ "/media/" {')[2].partition("\n    }\n")[0]
    assert "proxy_pass http://flaskops-shop;" in place
    assert "return 404;" in place.partition("location ~ /\\.")[2]
    assert "add_header Cache-Control $flaskops_cache;" in place
    assert 'location = "/media" {' in text
    assert "shared" not in text
    assert 'root "/srv/shop/current";' in text
    assert "uploads" not in text


def test_a_page_of_the_users_own_at_that_path_stays() -> None:
    nginx = {"static": [{**UPLOADS, "immutable": True, "expires": 60}], "locations": [{"path": "=  /media"}]}
    text = rendered({"shared": ["uploads"], "nginx": nginx})
    assert text.count('location = "/media" {') == 1
    assert 'add_header Cache-Control "public, max-age=60, immutable";' in text


def test_a_shared_directory_in_a_static_one_has_a_location_of_its_own() -> None:
    text = rendered({"shared": ["static/up"], "nginx": {"static": [{"url": "/s/", "path": "static"}]}})
    assert 'location ^~ "/s/up/" {' in text
    assert 'alias "/srv/shop/current/app/static/";' in text


def test_only_a_release_that_answers_itself_is_another() -> None:
    plain = parse_app({**SHOP, "shared": ["uploads"]}, "/srv")
    static = parse_app({**SHOP, "shared": ["uploads"], "nginx": {"static": [{"url": "/s/", "path": "s"}]}}, "/srv")
    media = parse_app({**SHOP, "shared": ["uploads"], "nginx": {"static": [UPLOADS]}}, "/srv")
    ids = [identify(app, "directory", "abc", "3.13") for app in (plain, static, media)]
    assert ids[0] == ids[1] != ids[2]


class Answer(t.NamedTuple):
    status: str
    headers: dict[str, str]
    body: bytes


class Site:
    """A release's wsgi.py, asked as gunicorn asks it."""

    def __init__(self, release: Path) -> None:
        (release / "app").mkdir(parents=True)
        self.uploads = release.parent / "uploads"
        self.uploads.mkdir()
        (release / "app" / "uploads").symlink_to(self.uploads)
        (release / "app" / "files_test_app.py").write_text(
            "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'app']\n"
        )
        places = [("/media/", "uploads", ""), ("/pub/", "uploads", "public")]
        text = render_wsgi("files_test_app:app", 0, "", places)
        names = {"__file__": str(release / "wsgi.py")}
        sys.path.insert(0, str(release / "app"))
        try:
            exec(compile(text, "wsgi.py", "exec"), names)
        finally:
            sys.path.remove(str(release / "app"))
            sys.modules.pop("files_test_app", None)
        self._application: t.Any = names["application"]

    def get(self, path: str, method: str = "GET", **environ: str) -> Answer:
        """Return the answer for a path."""
        seen: list[t.Any] = []
        asked = {"REQUEST_METHOD": method, "PATH_INFO": path.encode().decode("latin-1"), **environ}
        body = self._application(asked, lambda status, headers: seen.extend([status, dict(headers)]))
        found = b"".join(body)
        if hasattr(body, "close"):
            body.close()
        return Answer(seen[0], seen[1], found)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "release")


def test_a_file_of_any_mode_that_its_owner_may_read_is_answered(site: Site) -> None:
    (site.uploads / "2026").mkdir(0o700)
    file = site.uploads / "2026" / "grün 1.txt"
    file.write_bytes(b"0123456789")
    file.chmod(0o600)
    answer = site.get("/media/2026/grün 1.txt")
    assert (answer.status, answer.body) == ("200 OK", b"0123456789")
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Content-Length"] == "10"
    head = site.get("/media/2026/grün 1.txt", "HEAD")
    assert (head.status, head.body, head.headers) == ("200 OK", b"", answer.headers)
    assert site.get("/other").body == b"app"
    assert site.get("/media").body == b"app"


def test_a_browser_that_has_it_is_told_so(site: Site) -> None:
    (site.uploads / "a.png").write_bytes(b"x")
    headers = site.get("/media/a.png").headers
    for known in ({"HTTP_IF_NONE_MATCH": headers["ETag"]}, {"HTTP_IF_NONE_MATCH": f'"x", W/{headers["ETag"]}'}):
        assert site.get("/media/a.png", **known)[::2] == ("304 Not Modified", b"")
    assert site.get("/media/a.png", HTTP_IF_MODIFIED_SINCE=headers["Last-Modified"]).status == "304 Not Modified"
    assert site.get("/media/a.png", HTTP_IF_NONE_MATCH='"old"').status == "200 OK"


@pytest.mark.parametrize(
    ("asked", "status", "body", "told"),
    [
        ("bytes=2-4", "206 Partial Content", b"234", "bytes 2-4/10"),
        ("bytes=7-", "206 Partial Content", b"789", "bytes 7-9/10"),
        ("bytes=-3", "206 Partial Content", b"789", "bytes 7-9/10"),
        ("bytes=0-99", "206 Partial Content", b"0123456789", "bytes 0-9/10"),
        ("bytes=10-", "416 Range Not Satisfiable", b"416 Range Not Satisfiable\n", "bytes */10"),
        ("bytes=-", "200 OK", b"0123456789", None),
        ("bytes=1-2,4-5", "200 OK", b"0123456789", None),
        ("lines=1-2", "200 OK", b"0123456789", None),
    ],
)
def test_a_part_of_a_file_may_be_asked_for(site: Site, asked: str, status: str, body: bytes, told: str | None) -> None:
    (site.uploads / "film").write_bytes(b"0123456789")
    answer = site.get("/media/film", HTTP_RANGE=asked)
    assert (answer.status, answer.body, answer.headers.get("Content-Range")) == (status, body, told)
    assert answer.headers["Content-Length"] == str(len(body))
    assert site.get("/media/film", HTTP_RANGE=asked, HTTP_IF_RANGE='"old"').status == "200 OK"


def test_an_empty_file_is_a_file(site: Site) -> None:
    (site.uploads / "none").touch()
    assert site.get("/media/none")[::2] == ("200 OK", b"")


@pytest.mark.parametrize(
    "path",
    [
        "/media/", "/media/link", "/media/dir", "/media/dir/", "/media/dirlink/secret", "/media/../secret", "/media/..",
        "/media/.hidden", "/media/dir/.git/config", "/media//secret", "/media/pipe", "/media/socket", "/media/none",
        "/media/\0", "/media/file/x", "/pub/secret", "/pub/../file",
    ],
)  # fmt: skip
def test_what_is_no_file_of_it_does_not_exist(site: Site, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (site.uploads.parent / "secret").write_text("secret")
    (site.uploads / "file").write_text("file")
    (site.uploads / "dir" / ".git").mkdir(parents=True)
    for hidden in (".hidden", "dir/.git/config"):
        (site.uploads / hidden).write_text("hidden")
    (site.uploads / "link").symlink_to("../secret")
    (site.uploads / "dirlink").symlink_to("..")
    (site.uploads / "public").symlink_to("..")
    os.mkfifo(site.uploads / "pipe")
    monkeypatch.chdir(site.uploads)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert site.get(path).status == "404 Not Found"


def test_nothing_but_reading_is_possible(site: Site) -> None:
    answer = site.get("/media/a", "POST")
    assert (answer.status, answer.headers["Allow"]) == ("405 Method Not Allowed", "GET, HEAD")
