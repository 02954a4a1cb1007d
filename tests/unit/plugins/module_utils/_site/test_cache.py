# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of an application that nginx keeps."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._site.cache import cache_blocks
from ansible_collections.flaskops.stack.plugins.module_utils._site.parse import parse_site
from ansible_collections.flaskops.stack.plugins.module_utils._site.render import render_site
from ansible_collections.flaskops.stack.plugins.module_utils._site.syntax import parse

SNIPPET = (Path(__file__).parents[5] / "roles/nginx/files/flaskops.conf").read_text(encoding="utf-8")
SITE: dict[str, t.Any] = {"name": "shop", "domains": ["shop.test"], "upstream": ["unix:/srv/shop/current/run/0.sock"]}


def rendered(**options: object) -> str:
    return render_site(parse_site({**SITE, **options}, {}), (1, 22))


def key(**options: object) -> str:
    return str(re.findall(r'proxy_cache_key "(.*)";', rendered(cache={"valid": 10}, **options))[0])


def test_nothing_is_kept_unless_told() -> None:
    assert "cache" not in rendered(error_pages=False)
    assert cache_blocks(parse_site(SITE, {})) == []


def test_the_key_has_the_release_and_all_that_the_application_makes_urls_of() -> None:
    assert key()[9:] == "$scheme $flaskops_host $flaskops_root $request_uri"
    for log in ("combined", "json"):
        text = rendered(cache={"valid": 10}, access_log=log)
        assert text.count('root "/srv/shop/current/run";') == text.count("set $flaskops_root $realpath_root;") == 1
    assert key(behind_proxy=True)[9:] == "$flaskops_xproto $flaskops_xhost $flaskops_root $request_uri"


def test_an_application_of_somebody_else_has_no_release_in_the_key() -> None:
    text = rendered(cache={"valid": 10}, upstream=["127.0.0.1:8000"])
    assert not re.search("realpath_root|flaskops_root|flaskops_moved| root ", text)


def test_the_key_has_what_the_application_is_told_besides() -> None:
    headers = {"X-Lang": "$http_x_lang", "X-Request-Start": "t=${msec}", "X-Site": "shop", "X-Real-Host": "$host"}
    assert key(proxy_headers=headers).endswith("$request_uri $http_x_lang")
    assert key(pass_headers=["X-HTTP-Method-Override"]).endswith(" $http_x_http_method_override")
    assert key(trusted_headers=["X-Country"]) == key()
    assert key(trusted_headers=["X-Country"], behind_proxy=True).endswith(" $http_x_country")
    assert re.search(r" \$flaskops_p[0-9]+$", key(trusted_headers=["X-Country"], trusted_proxies=["10.0.0.1"]))
    told = "proxy_set_header X-User $ssl_client_s_dn;"
    assert key(config=told).endswith(" $uri$is_args$args $ssl_client_s_dn")
    assert key(locations=[{"path": "/", "config": told}]).endswith(" $uri$is_args$args $ssl_client_s_dn")


def test_other_rules_have_other_keys_in_the_same_directory() -> None:
    texts = [rendered(cache={"valid": valid}) for valid in (10, 20)]
    keys, places = ([re.findall(rf"{name} (\S+)", text) for text in texts] for name in ("_key", "_path"))
    assert keys[0] != keys[1] and places[0] == places[1] == ['"/var/cache/flaskops-answers-shop"']


def test_what_is_for_one_visitor_is_not_kept_and_many_requests_become_one() -> None:
    text = rendered(cache={"valid": 10, "wait": 7})
    for line in (
        "proxy_cache_bypass $flaskops_private;",
        "proxy_no_cache $flaskops_private $flaskops_unkept $upstream_http_set_cookie $flaskops_moved;",
        "proxy_cache_methods GET HEAD;",
        "proxy_cache_lock on;",
        "proxy_cache_lock_timeout 7s;",
        "proxy_cache_use_stale updating error timeout;",
        "add_header X-Cache-Status $flaskops_shop_kept always;",
    ):
        assert line in text, line


def test_a_private_request_is_passed_on_as_if_there_was_no_cache() -> None:
    """With a cache, nginx makes GET of HEAD and takes out Range and If-None-Match."""
    text = rendered(cache={"valid": 10})
    assert "proxy_cache $flaskops_shop_zone;" in text
    found = next(item for item in parse(text) if "$flaskops_shop_zone" in item.args and item.name == "map")
    assert found.args[0] == "$flaskops_private"
    assert [(item.name, item.args[0]) for item in found.block or ()] == [
        ("default", "off"),
        ("", "$flaskops_shop_cache"),
    ]


def test_no_visitor_gets_an_answer_that_is_too_old_when_he_comes_alone() -> None:
    """A page that is gone would be served for as long as visitors ask for it."""
    text = rendered(cache={"valid": 10})
    assert "background_update" not in text
    assert "proxy_cache_valid 301 308 404 410 1s;" in text


def test_lines_of_a_user_take_the_place_of_ours_but_for_who_is_left_out() -> None:
    text = rendered(
        cache={"valid": 10},
        config="proxy_no_cache $arg_a;\nproxy_cache_lock off;",
        locations=[{"path": "/", "config": "proxy_cache_bypass $arg_b;\nproxy_cache_valid 200 1s;"}],
    )
    place = text[text.index('location "/" {') :]
    assert "proxy_no_cache $flaskops_private" in place and "proxy_no_cache $arg_a;" in place
    assert "proxy_cache_bypass $flaskops_private;" in place and "proxy_cache_bypass $arg_b;" in place
    assert "proxy_cache_lock on" not in text and "proxy_cache_valid 200 10s" not in text


@pytest.mark.parametrize(
    "headers",
    [
        {"cookie": "a=b"},
        {"authorization": "Basic eA=="},
        {"upgrade": "websocket"},
        {"x_api_key": "k"},
        {"x_forwarded_user": "k"},
        {"x_ssl_client_s_dn": "CN=k"},
    ],
)
def test_a_request_that_says_who_asks_is_private(headers: dict[str, str]) -> None:
    names = re.findall(
        r"\$http_(\w+)", next(item.args[0] for item in parse(SNIPPET) if "$flaskops_private" in item.args)
    )
    assert set(headers) < set(names)


@pytest.mark.parametrize(
    ("cache", "path", "kept"),
    [
        ({}, "/", True),
        ({}, "/any", True),
        ({"paths": ["/news/"]}, "/news", True),
        ({"paths": ["/news"]}, "/news/1", True),
        ({"paths": ["/news"]}, "/newsletter", False),
        ({"paths": ["/news"], "bypass": ["/news/live"]}, "/news/live/1", False),
        ({"bypass": ["/a.b"]}, "/axb", True),
    ],
)
def test_paths_are_kept_but_for_those_that_bypass(cache: dict[str, t.Any], path: str, kept: bool) -> None:
    (found,) = [
        item
        for item in parse(rendered(cache={"valid": 10, **cache}))
        if item.name == "map" and item.args[1] == "$flaskops_shop_cache"
    ]
    values = {item.name: item.args[0] for item in found.block or ()}
    regexes = [(name[1:], value) for name, value in values.items() if name[0] == "~"]
    assert (next((value for regex, value in regexes if re.search(regex, f"0{path}")), "off") != "off") is kept
    # The application may make another path of one that was sent with "..".
    assert not any(re.search(regex, f"1{path}") for regex, _value in regexes)


def test_a_location_with_an_upstream_of_its_own_keeps_nothing() -> None:
    locations = [{"path": "/other/", "upstream": ["10.0.0.2:80"]}, {"path": "/ping", "config": "return 204;"}]
    assert rendered(cache={"valid": 10}, locations=locations).count("proxy_cache_key") == 1
    assert rendered(cache={"valid": 10}, locations=[{"path": "/slow/"}]).count("proxy_cache_key") == 2
    # The release is not known where a user's lines say where files are.
    locations = [{"path": "/", "config": "root /srv/x;\nproxy_pass http://flaskops-shop;"}]
    assert "proxy_cache_key" not in rendered(cache={"valid": 10}, locations=locations)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cache": {}}, "cache: valid is missing: set the seconds"),
        ({"cache": {"valid": 0}}, "cache: valid must be between 1 and"),
        ({"cache": {"valid": 10, "max_size": "much"}}, "cache: max_size 'much'"),
        ({"cache": {"valid": 10, "max_size": "0m"}}, "cache: max_size '0m' would keep nothing"),
        ({"cache": {"valid": 10, "paths": ["news"]}}, "cache: paths 'news' must be an absolute path"),
        ({"cache": {"valid": 10, "bypass": ["/$x"]}}, "cache: bypass '/$x' must be an absolute path"),
        ({"cache": {"valid": 10, "paths": ["/a?b"]}}, "cache: paths '/a?b' must be written decoded"),
        ({"cache": {"valid": 10, "bypass": ["/"]}}, "cache: bypass leaves nothing of paths /"),
        ({"cache": {"valid": 10, "paths": ["/a/b", "/a"], "bypass": ["/a"]}}, "cache: bypass leaves nothing"),
        ({"cache": {"valid": 10, "wait": -1}}, "cache: wait must be between 0 and 3600"),
        ({"cache": {"valid": 10, "ttl": 1}}, "cache: unknown key 'ttl'"),
        ({"cache": 10}, "cache must be a dictionary"),
        ({"cache": {"valid": 10}, "buffering": False}, "cache needs buffering"),
        (
            {"cache": {"valid": 10}, "upstream": [], "static": [{"url": "/", "path": "/srv/x"}]},
            "cache needs upstream",
        ),
    ],
)
def test_a_cache_that_cannot_be_is_refused(options: dict[str, t.Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_site({**SITE, **options}, {})
    assert message in str(caught.value)
