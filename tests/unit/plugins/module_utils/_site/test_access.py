# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits, and who may ask for what; what nginx makes of the lines is looked at in scenario `alternative`."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._site.access import access_blocks
from ansible_collections.flaskops.stack.plugins.module_utils._site.parse import parse_site
from ansible_collections.flaskops.stack.plugins.module_utils._site.render import render_site
from ansible_collections.flaskops.stack.plugins.module_utils._site.syntax import Directive, parse

SNIPPET = Path(__file__).parents[5] / "roles/nginx/files/flaskops.conf"
SITE: dict[str, t.Any] = {"name": "shop", "domains": ["shop.test"], "upstream": ["unix:/srv/shop/current/run/0.sock"]}
NGINX = (1, 22)


def test_a_site_without_rules_has_no_blocks_for_them() -> None:
    assert access_blocks(parse_site(SITE, {})) == []
    assert access_blocks(parse_site({**SITE, "deny": ["192.0.2.66"]}, {}))


def text_of(**changes: object) -> str:
    """Return the file of a site."""
    return render_site(parse_site({**SITE, **changes}, {}), NGINX)


def maps(text: str) -> dict[str, Directive]:
    """Return the maps of a text by the variable that they define."""
    return {item.args[-1]: item for item in parse(text) if item.name in ("map", "geo")}


def lookup(found: Directive, value: str) -> str:
    """Return what a map gives for a value, as nginx looks it up: the first expression that matches."""
    assert found.block is not None
    default = ""
    for item in found.block:
        if item.name == "default":
            default = item.args[0]
        elif re.search(item.name.lstrip("~*"), value, re.IGNORECASE if item.name.startswith("~*") else 0):
            return item.args[0]
    return default


def zones(text: str) -> list[str]:
    """Return the names of the zones in a text."""
    return re.findall(r"_zone \S+ zone=([^:]+):", text)


def test_a_site_without_limits_and_rules_has_no_line_of_them() -> None:
    text = text_of()
    assert not re.search(r"limit_|\$flaskops_shop|Allow|return 40[35]", text)


def test_a_limit_is_a_zone_with_a_key_and_answers_429() -> None:
    text = text_of(limits=[{"path": "/login", "rate": "5r/s", "burst": 10}, {"connections": 3}])
    rate, connections = zones(text)
    assert f"limit_req_zone $flaskops_shop_key0 zone={rate}:10m rate=5r/s;" in text
    for line in (
        f"limit_req zone={rate} burst=10 nodelay;",
        f"limit_conn {connections} 3;",
        "limit_req_status 429;",
        "limit_conn_status 429;",
        "add_header Retry-After $flaskops_shop_retry always;",
    ):
        assert f"    {line}\n" in text


@pytest.mark.parametrize(
    ("target", "counted"),
    [
        ("0/login", True),
        ("0/login/", True),
        ("0/login/x", True),
        ("0/login2", False),
        ("0/x/login", False),
        ("0/Login", False),
        ("0/", False),
        # Sent with "..": the application may have got something else than nginx.
        ("1/other", True),
    ],
)
def test_a_limit_counts_its_path_and_all_below_it(target: str, counted: bool) -> None:
    key = maps(text_of(limits=[{"path": "/login/", "rate": "5r/s"}]))["$flaskops_shop_key0"]
    assert lookup(key, target) == ("$binary_remote_addr" if counted else "")


def test_files_and_certificates_do_not_count_unless_a_limit_is_for_them() -> None:
    static = [{"url": "/static/", "path": "/srv/static"}]
    text = text_of(static=static, limits=[{"rate": "5r/s"}, {"path": "/static", "rate": "9r/s"}])
    everything, files = maps(text)["$flaskops_shop_key0"], maps(text)["$flaskops_shop_key1"]
    assert [bool(lookup(everything, f"0{path}")) for path in ("/", "/x", "/static/a.css")] == [True, True, False]
    assert [bool(lookup(files, f"0{path}")) for path in ("/", "/static/a.css")] == [False, True]
    assert not lookup(everything, "0/.well-known/acme-challenge/token")


@pytest.mark.parametrize(
    ("target", "sent_with_dots"),
    [
        ("/admin/x/../..", "1"),
        ("/admin/%2e%2E/", "1"),
        ("/admin%2f..", "1"),
        ("/x/.%2e%2fadmin", "1"),
        ("/..?x", "1"),
        ("/a/..b/c", "0"),
        ("/a/...", "0"),
        ("/x?next=/../y", "0"),
    ],
)
def test_a_path_with_dots_is_known_by_what_was_sent(target: str, sent_with_dots: str) -> None:
    assert lookup(maps(SNIPPET.read_text(encoding="utf-8"))["$flaskops_dots"], target) == sent_with_dots


@pytest.mark.parametrize(
    ("key", "source"),
    [("header:X-Api-Key", "$http_x_api_key"), ("cookie:sid", "$cookie_sid")],
)
def test_a_visitor_without_the_header_or_cookie_is_counted_by_address(key: str, source: str) -> None:
    found = maps(text_of(limits=[{"rate": "5r/s", "key": key}]))
    sent = found["$flaskops_shop_sent0"]
    assert sent.args[0] == source
    assert (lookup(sent, ""), lookup(sent, "x")) == ("$remote_addr", "=$1")
    assert lookup(found["$flaskops_shop_key0"], "0/") == "$flaskops_shop_sent0"


def test_the_wait_is_that_of_the_slowest_limit_of_a_path() -> None:
    text = text_of(limits=[{"rate": "5r/s"}, {"path": "/login", "rate": "4r/m"}, {"path": "/api", "connections": 2}])
    wait = maps(text)["$flaskops_shop_wait"]
    assert [lookup(wait, f"0{path}") for path in ("/", "/api", "/login")] == ["1", "1", "15"]
    assert "set $flaskops_wait $flaskops_shop_wait;" in text


def test_sites_and_settings_share_no_zone() -> None:
    limits = [{"path": "/a", "rate": "5r/s"}, {"path": "/b", "rate": "5r/s", "connections": 1}]
    names = [
        *zones(text_of(limits=limits)),
        *zones(text_of(name="blog", limits=limits)),
        *zones(text_of(limits=[{"path": "/a", "rate": "5r/s", "key": "site"}])),
    ]
    assert len(names) == len(set(names)) == 7
    assert zones(text_of(limits=limits)) == zones(text_of(limits=limits))


@pytest.mark.parametrize(
    ("rules", "net"),
    [
        ({"allow": ["10.0.0.0/8"]}, ["default 1", "10.0.0.0/8 0"]),
        ({"deny": ["10.0.0.5", "2001:db8::/32"]}, ["default 0", "10.0.0.5/32 1", "2001:db8::/32 1"]),
        # nginx takes the narrowest network; deny comes first all the same.
        ({"allow": ["10.0.0.5", "::1"], "deny": ["10.0.0.0/8"]}, ["default 1", "::1/128 0", "10.0.0.0/8 1"]),
        ({"allow": ["10.0.0.0/8"], "deny": ["10.0.0.5"]}, ["default 1", "10.0.0.0/8 0", "10.0.0.5/32 1"]),
    ],
)
def test_deny_comes_before_allow_and_allow_refuses_all_others(rules: dict[str, object], net: list[str]) -> None:
    text = text_of(**rules)
    block = maps(text)["$flaskops_shop_net0"].block
    assert block is not None
    assert [f"{item.name} {item.args[0]}" for item in block] == net
    assert "    if ($flaskops_shop_denied) {\n        return 403;\n    }\n" in text


def test_a_request_has_to_pass_the_rules_of_the_site_and_of_its_path() -> None:
    text = text_of(allow=["10.0.0.0/8"], access=[{"path": "/admin", "allow": ["10.0.0.5"]}])
    denied = maps(text)["$flaskops_shop_denied"]
    assert denied.args[0] == "$flaskops_shop_net0$flaskops_shop_net1 $flaskops_dots$uri"
    table = {
        "00 0/admin": "",
        "01 0/": "",
        "01 0/admin": "1",
        "01 1/other": "1",
        "11 0/": "1",
        "11 0/.well-known/acme-challenge/x": "",
    }
    assert {value: lookup(denied, value) for value in table} == table


def test_methods_are_refused_with_those_that_are_accepted() -> None:
    text = text_of(methods=["GET", "POST"], access=[{"path": "/form", "methods": ["POST"]}])
    accepts = maps(text)["$flaskops_shop_accepts"]
    table = {
        "GET 0/": "",
        "HEAD 0/": "",
        "POST 0/form": "",
        "PUT 0/": "GET, POST, HEAD",
        "GETS 0/": "GET, POST, HEAD",
        "GET 0/form": "POST",
        "GET 1/": "POST",
        "PUT 0/.well-known/acme-challenge/x": "",
    }
    assert {value: lookup(accepts, value) for value in table} == table
    assert "add_header Allow $flaskops_shop_accepts always;" in text
    assert "    if ($flaskops_shop_accepts) {\n        return 405;\n    }\n" in text


def test_refusals_come_before_everything_that_answers() -> None:
    text = text_of(
        deny=["192.0.2.1"], maintenance={"flag": "/on", "page": "/page.html"}, config="rewrite ^/old /new last;"
    )
    places = [text.index(part) for part in ("return 403;", "if (-f", "rewrite ^/old", "location ")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"limits": [{"path": "/x"}]}, "limits: path '/x' has neither rate nor connections"),
        ({"limits": [{"path": "/x", "burst": 5, "connections": 1}]}, "limits: path '/x' has a burst without a rate"),
        ({"limits": [{"rate": "5/s"}]}, "limits: rate '5/s' must be .*5r/s"),
        ({"limits": [{"rate": "0r/s"}]}, "limits: rate '0r/s'"),
        ({"limits": [{"rate": "5r/s", "key": "$remote_user"}]}, "limits: key .*header:NAME"),
        ({"limits": [{"rate": "5r/s", "key": "cookie:a-b"}]}, "limits: key 'cookie:a-b'"),
        ({"limits": [{"rate": "5r/s", "path": "x"}]}, "limits: path 'x' must be an absolute path"),
        ({"limits": [{"rate": "5r/s", "path": "/a%20b"}]}, "limits: path '/a%20b' must be written decoded"),
        ({"limits": [{"rate": "5r/s"}, {"rate": "6r/s", "path": "/"}]}, "limits: path with the same key '/ client'"),
        ({"limits": [{"rate": "5r/s"}], "behind_proxy": True}, "limits need trusted_proxies"),
        ({"limits": [{"rates": "5r/s"}]}, "limits: unknown key 'rates'; did you mean 'rate'"),
        (
            {
                "limits": [{"path": "/ping", "rate": "5r/s"}],
                "locations": [{"path": "= /ping", "config": "return 204;"}],
            },
            "limits: path '/ping' is answered by 'return' in locations",
        ),
        ({"limits": [{"rate": "5r/s"}], "config": "return 301 https://x;"}, "limits: config answers all requests"),
        ({"allow": ["10.0.0.300"]}, "allow: '10.0.0.300' must be an address or a network"),
        ({"deny": ["all"]}, "deny: 'all' must be .*; leave it out: allow refuses all others"),
        (
            {"allow": ["10.0.0.0/8", "::1"], "deny": ["0.0.0.0/0", "::/0"]},
            "deny has all networks of allow for path '/', so that nobody is let in: leave deny out",
        ),
        ({"access": [{"path": "/x", "allow": ["10.0.0.1"], "deny": ["10.0.0.1"]}]}, "deny has all .* path '/x'"),
        ({"deny": ["10.0.0.1"], "behind_proxy": True}, "allow and deny need trusted_proxies"),
        ({"methods": ["get"]}, "methods: 'get' must be a method of HTTP in capital letters"),
        ({"access": [{"path": "/x"}]}, "access: path '/x' has none of allow, deny and methods"),
        ({"access": [{"path": "/x", "allow": ["y"]}]}, "access: allow: 'y' must be"),
        ({"access": [{"allow": ["10.0.0.1"]}]}, "access: path '' must be an absolute path"),
        (
            {"access": [{"path": "/x/", "deny": ["::1"]}, {"path": "/x", "deny": ["::1"]}]},
            "access: path '/x' is listed",
        ),
    ],
)
def test_an_impossible_rule_is_refused_by_its_option(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=rf"^site 'shop': {message}"):
        parse_site({**SITE, **changes}, {})


def test_a_fixed_answer_below_a_limited_path_is_no_fault() -> None:
    text = text_of(limits=[{"rate": "5r/s"}], locations=[{"path": "= /ping", "config": "return 204;"}])
    assert "limit_req zone=" in text


def test_limits_by_a_count_for_all_visitors_are_possible_behind_any_proxy() -> None:
    assert "site;" in text_of(limits=[{"rate": "5r/s", "key": "site"}], behind_proxy=True)


def test_lists_of_addresses_may_be_the_default_of_all_sites() -> None:
    site = parse_site(SITE, {"deny": ["192.0.2.0/24"], "methods": "GET, POST"})
    assert (site.deny, site.methods) == (("192.0.2.0/24",), ("GET", "POST"))


@pytest.mark.parametrize(
    ("options", "answers"),
    [
        ({"allow": ["10.0.0.0/8"]}, True),
        ({"methods": ["GET"]}, True),
        ({"limits": [{"rate": "5r/s"}]}, True),
        ({"basic_auth": {"users": [{"name": "a", "password": "b"}]}}, True),
        ({}, False),
        ({"allow": ["10.0.0.0/8"], "locations": [{"path": "/.well-known/", "config": "root /srv/ca;"}]}, False),
        ({"allow": ["10.0.0.0/8"], "static": [{"url": "/.well-known/acme-challenge/", "path": "/srv/ca/"}]}, False),
        ({"allow": ["10.0.0.0/8"], "config": "location /.well-known/acme-challenge { root /srv/ca; }"}, False),
    ],
)
def test_the_application_never_answers_the_path_that_no_rule_is_for(options: dict[str, t.Any], answers: bool) -> None:
    site = {"name": "shop", "domains": ["shop.test"], "upstream": ["unix:/run/shop.sock"], **options}
    text = render_site(parse_site(site, {}), (1, 22))
    assert ("location ^~ /.well-known/acme-challenge/ {" in text) == answers


@pytest.mark.parametrize(
    "changes",
    [
        {"allow": ["0.0.0.0/0"], "deny": ["10.0.0.0/8"]},
        {"deny": ["::/0"]},
        {"trusted_proxies": ["0.0.0.0/0", "::/0", "10.0.0.1/8", "10.0.0.2/8"]},
        {"basic_auth": {"users": [{"name": "a", "password": "b"}], "allow": ["::/0"]}},
    ],
)
def test_no_network_comes_twice_with_the_default_which_nginx_would_warn_of(changes: dict[str, t.Any]) -> None:
    for found in maps(text_of(**changes)).values():
        if found.name == "geo":
            networks = [line.name for line in found.block or ()]
            networks += ["0.0.0.0/0", "::/0"] if "default" in networks else []
            assert len(networks) == len(set(networks))
            assert {"0.0.0.0/0", "::/0"} <= set(networks)


def test_what_is_said_of_all_addresses_takes_the_place_of_the_default() -> None:
    (found,) = (each for each in maps(text_of(allow=["0.0.0.0/0"], deny=["10.0.0.0/8"])).values() if each.name == "geo")
    said = {line.name: line.args[0] for line in found.block or ()}
    assert said == {"0.0.0.0/0": "0", "::/0": "1", "10.0.0.0/8": "1"}
