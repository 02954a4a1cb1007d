# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._site.lines import quote
from ansible_collections.flaskops.stack.plugins.module_utils._site.parse import (
    Reader,
    as_mapping,
    check_address,
    check_domain,
    check_header,
    check_keys,
    check_network,
    check_path,
    check_size,
)


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("plain", '"plain"'),
        ("", '""'),
        ("a; b { c }", '"a; b { c }"'),
        ('say "hi"', r'"say \"hi\""'),
        ("back\\slash", r'"back\\slash"'),
        ("max-age=$time", '"max-age=$time"'),
    ],
)
def test_a_quoted_value_is_one_word(value: str, quoted: str) -> None:
    assert quote(value) == quoted


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", "\x1b[31m", "\x7f"])
def test_a_control_character_is_refused(value: str) -> None:
    with pytest.raises(InputError, match="line breaks"):
        quote(value)


@pytest.mark.parametrize(
    ("domain", "as_nginx_has_it"),
    [
        ("shop.example.com", "shop.example.com"),
        ("Shop.Example.COM", "shop.example.com"),
        ("*.example.com", "*.example.com"),
        ("localhost", "localhost"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("a_b.internal", "a_b.internal"),
    ],
)
def test_a_host_name_is_taken(domain: str, as_nginx_has_it: str) -> None:
    assert check_domain(domain) == as_nginx_has_it


@pytest.mark.parametrize(
    "domain",
    [
        "",
        "_",
        "http://a.test",
        "a.test:80",
        "a.test/x",
        "a b",
        "a;b",
        "a{b",
        "a\nb",
        "~^a",
        "a..b",
        "*.*.a",
        "a.*",
        "-a.test",
        "a-.test",
        "$host",
        "a" * 64 + ".test",
        ".".join(["a" * 60] * 5),
        "[::g]",
        "[1.2.3.4]",
    ],
)
def test_what_no_browser_sends_as_a_host_is_refused(domain: str) -> None:
    with pytest.raises(InputError, match="must be a host name"):
        check_domain(domain)


@pytest.mark.parametrize(
    ("domain", "ascii_form"),
    [
        ("bücher.example", "xn--bcher-kva.example"),
        ("*.Bücher.example", "*.xn--bcher-kva.example"),
        ("bücher\u3002example", "xn--bcher-kva.example"),
        # Not strasse.example, which is another one for browsers and registries.
        ("straße.example", "xn--strae-oqa.example"),
        ("Straße.bücher.example", "xn--strae-oqa.xn--bcher-kva.example"),
    ],
)
def test_an_international_domain_is_refused_with_its_ascii_form(domain: str, ascii_form: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"'{ascii_form}'")):
        check_domain(domain)


@pytest.mark.parametrize(
    "address",
    [
        "unix:/srv/shop/current/run/0.sock",
        "10.0.0.1:8000",
        "10.0.0.1",
        "app.internal:8000",
        "[2001:db8::1]:8000",
        "[::1]",
    ],
)
def test_an_upstream_address_is_taken(address: str) -> None:
    assert check_address(address) == address


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("unix:relative.sock", "must be"),
        ("unix:/a b", "must be"),
        ("unix:/a;b", "must be"),
        ("unix:/" + "x" * 107, "has 108 bytes"),
        ("http://10.0.0.1", "must be"),
        ("10.0.0.1:port", "must be"),
        ("10.0.0.1:0", "between 1 and 65535"),
        ("10.0.0.1:65536", "between 1 and 65535"),
        ("[::g]:80", "must be"),
        ("2001:db8::1", "must be"),
        ("a\nb:80", "must be"),
        ("a}", "must be"),
        ("", "must be"),
    ],
)
def test_what_nginx_cannot_connect_to_is_refused(address: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_address(address)


@pytest.mark.parametrize(
    ("network", "normal"),
    [("10.0.0.0/8", "10.0.0.0/8"), ("10.1.2.3/8", "10.0.0.0/8"), ("192.0.2.1", "192.0.2.1/32"), ("::1", "::1/128")],
)
def test_a_network_is_taken_in_its_normal_form(network: str, normal: str) -> None:
    assert check_network(network) == normal


@pytest.mark.parametrize("network", ["", "all", "10.0.0.0/33", "10.0.0.1; deny all", "proxy.example.com"])
def test_another_thing_than_a_network_is_refused(network: str) -> None:
    with pytest.raises(InputError, match="must be an address or a network"):
        check_network(network)


@pytest.mark.parametrize("path", ["relative", "", "/a/../b", "/..", "/a$b", "/a\nb"])
def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="must be an absolute path"):
        check_path(path, "static: path")


@pytest.mark.parametrize("name", ["", "X Frame", "X:Y", "X\nY", "X;", "$x", "X{"])
def test_what_is_no_header_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="header name"):
        check_header(name)


@pytest.mark.parametrize("size", ["", "16 m", "16mb", "-1", "1.5m", "16m; x"])
def test_what_is_no_size_is_refused(size: str) -> None:
    with pytest.raises(InputError, match="number of bytes"):
        check_size(size, "body_size")


def test_a_key_with_a_slip_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(InputError, match="unknown key 'domain'; did you mean 'domains'"):
        check_keys({"domain": 1}, ["name", "domains"])


def test_an_unknown_key_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(InputError, match=r"tls: unknown key 'zzz'; known are certificate, key$"):
        check_keys({"zzz": 1}, ["key", "certificate"], "tls: ")


@pytest.mark.parametrize(
    ("value", "flag"), [(True, True), (False, False), ("yes", True), ("Off", False), (1, True), (None, True)]
)
def test_a_flag_may_be_a_word(value: object, flag: bool) -> None:
    assert Reader({"x": value}).flag("x", default=True) is flag


@pytest.mark.parametrize("value", ["maybe", 2, [], {}])
def test_another_thing_than_a_flag_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="x must be true or false"):
        Reader({"x": value}).flag("x", default=True)


@pytest.mark.parametrize(("value", "number"), [(5, 5), ("5", 5), (None, 7)])
def test_a_number_may_be_written_as_a_string(value: object, number: int) -> None:
    assert Reader({"x": value}).number("x", 7) == number


@pytest.mark.parametrize("value", [True, "5s", 1.5, -1, "-1", [5]])
def test_another_thing_than_a_number_is_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"tls: x must be"):
        Reader({"x": value}, "tls: ").number("x", 7)


def test_a_choice_is_one_of_those_given() -> None:
    assert Reader({"x": False}).choice("x", "a", ["a", "off"]) == "off"
    with pytest.raises(InputError, match="x must be one of a, b, not 'c'"):
        Reader({"x": "c"}).choice("x", "a", ["a", "b"])


@pytest.mark.parametrize(
    ("value", "items"), [(["a", "b"], ("a", "b")), ("a, b,", ("a", "b")), ("a", ("a",)), (None, ())]
)
def test_a_string_is_a_list_as_ansible_reads_it(value: object, items: tuple[str, ...]) -> None:
    assert Reader({"x": value}).texts("x") == items


@pytest.mark.parametrize("value", [5, {"a": 1}, True])
def test_another_thing_than_a_list_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="x must be a list"):
        Reader({"x": value}).texts("x")


def test_lists_and_dictionaries_are_told_apart() -> None:
    with pytest.raises(InputError, match="x must hold strings, not 5"):
        Reader({"x": [5]}).texts("x")
    with pytest.raises(InputError, match="tls must be a dictionary, not"):
        as_mapping(["a"], "tls")
    with pytest.raises(InputError, match="x must be a string, not"):
        Reader({"x": ["a"]}).text("x")
