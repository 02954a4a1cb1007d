# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an application is, what names its release, and what of it is shown."""

from __future__ import annotations

import base64
import json
import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.application import (
    AppError,
    build_key,
    identify,
    needed_packages,
    parse_app,
    parse_apps,
)
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints.flask_release import wanted_apps
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import INHERITED
from ansible_collections.flaskops.stack.plugins.module_utils._input.redact import SENSITIVE, masked, secret_part
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import to_plain

SHOP: dict[str, t.Any] = {"name": "shop", "source": "https://git.example.com/shop.git", "app": "shop:create_app()"}
SHA = "0123456789abcdef0123456789abcdef01234567"


def test_the_least_that_is_written_gets_defaults_that_are_right() -> None:
    app = parse_app(SHOP, "/srv")
    assert (app.user, app.group, app.source_type, app.python, app.installer) == ("shop", "shop", "git", "python3", "uv")
    assert (app.shared, app.trusted_hops, app.keep, app.requirements) == (("instance",), 1, 5, None)
    assert app.settings.worker_class == "gthread"
    assert app.runtime_requirements == ("gunicorn",)


@pytest.mark.parametrize(("hops", "more"), [(0, ()), (1, ("werkzeug",)), (2, ("werkzeug",))])
def test_what_reads_forwarded_headers_is_installed_where_it_is_used(hops: int, more: tuple[str, ...]) -> None:
    app = parse_app({**SHOP, "trusted_hops": hops}, "/srv")
    assert app.missing_requirements == ("gunicorn", *more)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Shop"}, "name 'Shop' must be"),
        ({"name": "../x"}, "name '../x' must be"),
        ({"source": ""}, "'source' is missing"),
        ({"app": None}, "'app' is missing"),
        ({"app": "shop"}, "app 'shop' does not say which object"),
        ({"app": "shop:create app"}, "is not Python"),
        ({"source_type": "svn"}, "source_type 'svn' must be one of auto, git"),
        ({"version": "-x"}, "cannot be a git branch"),
        ({"source": "https://example.com/x.zip"}, "has no checksum"),
        ({"source": "https://example.com/x.zip", "checksum": "md5:1"}, "checksum 'md5:1' must be"),
        ({"source": "httpbin==1", "version": "2"}, "both name a version"),
        ({"subdirectory": "../x"}, "subdirectory"),
        ({"user": "Root"}, "name 'Root' must be"),
        ({"python": "perl"}, "python 'perl' must be"),
        ({"python": "python3; rm"}, "must be a version"),
        ({"installer": "conda"}, "installer 'conda' must be one of uv, pip"),
        ({"packages": ["-r x"]}, "not an option"),
        ({"constraints": ["-r x"]}, "not an option"),
        ({"build_constraints": ["-r x"]}, "not an option"),
        ({"system_packages": ["-y"]}, "system_packages '-y' must be the name of a Debian package"),
        ({"system_packages": ["./x.deb"]}, "must be the name of a Debian package"),
        ({"extra_index_url": ["pypi.example.com"]}, "extra_index_url 'pypi.example.com' must be the URL"),
        ({"extra_index_url": ["https://a.test b"]}, "must be the URL of a package index"),
        ({"ca_bundle": "x.pem"}, "ca_bundle 'x.pem' must be an absolute path"),
        ({"wheel_dir": "wheels"}, "wheel_dir 'wheels' must be an absolute path"),
        ({"shared": ["/etc"]}, "shared '/etc' must be a plain path"),
        ({"shared": ["a/../.."]}, "must be a plain path"),
        ({"shared": [""]}, "must be a plain path"),
        (
            {"shared": ["app.db"]},
            "such as instance/, and list the directory. A directory of that name is written 'app.db/'",
        ),
        ({"shared": ["data/app.sqlite3"]}, "such as data/, and list the directory"),
        ({"shared": [".env"]}, "by 'files', or set variables by environment and secrets"),
        ({"shared": ["config/database.yml"]}, "by 'files'"),
        ({"shared": ["a", "a/b"]}, "shared 'a/b' is below another"),
        ({"environment": {"A B": "1"}}, "environment variable 'A B'"),
        ({"environment": {"A": "1"}, "secrets": {"A": "2"}}, "'A' is in environment and in secrets"),
        ({"keep": 0}, "keep must be a whole number, 1 or more, not 0"),
        ({"trusted_hops": -1}, "trusted_hops must be a whole number, 0 or more, not -1"),
        ({"host_header": "bad header"}, "host_header"),
        ({"gunicorn": {"worker_class": "nope"}}, "worker_class 'nope' does not exist"),
        ({"gunicorn": {"workerz": 1}}, "gunicorn has no setting 'workerz'"),
    ],
)
def test_what_cannot_be_built_is_refused_with_the_value_and_the_application(
    changes: dict[str, t.Any], message: str
) -> None:
    with pytest.raises(AppError, match=message) as caught:
        parse_app({**SHOP, **changes}, "/srv")
    assert str(caught.value).startswith(f"app '{changes.get('name', 'shop')}'")


@pytest.mark.parametrize(
    ("changes", "secret"),
    [
        ({"secrets": {"KEY": ["m4rker"]}}, "m4rker"),
        ({"secrets": {"KEY": "m4rker\x01"}}, "m4rker"),
        ({"source": "https://user:m4rker@example.com/x.zip"}, "m4rker"),
        ({"source": "foo://user:m4rker@example.com/x"}, "m4rker"),
    ],
)
def test_errors_do_not_tell_secrets(changes: dict[str, t.Any], secret: str) -> None:
    with pytest.raises(AppError) as caught:
        parse_app({**SHOP, **changes}, "/srv")
    assert secret not in str(caught.value)


def test_two_applications_of_one_name_are_refused() -> None:
    with pytest.raises(AppError, match="the name 'shop' 2 times"):
        parse_apps([SHOP, SHOP], "/srv")


def test_a_socket_path_that_linux_cannot_have_is_refused() -> None:
    with pytest.raises(AppError, match="socket path"):
        parse_app(SHOP, "/srv/" + "x" * 80)


def test_values_of_the_environment_become_texts() -> None:
    app = parse_app({**SHOP, "environment": {"A": True, "B": 7, "C": "x", "D": 1.5}}, "/srv")
    assert app.environment == {"A": "true", "B": "7", "C": "x", "D": "1.5"}


def test_a_version_of_a_requirement_pins_it() -> None:
    assert parse_app({**SHOP, "source": "httpbin", "version": "0.10.2"}, "/srv").wanted_packages == ("httpbin==0.10.2",)


def test_a_python_may_be_named_by_its_version() -> None:
    assert parse_app({**SHOP, "python": "3.12"}, "/srv").python == "python3.12"


def test_the_health_gate_asks_for_the_first_domain() -> None:
    health = {"domains": ["shop.example.com", "www.example.com"]}
    assert parse_app({**SHOP, **health}, "/srv").settings.health.host == "shop.example.com"
    given = {**health, "gunicorn": {"health": {"host": "x.example.com"}}}
    assert parse_app({**SHOP, **given}, "/srv").settings.health.host == "x.example.com"


def name(changes: dict[str, t.Any], revision: str = SHA, python: str = "3.13.5", kind: str = "git") -> str:
    return identify(parse_app({**SHOP, **changes}, "/srv"), kind, revision, python)


@pytest.mark.parametrize(
    "changes",
    [
        {"app": "shop:app"},
        {"environment": {"A": "1"}},
        {"secrets": {"A": "1"}},
        {"packages": ["x"]},
        {"requirements": ["x.txt"]},
        {"installer": "pip"},
        {"shared": []},
        {"trusted_hops": 2},
        {"host_header": "X-Host"},
        {"user": "web"},
        {"subdirectory": "web"},
        {"gunicorn": {"workers": 3}},
        {"gunicorn": {"socket_group": "nginx"}},
        {"gunicorn_requirement": "gunicorn<26"},
        {"domains": ["a.example.com"]},
    ],
)
def test_any_change_of_what_the_process_is_makes_a_new_release(changes: dict[str, t.Any]) -> None:
    assert name(changes) != name({})


@pytest.mark.parametrize(
    "changes",
    [
        {"keep": 9},
        {"source": "git@git.example.com:shop.git"},
        {"version": "main"},
        {"deploy_key": "x"},
        {"known_hosts": "x"},
        {"index_url": "https://example.com"},
        {"wheel_dir": "/wheels"},
        {"ca_bundle": "/x.pem"},
        {"build_timeout": 9},
        {"nginx": {"body_size": "1m"}},
        {"domains": []},
    ],
)
def test_where_it_came_from_makes_no_new_release(changes: dict[str, t.Any]) -> None:
    assert name(changes) == name({})


def test_commit_and_python_make_a_new_release() -> None:
    assert len({name({}), name({}, revision=SHA[::-1]), name({}, python="3.13.6"), name({}, kind="archive")}) == 4


@pytest.mark.parametrize("changes", [{"environment": {"A": "1"}}, {"gunicorn": {"workers": 9}}, {"app": "shop:other"}])
def test_settings_do_not_change_code_and_virtualenv(changes: dict[str, t.Any]) -> None:
    one, two = parse_app(SHOP, "/srv"), parse_app({**SHOP, **changes}, "/srv")
    assert build_key(one, "git", SHA, "3.13.5") == build_key(two, "git", SHA, "3.13.5")


@pytest.mark.parametrize("path", ["app.db/", "static/uploads", "var/v1.0", "conf.d", "envs", ".cache"])
def test_a_directory_is_shared_whatever_its_name(path: str) -> None:
    assert parse_app({**SHOP, "shared": [path]}, "/srv").shared == (path.rstrip("/"),)


@pytest.mark.parametrize("changes", [{"packages": ["x"]}, {"shared": ["x"]}, {"gunicorn": {"worker_class": "gevent"}}])
def test_other_packages_are_another_virtualenv(changes: dict[str, t.Any]) -> None:
    one, two = parse_app(SHOP, "/srv"), parse_app({**SHOP, **changes}, "/srv")
    assert build_key(one, "git", SHA, "3.13.5") != build_key(two, "git", SHA, "3.13.5")


@pytest.mark.parametrize(
    ("source", "version", "packages"),
    [
        ("https://git.example.com/shop.git", "", ["git"]),
        ("git@git.example.com:shop.git", "", ["git", "openssh-client"]),
        ("ssh://git.example.com/shop.git", "", ["git", "openssh-client"]),
        ("/srv/git/shop", "main", ["git"]),
        ("./shop", "", []),
        ("httpbin", "", []),
    ],
)
def test_git_is_needed_only_by_a_git_source(source: str, version: str, packages: list[str]) -> None:
    assert needed_packages([{**SHOP, "source": source, "version": version}], (), "/srv") == packages


def test_packages_of_an_application_are_added_to_those_of_all() -> None:
    app = {**SHOP, "source": "shop", "system_packages": ["libpq5", "libfoo:arm64=1.2-3"]}
    assert needed_packages([app], ["gcc"], "/srv")[2:] == ["gcc", "libpq5", "libfoo:arm64=1.2-3"]
    assert needed_packages([app], [], "/srv") == ["libpq5", "libfoo:arm64=1.2-3"]


def test_what_decides_on_versions_names_a_release_and_an_index_does_not() -> None:
    def name(**more: t.Any) -> str:
        return identify(parse_app({**SHOP, **more}, "/srv"), "git", SHA, "3.12")

    same = [
        name(),
        name(constraints=[], build_constraints=[], prerelease=False),
        name(extra_index_url=["https://x.test"]),
    ]
    assert len({*same, name(system_packages=["libpq5"])}) == 1
    limited = [name(constraints=["a<3"]), name(constraints=["a<4"]), name(build_constraints=["a<3"])]
    assert len({same[0], *limited, name(prerelease=True)}) == 5
    assert build_key(parse_app({**SHOP, "prerelease": True}, "/srv"), "git", SHA, "3.12") != build_key(
        parse_app(SHOP, "/srv"), "git", SHA, "3.12"
    )


TASK = dict.fromkeys(INHERITED, "")
HIDDEN: dict[str, t.Any] = {
    "name": "shop",
    "source": "https://user:m4rker-1@example.com/x.git",
    "index_url": "https://m4rker-2@example.com/simple",
    "deploy_key": "m4rker-3",
    "environment": {"DATABASE_URL": "m4rker-4"},
    "secrets": {"KEY": "m4rker-5"},
    "build_environment": {"X": "m4rker-7"},
    "build_secrets": {"TOKEN": "m4rker-8"},
    "files": [{"path": "app.cfg", "content": "m4rker-9", "secret": True}],
    "extra_index_url": ["https://u:m4rker-0@example.com/simple"],
    "packages": ["flask", "x @ https://u:m4rker-6@example.com/x.whl"],
    "version": "main",
}


def test_what_is_shown_has_the_shape_but_no_secret() -> None:
    shown = {**HIDDEN, **masked(HIDDEN)}
    assert "m4rker" not in json.dumps(shown)
    assert shown.keys() == HIDDEN.keys()
    assert shown["version"] == "main"
    assert shown["secrets"] == {"KEY": "********"}
    assert {**shown, **secret_part(HIDDEN)} == HIDDEN


def test_secrets_of_the_wrong_type_are_hidden_as_well() -> None:
    wrong = {"secrets": "m4rker", "environment": ["m4rker"], "deploy_key": ["m4rker"], "source": None, "packages": "x"}
    wrong["files"] = ["m4rker"]
    assert "m4rker" not in json.dumps({**wrong, **masked(wrong)})


def test_every_sensitive_option_is_one_of_the_module() -> None:
    assert set(SENSITIVE) <= {*HIDDEN}


def test_the_seal_gives_applications_and_defaults_back() -> None:
    task = {**TASK, "wheel_dir": "/w", "index_url": "https://m4rker@example.com"}
    secret = {"apps": [secret_part(HIDDEN), secret_part(SHOP)], "defaults": secret_part(task)}
    sealed = base64.b64encode(json.dumps(secret).encode()).decode()
    shown = [{**HIDDEN, **masked(HIDDEN)}, {**SHOP, **masked(SHOP), "wheel_dir": None}]
    hidden, shop = wanted_apps({**task, **masked(task), "apps": shown, "sealed": sealed})
    assert hidden == {**TASK, "wheel_dir": "/w", **HIDDEN}
    assert shop == {**task, **SHOP}


def test_without_a_seal_the_arguments_are_what_they_are() -> None:
    assert wanted_apps({**TASK, "apps": [SHOP], "sealed": None}) == [{**TASK, **SHOP}]


def test_values_that_ansible_wraps_become_plain() -> None:
    class Wrapped(str):
        __slots__ = ()

    plain = to_plain({"a": [Wrapped("x"), 1, None, True], 2: (1.5,)})
    assert plain == {"a": ["x", 1, None, True], "2": [1.5]}
