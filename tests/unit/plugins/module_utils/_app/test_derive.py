# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.derive import (
    DeriveError,
    derive_services,
    derive_sites,
)
from ansible_collections.flaskops.stack.plugins.module_utils._site.model import BasicAuth, Cache, Tls
from ansible_collections.flaskops.stack.plugins.module_utils._site.parse import DEFAULT_KEYS, parse_site

SHOP = {"name": "shop", "app": "shop:app", "source": "shop", "domains": ["shop.example.com"]}


def test_a_service_runs_the_release_that_was_built() -> None:
    releases = [{"name": "other", "path": "/srv/other/releases/b"}, {"name": "shop", "path": "/srv/shop/releases/a"}]
    [service] = derive_services([SHOP], releases)
    assert (service["name"], service["release"]) == ("shop", "/srv/shop/releases/a")


def test_a_service_knows_how_visitors_reach_it() -> None:
    releases = [{"name": "shop", "path": "/opt/apps/shop/releases/a"}]
    tls = {"certificate": "/c", "key": "/k"}
    [service] = derive_services([{**SHOP, "trusted_hops": 2, "nginx": {"tls": tls}}], releases, {"https_port": 8443})
    assert service["site"] == {
        "current": "/opt/apps/shop/current",
        "host": "shop.example.com",
        "port": 8443,
        "tls": True,
        "behind_proxy": True,
        "chosen_proxies": False,
        "proxy_protocol": False,
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"domains": []},
        {"domains": ["*.example.com"]},
        {"nginx": {"body_size": "x"}},
        {"nginx": {"static": [{"path": 1}]}},
    ],
)
def test_where_that_cannot_be_known_it_is_left_out(changes: dict[str, object]) -> None:
    releases = [{"name": "shop", "path": "/srv/shop/releases/a"}]
    assert "site" not in derive_services([{**SHOP, **changes}], releases)[0]


def test_a_service_without_a_release_names_the_role_that_builds_it() -> None:
    with pytest.raises(DeriveError, match=r"no release of shop: run role flaskops\.stack\.flask"):
        derive_services([SHOP], [])


def test_one_that_could_not_be_built_has_no_service_and_those_that_could_have() -> None:
    blog = {**SHOP, "name": "blog", "domains": ["blog.example.com"]}
    releases = [{"name": "blog", "path": "/srv/blog/releases/a"}]
    assert [service["name"] for service in derive_services([SHOP, blog], releases, partial=True)] == ["blog"]


def test_one_that_was_not_served_is_not_published_and_the_others_are() -> None:
    blog = {**SHOP, "name": "blog", "domains": ["blog.example.com"]}
    wiki = {**SHOP, "name": "wiki", "domains": ["wiki.example.com"]}
    services = [{"name": "shop", "error": "no answer"}, {"name": "blog", "error": "", "warning": "hook failed"}]
    assert [site["name"] for site in derive_sites([SHOP, blog, wiki], "/srv", services)] == ["blog"]
    assert len(derive_sites([SHOP, blog, wiki], "/srv")) == 3


def test_a_site_leads_to_the_sockets_of_the_current_release() -> None:
    [site] = derive_sites([{**SHOP, "gunicorn": {"instances": 2}}], "/srv")
    assert site == {
        "name": "shop",
        "domains": ["shop.example.com"],
        "upstream": ["unix:/srv/shop/current/run/0.sock", "unix:/srv/shop/current/run/1.sock"],
        "maintenance": {"flag": "/srv/shop/maintenance/on", "page": "/srv/shop/maintenance/page.html", "open": []},
    }


def test_an_application_without_domains_has_no_site() -> None:
    assert derive_sites([{**SHOP, "domains": []}], "/srv") == []


def test_what_the_application_says_of_nginx_wins() -> None:
    nginx = {"read_timeout": 90, "body_size": "1g", "hsts": None}
    [site] = derive_sites([{**SHOP, "nginx": nginx}], "/srv")
    assert (site["read_timeout"], site["body_size"]) == (90, "1g")
    assert "hsts" not in site


def test_nginx_waits_at_least_as_long_as_gunicorn() -> None:
    [site] = derive_sites([{**SHOP, "gunicorn": {"timeout": 300}}], "/srv")
    assert site["read_timeout"] == 300
    assert "read_timeout" not in derive_sites([{**SHOP, "gunicorn": {"timeout": 60}}], "/srv")[0]
    with pytest.raises(DeriveError, match=r"nginx.read_timeout 90 s is less than gunicorn.timeout 300 s"):
        derive_sites([{**SHOP, "gunicorn": {"timeout": 300}, "nginx": {"read_timeout": 90}}], "/srv")


def test_nginx_waits_as_long_below_each_path() -> None:
    def derive(**location: object) -> list[dict[str, object]]:
        nginx = {"locations": [{"path": "/report", **location}]}
        return derive_sites([{**SHOP, "gunicorn": {"timeout": 300}, "nginx": nginx}], "/srv")

    assert derive(read_timeout=600) and derive(read_timeout="300") and derive()
    assert derive(read_timeout=9, upstream=["10.0.0.2:80"])
    with pytest.raises(
        DeriveError, match=r"read_timeout 9 s of nginx.locations '/report' is less than gunicorn.timeout"
    ):
        derive(read_timeout=9)


# A value that is not the option's default, and what a site has then.
OF_DEFAULTS: dict[str, tuple[object, object]] = {
    "body_size": ("1g", "1g"),
    "connect_timeout": (9, 9),
    "read_timeout": (300, 300),
    "send_timeout": (300, 300),
    "buffering": (False, False),
    "websockets": (True, True),
    "behind_proxy": (True, True),
    "trusted_proxies": (["10.0.0.0/8"], ("10.0.0.0/8",)),
    "trusted_hops": (2, 2),
    "proxy_protocol": (True, True),
    "proxy_headers": ({"X-A": "a"}, (("X-Real-Host", "$flaskops_host"), ("X-A", "a"))),
    "pass_headers": (["X-Client-IP"], ("X-Client-IP",)),
    "trusted_headers": (["X-Country"], ("X-Country",)),
    "access_log": ("json", "json"),
    "gzip": (False, False),
    "security_headers": (False, None),
    "hsts": (60, 60),
    "error_pages": (False, None),
    "tls": ({"redirect": False}, Tls("/c", "/k", redirect=False)),
    "ipv6": (False, False),
    "http_port": (8080, 8080),
    "https_port": (8443, 8443),
    "http2": (False, False),
    "http3": (True, True),
    "allow": (["192.0.2.0/24"], ("192.0.2.0/24",)),
    "deny": (["192.0.2.66"], ("192.0.2.66/32",)),
    "methods": (["GET"], ("GET",)),
    "basic_auth": (
        {"users": [{"name": "alice", "password": "secret"}], "open": ["/up"]},
        BasicAuth((("alice", "secret"),), open=("/up",)),
    ),
}


@pytest.mark.parametrize("key", DEFAULT_KEYS)
def test_each_default_of_sites_is_that_of_derived_ones(key: str) -> None:
    given, expected = OF_DEFAULTS[key]
    nginx = {"tls": {"certificate": "/c", "key": "/k"}, "static": [{"url": "/static/", "path": "static"}]}
    defaults = {key: given, **({"trusted_proxies": ["10.0.0.0/8"]} if key == "proxy_protocol" else {})}
    [item] = derive_sites([{**SHOP, "host_header": "X-Real-Host", "nginx": nginx}], "/srv", None, defaults)
    assert getattr(parse_site(item, defaults), key) == expected


@pytest.mark.parametrize(
    ("nginx", "defaults", "expected"),
    [
        ({}, {}, ["X-Real-Host"]),
        ({"trusted_headers": ["X-Country"]}, {"trusted_headers": ["X-No"]}, ["X-Country", "X-Real-Host"]),
        ({}, {"trusted_headers": "X-Country, x-real-host"}, None),
    ],
)
def test_the_host_that_other_proxies_say_is_believed_from_them_alone(
    nginx: dict[str, object], defaults: dict[str, object], expected: object
) -> None:
    app = {**SHOP, "host_header": "X-Real-Host", "trusted_hops": 2, "nginx": nginx}
    [item] = derive_sites([app], "/srv", None, defaults)
    assert item.get("trusted_headers") == expected and "proxy_headers" not in item
    for hops, header in ((1, "X-Real-Host"), (2, ""), (2, "X-Forwarded-Host"), (2, "X.A")):
        other = {**app, "nginx": {}, "trusted_hops": hops, "host_header": header}
        [item] = derive_sites([other], "/srv")
        assert "trusted_headers" not in item


def test_the_site_of_a_mounted_application_takes_its_host_header_from_proxies() -> None:
    below = {**SHOP, "name": "blog", "domains": [], "mount": {"site": "shop", "path": "/blog"}}
    apps = [{**SHOP, "trusted_hops": 2}, {**below, "trusted_hops": 2, "host_header": "X-Real-Host"}]
    [item] = derive_sites(apps, "/srv")
    assert item["trusted_headers"] == ["X-Real-Host"]


@pytest.mark.parametrize("path", ["//health", "/./health", "/a%24b", "/a/%2e%2e/b", "/a%3fb", "/a%252f", "/%0a"])
def test_a_health_path_that_no_rule_of_nginx_can_name_is_neither_open_nor_refused(path: str) -> None:
    auth = {"users": [{"name": "alice", "password": "secret"}]}
    app = {**SHOP, "gunicorn": {"health": {"path": path}}, "nginx": {"cache": {"valid": 5}, "basic_auth": auth}}
    [item] = derive_sites([app], "/srv")
    site = parse_site(item, {})
    assert site.cache == Cache(5) and site.basic_auth == BasicAuth((("alice", "secret"),))


@pytest.mark.parametrize(
    ("health", "nginx", "skipped"),
    [
        ({"path": "/healthz?deep=1"}, {}, ["/healthz"]),
        ({"path": "/gr%C3%BCn%20a"}, {}, ["/grün a"]),
        ({"path": "/"}, {}, []),
        ({}, {}, []),
        ({"path": "/healthz"}, {"access_log_skip": []}, []),
        ({"path": "/healthz"}, {"access_log_skip": ["/metrics"]}, ["/metrics"]),
    ],
)
def test_the_health_path_is_left_out_of_the_log_unless_it_is_the_front_page(
    health: dict[str, str], nginx: dict[str, object], skipped: list[str]
) -> None:
    [site] = derive_sites([{**SHOP, "gunicorn": {"health": health}, "nginx": nginx}], "/srv")
    assert site.get("access_log_skip", []) == skipped


def test_answers_to_the_health_check_are_not_kept() -> None:
    nginx = {"cache": {"valid": 10, "bypass": ["/live"]}}
    [site] = derive_sites([{**SHOP, "gunicorn": {"health": {"path": "/healthz"}}, "nginx": nginx}], "/srv")
    assert site["cache"] == {"valid": 10, "bypass": ["/live", "/healthz"]}
    [site] = derive_sites([{**SHOP, "nginx": nginx}], "/srv")
    assert site["cache"] == nginx["cache"]


@pytest.mark.parametrize("key", ["read_timeout", "behind_proxy"])
def test_what_an_application_leaves_open_is_left_to_the_defaults_that_the_role_applies(key: str) -> None:
    assert key not in derive_sites([SHOP], "/srv")[0]


@pytest.mark.parametrize(
    ("timeout", "default", "given", "expected"),
    [
        (None, None, None, 60),
        (None, 10, None, 30),
        (None, "90", None, 90),
        (300, 90, None, 300),
        ("300", 90, None, 300),
        (300, 900, None, 900),
        (0, None, None, 86400),
        (0, 120, None, 86400),
        (0, 120, 20, 20),
        (30, 120, 40, 40),
    ],
)
def test_nginx_waits_at_least_as_long_as_gunicorn_whoever_says_how_long(
    timeout: object, default: object, given: object, expected: int
) -> None:
    defaults = {"read_timeout": default}
    app = {**SHOP, "gunicorn": {"timeout": timeout}, "nginx": {"read_timeout": given}}
    [item] = derive_sites([app], "/srv", None, defaults)
    assert parse_site(item, defaults).read_timeout == expected


@pytest.mark.parametrize(
    ("defaults", "message"),
    [
        ({"read_timeout": "long"}, 'nginx_site_defaults: read_timeout must be a whole number, not "long"'),
        ({"read_timeout": 0}, "nginx_site_defaults: read_timeout must be between 1 and"),
        ({"proxy_headers": ["X-A"]}, "nginx_site_defaults: proxy_headers must be a dictionary"),
    ],
)
def test_a_default_that_cannot_be_is_named(defaults: dict[str, object], message: str) -> None:
    with pytest.raises(DeriveError, match=message):
        derive_sites([SHOP], "/srv", None, defaults)


def test_headers_of_an_application_take_the_place_of_those_of_the_defaults() -> None:
    app = {**SHOP, "host_header": "X-Real-Host", "nginx": {"proxy_headers": {"X-A": "a"}}}
    [site] = derive_sites([app], "/srv", None, {"proxy_headers": {"X-B": "b"}})
    assert site["proxy_headers"] == {"X-Real-Host": "$flaskops_host", "X-A": "a"}


def test_a_service_knows_of_the_proxy_that_only_the_defaults_name() -> None:
    releases = [{"name": "shop", "path": "/srv/shop/releases/a"}]
    [service] = derive_services([SHOP], releases, {"behind_proxy": True})
    assert service["site"]["behind_proxy"] is True


@pytest.mark.parametrize(
    ("path", "expected"),
    [("shop/static", "/srv/shop/current/app/shop/static"), ("/var/www/shop", "/var/www/shop")],
)
def test_static_paths_are_relative_to_the_code_of_the_release(path: str, expected: str) -> None:
    nginx, gunicorn = {"static": [{"url": "/static/", "path": path}]}, {"asset_grace": 0}
    [site] = derive_sites([{**SHOP, "nginx": nginx, "gunicorn": gunicorn}], "/srv")
    assert site["static"] == [{"url": "/static/", "path": expected}]


@pytest.mark.parametrize(
    ("path", "previous"), [("shop/static", "/run/flaskops/previous/shop/app/shop/static"), ("/var/www/shop", None)]
)
def test_files_of_the_code_are_looked_for_in_the_previous_release_too(path: str, previous: str | None) -> None:
    [site] = derive_sites([{**SHOP, "nginx": {"static": [{"url": "/static/", "path": path}]}}], "/srv")
    assert site["static"][0].get("previous") == previous


@pytest.mark.parametrize(
    ("path", "reachable"), [("/health?deep=1", ["/health"]), ("/gr%C3%BCn", ["/grün"]), ("/", []), ("/?a=b", [])]
)
def test_the_health_can_be_asked_for_during_maintenance_unless_it_is_the_front_page(
    path: str, reachable: list[str]
) -> None:
    nginx = {"maintenance": {"retry_after": 9}}
    [site] = derive_sites([{**SHOP, "gunicorn": {"health": {"path": path}}, "nginx": nginx}], "/srv")
    assert (site["maintenance"]["open"], site["maintenance"]["retry_after"]) == (reachable, 9)


def test_more_than_one_hop_means_another_proxy_in_front() -> None:
    [site] = derive_sites([{**SHOP, "trusted_hops": 2}], "/srv")
    assert (site["behind_proxy"], site["trusted_hops"]) == (True, 2)


def test_a_visitor_cannot_say_what_is_in_a_host_header_of_its_own() -> None:
    app = {**SHOP, "host_header": "X-Real-Host", "nginx": {"proxy_headers": {"X-A": "a"}}}
    assert derive_sites([app], "/srv")[0]["proxy_headers"] == {"X-Real-Host": "$flaskops_host", "X-A": "a"}
    assert derive_sites([{**app, "trusted_hops": 2}], "/srv")[0]["proxy_headers"] == {"X-A": "a"}


def test_one_domain_belongs_to_one_application() -> None:
    blog = {**SHOP, "name": "blog", "domains": ["blog.example.com"], "nginx": {"redirects": ["SHOP.example.com"]}}
    with pytest.raises(DeriveError, match=r"domain 'shop\.example\.com' is claimed by 'shop' and 'blog'"):
        derive_sites([SHOP, blog], "/srv")


def test_one_name_belongs_to_one_application() -> None:
    with pytest.raises(DeriveError, match="name 'shop' 2 times"):
        derive_sites([SHOP, SHOP], "/srv")
