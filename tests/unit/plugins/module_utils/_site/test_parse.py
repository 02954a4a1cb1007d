# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._site.model import Location, Server, Site, Static, Tls
from ansible_collections.flaskops.stack.plugins.module_utils._site.parse import parse_site, parse_sites

LEAST: dict[str, object] = {"name": "shop", "domains": ["shop.test"], "upstream": ["10.0.0.1:8000"]}
MOUNTED: dict[str, object] = {"upstream": ["127.0.0.1:8001"]}
PROTECTED = {**MOUNTED, "basic_auth": {"users": [{"name": "alice", "password": "secret"}]}}
CERTIFICATE = {"certificate": "/c.pem", "key": "/k.pem"}


def test_the_least_that_a_site_says_is_enough() -> None:
    assert parse_site(LEAST, {}) == Site(name="shop", domains=("shop.test",), upstream=(Server("10.0.0.1:8000"),))


def test_a_site_may_say_everything() -> None:
    site = parse_site(
        {
            **LEAST,
            "state": "disabled",
            "redirects": "www.shop.test, Old.test",
            "upstream": [
                "unix:/a",
                {"server": "10.0.0.2", "weight": 2, "max_fails": 0, "fail_timeout": 5, "down": True},
            ],
            "balance": "least_conn",
            "static": [
                {"url": "/static", "path": "/srv/static"},
                {"url": "/m//", "path": "/m/", "immutable": True, "expires": 5},
            ],
            "read_timeout": "90",
            "trusted_proxies": ["10.0.0.0/8"],
            "proxy_headers": {"X-A": "$host", "X-B": None},
            "access_log": False,
            "security_headers": {"X-Frame-Options": "DENY"},
            "tls": {**CERTIFICATE, "redirect": "no"},
            "locations": [{"path": "=   /ping", "config": "return 204;"}, {"path": "/x", "upstream": ["unix:/x"]}],
            "config": "\ndeny all;\n",
        },
        {},
    )
    assert (site.redirects, site.access_log, site.read_timeout) == (("www.shop.test", "old.test"), "off", 90)
    assert site.upstream == (
        Server("unix:/a"),
        Server("10.0.0.2", ("weight=2", "max_fails=0", "fail_timeout=5s", "down")),
    )
    assert site.static == (Static("/static/", "/srv/static/"), Static("/m/", "/m/", True, 5))
    assert site.locations == (Location("=", "/ping", (), "return 204;"), Location("", "/x", (Server("unix:/x"),)))
    assert site.proxy_headers == (("X-A", "$host"), ("X-B", ""))
    assert site.security_headers == (("X-Frame-Options", "DENY"),)
    assert site.tls == Tls("/c.pem", "/k.pem", redirect=False)
    assert (site.from_proxy, site.config) == (True, "deny all;")


def test_only_what_names_a_file_may_not_be_long() -> None:
    long = "/" + "a" * 199
    site = parse_site({**LEAST, "mounts": [{**MOUNTED, "path": long}, {**PROTECTED, "path": "/" + "b" * 190}]}, {})
    assert site.mounts[0].path == long
    opened = [f"/some/longish/path/number/{number}/up" for number in range(100)]
    assert parse_site({**LEAST, "maintenance": {"flag": "/on", "open": opened}}, {}).maintenance.open == tuple(opened)


@pytest.mark.parametrize(
    ("url", "path"),
    [("/v1.2", "/srv/v1.2"), ("/robots.txt/", "/srv/robots.txt/"), ("/a.js", "/srv/a"), ("/a", "/b.js")],
)
def test_a_directory_may_have_a_dot_in_its_name(url: str, path: str) -> None:
    site = parse_site({"name": "shop", "domains": ["a.example"], "static": [{"url": url, "path": path}]}, {})
    assert site.static[0].path == path.rstrip("/") + "/"


def test_a_site_takes_what_it_does_not_say_from_the_defaults() -> None:
    defaults = {"body_size": "1g", "ipv6": False, "gzip": False}
    site = parse_site({**LEAST, "gzip": True, "body_size": None}, defaults)
    assert (site.body_size, site.ipv6, site.gzip) == ("1g", False, True)


@pytest.mark.parametrize(
    "key",
    [
        *(
            "name",
            "state",
            "domains",
            "redirects",
            "upstream",
            "balance",
            "static",
            "cache",
            "locations",
            "maintenance",
        ),
        *("config", "content", "template", "foreign", "rename_from", "zzz"),
    ],
)
def test_what_makes_a_site_itself_has_no_default(key: str) -> None:
    with pytest.raises(InputError, match=f"nginx_site_defaults: unknown key '{key}'"):
        parse_site(LEAST, {key: "x"})


@pytest.mark.parametrize(
    ("defaults", "message"),
    [
        (True, "nginx_site_defaults must be a dictionary, not True"),
        ("abc", "nginx_site_defaults must be a dictionary, not 'abc'"),
        ({"read_timeout": "1m"}, 'nginx_site_defaults.read_timeout must be a whole number, not "1m"'),
        ({"trusted_proxies": {"a": 1}}, "nginx_site_defaults.trusted_proxies must be a list"),
    ],
)
def test_an_error_in_the_defaults_names_their_variable(defaults: t.Any, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        parse_site(LEAST, defaults)


@pytest.mark.parametrize("security_headers", [False, "no"])
def test_security_headers_can_be_left_out(security_headers: object) -> None:
    assert parse_site({**LEAST, "security_headers": security_headers}, {}).security_headers is None


@pytest.mark.parametrize("path", ["~ ^/a?%20$", "~* x?", "/100%", "= /50%off", "//a", "/b ü"])
def test_a_path_that_a_request_may_have_is_taken(path: str) -> None:
    assert parse_site({**LEAST, "locations": [{"path": path}]}, {}).locations


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "name must be 1 to 64 letters"),
        ({"name": "../shop"}, "name must be 1 to 64 letters"),
        ({"name": "shop\n"}, "name must be 1 to 64 letters"),
        ({"name": "flaskops-default"}, "taken by the site for unknown hosts"),
        ({"name": "default"}, "taken by the site for unknown hosts"),
        ({"domain": ["x"]}, "site 'shop': unknown key 'domain'; did you mean 'domains'"),
        ({"domains": []}, "domains must list at least one"),
        ({"domains": ["a b"]}, "must be a host name"),
        ({"domains": ["a.test", "A.test"]}, "domain 'a.test' is listed twice"),
        ({"redirects": ["shop.test"]}, "domain 'shop.test' is listed twice"),
        ({"domains": ["*.a.test"], "redirects": ["b.test"]}, "put a host name without '\\*' first"),
        ({"upstream": []}, "nothing is served"),
        ({"upstream": [{"server": "a", "wieght": 1}]}, "upstream: unknown key 'wieght'; did you mean 'weight'"),
        ({"upstream": [{"weight": 1}]}, "upstream '' must be"),
        ({"upstream": [5]}, "upstream must be a dictionary"),
        ({"balance": "fair"}, "balance must be one of"),
        ({"balance": "ip_hash", "upstream": ["a", {"server": "b", "backup": True}]}, "cannot have a backup"),
        ({"upstream": [{"server": "a", "backup": True}]}, "upstream has backup servers only"),
        (
            {"balance": "random", "locations": [{"path": "/x", "upstream": ["a", {"server": "b", "backup": True}]}]},
            "locations: path '/x': balance random cannot have a backup",
        ),
        (
            {"mounts": [{"path": "/m", "balance": "ip_hash", "upstream": ["a", {"server": "b", "backup": True}]}]},
            "mounts: path '/m': balance ip_hash cannot have a backup",
        ),
        ({"static": [{"url": "static", "path": "/s"}]}, "static: url 'static' must be an absolute path"),
        ({"static": [{"url": "/s", "path": "s"}]}, "static: path 's' must be an absolute path"),
        ({"static": [{"url": "/s", "path": "/s/../.."}]}, "must be an absolute path without '..'"),
        ({"static": [{"url": "/s", "path": "/s", "expires": "1y"}]}, "static: expires must be a whole number"),
        ({"static": [{"url": "/", "path": "/s"}]}, "leaves nothing for upstream"),
        ({"static": [{"url": "/s", "path": "/a"}, {"url": "/s/", "path": "/b"}]}, "path '/s/' is listed twice"),
        ({"static": [{"url": "/s", "path": "/a"}], "locations": [{"path": "^~ /s/"}]}, "path '/s/' is listed twice"),
        ({"body_size": "16m; deny all"}, "body_size '16m; deny all' must be a number of bytes"),
        ({"read_timeout": 0}, "read_timeout must be between 1"),
        ({"http_port": 0}, "http_port must be between 1 and 65535"),
        ({"proxy_headers": {"X Y": "a"}}, "header name 'X Y'"),
        ({"proxy_headers": {"X-Y": "a\nb"}}, "line breaks"),
        ({"proxy_headers": {"X-Y": "US$"}}, "proxy_headers: the value of 'X-Y' has a '\\$' that begins no variable"),
        ({"security_headers": {"X-Y": "${host"}}, "security_headers: the value of 'X-Y' has a '\\$' that begins no"),
        ({"security_headers": {"X-Y": "ü" * 2047}}, "security_headers: the value of 'X-Y' has 4096 bytes with"),
        ({"proxy_headers": ["X"]}, "proxy_headers must be a dictionary"),
        ({"security_headers": {"X-Y": "a\nb"}}, "line breaks"),
        ({"security_headers": ["X"]}, "security_headers must be true or false"),
        ({"hsts": 1}, "hsts needs tls"),
        ({"tls": {"certificate": "/c"}}, "tls: key is missing: mode files needs key and certificate"),
        ({"tls": {**CERTIFICATE, "cert": "x"}}, "tls: unknown key 'cert'"),
        (
            {"tls": {**CERTIFICATE, "profile": "old"}},
            "tls: profile must be one of intermediate, modern, not 'old'",
        ),
        ({"tls": CERTIFICATE, "https_port": 80}, "http_port and https_port are both 80"),
        ({"proxy_protocol": True}, r"proxy_protocol needs trusted_proxies.*such as \[10\.0\.0\.0/24\]"),
        ({"proxy_protocol": True, "trusted_proxies": ["10.0.0.1"], "behind_proxy": True}, "exclude each other.*hops"),
        (
            {"proxy_protocol": True, "trusted_proxies": ["10.0.0.1"], "http3": True, "tls": CERTIFICATE},
            "http3 is impossible behind another",
        ),
        ({"proxy_protocol": True, "trusted_proxies": ["10.0.0.1"], "hsts": 60}, "hsts needs tls"),
        ({"http3": True}, "http3 needs tls, because HTTP/3 is always encrypted: set tls, or http3 to false"),
        ({"http3": True, "tls": CERTIFICATE, "behind_proxy": True}, "http3 is impossible behind another proxy"),
        ({"http3": "yes", "tls": CERTIFICATE, "trusted_proxies": ["10.0.0.1"]}, "http3 is impossible behind another"),
        ({"locations": [{"path": "x"}]}, "locations: path 'x' must start with"),
        ({"locations": [{"path": "/x", "websockets": "maybe"}]}, "locations: websockets"),
        ({"locations": [{"path": "/x", "buffering": []}]}, "locations: buffering"),
        ({"locations": [{"path": "/x", "read_timeout": 0}]}, "locations: read_timeout must be between 1"),
        ({"locations": [{"path": "/x", "body_size": "much"}]}, "locations: body_size 'much'"),
        ({"locations": [{"path": "/search?q=1"}]}, r"locations: path '/search\?q=1' would match no request"),
        ({"locations": [{"path": "= /a%20b"}]}, "locations: path '/a%20b' would match no request"),
        (
            {"static": [{"url": "/robots.txt", "path": "/srv/static/robots.txt"}]},
            r"looks like a file, and static is for directories: .* {path: = /robots.txt, config: 'alias /srv/",
        ),
        ({"static": [{"url": "/b%C3%BCcher", "path": "/s"}]}, "static: url '/b%C3%BCcher' would match no request"),
        ({"maintenance": {"flag": "/on", "open": ["/up?x"]}}, r"maintenance: open '/up\?x' would match no request"),
        (
            {
                "maintenance": {
                    "flag": "/on",
                    "open": [f"/some/longish/path/number/{number}/up" for number in range(120)],
                }
            },
            r"maintenance: the paths that stay open make an expression of 4\d+ bytes, and nginx reads no word of more",
        ),
        (
            {"mounts": [{**PROTECTED, "path": "/" + "a" * 199}]},
            "has 200 characters, and with basic_auth it names a file",
        ),
        ({"mounts": [{**MOUNTED, "path": "/" + "a" * 199, "cache": {"valid": 10}}]}, "with cache it names a file"),
        ({"access_log_skip": ["/a%2fb"]}, "access_log_skip '/a%2fb' would match no request"),
        ({"locations": [{"path": "= "}]}, "locations: path '=' must start with"),
        ({"locations": [{"path": "/a\nb"}]}, "line breaks"),
        ({"locations": [{"path": "/a", "config": "} server {"}]}, "config is not whole: line 1 has a '}'"),
        ({"config": "deny all"}, "config is not whole: it ends without a ';'"),
        ({"content": "a", "template": "b"}, "exclude each other"),
    ],
)
def test_an_impossible_site_is_refused_by_its_name(changes: dict[str, object], message: str) -> None:
    item = {**LEAST, **changes}
    with pytest.raises(InputError, match=message) as caught:
        parse_site(item, {})
    assert str(caught.value).startswith(f"site '{item['name']}': ")


@pytest.mark.parametrize(
    "item", [{"name": "a", "state": "absent"}, {"name": "a", "content": "x"}, {"name": "a", "template": "x"}]
)
def test_a_site_whose_text_is_not_ours_needs_nothing_else(item: dict[str, object]) -> None:
    assert parse_site(item, {}).name == "a"


@pytest.mark.parametrize("extra", [{"behind_proxy": True}, {"trusted_proxies": ["10.0.0.1"]}, {"tls": CERTIFICATE}])
def test_hsts_is_possible_wherever_https_is_spoken(extra: dict[str, object]) -> None:
    assert parse_site({**LEAST, "hsts": 60, **extra}, {}).hsts == 60


def test_two_sites_with_one_domain_are_refused_by_both_names() -> None:
    other = {**LEAST, "name": "blog", "domains": ["blog.test"], "redirects": ["SHOP.test"]}
    with pytest.raises(InputError, match=r"sites 'shop' and 'blog' both have the domain 'shop\.test' on port 80"):
        parse_sites([LEAST, other], {})


def test_two_sites_with_one_domain_are_refused_whatever_their_text_is() -> None:
    with pytest.raises(InputError, match="both have the domain"):
        parse_sites([LEAST, {"name": "blog", "template": "x.j2", "domains": ["shop.test"]}], {})


def test_two_tls_profiles_on_one_port_are_refused() -> None:
    modern = {"name": "blog", "domains": ["blog.test"], "tls": {**CERTIFICATE, "profile": "modern"}}
    shop = {**LEAST, "tls": CERTIFICATE}
    message = (
        r"sites 'shop' and 'blog' have the tls\.profile 'intermediate' and 'modern' on port 443.*: give them the same "
        "profile, or one of them another https_port"
    )
    blog = {**LEAST, **modern}
    with pytest.raises(InputError, match=message):
        parse_sites([shop, {**LEAST, "name": "c", "domains": ["c.test"]}, blog], {})
    with pytest.raises(InputError, match=message):
        parse_sites([shop, {**modern, "template": "x.j2"}], {})
    for change in ({"https_port": 8443}, {"state": "disabled"}, {"tls": CERTIFICATE}, {"tls": None}):
        assert len(parse_sites([shop, {**blog, **change}], {})) == 2


@pytest.mark.parametrize(
    ("networks", "named"),
    [
        (["0.0.0.0/0"], "0.0.0.0/0"),
        (["10.0.0.1", "::/0"], "::/0"),
        (["0.0.0.0/1", "10.0.0.1", "128.0.0.0/1"], "0.0.0.0/0"),
        (["::/1", "8000::/1"], "::/0"),
        ([f"{first}.0.0.0/8" for first in range(256)], "0.0.0.0/0"),
        (["2000::/3"], "2000::/3"),
        (["::ffff:0:0/96"], "0.0.0.0/0"),
        (["::ffff:0:0/97", "128.0.0.0/1"], "0.0.0.0/0"),
        (["128.0.0.0/2"], "128.0.0.0/2"),
        (["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "127.0.0.1", "::1"], ""),
        (["::ffff:10.0.0.0/104"], ""),
    ],
)
def test_the_proxy_protocol_is_not_believed_from_everybody(networks: list[str], named: str) -> None:
    item = {**LEAST, "trusted_proxies": networks}
    assert parse_site(item, {}).from_proxy
    if named:
        message = re.escape(f"site 'shop': proxy_protocol: trusted_proxies has {named}, and each host")
        with pytest.raises(InputError, match=message):
            parse_site({**item, "proxy_protocol": True}, {})
    else:
        assert not parse_site({**item, "proxy_protocol": "yes"}, {}).from_proxy


def test_sites_of_a_port_agree_on_the_proxy_protocol() -> None:
    shop = {**LEAST, "tls": CERTIFICATE, "proxy_protocol": True, "trusted_proxies": ["10.0.0.1"]}
    blog = {**LEAST, "name": "blog", "domains": ["blog.test"]}
    message = "site 'shop' has proxy_protocol on port %s, and site 'blog' on the same port has not.*http_port"
    for sites in ([shop, blog], [blog, shop]):
        with pytest.raises(InputError, match=message % 80):
            parse_sites(sites, {})
    with pytest.raises(InputError, match=message % 443):
        parse_sites([shop, {**blog, "tls": CERTIFICATE, "http_port": 8080}], {})
    text = {"name": "own", "template": "x.j2", "domains": ["own.test"]}
    for others in ([{**blog, "http_port": 8080}], [{**blog, "state": "disabled"}], [text, {**shop, **blog}]):
        assert parse_sites([shop, *others], {})


def test_two_sites_with_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="two sites have the name 'shop'"):
        parse_sites([LEAST, {**LEAST, "domains": ["b.test"]}], {})


@pytest.mark.parametrize("changes", [{"http_port": 8080}, {"state": "disabled"}, {"state": "absent"}])
def test_one_domain_may_be_that_of_two_sites_that_do_not_meet(changes: dict[str, object]) -> None:
    assert len(parse_sites([LEAST, {**LEAST, "name": "blog", **changes}], {})) == 2
