# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import re
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._site.headers import FAMILY, OVERRIDE, is_for_proxies
from ansible_collections.flaskops.stack.plugins.module_utils._site.model import Static
from ansible_collections.flaskops.stack.plugins.module_utils._site.parse import parse_sites
from ansible_collections.flaskops.stack.plugins.module_utils._site.render import (
    fallback,
    parse_version,
    previous_location,
    site_configs,
)
from ansible_collections.flaskops.stack.plugins.module_utils._site.syntax import Directive, descend, parse
from hypothesis import given
from hypothesis import strategies as st

OLD, MIDDLE, NEW = "1.18.0", "1.24.0", "1.30.6"
SNIPPET = Path(__file__).parents[5] / "roles/nginx/files/flaskops.conf"
SITE: dict[str, t.Any] = {"name": "shop", "domains": ["shop.test"], "upstream": ["unix:/srv/shop/current/run/0.sock"]}
TLS = {"certificate": "/etc/tls/c.pem", "key": "/etc/tls/k.pem"}
EVERYTHING: dict[str, t.Any] = {
    **SITE,
    "redirects": ["www.shop.test"],
    "upstream": ["unix:/a.sock", {"server": "10.0.0.1:80", "weight": 2}],
    "balance": "least_conn",
    "maintenance": {"flag": "/srv/on", "page": "/srv/page.html", "open": ["/health"]},
    "static": [
        {"url": "/static/", "path": "/srv/static", "previous": "/run/p"},
        {"url": "/media", "path": "/srv/media", "immutable": True},
    ],
    "trusted_proxies": ["10.0.0.0/8"],
    "proxy_headers": {"X-Mine": "$host"},
    "security_headers": {"Content-Security-Policy": "default-src 'self'"},
    "websockets": True,
    "hsts": 60,
    "cache": {"valid": 10, "paths": ["/news"]},
    "error_pages": {"de": {404: {"title": "Nicht gefunden", "text": "Diese Seite gibt es nicht."}}},
    "tls": TLS,
    "locations": [{"path": "~ [.]x$", "config": "deny all;"}, {"path": "/other/", "upstream": ["10.0.0.2"]}],
    "limits": [
        {"path": "/login", "rate": "30r/m", "burst": 5},
        {"rate": "50r/s", "connections": 20, "key": "site"},
        {"path": "/api/", "rate": "5r/s", "key": "header:X-Api-Key"},
        {"path": "/c", "connections": 5, "key": "cookie:sid"},
    ],
    "deny": ["192.0.2.66"],
    "access": [{"path": "/admin", "allow": ["10.0.0.0/8"]}, {"path": "/api", "methods": ["GET", "POST"]}],
    "config": "client_body_buffer_size 1m;",
}

PATHS = [
    "/", "/health.json", "/healthxjson", "/health.json/x", "/a/health.json",
    "/.well-known/acme-challenge/x", "/.well-known/x",
    "/flaskops-maintenance", "/flaskops-maintenance.html", "/flaskops-maintenance/x",
]  # fmt: skip


def rendered(site: dict[str, t.Any], version: str = NEW) -> str:
    """Return the text of the one site that is not a catch-all."""
    return str(site_configs([site], {}, version, catch_all=True)[-1]["content"])


def servers(text: str) -> list[Directive]:
    """Return the server blocks of a text that is whole."""
    directives = parse(text)
    return [directive for directive in directives if directive.name == "server"]


def words(block: Directive) -> list[list[str]]:
    """Return the directives of a block's outermost level as words."""
    assert block.block is not None
    return [[directive.name, *directive.args] for directive in block.block]


def locations(block: Directive) -> dict[str, list[list[str]]]:
    """Return the locations of a server by what they match."""
    assert block.block is not None
    return {" ".join(place.args): words(place) for place in block.block if place.name == "location"}


def main(site: dict[str, t.Any], version: str = NEW) -> Directive:
    """Return the server block that does the work, the last one."""
    return servers(rendered(site, version))[-1]


def sent_headers(lines: list[list[str]]) -> dict[str, str]:
    """Return the request headers that a block sets; each only once."""
    found = [(line[1], line[2]) for line in lines if line[0] == "proxy_set_header"]
    assert len(dict(found)) == len(found)
    return dict(found)


@pytest.mark.parametrize(("text", "version"), [("1.18.0", (1, 18, 0)), ("1.30.6", (1, 30, 6)), ("", (9999,))])
def test_versions_compare(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("version", "listen", "directive"),
    [(OLD, "443 ssl http2", False), ("1.25.0", "443 ssl http2", False), ("1.25.1", "443 ssl", True)],
)
def test_http2_is_written_as_the_version_reads_it(version: str, listen: str, directive: bool) -> None:
    found = words(main({**SITE, "tls": TLS}, version))
    assert ["listen", *listen.split()] in found
    assert (["http2", "on"] in found) is directive


def test_http2_can_be_off() -> None:
    for version in (OLD, NEW):
        assert "http2" not in rendered({**SITE, "tls": TLS, "http2": False}, version)


@pytest.mark.parametrize(("version", "kept"), [("1.29.6", False), ("1.29.7", True)])
def test_connections_to_the_application_are_never_kept(version: str, kept: bool) -> None:
    assert ("keepalive 0;" in rendered(SITE, version)) is kept
    assert sent_headers(words(main(SITE, version)))["Connection"] == "close"


def test_a_site_listens_on_both_protocols_unless_told_otherwise() -> None:
    assert [line[1] for line in words(main(SITE)) if line[0] == "listen"] == ["80", "[::]:80"]
    assert [line[1] for line in words(main({**SITE, "ipv6": False, "http_port": 8080})) if line[0] == "listen"] == [
        "8080"
    ]


def test_the_application_gets_every_header_once_and_none_that_is_forged() -> None:
    assert sent_headers(words(main(SITE))) == {
        "Host": "$flaskops_host",
        "X-Real-IP": "$remote_addr",
        "X-Forwarded-For": "$remote_addr",
        "X-Forwarded-Proto": "$scheme",
        "X-Forwarded-Host": "$flaskops_host",
        "X-Scheme": "$scheme",
        "X-Request-ID": "$flaskops_id",
        "Connection": "close",
        "Proxy": "",
        **dict.fromkeys(FAMILY, ""),
    }


def test_headers_of_another_proxy_are_handed_on_only_behind_one() -> None:
    headers = sent_headers(words(main({**SITE, "behind_proxy": True})))
    assert headers["X-Forwarded-For"] == "$proxy_add_x_forwarded_for"
    assert headers["X-Forwarded-Proto"] == headers["X-Scheme"] == "$flaskops_xproto"
    assert headers["X-Forwarded-Host"] == "$flaskops_xhost"
    assert "Forwarded" not in headers
    # No proxy sets these: they ask for another path or method than the proxy has seen.
    assert {"X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "Proxy"} <= set(headers)


@pytest.mark.parametrize(
    "name",
    [
        "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Scheme", "X-Client-IP", "True-Client-IP", "X-Host",
        "Front-End-Https", "X-HTTP-Method-Override", "X-Forwarded-Ssl", "X-Forwarded-Server", "X-Forwarded-Port",
        "X-Forwarded-Prefix", "Forwarded", "CF-Connecting-IP", "Fastly-Client-IP", "X-Cluster-Client-IP",
        "X-Original-Host", "X-ProxyUser-Ip", "X-Method-Override", "X-HTTP-Method", "Proxy", "Client-IP",
        "X-Forwarded-User", "Remote-User",
    ],
)  # fmt: skip
def test_relatives_of_the_forwarded_headers_are_taken_out(name: str) -> None:
    assert sent_headers(words(main(SITE)))[name] == ""


def test_a_header_that_the_application_needs_is_passed_on_by_name() -> None:
    headers = sent_headers(words(main({**SITE, "pass_headers": ["x-http-method-override"]})))
    assert "X-HTTP-Method-Override" not in headers
    assert headers["X-HTTP-Method"] == ""
    with pytest.raises(InputError, match="'X-Hots' is none of the headers that are taken out; did you mean 'X-Host'"):
        rendered({**SITE, "pass_headers": ["X-Hots"]})
    with pytest.raises(InputError, match=r"'Cookie' is none .* proxy_headers sets headers of your own"):
        rendered({**SITE, "pass_headers": ["Cookie"]})


def test_the_headers_that_nginx_sets_are_not_taken_out() -> None:
    ours = sent_headers(words(main({**SITE, "websockets": True})))
    assert len(FAMILY) == len({name.lower() for name in FAMILY})
    assert not {name.lower() for name in FAMILY} & {name.lower() for name, value in ours.items() if value}


def test_headers_are_believed_from_trusted_proxies_only() -> None:
    text = rendered({**SITE, "trusted_proxies": ["10.0.0.0/8", "::1"]})
    assert "geo $realip_remote_addr $flaskops_shop_peer {\n    default 0;\n    10.0.0.0/8 1;\n    ::1/128 1;\n}" in text
    assert (
        "map $flaskops_shop_peer $flaskops_shop_for {\n    default $remote_addr;\n    1 $proxy_add_x_forwarded_for;\n}"
        in text
    )
    assert sent_headers(words(servers(text)[-1]))["X-Forwarded-Proto"] == "$flaskops_shop_proto"


def test_what_else_says_who_a_visitor_is_is_believed_from_trusted_proxies_only() -> None:
    places = [{"path": "/admin/", "config": "deny all;"}, {"path": "/live/", "websockets": True}]
    inner = [{"path": "/blog/live/", "websockets": True}, {"path": "/blog/a/", "config": "proxy_set_header X-A a;"}]
    mount = {"path": "/blog", "upstream": ["10.0.0.1:80"], "locations": inner}
    proxied = {"trusted_proxies": ["10.0.0.8"], "pass_headers": ["True-Client-IP"]}
    server = main({**SITE, **proxied, "locations": places, "mounts": [mount]})
    (taken,) = [one for one in server.block or () if one.name == "if" and one.args == ("($flaskops_shop_peer)",)]
    said = {line[1]: line[2] for line in words(taken)}
    assert ["uninitialized_variable_warn", "off"] in words(server)
    found = list(with_headers(server))
    assert len(found) == 6
    for lines in found:
        sent = sent_headers(lines)
        assert "True-Client-IP" not in sent
        for name in {*FAMILY} - {"True-Client-IP", "X-Forwarded-Prefix"}:
            assert said.get(sent[name], "") == ("" if name in OVERRIDE else "$http_" + name.lower().replace("-", "_"))


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({}, ["", "", ""]),
        ({"trusted_proxies": ["10.0.0.8"]}, ["$http_x_country", "$http_x_original_host", "$http_x_rewrite_url"]),
        ({"trusted_proxies": ["10.0.0.8"], "proxy_protocol": True}, ["", "", ""]),
        ({"behind_proxy": True}, [None, None, None]),
    ],
)
def test_further_headers_are_believed_from_proxies_alone(options: dict[str, t.Any], sent: list[str | None]) -> None:
    names = ["X-Country", "x-original-host", "X-Rewrite-URL"]
    mount = {"path": "/blog", "upstream": ["10.0.0.1:80"]}
    server = main({**SITE, **options, "trusted_headers": names, "mounts": [mount]})
    said = {line[1]: line[2] for one in server.block or () if one.name == "if" for line in words(one)}
    for lines in with_headers(server):
        found = {name.lower(): value for name, value in sent_headers(lines).items()}
        assert [said.get(found.get(name.lower(), ""), found.get(name.lower())) for name in names] == sent


def test_a_header_of_trusted_proxies_is_not_passed_on_from_visitors() -> None:
    options = {
        "trusted_proxies": ["10.0.0.8"],
        "trusted_headers": ["X-Original-Host"],
        "pass_headers": ["x-original-host"],
    }
    (lines,) = with_headers(main({**SITE, **options}))
    assert sent_headers(lines)["X-Original-Host"].startswith("$flaskops_p")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["x-forwarded-host"], "trusted_headers: 'x-forwarded-host' is set by nginx"),
        (["Content-Length"], "'Content-Length' is set by nginx"),
        (["X_Country"], "trusted_headers: 'X_Country' must consist of letters, digits and '-'"),
        (["X-A;", "X-B"], "'X-A;' must consist of"),
        (["X-A", "x-a"], "trusted_headers: 'x-a' is listed twice"),
    ],
)
def test_headers_that_proxies_cannot_set_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        rendered({**SITE, "trusted_headers": names})


def test_what_nginx_sets_itself_is_no_header_of_proxies() -> None:
    ours = sent_headers(words(main({**SITE, "websockets": True}))).items()
    set_by_nginx = {name for name, value in ours if name not in FAMILY}
    assert not [name for name in set_by_nginx if is_for_proxies(name)]


def with_headers(block: Directive) -> t.Iterator[list[list[str]]]:
    """Return the directives of blocks that set request headers."""
    lines = words(block)
    if any(line[0] == "proxy_set_header" for line in lines):
        yield lines
    for inner in block.block or ():
        if inner.name == "location":
            yield from with_headers(inner)


def test_a_site_of_files_sends_no_headers_of_proxies() -> None:
    files = {"name": "x", "domains": ["x.test"], "static": [{"url": "/s", "path": "/s"}]}
    assert "$flaskops_p" not in rendered({**files, "trusted_proxies": ["10.0.0.8"]})


def for_visitors(site: dict[str, t.Any]) -> tuple[str, t.Callable[[str], str]]:
    """Return what a site's X-Forwarded-For is decided by, and what it is for a value of that."""
    (found,) = [one for one in parse(rendered(site)) if one.name == "map" and one.args[1] == "$flaskops_shop_for"]
    default, full = found.block or []
    assert default.name == "default"

    def chosen(value: str) -> str:
        return (full if re.search(full.name.lstrip("~"), value) else default).args[0]

    return found.args[0], chosen


@pytest.mark.parametrize("hops", [2, 3])
def test_a_visitor_past_the_proxies_before_nginx_has_the_address_that_nginx_sees(hops: int) -> None:
    key, chosen = for_visitors({**SITE, "trusted_proxies": ["10.0.0.0/8"], "trusted_hops": hops})
    whole = ", ".join(["198.51.100.7", "[2001:db8::1]:443"][: hops - 1])
    own = ", ".join(["$remote_addr"] * hops)
    assert key == "$flaskops_shop_peer:$http_x_forwarded_for"
    assert chosen(f"1:{whole}") == chosen(f"1:192.0.2.66,{whole}") == "$proxy_add_x_forwarded_for"
    for sent in (f"0:{whole}", "0:", "1:", "1:,", f'1:", {whole}', f"1:, {whole}", "1: ", f"1:{whole},"):
        assert chosen(sent) == own
    assert hops == 2 or chosen("1:198.51.100.7") == own
    key, chosen = for_visitors({**SITE, "behind_proxy": True, "trusted_hops": hops})
    assert key == "$http_x_forwarded_for"
    assert chosen(whole) == "$proxy_add_x_forwarded_for"
    assert chosen("") == own


def test_hops_that_no_chain_has_are_refused() -> None:
    with pytest.raises(InputError, match=r"trusted_hops.* 17"):
        rendered({**SITE, "behind_proxy": True, "trusted_hops": 17})


@pytest.mark.parametrize("name", ["a" * 64, "shop.example.com", "my_shop", "Shop", "a-name-of-more-than-16"])
def test_variables_of_a_site_have_short_names_of_their_own(name: str) -> None:
    text = rendered({**SITE, "name": name, "trusted_proxies": ["10.0.0.1"]})
    (variable,) = set(re.findall(r"geo \S+ \$(\S+) ", text))
    assert re.fullmatch(r"flaskops_x[0-9a-f]{12}_peer", variable)


def test_sites_whose_names_differ_in_case_alone_have_upstreams_of_their_own() -> None:
    location = {"path": "/x", "upstream": ["127.0.0.1:8001"]}
    inner = {**location, "path": "/m/x"}
    parts = {
        "locations": [location],
        "mounts": [{"path": "/m", "upstream": ["127.0.0.1:8002"], "locations": [inner]}],
    }
    texts = [rendered({**SITE, "name": name, **parts}) for name in ("shop", "Shop", "SHOP")]
    names = [re.findall(r"^upstream (\S+) ", text, re.MULTILINE) for text in texts]
    assert [len(found) for found in names] == [4, 4, 4]
    # ngx_http_upstream_add() compares them without regard to case.
    assert len({name.lower() for found in names for name in found}) == 12
    for text, found in zip(texts, names, strict=True):
        assert set(re.findall(r"proxy_pass http://([^\s/;]+)", text)) == set(found)


def test_a_users_header_takes_the_place_of_ours() -> None:
    headers = sent_headers(words(main({**SITE, "proxy_headers": {"x-real-ip": "", "X-FHost": "$host; x"}})))
    assert (headers["x-real-ip"], headers["X-FHost"]) == ("", "$host; x")
    assert "X-Real-IP" not in headers


def test_websockets_are_upgraded_when_asked_for() -> None:
    headers = sent_headers(words(main({**SITE, "websockets": True})))
    assert (headers["Upgrade"], headers["Connection"]) == ("$flaskops_upgrade", "$flaskops_conn")
    assert "Upgrade" not in sent_headers(words(main(SITE)))


def test_a_location_with_lines_of_its_own_has_every_header_again() -> None:
    place = {"path": "/admin/", "config": "proxy_set_header X-Real-IP none;\nadd_header X-More x;\ndeny all;"}
    server = main({**SITE, "locations": [place]})
    found = locations(server)["/admin/"]
    assert {**sent_headers(words(server)), "X-Real-IP": "none"} == sent_headers(found)
    assert [line for line in words(server) if line[0] == "add_header"] + [["add_header", "X-More", "x"]] == [
        line for line in found if line[0] == "add_header"
    ]
    assert ["proxy_pass", "http://flaskops-shop"] in found


def test_lines_for_the_server_hold_in_locations_with_lines_of_their_own() -> None:
    site = {**SITE, "config": "proxy_set_header Host mine;\nadd_header X-Frame-Options DENY;"}
    server = main(
        {**site, "locations": [{"path": "/x", "config": "deny all;"}], "static": [{"url": "/s", "path": "/s"}]}
    )
    for lines in (words(server), locations(server)["/x"]):
        assert sent_headers(lines)["Host"] == "mine"
        assert [line for line in lines if line[:2] == ["add_header", "X-Frame-Options"]] == [
            ["add_header", "X-Frame-Options", "DENY"]
        ]
    assert ["add_header", "X-Frame-Options", "DENY"] in locations(server)["^~ /s/"]


def test_a_location_that_answers_itself_is_not_passed_on() -> None:
    places = [
        {"path": "= /ping", "config": "return 204;"},
        {"path": "@x", "config": "deny all;"},
        {"path": "/y/", "upstream": ["10.0.0.1"]},
    ]
    found = locations(main({**SITE, "locations": places, "error_pages": False}))
    passed = {path: [line[1] for line in lines if line[0] == "proxy_pass"] for path, lines in found.items()}
    assert passed == {
        "= /ping": [],
        "@x": ["http://flaskops-shop"],
        "/y/": ["http://flaskops.2.shop"],
        "/": ["http://flaskops-shop"],
    }


def test_a_users_lines_take_the_place_of_ours() -> None:
    lines = words(main({**SITE, "config": "client_max_body_size 1g;\naccess_log off;\nlisten 8080;"}))
    assert [line for line in lines if line[0] == "client_max_body_size"] == [["client_max_body_size", "1g"]]
    assert [line for line in lines if line[0] == "access_log"] == [["access_log", "off"]]
    assert [line[1] for line in lines if line[0] == "listen"] == ["80", "[::]:80", "8080"]


def test_a_users_http2_takes_the_place_of_ours_and_his_port_comes_beside_ours() -> None:
    found = words(main({**SITE, "tls": TLS, "config": "http2 off;\nlisten 8443 ssl;"}))
    assert [line for line in found if line[0] == "http2"] == [["http2", "off"]]
    assert ["listen", "443", "ssl"] in found and ["listen", "8443", "ssl"] in found


def test_text_over_several_lines_is_not_indented() -> None:
    text = 'return 200 "a\nb\n";'
    assert text in rendered({"name": "x", "domains": ["x.test"], "config": text})


@pytest.mark.parametrize("char", ["\x0b", "\x0c", "\x1d", "\x85", "\u2028"])
def test_only_a_line_feed_ends_a_line_of_a_user(char: str) -> None:
    text = f'# one{char}return 444;\nadd_header X-A "a{char}b";'
    found = main({"name": "x", "domains": ["x.test"], "config": f"root /x;\n{text}"})
    assert ["add_header", "X-A", f"a{char}b"] in words(found)
    assert ["return", "444"] not in words(found)


@pytest.mark.parametrize("key", ["locations", "config"])
def test_a_users_root_takes_the_place_of_ours(key: str) -> None:
    value = [{"path": "/", "config": "return 204;"}] if key == "locations" else "location / { return 204; }"
    places = locations(main({**SITE, key: value, "error_pages": False}))
    assert list(places) == ["/"]
    assert ["return", "204"] in places["/"]


LUA = "content_by_lua_block { ngx.say('}') -- it's\n }"


@pytest.mark.parametrize(
    "config",
    [
        "# content_by_lua_block is for another site\nlocation / { return 204; }",
        f"location / {{ {LUA} }}",
        f"location /x {{ {LUA} }} location / {{ return 204; }}",
    ],
)
def test_a_root_beside_lua_takes_the_place_of_ours(config: str) -> None:
    found = [entry.args for entry in main({**SITE, "config": config}).block or [] if entry.name == "location"]
    assert found.count(("/",)) == 1


def test_directives_beside_lua_take_the_place_of_ours() -> None:
    lines = words(main({**SITE, "config": "set_by_lua_block $a { return '}' }\nclient_max_body_size 1g;"}))
    assert [line for line in lines if line[0] == "client_max_body_size"] == [["client_max_body_size", "1g"]]


@pytest.mark.parametrize(
    ("config", "passed"),
    [(LUA, False), ("access_by_lua_block { check() }", True), ("access_by_lua_file /a.lua;", True)],
)
def test_a_location_of_lua_is_passed_on_unless_its_code_answers(config: str, passed: bool) -> None:
    site = main({**SITE, "locations": [{"path": "/x", "config": config}]})
    [block] = [entry.block or [] for entry in site.block or [] if entry.args == ("/x",)]
    assert ("proxy_pass" in [entry.name for entry in block]) is passed


def test_a_site_without_an_application_says_404_beside_its_files() -> None:
    site = {"name": "x", "domains": ["x.test"], "static": [{"url": "/s/", "path": "/s"}]}
    assert locations(main(site))["/"] == [["return", "404"]]
    assert "proxy_" not in rendered(site)
    assert "/" not in locations(main({"name": "x", "domains": ["x.test"], "config": "root /x;"}))


def test_static_files_have_matching_slashes_and_no_dot_files() -> None:
    found = locations(main({**SITE, "static": [{"url": "/static", "path": "/srv/current/static"}]}))["^~ /static/"]
    assert ["alias", "/srv/current/static/"] in found
    assert ["location", "~", r"/\."] in found
    assert ["add_header", "Cache-Control", "$flaskops_cache"] in found
    assert ["gzip_static", "on"] in found


@pytest.mark.parametrize(
    ("url", "uri", "seen"),
    [
        ("/", "/.git/config", False),
        ("/", "/.well-known/security.txt", True),
        ("/static", "/static/a/.env", False),
        ("/.well-known", "/.well-known/security.txt", True),
        ("/.well-known", "/.well-known/pki/a.b/c.txt", True),
        ("/.well-known", "/.well-known/.htpasswd", False),
        ("/.well-known", "/.well-known/pki/.git/config", False),
        ("/a (1)/.b", "/a (1)/.b/c", True),
        ("/a (1)/.b", "/a (1)/.b/.c", False),
    ],
)
def test_dot_files_are_hidden_below_a_url_and_not_the_url_itself(url: str, uri: str, seen: bool) -> None:
    server = main({**SITE, "upstream": [], "static": [{"url": url, "path": "/srv/x", "previous": "/run/p"}]})
    (hidden,) = (line for line in descend(server.block or ()) if line.name == "location" and line.args[0] == "~")
    (again,) = (line for line in descend(server.block or ()) if line.args[:2] == ("($uri", "~"))
    # Before the last mark, the parser leaves the bracket of the condition.
    assert again.args[2].rstrip(")") == hidden.args[1].rstrip(")")
    assert bool(re.search(hidden.args[1], uri)) is not seen


def test_copies_that_are_compressed_already_are_served_in_each_format_that_nginx_has() -> None:
    site = {**SITE, "static": [{"url": "/static", "path": "/srv/static", "previous": "/run/p/s"}]}

    def served(*modules: str, **more: object) -> list[str]:
        [config] = site_configs([{**site, **more}], {}, NEW, catch_all=False, modules=modules)
        return re.findall(r"(\w+_static) on;", config["content"])

    assert served() == served("lua") == ["gzip_static"] * 2
    assert served("zstd_static", "brotli_static") == ["gzip_static", "brotli_static", "zstd_static"] * 2
    assert served("brotli_static", gzip=False) == []


def test_files_of_the_previous_release_are_found_and_its_dot_files_are_not() -> None:
    static = [{"url": "/a.b/", "path": "/srv/a"}, {"url": "/s", "path": "/srv/s", "previous": "/run/p/s"}]
    found = locations(main({**SITE, "static": static, "tls": TLS, "hsts": 9}))
    assert [line for line in found["^~ /a.b/"] if line[0] == "error_page"] == []
    assert ["error_page", "404", "=", "@flaskops_previous_1"] in found["^~ /s/"]
    previous = found["@flaskops_previous_1"]
    assert previous[:3] == [
        ["if", "($uri", "~", r"/\.)"],
        ["root", "/run/p/s/"],
        ["open_file_cache", "off"],
    ]
    assert ["rewrite", "^/s/(.*)$", "/$1", "break"] in previous
    headers = [line for line in found["^~ /s/"] if line[0] in ("add_header", "set", "gzip_static")]
    assert headers and [line for line in headers if line not in previous] == []


def test_maintenance_comes_before_what_the_user_wrote_and_leaves_open_what_must_be() -> None:
    maintenance = {"flag": "/srv/m/on", "page": "/srv/m/page.html", "retry_after": 60, "open": ["/health.json"]}
    site = main({**SITE, "maintenance": maintenance, "config": "return 204;", "hsts": 9, "tls": TLS})
    lines = words(site)
    names = [" ".join(line) for line in lines]
    assert names.index("return 204") > names.index("if (-f /srv/m/on )")
    assert ["if", "(-f", "/srv/m/on", ")"] in lines
    [pattern] = [line.args[0] for line in descend([site]) if tuple(line.args[1:]) == ("/flaskops-maintenance", "last")]
    passes = [path for path in PATHS if not re.search(pattern, path)]
    assert passes == [
        "/health.json",
        "/.well-known/acme-challenge/x",
        "/flaskops-maintenance",
        "/flaskops-maintenance.html",
    ]
    page = locations(site)["= /flaskops-maintenance.html"]
    assert ["add_header", "Retry-After", "60", "always"] in page
    assert ["add_header", "Strict-Transport-Security", "max-age=9", "always"] in page
    assert ["internal"] in page and ["alias", "/srv/m/page.html"] in page


def test_a_site_without_a_flag_has_nothing_of_maintenance() -> None:
    assert "if (-f" not in rendered(SITE)


def test_static_files_have_the_security_headers_and_cache_for_ever_when_told() -> None:
    static = [{"url": "/s/", "path": "/s", "immutable": True, "expires": 60}]
    found = locations(main({**SITE, "static": static, "tls": TLS, "hsts": 9}))["^~ /s/"]
    added = {line[1]: line[2:] for line in found if line[0] == "add_header"}
    assert added == {
        "X-Content-Type-Options": ["nosniff", "always"],
        "X-Frame-Options": ["SAMEORIGIN", "always"],
        "Referrer-Policy": ["strict-origin-when-cross-origin", "always"],
        "X-Request-ID": ["$flaskops_id", "always"],
        "Strict-Transport-Security": ["max-age=9", "always"],
        "Cache-Control": ["public, max-age=60, immutable"],
    }


def test_chosen_security_headers_overrule_the_application() -> None:
    chosen = {
        "x-frame-options": "DENY",
        "Referrer-Policy": "",
        "Content-Security-Policy": "default-src 'self'; img-src \"*\"",
    }
    lines = [
        line
        for line in words(main({**SITE, "security_headers": chosen, "error_pages": False}))
        if line[0] in ("add_header", "proxy_hide_header")
    ]
    assert lines == [
        ["add_header", "X-Content-Type-Options", "$flaskops_nosniff", "always"],
        ["proxy_hide_header", "x-frame-options"],
        ["add_header", "x-frame-options", "DENY", "always"],
        ["proxy_hide_header", "Content-Security-Policy"],
        ["add_header", "Content-Security-Policy", "default-src 'self'; img-src \"*\"", "always"],
        ["add_header", "X-Request-ID", "$flaskops_echo", "always"],
    ]
    bare = words(main({**SITE, "security_headers": False}))
    assert [line[1] for line in bare if line[0] == "add_header"] == ["X-Request-ID"]


@pytest.mark.parametrize(
    ("more", "believed"),
    [
        ({}, []),
        ({"behind_proxy": True}, [["set", "$flaskops_id", "$flaskops_xid"]]),
        ({"trusted_proxies": ["10.0.0.1"]}, [["set", "$flaskops_id", "$flaskops_shop_id"]]),
    ],
)
def test_the_id_of_a_request_is_that_of_another_proxy_only_behind_one(
    more: dict[str, t.Any], believed: list[list[str]]
) -> None:
    assert [line for line in words(main({**SITE, **more})) if line[0] == "set"] == believed


def test_the_id_of_a_request_is_believed_from_trusted_proxies_only() -> None:
    text = rendered({**SITE, "trusted_proxies": ["10.0.0.1"]})
    assert "map $flaskops_shop_peer $flaskops_shop_id {\n    default $request_id;\n    1 $flaskops_xid;\n}" in text


@pytest.mark.parametrize(
    ("request_line", "logged"),
    [
        ("200 /healthz", False),
        ("304 /healthz", False),
        ("400 /healthz", True),
        ("500 /healthz", True),
        ("000 /healthz", True),
        ("200 /healthz/", True),
        ("200 /a/healthz", True),
        ("200 /a.b-c", False),
        ("200 /axb-c", True),
    ],
)
def test_paths_that_the_log_leaves_out_are_logged_when_they_fail(request_line: str, logged: bool) -> None:
    text = rendered({**SITE, "access_log_skip": ["/healthz", "/a.b-c"]})
    (found,) = (directive for directive in parse(text) if directive.name == "map")
    assert found.args == ("$status $uri", "$flaskops_shop_logged")
    assert found.block is not None
    entries = {entry.name: entry.args[0] for entry in found.block}
    assert entries.pop("default") == "1"
    assert set(entries.values()) == {"0"}
    assert any(re.search(pattern[1:], request_line) for pattern in entries) is not logged
    assert ["access_log", "/var/log/nginx/shop.access.log", "combined", "if=$flaskops_shop_logged"] in words(
        main({**SITE, "access_log_skip": ["/healthz"]})
    )


def test_a_log_that_is_off_leaves_nothing_out() -> None:
    assert "_logged" not in rendered({**SITE, "access_log": "off", "access_log_skip": ["/healthz"]})
    assert "_logged" not in rendered(SITE)
    with pytest.raises(InputError, match="access_log_skip 'healthz' must be an absolute path"):
        rendered({**SITE, "access_log_skip": ["healthz"]})


TOLD = [["root", "/srv/shop/current/run"], ["set", "$flaskops_root", "$realpath_root"]]


def told(lines: list[list[str]]) -> list[list[str]]:
    """Return the lines of a location that find out the release."""
    return [line for line in lines if line[0] == "root" or line[:2] == ["set", "$flaskops_root"]]


def test_a_log_in_json_is_told_the_release_when_a_request_is_led_to_it() -> None:
    places = [
        {"path": "/api/", "config": "client_max_body_size 1g;"},
        {"path": "/blog/", "upstream": ["unix:/srv/blog/current/run/1.sock"]},
        {"path": "/other/", "upstream": ["10.0.0.2:80"]},
        {"path": "/answered/", "config": "return 204;"},
        {"path": "/nested/", "config": "location ~ x$ { deny all; }"},
        {"path": "/files/", "config": "location ~ x$ { try_files $uri =404; }"},
        {"path": "/mine/", "upstream": ["unix:/srv/shop/current/run/0.sock"], "config": "root /var/www;"},
    ]
    static = [
        {"url": "/static/", "path": "/srv/shop/current/app/static"},
        {"url": "/assets/", "path": "/srv/shop/current/app/static"},
        {"url": "/media/", "path": "/srv/media"},
    ]
    found = locations(main({**SITE, "access_log": "json", "locations": places, "static": static}))
    assert told(found["/"]) == told(found["/api/"]) == told(found["/nested/"]) == TOLD
    assert told(found["/blog/"]) == [["root", "/srv/blog/current/run"], TOLD[1]]
    assert told(found["^~ /static/"]) == [["root", "/srv/shop/current"]]
    assert told(found["^~ /assets/"]) == TOLD[1:]
    assert not any(told(found[place]) for place in ("/other/", "/answered/", "/files/", "^~ /media/"))
    assert told(found["/mine/"]) == [["root", "/var/www"]]


@pytest.mark.parametrize("log", ["combined", "off"])
def test_only_a_log_in_json_is_told_the_release(log: str) -> None:
    assert "realpath_root" not in rendered({**EVERYTHING, **SITE, "cache": None, "access_log": log})


@pytest.mark.parametrize(
    "more",
    [
        {"proxy_headers": {"x-request-id": "$http_x_request_id"}},
        {"security_headers": {"X-Request-ID": ""}},
        {"config": "add_header X-Request-ID $request_id;"},
    ],
)
def test_visitors_get_no_second_id_where_a_site_has_one_of_its_own(more: dict[str, t.Any]) -> None:
    assert "flaskops_echo" not in rendered({**SITE, **more})


PLACE = ("proxy_buffering", "proxy_request_buffering", "proxy_read_timeout", "client_max_body_size", "proxy_set_header")


def said(site: dict[str, t.Any], path: str = "/ws/") -> dict[str, str]:
    """Return what a location says of how its requests are passed on."""
    lines = [line for line in locations(main(site))[path] if line[0] in PLACE]
    return {" ".join(line[:-1]): line[-1] for line in lines}


def test_a_location_says_nothing_that_the_site_says() -> None:
    assert said({**SITE, "locations": [{"path": "/ws/"}]}) == {}
    assert said({**SITE, "locations": [{"path": "/ws/", "websockets": False}]}) == {}


def test_a_location_has_websockets_of_its_own_and_all_other_headers() -> None:
    site = {**SITE, "locations": [{"path": "/ws/", "websockets": True}]}
    lines = said(site)
    assert lines["proxy_set_header Connection"] == "$flaskops_conn"
    assert lines["proxy_set_header Upgrade"] == "$flaskops_upgrade"
    assert lines["proxy_read_timeout"] == "3600s"
    top = {line[1]: line[2] for line in words(main(site)) if line[0] == "proxy_set_header"}
    assert top["Connection"] == "close" and "Upgrade" not in top
    headers = {name.split()[1]: value for name, value in lines.items() if name.startswith("proxy_set_header")}
    assert {**top, "Connection": "$flaskops_conn", "Upgrade": "$flaskops_upgrade"} == headers


def test_a_location_can_do_without_the_websockets_of_its_site() -> None:
    site = {**SITE, "websockets": True, "locations": [{"path": "/ws/", "websockets": False}]}
    lines = said(site)
    assert lines["proxy_set_header Connection"] == "close" and "proxy_set_header Upgrade" not in lines
    # A silent WebSocket is told by nothing else than the time.
    assert "proxy_read_timeout" not in lines


@pytest.mark.parametrize(("given", "expected"), [({"read_timeout": 9}, "9s"), ({"websockets": True}, "7200s")])
def test_a_location_waits_as_long_as_it_says(given: dict[str, t.Any], expected: str) -> None:
    assert (
        said({**SITE, "read_timeout": 7200, "locations": [{"path": "/ws/", **given}]})["proxy_read_timeout"] == expected
    )


def test_a_location_streams_and_takes_more_than_its_site() -> None:
    place = {"path": "/ws/", "buffering": False, "body_size": "1g"}
    assert said({**SITE, "locations": [place]}) == {
        "proxy_buffering": "off",
        "proxy_request_buffering": "off",
        "client_max_body_size": "1g",
    }
    kept = rendered({**SITE, "cache": {"valid": 10}, "locations": [place, {"path": "/a/"}]})
    assert kept.count("proxy_cache_key") == 2
    assert said({**SITE, "buffering": False, "locations": [{**place, "buffering": True}]})["proxy_buffering"] == "on"


def test_lines_of_a_user_take_the_place_of_what_a_location_says() -> None:
    place = {"path": "/ws/", "buffering": False, "websockets": True, "config": "proxy_read_timeout 5m;"}
    lines = said({**SITE, "config": "proxy_buffering on;", "locations": [place]})
    assert (lines["proxy_read_timeout"], lines["proxy_buffering"]) == ("5m", "off")


@pytest.mark.parametrize(
    "below",
    [
        {"locations": [{"path": "/ws/", "websockets": True}]},
        {"mounts": [{"path": "/chat", "upstream": ["unix:/srv/chat/current/run/0.sock"], "websockets": True}]},
    ],
)
def test_http3_warns_of_websockets_below_a_path(below: dict[str, t.Any]) -> None:
    warnings: list[str] = []
    site_configs([{**QUIC, **below}], {}, NEW, True, warnings.append)
    assert "has websockets" in warnings[0]


def test_a_request_that_may_change_something_is_sent_once() -> None:
    assert ["proxy_next_upstream", "error", "timeout"] in words(main(SITE))
    assert "non_idempotent" not in rendered(EVERYTHING)


@pytest.mark.parametrize(
    ("balance", "lines"), [("round_robin", []), ("least_conn", ["least_conn;"]), ("random", ["random two least_conn;"])]
)
def test_several_servers_are_balanced(balance: str, lines: list[str]) -> None:
    text = rendered(
        {
            **SITE,
            "upstream": ["10.0.0.1:80", {"server": "10.0.0.2:80", "backup": False, "weight": 3}],
            "balance": balance,
        },
        MIDDLE,
    )
    expected = [
        "upstream flaskops-shop {",
        "zone flaskops-shop 64k;",
        *lines,
        "server 10.0.0.1:80;",
        "server 10.0.0.2:80 weight=3;",
        "}",
    ]
    assert [line.strip() for line in text.split("\n\n")[1].splitlines()] == expected


def test_the_sockets_of_one_host_are_never_left_out_all_at_once() -> None:
    text = rendered({**SITE, "upstream": ["unix:/a", {"server": "unix:/b", "max_fails": 3}, "10.0.0.1:80"]})
    assert re.findall("server (unix.*|10.*);", text) == ["unix:/a max_fails=0", "unix:/b max_fails=3", "10.0.0.1:80"]
    assert "max_fails" not in rendered(SITE)


def test_one_server_needs_no_balance() -> None:
    assert "least_conn" not in rendered({**SITE, "balance": "least_conn"})


@pytest.mark.parametrize(("wanted", "word"), [(True, "on"), (False, "off")])
def test_requests_and_answers_stream_together(wanted: bool, word: str) -> None:
    lines = words(main({**SITE, "buffering": wanted}))
    assert ["proxy_buffering", word] in lines
    assert ["proxy_request_buffering", word] in lines


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("combined", "/var/log/nginx/shop.access.log combined"),
        ("json", "/var/log/nginx/shop.access.log flaskops_json"),
        ("off", "off"),
    ],
)
def test_a_site_logs_where_the_distribution_rotates(log: str, line: str) -> None:
    lines = words(main({**SITE, "access_log": log}))
    assert ["access_log", *line.split()] in lines
    assert ["error_log", "/var/log/nginx/shop.error.log", "error"] in lines


def redirects(site: dict[str, t.Any]) -> list[tuple[str, str, str]]:
    """Return port, host names and target of each server that only redirects."""
    found = []
    for server in servers(rendered(site))[:-1]:
        lines = {line[0]: line[1:] for line in reversed(words(server))}
        (answer,) = locations(server)["/"]
        found.append((lines["listen"][0], " ".join(lines["server_name"]), answer[2]))
    return found


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"redirects": ["a.test", "b.test"]}, [("80", "a.test b.test", "http://shop.test$flaskops_port$request_uri")]),
        (
            {"redirects": ["a.test"], "behind_proxy": True},
            [("80", "a.test", "$flaskops_xproto://shop.test$flaskops_port$request_uri")],
        ),
        ({"tls": TLS}, [("80", "shop.test", "https://$host$request_uri")]),
        ({"tls": TLS, "https_port": 8443}, [("80", "shop.test", "https://$host:8443$request_uri")]),
        (
            {"tls": TLS, "redirects": ["a.test"]},
            [
                ("80", "shop.test", "https://$host$request_uri"),
                ("80", "a.test", "https://shop.test$request_uri"),
                ("443", "a.test", "https://shop.test$flaskops_port$request_uri"),
            ],
        ),
        (
            {"tls": {**TLS, "redirect": False}, "redirects": ["a.test"]},
            [
                ("80", "a.test", "http://shop.test$flaskops_port$request_uri"),
                ("443", "a.test", "https://shop.test$flaskops_port$request_uri"),
            ],
        ),
    ],
)
def test_redirects_lead_to_the_canonical_name(changes: dict[str, t.Any], expected: list[tuple[str, str, str]]) -> None:
    assert redirects({**SITE, **changes}) == expected


def test_both_ports_are_served_when_plain_http_does_not_redirect() -> None:
    lines = words(main({**SITE, "tls": {**TLS, "redirect": False}}))
    assert [line[1] for line in lines if line[0] == "listen"] == ["80", "[::]:80", "443", "[::]:443"]


def catch_alls(sites: list[dict[str, t.Any]], version: str = NEW, **defaults: object) -> dict[str, str]:
    """Return the texts of the sites for unknown hosts by their names."""
    found = site_configs(sites, defaults, version, catch_all=True)
    return {
        site["name"]: site.get("content", "") for site in found if site["name"] not in {item["name"] for item in sites}
    }


def test_unknown_hosts_are_refused_on_every_port_in_use() -> None:
    found = catch_alls([{**SITE, "tls": TLS}, {**SITE, "name": "b", "domains": ["b.test"], "http_port": 8080}])
    assert list(found) == ["default", "flaskops-default", "flaskops-default-443", "flaskops-default-8080"]
    for name, port in (("flaskops-default", "80"), ("flaskops-default-443", "443"), ("flaskops-default-8080", "8080")):
        lines = words(servers(found[name])[0])
        listens = [line for line in lines if line[0] == "listen"]
        assert [line[1] for line in listens] == [port, f"[::]:{port}"]
        assert all("default_server" in line for line in listens)
        assert ["return", "444"] in lines
        assert ["server_tokens", "off"] in lines


def test_each_port_is_a_site_so_that_two_uses_of_the_role_do_not_contend() -> None:
    first, second = catch_alls([{**SITE, "tls": TLS}]), catch_alls([{**SITE, "name": "b", "ipv6": False}])
    assert second["flaskops-default"] == first["flaskops-default"]


def test_the_first_server_of_a_port_follows_the_defaults() -> None:
    found = catch_alls([{**SITE, "tls": TLS}], MIDDLE, ipv6=False, http2=False)
    assert words(servers(found["flaskops-default-443"])[0])[0] == ["listen", "443", "ssl", "default_server"]
    assert "[::]" not in "".join(found.values())


@pytest.mark.parametrize(
    ("version", "line"), [("1.19.3", ["ssl_certificate", "$flaskops_none"]), ("1.19.4", ["ssl_reject_handshake", "on"])]
)
def test_unknown_hosts_get_no_handshake(version: str, line: list[str]) -> None:
    lines = words(servers(catch_alls([{**SITE, "tls": TLS}], version)["flaskops-default-443"])[0])
    assert line in lines
    # The first server of a port has the protocols, curves and session cache of all of them.
    assert [x for x in lines if x[0].startswith("ssl_") and "cert" not in x[0] and "reject" not in x[0]] == [
        x for x in words(main({**SITE, "tls": TLS})) if x[0].startswith("ssl_") and "cert" not in x[0]
    ]


@pytest.mark.parametrize("version", [OLD, NEW])
def test_modern_tls_is_that_of_the_whole_port(version: str) -> None:
    modern = {**SITE, "tls": {**TLS, "profile": "modern"}, "https_port": 8443, "redirects": ["www.shop.test"]}
    usual = {**SITE, "name": "b", "domains": ["b.test"], "tls": TLS}
    found = servers(rendered(modern, version)) + servers(catch_alls([modern, usual], version)["flaskops-default-8443"])
    secure = [server for server in map(words, found) if any(line[:2] == ["listen", "8443"] for line in server)]
    assert len(secure) == 3
    for server in secure:
        assert ["ssl_protocols", "TLSv1.3"] in server
        assert ["ssl_ecdh_curve", "X25519:prime256v1:secp384r1"] in server
        assert not any(line[0] == "ssl_ciphers" for line in server)
    text = catch_alls([modern, usual], version)["flaskops-default-443"]
    assert ["ssl_protocols", "TLSv1.2", "TLSv1.3"] in words(servers(text)[0])


QUIC = {**SITE, "tls": TLS, "http3": True}


def listens(server: Directive) -> list[str]:
    """Return the listen directives of a server, without their name."""
    return [" ".join(line[1:]) for line in words(server) if line[0] == "listen"]


def test_http3_is_off_unless_it_is_asked_for() -> None:
    text = "".join([*catch_alls([{**SITE, "tls": TLS}]).values(), rendered({**SITE, "tls": TLS})])
    assert "quic" not in text
    assert "Alt-Svc" not in text


def test_http3_is_offered_by_all_servers_of_a_site_that_speak_https() -> None:
    site = {**QUIC, "redirects": ["www.shop.test"], "hsts": 9, "static": [{"url": "/s/", "path": "/s"}]}
    plain, _plain_www, secure_www, work = servers(rendered(site))
    assert listens(plain) == ["80", "[::]:80"]
    for server in (secure_www, work):
        assert listens(server) == ["443 ssl", "[::]:443 ssl", "443 quic", "[::]:443 quic"]
        assert ["add_header", "Alt-Svc", "$flaskops_alt_svc", "always"] in words(server)
    assert ["add_header", "Alt-Svc", "$flaskops_alt_svc", "always"] in locations(work)["^~ /s/"]
    assert ["proxy_hide_header", "Alt-Svc"] in words(work)
    assert listens(main({**QUIC, "ipv6": False, "https_port": 8443}))[-1] == "8443 quic"


def test_a_site_may_have_its_own_words_for_where_http3_is() -> None:
    lines = words(main({**QUIC, "security_headers": {"alt-svc": 'h3=":8443"'}}))
    assert [line[2:] for line in lines if line[:2] in (["add_header", "Alt-Svc"], ["add_header", "alt-svc"])] == [
        ['h3=":8443"', "always"]
    ]


def test_a_site_of_its_own_opens_the_udp_port_and_refuses_unknown_hosts_there() -> None:
    other = {**QUIC, "name": "b", "domains": ["b.test"], "https_port": 8443, "ipv6": False}
    found = catch_alls(
        [{**QUIC, "ipv6": True}, {**SITE, "name": "c", "domains": ["c.test"], "tls": TLS}, other], ipv6=False
    )
    assert list(found)[-2:] == ["flaskops-default-443-quic", "flaskops-default-8443-quic"]
    (server,) = servers(found["flaskops-default-443-quic"])
    options = "quic reuseport default_server"
    # Every address on which a site has HTTP/3, with any default.
    assert listens(server) == [f"443 {options}", f"[::]:443 {options}"]
    assert listens(servers(found["flaskops-default-8443-quic"])[0]) == [f"8443 {options}"]
    assert ["ssl_reject_handshake", "on"] in words(server)
    assert ["ssl_protocols", "TLSv1.2", "TLSv1.3"] in words(server)
    # Another use of the role, without HTTP/3, has the same sites for unknown hosts but this one.
    usual = catch_alls([{**SITE, "name": "c", "domains": ["c.test"], "tls": TLS}], ipv6=False)
    assert usual.items() <= found.items()
    modern = {**QUIC, "tls": {**TLS, "profile": "modern"}}
    assert "TLSv1.2" not in catch_alls([modern])["flaskops-default-443-quic"]
    assert "flaskops-default-443-quic" not in catch_alls([{**QUIC, "state": "disabled"}])


@pytest.mark.parametrize(("version", "possible"), [("1.24.0", False), ("1.25.0", True), ("", True)])
def test_http3_is_refused_where_nginx_has_none(version: str, possible: bool) -> None:
    message = (
        r"site 'shop': http3 needs nginx 1\.25 or newer, and this host has 1\.24\.0: set http3 to false for this host"
    )
    with contextlib.nullcontext() if possible else pytest.raises(InputError, match=message):
        assert catch_alls([QUIC], version)


def test_http3_is_refused_without_the_site_that_opens_its_port() -> None:
    with pytest.raises(InputError, match="site 'shop': http3 needs nginx_catch_all"):
        site_configs([QUIC], {}, NEW, catch_all=False)
    assert site_configs([{**QUIC, "state": "disabled"}], {}, NEW, catch_all=False)


def test_websockets_beside_http3_are_warned_of() -> None:
    said: list[str] = []
    chat = {**SITE, "name": "chat", "domains": ["chat.test"], "websockets": True}
    for sites in ([QUIC], [chat], [QUIC, {**chat, "state": "disabled"}]):
        site_configs(sites, {}, NEW, True, said.append)
    assert said == []
    site_configs([chat, QUIC], {}, NEW, True, said.append)
    assert len(said) == 1
    assert said[0].startswith("site 'shop' has http3, and site 'chat' has websockets: ")


def evaluate(name: str, variables: dict[str, str]) -> str:
    """Return the value that the shared file gives a variable, as nginx finds it: the first expression that matches."""
    maps = {d.args[1]: d for d in parse(SNIPPET.read_text(encoding="utf-8")) if d.name == "map"}

    def fill(text: str) -> str:
        return re.sub(r"\$(\w+)", lambda found: value(found[1]), text)

    def value(name: str) -> str:
        if f"${name}" not in maps:
            return variables[name]
        entries = maps[f"${name}"].block or ()
        source = fill(maps[f"${name}"].args[0])
        for entry in entries:
            flags = re.IGNORECASE if entry.name.startswith("~*") else 0
            if entry.name.startswith("~") and re.search(entry.name.lstrip("~*"), source, flags):
                return fill(entry.args[0])
        exact = {entry.name: entry.args[0] for entry in entries}
        return fill(exact.get(source, exact["default"]))

    return value(name.lstrip("$"))


@pytest.mark.parametrize(("https", "told"), [("on", 'h3=":8443"; ma=86400'), ("", "")])
def test_http3_is_named_over_https_alone(https: str, told: str) -> None:
    assert evaluate("$flaskops_alt_svc", {"https": https, "server_port": "8443"}) == told


@pytest.mark.parametrize(
    ("protocol", "port", "header", "seen"),
    [
        ("HTTP/3.0", 443, "", "shop.test"),
        ("HTTP/3.0", 8443, "", "shop.test:8443"),
        ("HTTP/3.0", 443, "shop.test:8443", "shop.test:8443"),
        ("HTTP/3.0", 8443, "shop.test", "shop.test"),
        ("HTTP/2.0", 8443, "shop.test:8443", "shop.test:8443"),
        ("HTTP/1.0", 8443, "", "shop.test"),
        ("HTTP/1.1", 443, "evil.test", "shop.test"),
    ],
)
def test_the_host_keeps_its_port_in_http3(protocol: str, port: int, header: str, seen: str) -> None:
    variables = {"server_protocol": protocol, "server_port": str(port), "host": "shop.test", "http_host": header}
    assert evaluate("$flaskops_host", variables) == seen


PROXIED = {
    **SITE,
    "tls": TLS,
    "redirects": ["www.shop.test"],
    "proxy_protocol": True,
    "trusted_proxies": ["10.0.0.0/8"],
}


@pytest.mark.parametrize("version", [OLD, NEW])
def test_every_server_of_a_port_expects_the_proxy_protocol(version: str) -> None:
    other = {**SITE, "name": "b", "domains": ["b.test"], "http_port": 8080}
    found = catch_alls([PROXIED, other], version)
    texts = [found["flaskops-default"], found["flaskops-default-443"], rendered(PROXIED, version)]
    proxied = [listen for text in texts for server in servers(text) for listen in listens(server)]
    assert len(proxied) == 12
    assert all("proxy_protocol" in listen.split() for listen in proxied)
    assert "proxy_protocol" not in found["flaskops-default-8080"]


def test_the_proxy_protocol_gives_the_address_and_no_header_is_believed() -> None:
    found = servers(rendered(PROXIED))
    for server in map(words, found):
        assert ["set_real_ip_from", "10.0.0.0/8"] in server
        assert ["real_ip_header", "proxy_protocol"] in server
        assert not any(line[0] == "real_ip_recursive" for line in server)
    direct = main({key: value for key, value in PROXIED.items() if key not in ("proxy_protocol", "trusted_proxies")})
    assert sent_headers(words(found[-1])) == sent_headers(words(direct))
    assert "geo" not in rendered(PROXIED)


def test_a_port_is_for_http_or_for_https() -> None:
    shop = {**SITE, "tls": TLS}
    blog = {**SITE, "name": "blog", "domains": ["blog.test"], "http_port": 443}
    message = "port 443 is the http_port of site 'blog' and the https_port of site 'shop': choose two ports"
    for sites in ([shop, blog], [blog, shop]):
        with pytest.raises(InputError, match=message):
            catch_alls(sites)
    assert list(catch_alls([SITE, blog])) == ["default", "flaskops-default", "flaskops-default-443"]


def test_there_is_no_catch_all_when_it_is_not_wanted_or_nothing_is_enabled() -> None:
    assert [site["name"] for site in site_configs([SITE], {}, NEW, catch_all=False)] == ["shop"]
    assert list(catch_alls([{"name": "shop", "state": "absent"}])) == []


def test_the_module_gets_what_it_needs_and_no_more() -> None:
    items: list[dict[str, object]] = [
        {"name": "a", "state": "absent"},
        {"name": "b", "template": "b.j2", "foreign": "replace", "domains": ["b.test"]},
        {"name": "c", "content": "server {}\n", "rename_from": "x"},
    ]
    assert site_configs(items, {}, NEW, catch_all=False) == [
        {"name": "a", "state": "absent"},
        {"name": "b", "state": "enabled", "foreign": "replace", "template": "b.j2"},
        {"name": "c", "state": "enabled", "rename_from": "x", "content": "server {}\n"},
    ]


@pytest.mark.parametrize("version", [OLD, MIDDLE, NEW])
@pytest.mark.parametrize(
    "site", [SITE, {**SITE, "tls": TLS}, EVERYTHING, {**SITE, "behind_proxy": True, "security_headers": False}]
)
def test_the_output_uses_no_variable_that_nobody_defines(site: dict[str, t.Any], version: str) -> None:
    item = {**site, "http3": version == NEW and site.get("tls") == TLS and "trusted_proxies" not in site}
    text = SNIPPET.read_text(encoding="utf-8") + "".join(
        each.get("content", "") for each in site_configs([item], {}, version, catch_all=True)
    )
    defined = {d.args[-1] for d in descend(parse(text)) if d.name in ("map", "geo")}
    defined |= {d.args[0] for d in descend(parse(text)) if d.name == "set"}
    assert set(re.findall(r"\$flaskops_\w+", text)) <= defined


def test_the_snippet_defines_nothing_in_vain() -> None:
    snippet = SNIPPET.read_text(encoding="utf-8")
    used = snippet + "".join(
        each.get("content", "")
        for version in (OLD, NEW)
        for site in (
            EVERYTHING,
            {**QUIC, "http3": version == NEW},
            {**SITE, "behind_proxy": True, "access_log": "json", "cache": {"valid": 1}},
        )
        for each in site_configs([site], {}, version, catch_all=True)
    )
    for directive in parse(snippet):
        name = directive.args[1].lstrip("$") if directive.name == "map" else directive.args[0]
        assert len(re.findall(rf"\b{name}\b", used)) > 1, name


@pytest.mark.parametrize(
    ("host_and_header", "believed"),
    [
        ("shop.test shop.test", True),
        ("shop.test SHOP.test:8080", True),
        ("[::1] [::1]:80", True),
        ("shop.test evil.test", False),
        ("shop.test shop.test.evil.test", False),
        ("shop.test shop.test:80:90", False),
        ("shop.test shop.test:evil", False),
        ("shop.test ", False),
        ("shop.test shop.test shop.test", False),
    ],
)
def test_a_host_header_is_believed_when_it_names_the_site(host_and_header: str, believed: bool) -> None:
    (found,) = (
        d for d in parse(SNIPPET.read_text(encoding="utf-8")) if d.name == "map" and d.args[1] == "$flaskops_host"
    )
    assert found.block is not None
    pattern = found.block[1].name
    assert bool(re.search(re.sub(r"^~\*", "", pattern), host_and_header, re.IGNORECASE)) is believed


@pytest.mark.parametrize(
    ("uri", "forever"),
    [
        ("/static/app.3f2a91c0.css", True),
        ("/static/app-0123456789abcdef0123456789abcdef.min.js", True),
        ("/static/report-3f2a91c0.d/app.css", False),
        ("/static/app.css", False),
        ("/static/report-20240101.pdf", False),
        ("/static/my-facade.css", False),
        ("/static/decade-deadbeef.css", False),
        ("/static/3f2a91c0/app.css", False),
    ],
)
def test_only_a_fingerprint_makes_a_file_last_forever(uri: str, forever: bool) -> None:
    (found,) = (
        d for d in parse(SNIPPET.read_text(encoding="utf-8")) if d.name == "map" and d.args[1] == "$flaskops_named"
    )
    assert found.block is not None
    # Without the query, which says nothing of what the path holds after a rollback.
    assert found.args[0] == "$uri"
    patterns = [re.sub("^~", "", line.name) for line in found.block if line.args == ("1",)]
    assert any(re.search(pattern, uri) for pattern in patterns) is forever


# Everything that a user may write, except what is refused.
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30)
PATH = TEXT.map(lambda text: "/" + text.replace("$", "")).filter(lambda path: ".." not in path.split("/"))


# With variables, for which alone nginx takes a dollar.
VALUE = (TEXT | TEXT.map(lambda text: "$" + text)).map(lambda text: text.replace("$", "$x"))


@given(value=VALUE, path=PATH)
def test_no_value_breaks_out_of_its_directive(value: str, path: str) -> None:
    plain = {"proxy_headers": {"X-A": "x"}, "security_headers": {"X-B": "x"}, "static": [{"url": "/x", "path": "/x"}]}
    hostile = {
        "proxy_headers": {"X-A": value},
        "security_headers": {"X-B": value},
        "static": [{"url": "/x", "path": path}],
    }
    certificates = ({"certificate": "/x", "key": "/x"}, {"certificate": path, "key": path})
    texts = [
        rendered({**SITE, **changes, "tls": tls, "locations": [{"path": place, "config": "deny all;"}]})
        for changes, tls, place in zip((plain, hostile), certificates, ("/y", f"~ {path}y"))
    ]
    names = [[directive.name for directive in descend(parse(text))] for text in texts]
    assert names[0] == names[1]
    arguments = {(d.name, d.args[0]): d.args for d in descend(parse(texts[1])) if d.args}
    assert arguments["proxy_set_header", "X-A"] == ("X-A", value)
    assert arguments["add_header", "X-B"] == ("X-B", value, "always")
    assert ("alias", path.rstrip("/") + "/") in arguments
    assert ("ssl_certificate", path) in arguments


@pytest.mark.parametrize(("version", "there"), [("1.27.3", False), ("1.27.4", True), (NEW, True)])
def test_a_reload_leaves_connections_alone_that_were_just_used(version: str, there: bool) -> None:
    assert (["keepalive_min_timeout", "5s"] in words(main(SITE, version))) is there


def test_the_users_own_time_for_idle_connections_is_taken() -> None:
    lines = words(main({**SITE, "config": "keepalive_min_timeout 1s;"}))
    assert [line for line in lines if line[0] == "keepalive_min_timeout"] == [["keepalive_min_timeout", "1s"]]


PLACES: tuple[t.Callable[[str], dict[str, t.Any]], ...] = (
    lambda text: {"domains": [text], "redirects": ["x.test"]},
    lambda text: {"redirects": [text]},
    lambda text: {"upstream": [text]},
    lambda text: {"static": [{"url": f"/{text}", "path": "/srv/x"}]},
    lambda text: {"static": [{"url": "/x", "path": f"/{text}", "previous": f"/{text}"}]},
    lambda text: {"body_size": text},
    lambda text: {"trusted_proxies": [text]},
    lambda text: {"proxy_headers": {"X-A": text}},
    lambda text: {"proxy_headers": {text: "a"}},
    lambda text: {"pass_headers": [text]},
    lambda text: {"security_headers": {"X-A": text}},
    lambda text: {"tls": {"certificate": f"/{text}", "key": f"/{text}"}},
    lambda text: {"locations": [{"path": f"/{text}"}]},
    lambda text: {"locations": [{"path": f"@{text}", "config": text}]},
    lambda text: {"maintenance": {"flag": f"/{text}", "page": f"/{text}", "open": [f"/{text}"]}},
    lambda text: {"maintenance": {"flag": f"/{text}"}},
    lambda text: {"cache": {"valid": 10, "paths": [f"/{text}"], "bypass": [f"/{text}"], "max_size": text or "1m"}},
    lambda text: {"error_pages": {text: {"404": {"title": "a", "text": "a"}}}},
    lambda text: {"error_pages": {"de": {"404": {"title": text, "text": text}}}},
    lambda text: {"config": text},
    lambda text: {"content": text},
)


@given(st.sampled_from(PLACES), st.text(alphabet="a/.:;{}\"'\\$ \n\x00#@~*-ä", max_size=12))
def test_what_is_read_without_an_error_is_rendered_without_one(
    place: t.Callable[[str], dict[str, t.Any]], text: str
) -> None:
    """The first task of a playbook reads sites and does not render them."""
    item = {"name": "shop", "domains": ["shop.test"], "upstream": ["10.0.0.1:8000"], **place(text)}
    try:
        parse_sites([item], {})
    except InputError:
        return
    for version in (OLD, NEW):
        assert site_configs([item], {}, version, catch_all=True)


def test_a_file_that_is_missing_is_looked_for_in_the_previous_release() -> None:
    static = Static("/static/", "/srv/shop/current/app/static/", previous="/run/flaskops/previous/shop/app/static/")
    assert fallback(static, 2)[0] == "error_page 404 = @flaskops_previous_2;"
    lines = [line.strip() for line in previous_location(static, 2, "~ /\\.", ["expires 1d;"])]
    assert lines[1] == "location @flaskops_previous_2 {"
    assert {'root "/run/flaskops/previous/shop/app/static/";', "try_files $uri =404;", "expires 1d;"} <= set(lines)
    assert 'disable_symlinks if_not_owner "from=/run/flaskops/previous/shop/app/";' in lines


def test_without_a_previous_release_there_is_nowhere_else_to_look() -> None:
    static = Static("/static/", "/srv/shop/current/app/static/")
    assert fallback(static, 0) == previous_location(static, 0, "", []) == []
