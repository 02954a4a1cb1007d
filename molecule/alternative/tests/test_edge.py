# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a visitor sees when everything is set."""

from __future__ import annotations

import base64
import json
import re
import time
import typing as t
import uuid

import pytest

from tools.molecule.protocols import ReleaseOf, Shell, Visit

CA = "/etc/ssl/own/ca.crt"
SHOP = "shop.test"


@pytest.mark.parametrize("name", [SHOP, "www.shop.test", "shop-too.test"])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_plain_http_leads_to_the_canonical_https(visit: Visit, name: str, address: str) -> None:
    reply = visit(name, "/a?b=c", address=address)
    canonical = SHOP if name == "www.shop.test" else name
    assert (reply.status, reply.header("location")) == (301, f"https://{canonical}/a?b=c")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_https_answers_with_a_valid_certificate(visit: Visit, address: str) -> None:
    assert visit(SHOP, ca_file=CA, address=address).text == "probe\n"


def test_a_site_that_the_host_has_signed_for_is_served_with_its_certificate(visit: Visit, sh: Shell) -> None:
    place = "/etc/flaskops/tls/signed/current"
    reply = visit("signed.test", "/healthz", ca_file=f"{place}/fullchain.pem")
    assert (reply.text, reply.header("strict-transport-security")) == ("ok\n", "")
    assert visit("signed.test", "/healthz").text == "ok\n"
    assert sh(f"stat -L -c '%a %U' {place}/privkey.pem").split() == ["600", "root"]


def test_the_other_name_leads_to_the_canonical_one(visit: Visit) -> None:
    reply = visit("www.shop.test", "/a?b=c", ca_file=CA)
    assert (reply.status, reply.header("location")) == (301, f"https://{SHOP}/a?b=c")


def test_an_unknown_name_gets_no_certificate(visit: Visit) -> None:
    # The handshake is refused: no visitor learns which sites there are.
    reply = visit("unknown.test", ca_file=CA)
    assert reply.error.startswith("SSLError"), reply
    assert "ALERT" in reply.error.upper() or "UNRECOGNIZED" in reply.error.upper(), reply


def test_an_unknown_name_behind_a_known_handshake_gets_no_reply(visit: Visit) -> None:
    reply = visit(SHOP, headers={"Host": "unknown.test"}, ca_file=CA)
    assert reply.status in (0, 421), reply


@pytest.mark.parametrize(("version", "accepted"), [("-tls1_2", "no"), ("-tls1_3", "yes")])
def test_the_modern_profile_has_tls_1_3_alone(sh: Shell, version: str, accepted: str) -> None:
    client = f"openssl s_client -connect 127.0.0.1:443 -servername {SHOP} {version}"
    assert sh(f"{client} < /dev/null > /dev/null 2>&1 && echo yes || echo no").strip() == accepted


def test_flask_knows_of_https(visit: Visit) -> None:
    seen = visit(SHOP, "/whoami", ca_file=CA, headers={"X-Forwarded-Proto": "http", "X-Extra": "forged"}).json
    assert (seen["scheme"], seen["external"]) == ("https", f"https://{SHOP}/")
    assert (seen["client"], seen["extra"]) == ("127.0.0.1", "yes")


@pytest.mark.parametrize(
    ("target", "status"), [("/", 200), ("/error", 500), ("/none", 404), ("/static/probe.css", 200), ("/ping", 200)]
)
def test_every_answer_has_the_security_headers(visit: Visit, target: str, status: int) -> None:
    reply = visit(SHOP, target, ca_file=CA)
    assert reply.status == status
    assert reply.header("strict-transport-security").startswith("max-age=300")
    assert reply.header("x-frame-options") == "DENY"
    assert reply.header("permissions-policy") == "camera=()"
    assert reply.header("x-content-type-options") == "nosniff"


def test_a_refused_upload_has_the_security_headers_too(visit: Visit) -> None:
    reply = visit(SHOP, "/upload", method="POST", headers={"Content-Length": "2000000"}, ca_file=CA)
    assert (reply.status, reply.header("x-frame-options")) == (413, "DENY")


def test_an_answer_is_kept_for_all_but_those_with_a_cookie(visit: Visit) -> None:
    target = f"/text?{time.time_ns()}"
    seen = [visit(SHOP, target, ca_file=CA).header("x-cache-status") for _turn in range(2)]
    assert seen == ["MISS", "HIT"]
    assert visit(SHOP, target, headers={"Cookie": "a=b"}, ca_file=CA).header("x-cache-status") == "BYPASS"
    assert visit(SHOP, "/whoami", ca_file=CA).header("x-cache-status") == ""


@pytest.mark.parametrize(
    ("headers", "status", "part"),
    [
        ({"Accept-Language": "de-AT, en;q=0.5"}, 404, '<html lang="de">'),
        ({"Accept-Language": "fr"}, 404, '<html lang="en">'),
        ({"Accept": "application/json"}, 404, '{"status":404,"title":"Not Found"}'),
    ],
)
def test_a_missing_static_file_is_answered_with_a_page_in_the_language_of_the_visitor(
    visit: Visit, headers: dict[str, str], status: int, part: str
) -> None:
    reply = visit(SHOP, "/static/none.css", headers=headers, ca_file=CA)
    assert (reply.status, reply.header("cache-control")) == (status, "no-store")
    assert part in reply.text
    assert reply.header("x-frame-options") == "DENY"


def test_an_error_page_of_the_application_is_its_own(visit: Visit) -> None:
    reply = visit(SHOP, "/none", ca_file=CA)
    assert reply.status == 404
    assert "requested URL was not found" in reply.text


def test_a_visitor_may_ask_as_often_as_the_limit_says_and_is_told_when_again(visit: Visit) -> None:
    # One and a burst of two; every run of this test is a new visitor.
    first, second = (uuid.uuid4().hex for _visitor in range(2))
    replies = [visit(SHOP, "/limited/x", ca_file=CA, headers={"X-Visitor": first}) for _request in range(5)]
    assert [reply.status for reply in replies] == [404, 404, 404, 429, 429]
    assert [reply.header("retry-after") for reply in replies] == ["", "", "", "60", "60"]
    assert replies[-1].header("x-frame-options") == "DENY"
    # Forms of the path that Flask or nginx takes for another one are no way around it.
    for target in ("//limited", "/%6cimited/"):
        assert visit(SHOP, target, ca_file=CA, headers={"X-Visitor": first}).status == 429, target
    # A path with ".." falls under all rules of the site, and one of them closes a path.
    for target in ("/limited/x/../..", "/x/%2E%2e/limited"):
        assert visit(SHOP, target, ca_file=CA, headers={"X-Visitor": first}).status == 403, target
    assert visit(SHOP, "/limited", ca_file=CA, headers={"X-Visitor": second}).status == 404


@pytest.mark.parametrize(
    "target", ["/private", "//private", "/%70rivate", "/private/x/../../", "/private%2f..", "/x/../private/"]
)
def test_a_path_is_closed_for_those_who_are_not_allowed_however_it_is_written(visit: Visit, target: str) -> None:
    assert visit(SHOP, target, ca_file=CA).status == 403


@pytest.mark.parametrize("target", ["/private2", "/Private", "/.well-known/acme-challenge/private"])
def test_a_closed_path_closes_no_other_one(visit: Visit, target: str) -> None:
    assert visit(SHOP, target, ca_file=CA).status == 404


def test_another_method_is_refused_with_those_that_are_accepted(visit: Visit) -> None:
    refused, accepted = (visit(SHOP, "/form", method=method, ca_file=CA) for method in ("GET", "POST"))
    assert (refused.status, refused.header("allow")) == (405, "POST")
    assert (accepted.status, accepted.header("allow")) == (404, "")


@pytest.mark.parametrize(
    ("target", "user", "status"),
    [
        ("/staff", "", 401),
        ("/staff", "alice:correct horse", 404),
        ("/staff/x", "bob:4711", 404),
        ("/staff", "alice:correct", 401),
        ("/staff", "carol:correct horse", 401),
        ("//staff", "", 401),
        ("/%73taff%2fx", "", 401),
        ("/staff/door", "", 404),
        ("/staff2", "", 404),
    ],
)
def test_a_path_needs_a_password(visit: Visit, target: str, user: str, status: int) -> None:
    headers = {"Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"} if user else {}
    reply = visit(SHOP, target, headers=headers, ca_file=CA)
    assert reply.status == status
    assert reply.header("www-authenticate") == ('Basic realm="Staff"' if status == 401 else "")


def test_hashes_of_passwords_are_for_nginx_alone(sh: Shell) -> None:
    assert sh("stat -c '%a %U %G' /etc/nginx/flaskops-passwords/shop") == "640 root www-data"
    hashes = sh("cut -d: -f2 /etc/nginx/flaskops-passwords/shop").split()
    assert [text[:3] for text in hashes] == ["$6$", "$6$"]
    assert sh("nginx -T 2>/dev/null").count(hashes[0]) == 0
    assert sh("journalctl --no-pager --output cat").count("$6$") == 0


def test_security_headers_can_be_left_out(visit: Visit) -> None:
    assert visit("gev.test").header("x-frame-options") == ""


def test_static_files_are_kept_by_browsers(visit: Visit) -> None:
    reply = visit(SHOP, "/static/probe.css", ca_file=CA)
    assert reply.status == 200
    assert "immutable" in reply.header("cache-control")
    assert "max-age=86400" in reply.header("cache-control")


def test_static_files_come_from_nginx_itself(visit: Visit, sh: Shell) -> None:
    units = sh("systemctl list-units --plain --no-legend --state active 'shop@*' | cut -d ' ' -f 1").replace("\n", " ")
    sh(f"systemctl stop {units}")
    try:
        assert visit(SHOP, "/static/probe.css", ca_file=CA).status == 200
        reply = visit(SHOP, ca_file=CA)
        assert (reply.status, reply.header("retry-after")) == (502, "10")
        assert "This site does not answer" in reply.text
    finally:
        sh(f"systemctl start {units}")


@pytest.mark.parametrize(
    "target", ["/static/../probe.py", "/static/%2e%2e/probe.py", "/static../probe.py", "/probe.py"]
)
def test_code_is_not_served(visit: Visit, target: str) -> None:
    assert "import" not in visit(SHOP, target, ca_file=CA).text


def test_a_location_of_the_users_own_answers(visit: Visit) -> None:
    assert visit(SHOP, "/ping", ca_file=CA).text == "pong"


@pytest.mark.parametrize(("app", "limit"), [("shop", 1), ("tor", 4)])
def test_the_body_size_is_the_sites_or_the_default(visit: Visit, app: str, limit: int) -> None:
    secure: dict[str, t.Any] = {"ca_file": CA} if app == "shop" else {}
    small, large = limit * 1024 * 1024 - 4096, limit * 1024 * 1024 + 4096
    assert visit(f"{app}.test", "/upload", method="POST", upload=small, **secure).status == 200
    assert (
        visit(f"{app}.test", "/upload", method="POST", headers={"Content-Length": str(large)}, **secure).status == 413
    )


def test_a_websocket_echoes(visit: Visit) -> None:
    reply = visit("gev.test", "/echo", websocket="hello")
    assert (reply.status, reply.text) == (101, "hello")


@pytest.mark.parametrize(("name", "encoding"), [("tor.test", "gzip"), ("gev.test", "")])
def test_compression_is_a_choice(visit: Visit, name: str, encoding: str) -> None:
    headers = {"Accept-Encoding": "gzip"}
    assert visit(name, "/text", headers=headers).header("content-encoding") in (encoding, "")
    assert visit(name, "/none", headers=headers).status == 404


def test_a_log_in_json_is_json(visit: Visit, sh: Shell) -> None:
    visit(SHOP, '/a"b\\c', ca_file=CA)
    entry = json.loads(sh("tail -n 1 /var/log/nginx/shop.access.log"))
    assert 404 in entry.values()
    assert '/a"b\\c' in entry.values()


@pytest.mark.parametrize(
    ("line", "header", "field", "logged"),
    [
        (b"/\xff\xfe?x=1", b"", "uri", "/\ufffd"),
        ("/käse/€".encode(), b"", "uri", "/käse/€"),
        (b"/", b"User-Agent: old\xe9\r\n", "user_agent", "old\ufffd"),
        (b"/", b"Referer: \xc0\xaf\r\n", "referer", "\ufffd"),
    ],
)
def test_a_log_in_json_is_json_whatever_bytes_a_visitor_sends(
    sh: Shell, line: bytes, header: bytes, field: str, logged: str
) -> None:
    request = b"GET " + line + b" HTTP/1.1\r\nHost: shop.test\r\n" + header + b"Connection: close\r\n\r\n"
    send = f"s = socket.create_connection(('127.0.0.1', 80)); s.sendall(bytes.fromhex('{request.hex()}'))"
    sh(f"python3 -c \"import socket; {send}; [None for _ in iter(lambda: s.recv(4096), b'')]\"")
    assert json.loads(sh("tail -n 1 /var/log/nginx/shop.access.log"))[field] == logged


def test_the_health_path_is_logged_only_when_it_fails(visit: Visit, sh: Shell) -> None:
    assert visit(SHOP, "/healthz?well", ca_file=CA).status == 200
    assert visit(SHOP, "/healthz?ill", method="DELETE", ca_file=CA).status == 405
    log = sh("tail -n 20 /var/log/nginx/shop.access.log")
    assert "/healthz?ill" in log
    assert "/healthz?well" not in log


def test_paths_of_the_users_choice_are_left_out_of_the_log(visit: Visit, sh: Shell) -> None:
    assert [visit("key.test", path).status for path in ("/text?left-out", "/healthz?logged")] == [200, 200]
    log = sh("tail -n 5 /var/log/nginx/key.access.log")
    assert "/healthz?logged" in log
    assert "/text?left-out" not in log


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_nginx_counts_for_this_host_only(visit: Visit, sh: Shell, address: str) -> None:
    counters = visit("any.test", "/stub_status", port=8181, address=address)
    assert (counters.status, counters.text.startswith("Active connections: ")) == (200, True)
    assert visit("any.test", "/", port=8181, address=address).status == 404
    assert not {"0.0.0.0:8181", "[::]:8181"} & {line.split()[3] for line in sh("ss -ltnH").splitlines()}


def test_requests_are_counted_for_prometheus(visit: Visit, sh: Shell) -> None:
    sh("systemctl start flaskops-metrics.service")
    total = "grep '^flaskops_http_requests_total{application=\"shop\"' /var/lib/metrics/flaskops.prom"
    before = sum(int(line.rpartition(" ")[2]) for line in sh(total).splitlines())
    assert [visit(SHOP, "/whoami", ca_file=CA).status for _time in range(5)] == [200] * 5
    sh("systemctl start flaskops-metrics.service")
    assert sum(int(line.rpartition(" ")[2]) for line in sh(total).splitlines()) == before + 5
    assert sh("grep '^flaskops_metrics_problems' /var/lib/metrics/flaskops.prom").split()[-1] == "0"
    assert 'site="shop"' in sh("grep '^flaskops_certificate_not_after' /var/lib/metrics/flaskops.prom")
    assert sh("systemctl is-active flaskops-metrics.timer").strip() == "active"


def test_a_log_can_be_off(visit: Visit, sh: Shell) -> None:
    visit("syn.test")
    assert sh("find /var/log/nginx -name 'syn.*' -size +0") == ""


def test_two_trusted_hops_are_believed_and_no_third(visit: Visit) -> None:
    outer = {
        "X-Forwarded-For": "203.0.113.66, 198.51.100.7",
        "X-Forwarded-Proto": "https",
        "X-Original-Host": "public.test",
    }
    seen = visit("syn.test", "/whoami", headers=outer).json
    assert seen["client"] == "198.51.100.7"
    assert (seen["scheme"], seen["host"], seen["external"]) == ("https", "public.test", "https://public.test/")


def test_a_request_has_one_id_for_flask_the_visitor_and_both_logs(
    visit: Visit, sh: Shell, release_of: ReleaseOf
) -> None:
    reply = visit(SHOP, "/whoami?with-an-id", ca_file=CA, headers={"X-Request-ID": "forged-by-a-visitor"})
    request_id = reply.json["request_id"]
    assert re.fullmatch("[0-9a-f]{32}", request_id)
    assert reply.header("x-request-id") == request_id
    assert json.loads(sh("grep with-an-id /var/log/nginx/shop.access.log | tail -n 1"))["request_id"] == request_id
    assert request_id in sh(f"journalctl --no-pager --output cat --unit 'shop@{release_of('shop')}*.service'")


@pytest.mark.parametrize(("target", "status"), [("/error", 500), ("/none", 404), ("/static/probe.css", 200)])
def test_a_log_in_json_names_the_release(
    visit: Visit, sh: Shell, release_of: ReleaseOf, target: str, status: int
) -> None:
    assert visit(SHOP, f"{target}?of-a-release", ca_file=CA).status == status
    entry = json.loads(sh("grep of-a-release /var/log/nginx/shop.access.log | tail -n 1"))
    assert (entry["uri"], entry["status"]) == (f"{target}?of-a-release", status)
    assert entry["release"] == release_of("shop")


@pytest.mark.parametrize(("sent", "believed"), [("of-the-proxy-1", True), ("no id", False), ("a" * 65, False)])
def test_the_id_of_another_proxy_is_believed_when_it_is_one(visit: Visit, sent: str, believed: bool) -> None:
    reply = visit("syn.test", "/whoami", headers={"X-Request-ID": sent})
    assert (reply.json["request_id"] == sent) is believed
    assert reply.header("x-request-id") == reply.json["request_id"]


def test_an_upstream_over_tcp_answers(visit: Visit) -> None:
    assert visit("direct.test", "/healthz").text == "ok\n"


def test_an_application_without_ipv6_does_not_answer_there(visit: Visit) -> None:
    assert visit("syn.test", address="::1").status == 0


def test_nginx_runs_the_configuration_that_is_ours(sh: Shell) -> None:
    # Answers that are kept bring processes of another kind.
    assert sh("pgrep --count --parent $(cat /run/nginx.pid) --full 'nginx: worker process'") == "2"
    assert "map_hash_bucket_size 256;" in sh("nginx -T 2>/dev/null")


def test_the_configuration_gives_no_warning(sh: Shell) -> None:
    assert sh("nginx -t -q 2>&1") == ""
