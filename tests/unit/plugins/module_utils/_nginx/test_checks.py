# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.certificate import Certificate
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.checks import (
    ServerBlock,
    check_certificates,
    check_defaults,
    check_lost_https,
    find_problems,
    find_servers,
    socket_name,
)
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.conf import load


def servers(*texts: str, http: str = "") -> list[ServerBlock]:
    files = {f"/s/{number}": text.encode() for number, text in enumerate(texts)}
    tree = {"/main": f"http {{ {http} include /s/*; }}".encode(), **files}
    return find_servers(load("/main", tree.get, lambda _pattern: sorted(files)))


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("80", "0.0.0.0:80"),
        ("*:80", "0.0.0.0:80"),
        ("*", "0.0.0.0:80"),
        ("127.0.0.1", "127.0.0.1:80"),
        ("Example.com:81", "example.com:81"),
        ("[::]:443", "[::]:443"),
        ("[::1]", "[::1]:80"),
        ("unix:/run/x.sock", "unix:/run/x.sock"),
    ],
)
def test_one_socket_has_one_name(written: str, name: str) -> None:
    assert socket_name(written) == name


@pytest.mark.parametrize(
    ("texts", "kinds"),
    [
        (["server { listen 80; server_name a; }", "server { listen 81; server_name a; }"], []),
        (
            ["server { listen 80; server_name a b; }", "server { listen *:80; server_name B; }"],
            ["duplicate_server_name"],
        ),
        (["server { server_name a; }", "server { listen 80; server_name a; }"], ["duplicate_server_name"]),
        (["server { listen 80; }", "server { listen 80; }"], ["duplicate_server_name"]),
        (["server { server_name .a.b; }", "server { server_name *.a.b; }"], ["duplicate_server_name"]),
        (["server { server_name .a.b; }", "server { server_name c.a.b; }"], []),
        (["server { listen 80; listen [::]:80; server_name a; }"], []),
        (
            [
                "server { listen 80 default_server; server_name a; }",
                "server { listen 80 default_server; server_name b; }",
            ],
            ["duplicate_default_server"],
        ),
        (["server { listen 80 default_server; server_name a; }", "server { listen 81 default; server_name b; }"], []),
        (
            ["server { listen 80 proxy_protocol; server_name a; }", "server { listen 80; server_name b; }"],
            ["mixed_proxy_protocol"],
        ),
        (
            [
                "server { listen 80 proxy_protocol; server_name a; }",
                "server { listen *:80 proxy_protocol; server_name b; }",
            ],
            [],
        ),
        (["server { listen 443 ssl; server_name a; }", "server { listen 443; server_name b; }"], ["mixed_tls"]),
        (["server { listen 443 ssl; server_name a; }", "server { listen 443 http2 ssl; server_name b; }"], []),
        (["server { listen 443; ssl on; server_name a; }", "server { listen 443 ssl; server_name b; }"], []),
        (["server { listen 443 ssl; listen 443 quic; server_name a; }"], []),
    ],
)
def test_mistakes_that_nginx_overlooks_are_found(texts: list[str], kinds: list[str]) -> None:
    assert [problem.kind for problem in find_problems(servers(*texts))] == kinds


def test_both_places_are_named() -> None:
    problem = find_problems(servers("\nserver { server_name a; }", "#\n#\nserver { server_name a; }"))[0]
    assert "/s/0:2 and /s/1:3" in problem.message
    assert problem.files == ("/s/0", "/s/1")


@pytest.mark.parametrize(
    ("text", "http", "kinds"),
    [
        ("listen 443 ssl; server_name a.b; ssl_certificate ok; ssl_certificate_key k;", "", []),
        ("listen 443 ssl; server_name x.c.d y.c.d; ssl_certificate ok; ssl_certificate_key k;", "", []),
        ("listen 443 ssl; server_name c.d; ssl_certificate ok; ssl_certificate_key k;", "", ["certificate_names"]),
        ("listen 443 ssl; server_name _ ~^x localhost; ssl_certificate ok; ssl_certificate_key k;", "", []),
        ("listen 443 ssl; server_name e.f;", "ssl_certificate ok; ssl_certificate_key k;", ["certificate_names"]),
        ("listen 80; server_name e.f;", "ssl_certificate ok; ssl_certificate_key k;", []),
        (
            "listen 443 ssl; ssl_reject_handshake on; server_name e.f; ssl_certificate ok; ssl_certificate_key k;",
            "",
            [],
        ),
        ("listen 443 ssl; server_name a.b; ssl_certificate old; ssl_certificate_key k;", "", ["certificate_expired"]),
        ("listen 443 ssl; server_name a.b; ssl_certificate young; ssl_certificate_key k;", "", ["certificate_expired"]),
        ("listen 443 ssl; server_name e.f; ssl_certificate $unknown; ssl_certificate_key k;", "", []),
    ],
)
def test_certificates_are_measured_by_the_names_they_serve(text: str, http: str, kinds: list[str]) -> None:
    known = {"ok": Certificate(("a.b", "*.c.d"), 2000.0), "old": Certificate(("a.b",), 999.0)}
    known["young"] = Certificate(("a.b",), 2000.0, 1001.0)
    found = check_certificates(servers(f"server {{ {text} }}", http=http), known, 1000.0)
    assert [problem.kind for problem in found] == kinds


@pytest.mark.parametrize(
    ("options", "way_out"),
    [
        ("", "0.0.0.0:443 has two default servers: set nginx_catch_all: false to keep the other, or take"),
        (" quic reuseport", "0.0.0.0:443/udp has two default servers: take default_server and reuseport out of the"),
    ],
)
def test_the_way_out_of_two_default_servers_depends_on_the_protocol(options: str, way_out: str) -> None:
    text = f"server {{ listen 443{options} default_server; server_name a; }}".encode()
    paths = ["/s/flaskops-default-443", "/s/theirs"]
    tree = {"/main": b"http { include /s/*; }", **dict.fromkeys(paths, text)}
    found = check_defaults(find_servers(load("/main", tree.get, lambda _pattern: paths)))
    assert [problem.message[: len(way_out)] for problem in found] == [way_out]


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        (".a.test", "a.test *.a.test", ""),
        ("a.test b.a.test", ".a.test", ""),
        ("c.b.a.test *.b.a.test", "*.a.test", ""),
        ("A.test", "a.test", ""),
        ("_ a.test", "a.test", ""),
        (".a.test", "*.a.test", ".a.test"),
        ("a.test b.test", "a.test", "b.test"),
        # What a regular expression stands for is known where that is a few names, or they end as those of a wildcard.
        ("~^(www[.])?a[.]test$", "~^(www[.])?a[.]test$", ""),
        ("~^(?<Sub>.+)[.]a[.]test$ b.test", "b.test ~^(?<Sub>.+)[.]a[.]test$", ""),
        ("~^(www[.])?a[.]test$", "a.test www.a.test", ""),
        ("~^(www[.])?a[.]test$", "a.test *.a.test", ""),
        ("~^(www[.])?a[.]test$", "a.test", "~^(www[.])?a[.]test$"),
        (r"~^(?<sub>.+)\.a\.test$", "*.a.test", ""),
        (r"~^(?<sub>.+)\.a\.test$", "a.test www.a.test", r"~^(?<sub>.+)\.a\.test$"),
        ("~a.test", "a.test *.a.test", "~a.test"),
    ],
)
def test_https_is_kept_by_all_that_serve_a_name(before: str, after: str, lost: str) -> None:
    was, now = (servers(f"server {{ listen 443 ssl; server_name {names}; }}") for names in (before, after))
    assert [problem.subject for problem in check_lost_https(was, now, ["/s/0"])] == ([lost] if lost else [])
    assert not check_lost_https(was, servers(), [])
