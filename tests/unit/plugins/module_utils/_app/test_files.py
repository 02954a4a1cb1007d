# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of configuration: which are refused, what of them names a release, and what of them is shown."""

from __future__ import annotations

import base64
import json
import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.application import (
    AppError,
    build_key,
    identify,
    migration_key,
    parse_app,
)
from ansible_collections.flaskops.stack.plugins.module_utils._app.files import LARGEST, parse_files
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints.flask_release import wanted_apps
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import INHERITED
from ansible_collections.flaskops.stack.plugins.module_utils._input.redact import masked, secret_part

SHOP: dict[str, t.Any] = {"name": "shop", "source": "./shop", "app": "shop:app"}
KEY = "hunter2-hunter2"


def refused(file: dict[str, t.Any], **more: t.Any) -> str:
    with pytest.raises(AppError) as caught:
        parse_app({**SHOP, "files": [{"path": "app.cfg", "content": "", **file}], **more}, "/srv")
    assert str(caught.value).startswith("app 'shop': files")
    return str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../wsgi.py",
        "a/../../b",
        "a//b",
        "a/",
        "~/x",
        "{release}/app/x",
        "{shared}",
        "config/{venv}/x",
        "config/{nosuch}",
        "{nosuch}/x",
        "{release/x",
        "..",
        ".",
        "a\nb",
        "x" * 256,
        "ü" * 128,
        f"{'y' * 255}/{'x' * 256}.cfg",
        "/".join(["x" * 200] * 25),
        "x/" * 2000 + "app.cfg",
    ],
)
def test_a_path_stays_in_the_code(path: str) -> None:
    assert "files[0].path" in refused({"path": path})


def test_a_path_that_is_too_long_is_refused_and_not_repeated() -> None:
    said = refused({"path": "/".join(["x" * 200] * 25)})
    assert "...' is a path of 5024 characters: it may have 2048 bytes, and 255 between two slashes" in said
    assert len(said) < 250
    assert "is 2001 directories deep: at most 100 are possible" in refused({"path": "x/" * 2000 + "app.cfg"})
    # An application with such a directory would fail on the host, too.
    with pytest.raises(AppError, match=r"shared 'x+\.\.\.' is a path of 256 characters"):
        parse_app({**SHOP, "shared": ["x" * 256]}, "/srv")
    (file,) = parse_app({**SHOP, "files": [{"path": "x" * 255, "content": ""}]}, "/srv").files
    assert len(file.path) == 255


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ({"content": None}, "has none of content, template and src"),
        ({"template": "a.j2"}, "has content and template of content, template and src: give it one"),
        ({"mode": "640"}, "mode '640' must be four octal digits in quotes"),
        # YAML reads 0640 without quotes as this number.
        ({"mode": 416}, "mode '416' must be four octal digits in quotes"),
        ({"mode": "0664"}, "a release does not change"),
        ({"mode": "0600"}, "keeps the application from reading it"),
        # The application is in the group of the file, so that what others may do is not asked.
        ({"mode": "0604"}, "keeps the application from reading it"),
        ({"mode": "0404"}, "keeps the application from reading it"),
        ({"mode": "0644", "secret": True}, "lets every user read it: use '0640'"),
        ({"content": "x" * (LARGEST + 1)}, "has more than 1024 KiB: put what is no configuration into the source"),
        ({"path": "instance/app.cfg"}, "is in the shared directory 'instance'"),
        ({"path": "instance"}, "is in the shared directory 'instance'"),
        ({"owner": "root"}, "has no setting 'owner'"),
    ],
)
def test_what_cannot_be_a_file_is_refused_with_the_way_out(file: dict[str, t.Any], message: str) -> None:
    assert message in refused(file)


@pytest.mark.parametrize("path", ["templates/{{ page }}.html", "{{page}}/x", "{0}.cfg", "a}b", "{released/x"])
def test_other_braces_stay_in_a_path(path: str) -> None:
    (file,) = parse_app({**SHOP, "files": [{"path": path, "content": ""}]}, "/srv").files
    assert file.path == path


def test_a_shared_directory_below_a_file_is_refused() -> None:
    assert "shared directory 'data/up'" in refused({"path": "data"}, shared=["data/up"])


@pytest.mark.parametrize(
    ("paths", "message"), [(["a", "./a"], "has the path 'a' 2 times"), (["a", "a/b"], "'a/b' is below 'a'")]
)
def test_two_files_have_two_paths(paths: list[str], message: str) -> None:
    with pytest.raises(AppError, match=message):
        parse_app({**SHOP, "files": [{"path": path, "content": ""} for path in paths]}, "/srv")


def test_files_together_are_no_more_than_a_run_can_carry() -> None:
    with pytest.raises(AppError, match="files have more than 4096 KiB together"):
        parse_app({**SHOP, "files": [{"path": f"{n}", "content": "x" * LARGEST} for n in range(5)]}, "/srv")


@pytest.mark.parametrize("static", ["static", "/srv/shop/current/app/static", "."])
def test_a_secret_file_is_not_where_nginx_serves_it(static: str) -> None:
    nginx = {"static": [{"url": "/s/", "path": static}]}
    assert "nginx serves its directory at /s/" in refused({"path": "static/app.cfg", "secret": True}, nginx=nginx)
    parse_app({**SHOP, "files": [{"path": "static/app.js", "content": ""}], "nginx": nginx}, "/srv")


@pytest.mark.parametrize("secret", [None, False])
def test_a_value_of_secrets_makes_a_file_secret(secret: bool | None) -> None:
    said = refused({"content": f"key={KEY}\n", "secret": secret}, secrets={"KEY": KEY})
    assert "has the value of secrets.KEY in it, and is not secret: set secret: true" in said
    assert KEY not in said


def test_whoever_says_that_a_file_is_not_secret_is_believed() -> None:
    content = 'SECRET_KEY = "only-for-tests"\n'
    assert "a value of SECRET_KEY (line 1)" in refused({"content": content})
    parse_app({**SHOP, "files": [{"path": "a", "content": content, "secret": False}]}, "/srv")


def app_with(content: str, **more: t.Any) -> t.Any:
    return parse_app({**SHOP, "files": [{"path": "app.cfg", "content": content, **more}]}, "/srv")


def test_a_changed_file_is_a_new_release_with_the_same_code() -> None:
    given = ("git", "a" * 40, "3.12")
    one, two, none = app_with("a = 1"), app_with("a = 2"), parse_app({**SHOP, "files": []}, "/srv")
    assert len({identify(app, *given) for app in (one, two, none, app_with("a = 1", secret=True))}) == 4
    assert build_key(one, *given) == build_key(two, *given) != build_key(none, *given)
    assert migration_key(one, "a" * 40) != migration_key(two, "a" * 40)
    assert identify(none, *given) == identify(parse_app(SHOP, "/srv"), *given)


def test_the_order_of_files_names_no_release() -> None:
    files = [{"path": path, "content": path} for path in ("b", "a")]
    apps = [parse_app({**SHOP, "files": given}, "/srv") for given in (files, files[::-1])]
    assert len({identify(app, "git", "a" * 40, "3.12") for app in apps}) == 1


def test_modes_are_those_that_the_application_needs() -> None:
    files = parse_files(
        [
            {"path": "a", "content": "é"},
            {"path": "b", "content": "\udcff", "secret": True},
            {"path": "c.sh", "content": "", "mode": "0755"},
        ],
        {}, None, None, "/srv/shop",
    )  # fmt: skip
    assert [f"{file.mode:o}" for file in files] == ["644", "640", "755"]
    assert [file.data for file in files] == ["é".encode(), b"\xff", b""]
    assert "sha256" in files[0].to_json()
    assert files[1].to_json() == {"path": "b", "mode": "0640", "secret": True}


def test_a_template_that_is_not_rendered_yet_is_no_fault() -> None:
    parse_app({**SHOP, "files": [{"path": "app.cfg", "template": "app.cfg.j2"}]}, "/srv")


def test_no_content_is_shown_and_the_host_gets_all() -> None:
    item = {**SHOP, "files": [{"path": "app.cfg", "content": f"key={KEY}", "secret": True}, {"path": "b", "src": "b"}]}
    shown = {**item, **masked(item)}
    assert KEY not in json.dumps(shown)
    assert shown["files"][0]["path"] == "app.cfg"
    sealed = base64.b64encode(json.dumps({"apps": [secret_part(item)], "defaults": {}}).encode()).decode()
    (app,) = wanted_apps({**dict.fromkeys(INHERITED), "apps": [shown], "sealed": sealed})
    assert app["files"] == item["files"]
    assert masked({"files": KEY}) == {"files": "********"}


def test_what_a_secret_file_holds_is_masked_in_errors() -> None:
    app = app_with(f'[db]\npassword = "{KEY}"\nhost = db.test\n', secret=True)
    assert app.mask(f"cannot connect with {KEY}") == "cannot connect with ********"
    assert KEY not in repr(app)
    assert app_with("a = visible-value").mask("visible-value") == "visible-value"
