# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a visitor sees, and what Flask believes of a visitor."""

from __future__ import annotations

import hashlib

import pytest

from tools.molecule.protocols import Visit

HELLO, HTTPBIN = "hello.test", "httpbin.test"
FORGED = "203.0.113.66"


def test_hello_answers_with_its_page(visit: Visit) -> None:
    reply = visit(HELLO)
    assert (reply.status, reply.header("content-type")) == (200, "text/html; charset=utf-8")
    assert "Hello from Flask" in reply.text


def test_the_page_counts_its_visits(visit: Visit) -> None:
    counts = [int(visit(HELLO).text.split("asked for ")[1].split()[0]) for _time in range(2)]
    assert counts[1] == counts[0] + 1


def test_hello_serves_its_static_file(visit: Visit) -> None:
    reply = visit(HELLO, "/static/style.css")
    assert (reply.status, reply.header("content-type").split(";")[0]) == (200, "text/css")
    assert "display: grid" in reply.text


def test_a_browser_finds_an_icon(visit: Visit) -> None:
    reply = visit(HELLO, "/favicon.ico")
    assert (reply.status, reply.header("content-type").split(";")[0]) == (200, "image/svg+xml")


def test_an_unknown_path_is_the_applications_404(visit: Visit) -> None:
    reply = visit(HELLO, "/no-such-page")
    assert reply.status == 404
    assert "The requested URL was not found on the server" in reply.text


@pytest.mark.parametrize(
    ("target", "status"), [("/get", 200), ("/status/418", 418), ("/status/503", 503), ("/image/png", 200)]
)
def test_httpbin_answers(visit: Visit, target: str, status: int) -> None:
    assert visit(HTTPBIN, target).status == status


def test_flask_sees_the_visitor(visit: Visit) -> None:
    seen = visit(HELLO, "/whoami").json
    assert (seen["client"], seen["host"], seen["scheme"]) == ("127.0.0.1", HELLO, "http")
    assert seen["external"] == f"http://{HELLO}/"


def test_flask_sees_the_port_that_the_visitor_named(visit: Visit) -> None:
    seen = visit(HELLO, "/whoami", headers={"Host": f"{HELLO}:8080"}).json
    assert (seen["host"], seen["external"]) == (f"{HELLO}:8080", f"http://{HELLO}:8080/")


def test_every_proxy_header_arrives_once(visit: Visit) -> None:
    headers = visit(HTTPBIN, "/headers?show_env=1").json["headers"]
    assert headers["Host"] == HTTPBIN
    assert headers["X-Forwarded-For"] == headers["X-Real-Ip"] == "127.0.0.1"
    assert headers["X-Forwarded-Proto"] == "http"
    assert headers["X-Forwarded-Host"] == HTTPBIN


def test_relatives_of_the_forwarded_headers_do_not_arrive(visit: Visit) -> None:
    relatives = ["X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Scheme", "X-Client-IP", "True-Client-IP", "X-Host"]
    relatives += ["Front-End-Https", "X-HTTP-Method-Override", "CF-Connecting-IP", "X-Forwarded-User", "Remote-User"]
    forged = {**dict.fromkeys(relatives, FORGED), "X-Of-The-Application": "yes"}
    headers = visit(HTTPBIN, "/headers?show_env=1", headers=forged).json["headers"]
    assert headers["X-Of-The-Application"] == "yes"
    assert not [name for name, value in headers.items() if FORGED in value]


def test_httpbin_knows_the_visitors_address(visit: Visit) -> None:
    assert visit(HTTPBIN, "/ip").json == {"origin": "127.0.0.1"}


def test_a_redirect_arrives_as_the_application_sent_it(visit: Visit) -> None:
    reply = visit(HTTPBIN, f"/redirect-to?url=http://{HELLO}/")
    assert (reply.status, reply.header("location")) == (302, f"http://{HELLO}/")


def test_an_absolute_redirect_names_the_site(visit: Visit) -> None:
    reply = visit(HTTPBIN, "/absolute-redirect/1")
    assert (reply.status, reply.header("location")) == (302, f"http://{HTTPBIN}/get")


def test_a_stream_arrives_whole(visit: Visit) -> None:
    reply = visit(HTTPBIN, "/stream/20")
    assert (reply.status, len(reply.text.splitlines())) == (200, 20)


def test_a_large_upload_arrives_unchanged(visit: Visit) -> None:
    size = 10 * 1024 * 1024
    reply = visit(HELLO, "/upload", method="POST", upload=size)
    assert (reply.status, reply.json["size"]) == (200, size)
    assert reply.json["sha256"] == hashlib.sha256(b"0123456789abcdef" * (size // 16)).hexdigest()


def test_an_upload_beyond_the_limit_is_refused(visit: Visit) -> None:
    reply = visit(HELLO, "/upload", method="POST", headers={"Content-Length": str(17 * 1024 * 1024)})
    assert reply.status == 413


@pytest.mark.parametrize(
    "forged",
    [
        {"X-Forwarded-For": FORGED},
        {"X-Forwarded-For": f"{FORGED}, 127.0.0.1"},
        {"X-Forwarded-Host": "evil.test"},
        {"X-Forwarded-Proto": "https"},
        {"X-Forwarded-Port": "8443"},
        {"X-Forwarded-Prefix": "/evil"},
        {"X-Forwarded-Ssl": "on"},
        {"X-Real-IP": FORGED},
        {"X-Scheme": "https"},
        {"Forwarded": f"for={FORGED};host=evil.test;proto=https"},
        {"X_Forwarded_For": FORGED},
        {"X-Forwarded-For": FORGED, "X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "https"},
    ],
    ids=" ".join,
)
def test_a_forged_header_is_not_believed(visit: Visit, forged: dict[str, str]) -> None:
    seen = visit(HELLO, "/whoami", headers=forged).json
    assert (seen["client"], seen["host"], seen["scheme"]) == ("127.0.0.1", HELLO, "http")
    assert seen["external"] == f"http://{HELLO}/"


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP"])
def test_a_forged_address_is_not_even_passed_on(visit: Visit, header: str) -> None:
    assert FORGED not in visit(HTTPBIN, "/ip", headers={header: FORGED}).text
    assert FORGED not in visit(HTTPBIN, "/headers?show_env=1", headers={header: FORGED}).text


def test_a_host_that_contradicts_the_request_line_is_not_believed(visit: Visit) -> None:
    reply = visit(HELLO, f"http://{HELLO}/whoami", headers={"Host": "evil.test"})
    assert reply.status == 400 or reply.json["host"] == HELLO


def test_a_request_line_for_another_host_is_not_answered(visit: Visit) -> None:
    assert visit(HELLO, "http://evil.test/whoami").status in (0, 400)


@pytest.mark.parametrize("name", ["unknown.test", "127.0.0.1", "hello.test.evil.test", "localhost"])
def test_an_unknown_host_gets_no_reply(visit: Visit, name: str) -> None:
    reply = visit(name)
    assert (reply.status, reply.error.split(":")[0]) == (0, "RemoteDisconnected")


def test_an_unknown_host_gets_no_reply_over_ipv6(visit: Visit) -> None:
    assert visit("unknown.test", address="::1").error.startswith("RemoteDisconnected")


@pytest.mark.parametrize("name", [HELLO, HTTPBIN])
def test_the_sites_answer_over_ipv6(visit: Visit, name: str) -> None:
    assert visit(name, address="::1").status == 200


@pytest.mark.parametrize("target", ["/", "/no-such-page", "/static/style.css", "/%"])
def test_no_answer_tells_a_version(visit: Visit, target: str) -> None:
    reply = visit(HELLO, target)
    assert reply.header("server") == "nginx"
    assert "nginx/" not in reply.text


@pytest.mark.parametrize("target", ["/", "/no-such-page", "/static/style.css"])
def test_every_answer_has_the_security_headers(visit: Visit, target: str) -> None:
    reply = visit(HELLO, target)
    assert reply.header("x-content-type-options") == "nosniff"
    assert reply.header("x-frame-options") == "SAMEORIGIN"
    assert reply.header("referrer-policy") == "strict-origin-when-cross-origin"


def test_a_compressible_answer_is_compressed_when_the_visitor_can(visit: Visit) -> None:
    plain = visit(HTTPBIN, "/html")
    small = visit(HTTPBIN, "/html", headers={"Accept-Encoding": "gzip"})
    assert (plain.header("content-encoding"), small.header("content-encoding")) == ("", "gzip")
    assert small.size < plain.size


def test_the_sites_of_somebody_else_answer(visit: Visit) -> None:
    assert visit("foreign.test").text == "foreign\n"
    assert visit("legacy.test").status == 200


def test_a_second_use_of_the_role_added_its_site(visit: Visit) -> None:
    assert visit("second.test").text == "second\n"
