# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import math
import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.application import AppError, parse_app
from ansible_collections.flaskops.stack.plugins.module_utils._input.hooks import parse_hooks
from ansible_collections.flaskops.stack.plugins.module_utils._input.processes import normalise_workers
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import (
    PRODUCTION,
    STAGING,
    Flag,
    InputError,
    UnsafeNameError,
    Whole,
    as_bool,
    as_int,
    as_variables,
    check_name,
    check_socket_path,
    directory_url,
    scalar,
)
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import parse_settings
from ansible_collections.flaskops.stack.plugins.module_utils._site.parse import Reader

SHOP = {"name": "shop", "source": "shop", "app": "shop:app"}
ERRORS = (InputError, AppError)
# All that read a number, or a flag.
WHOLE: dict[str, t.Callable[[t.Any], object]] = {
    "settings": lambda value: as_int("x", value, least=1),
    "lists": lambda value: scalar(value, Whole(), "x"),
    "site": lambda value: Reader({"x": value}).number("x", 9),
    "application": lambda value: parse_app({**SHOP, "keep": value}, "/srv").keep,
    "hooks": lambda value: parse_hooks({"timeout": value}).timeout,
}
FLAG: dict[str, t.Callable[[t.Any], object]] = {
    "settings": lambda value: as_bool("x", value),
    "lists": lambda value: scalar(value, Flag(), "x"),
    "site": lambda value: Reader({"x": value}).flag("x", default=True),
    "hooks": lambda value: parse_hooks({"migrate_each_host": value}).migrate_each_host,
}


@pytest.mark.parametrize("read", WHOLE.values(), ids=WHOLE)
@pytest.mark.parametrize(
    ("value", "number"), [(5, 5), ("5", 5), (" 5 ", 5), ("05", 5), ("+5", 5), (5.0, 5), ("5.0", 5)]
)
def test_a_whole_number_is_read_alike_everywhere(read: t.Callable[[t.Any], object], value: object, number: int) -> None:
    assert read(value) == number


@pytest.mark.parametrize("read", WHOLE.values(), ids=WHOLE)
@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        5.5,
        "5.5",
        "²",
        "\u0665",
        "--5",
        "1_0",
        "5s",
        "",
        " ",
        math.inf,
        math.nan,
        "nan",
        [5],
        {"a": 5},
        b"5",
    ],
)
def test_what_is_no_whole_number_is_refused_everywhere(read: t.Callable[[t.Any], object], value: object) -> None:
    with pytest.raises(ERRORS):
        read(value)


@pytest.mark.parametrize("read", FLAG.values(), ids=FLAG)
@pytest.mark.parametrize("value", [True, "true", "True", " yes ", "on", "1", "y", "t", 1, 1.0])
def test_a_flag_is_read_alike_everywhere(read: t.Callable[[t.Any], object], value: object) -> None:
    assert read(value) is True


@pytest.mark.parametrize("read", FLAG.values(), ids=FLAG)
@pytest.mark.parametrize("value", [False, "false", "NO", "off", "0", "n", "f", 0, 0.0])
def test_a_flag_that_is_not_set_is_read_alike_everywhere(read: t.Callable[[t.Any], object], value: object) -> None:
    assert read(value) is False


@pytest.mark.parametrize("read", FLAG.values(), ids=FLAG)
@pytest.mark.parametrize("value", ["perhaps", "", 2, 0.5, [], [True], {"a": 1}, b"yes"])
def test_what_is_no_flag_is_refused_everywhere(read: t.Callable[[t.Any], object], value: object) -> None:
    with pytest.raises(ERRORS):
        read(value)


def test_values_of_the_environment_become_texts() -> None:
    given = {"A": True, "B": False, "C": 7, "D": 1.5, "E": "x", "F": "", 1: "y"}
    expected = {"A": "true", "B": "false", "C": "7", "D": "1.5", "E": "x", "F": "", "1": "y"}
    assert as_variables("environment", given) == expected


@pytest.mark.parametrize("nothing", [None, "", {}])
def test_no_environment_is_an_empty_one(nothing: object) -> None:
    assert as_variables("environment", nothing) == {}


@pytest.mark.parametrize(
    ("value", "kind"),
    [(None, "nothing (null)"), (["hunter2"], "a list"), ({"hunter2": 1}, "a dictionary"), (b"hunter2", "bytes")],
)
def test_what_is_no_text_is_refused_and_not_shown(value: object, kind: str) -> None:
    with pytest.raises(InputError) as caught:
        as_variables("secrets", {"KEY": value})
    assert str(caught.value).startswith(f"secrets.KEY is {kind}, and an environment variable is a text: ")
    assert "hunter2" not in str(caught.value)


def test_an_environment_that_is_no_dictionary_is_refused_and_not_shown() -> None:
    with pytest.raises(InputError, match="secrets must be a dictionary") as caught:
        as_variables("secrets", ["hunter2"])
    assert "hunter2" not in str(caught.value)


MAIL = {"name": "mail", "command": "celery worker"}


@pytest.mark.parametrize("key", ["memory_max", "cpu_quota"])
@pytest.mark.parametrize("value", ["", " ", "150%", " 150% "])
def test_a_limit_is_read_alike_for_the_web_and_for_workers(key: str, value: str) -> None:
    [worker] = normalise_workers([{**MAIL, key: value}])
    assert worker[key] == getattr(parse_settings({key: value}), key) == value.strip()


@pytest.mark.parametrize(("key", "value"), [("memory_max", "lots"), ("memory_max", True), ("cpu_quota", "2")])
def test_what_is_no_limit_is_refused_in_the_same_words(key: str, value: object) -> None:
    with pytest.raises(InputError) as of_web:
        parse_settings({key: value})
    with pytest.raises(InputError) as of_worker:
        normalise_workers([{**MAIL, key: value}])
    assert str(of_worker.value) == f"workers 'mail': {of_web.value}"


@pytest.mark.parametrize("name", ["a", "shop", "shop-2", "a" * 31])
def test_a_plain_name_is_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "Shop", "2shop", "shop-", "-shop", "sh op", "../shop", "shop.conf", "shöp", "a\n", "a" * 32]
)
def test_a_name_that_is_no_user_unit_or_path_is_refused(name: str) -> None:
    with pytest.raises(UnsafeNameError, match="lower-case letters"):
        check_name(name)


def test_a_socket_path_of_107_bytes_is_the_longest() -> None:
    assert check_socket_path("/" + "x" * 106)
    with pytest.raises(UnsafeNameError, match="has 108 bytes"):
        check_socket_path("/" + "x" * 107)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", PRODUCTION),
        ("production", PRODUCTION),
        ("staging", STAGING),
        ("https://ca.test/dir", "https://ca.test/dir"),
    ],
)
def test_the_directory_of_a_ca_is_a_url_or_a_word(text: str, url: str) -> None:
    assert directory_url(text, "nginx_acme_directory") == url


@pytest.mark.parametrize(
    "text",
    ["http://ca.test/dir", "stagin", "file:///etc/passwd", "https://ca.test/a b", "https:///dir", "https://ca.test"],
)
def test_a_directory_without_tls_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"nginx_acme_directory '.*' must be the https:// URL"):
        directory_url(text, "nginx_acme_directory")
