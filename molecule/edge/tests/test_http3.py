# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP/3 on the host whose nginx has it, by the curl of the distribution."""

from __future__ import annotations

import json
import shlex
import typing as t

import pytest
from testinfra.host import Host

from tools.molecule.protocols import Eventually, Shell

testinfra_hosts = ["*-edge-newer"]

Ask = t.Callable[..., str]

HTTP3 = "--http3-only"
PLACES = {"hello.test": 443, "ported.test": 8444}
# nginx waits for the rest of this request, but not for ever.
HELD = (
    r"(printf 'POST /upload HTTP/1.1\r\nHost: hello.test\r\nContent-Length: 100\r\n"
    r"Content-Type: multipart/form-data; boundary=b\r\n\r\n'; sleep 25)"
    " | openssl s_client -quiet -connect 127.0.0.1:443 -servername hello.test"
)
MANY = 24
# The bracket keeps the shell out of it that runs this.
WORKERS = "pgrep --full '[n]ginx: worker process'"


def certificate(name: str) -> str:
    """Return the certificate that the host has signed for a site."""
    return f"/etc/flaskops/tls/{name.partition('.')[0]}/current/fullchain.pem"


def curl(name: str, target: str, options: str, address: str) -> str:
    """Return the command that asks one site, and trusts no other."""
    port = PLACES[name]
    url = f"https://{name}:{port}{target}"
    found = shlex.quote(f"{name}:{port}:{address}")
    return f"curl --silent --show-error --max-time 5 --cacert {certificate(name)} --resolve {found} {options} {url}"


@pytest.fixture
def ask(sh: Shell) -> Ask:
    """Ask a site over HTTP/3."""

    def send(name: str, target: str = "/whoami", options: str = HTTP3, address: str = "127.0.0.1") -> str:
        return sh(curl(name, target, options, address))

    return send


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
def test_a_site_answers_over_http3(ask: Ask, address: str) -> None:
    said = ask("hello.test", "/", f"{HTTP3} --output /dev/null --write-out '%{{http_version}} %{{http_code}}'", address)
    assert said == "3 200"


@pytest.mark.parametrize("target", ["/", "/static/style.css", "/none"])
@pytest.mark.parametrize(("name", "port"), PLACES.items())
def test_every_answer_says_where_http3_is(ask: Ask, name: str, port: int, target: str) -> None:
    for protocol in ("--http1.1", "--http2", HTTP3):
        head = ask(name, target, f"{protocol} --head").lower()
        assert head.count("alt-svc:") == 1 and f'alt-svc: h3=":{port}"; ma=86400' in head


def test_a_client_that_was_told_of_http3_takes_it(ask: Ask, sh: Shell) -> None:
    sh("rm -f /root/known")
    told = "--alt-svc /root/known --output /dev/null --write-out '%{http_version}'"
    assert [ask("hello.test", "/", told) for _time in range(2)] == ["2", "3"]


def test_flask_sees_the_same_as_over_http2(ask: Ask) -> None:
    forged = "".join(
        f" --header {shlex.quote(header)}"
        for header in (
            "X-Forwarded-For: 203.0.113.66",
            "X-Forwarded-Host: evil.test",
            "X-Forwarded-Proto: http",
            "X-Forwarded-Prefix: /evil",
            "X-Real-IP: 203.0.113.66",
            "Forwarded: for=203.0.113.66;host=evil.test",
        )
    )
    over3, over2 = (json.loads(ask("hello.test", options=protocol + forged)) for protocol in (HTTP3, "--http2"))
    assert (over3["client"], over3["host"], over3["scheme"]) == ("127.0.0.1", "hello.test", "https")
    assert {**over3, "pid": 0} == {**over2, "pid": 0}


def test_a_port_that_is_not_the_usual_one_stays_in_the_host(ask: Ask) -> None:
    seen = json.loads(ask("ported.test"))
    assert (seen["host"], seen["external"]) == ("ported.test:8444", "https://ported.test:8444/")


@pytest.mark.parametrize("port", PLACES.values())
def test_an_unknown_name_is_refused_in_the_handshake(host: Host, port: int) -> None:
    done = host.run(
        f"curl --silent --show-error --max-time 5 --insecure {HTTP3} --resolve unknown.test:{port}:127.0.0.1"
        f" https://unknown.test:{port}/"
    )
    assert done.rc != 0 and done.stdout == "", done
    # Refused at once, not given up.
    assert "timed out" not in done.stderr.lower(), done.stderr


def test_another_name_than_that_of_the_handshake_gets_no_page(host: Host) -> None:
    for name in ("unknown.test", "ported.test"):
        done = host.run(curl("hello.test", "/whoami", f"{HTTP3} --header 'Host: {name}'", "127.0.0.1"))
        assert done.rc != 0 and done.stdout == "", done


def test_the_log_says_that_it_was_http3(ask: Ask, sh: Shell) -> None:
    ask("hello.test", "/whoami?over-quic")
    entry = json.loads(sh("grep over-quic /var/log/nginx/hello.access.log | tail -n 1"))
    assert (entry["protocol"], entry["status"], entry["remote_addr"]) == ("HTTP/3.0", 200, "127.0.0.1")


def lost(host: Host, protocol: str) -> int:
    """Return how many of many new connections, twelve at a time, get no answer."""
    options = f"{protocol} --max-time 2 --output /dev/null --write-out '%{{http_code}} '"
    one = curl("hello.test", "/healthz", options, "127.0.0.1")
    codes: list[str] = host.run(f"seq {MANY} | xargs -P 12 -I N {one}").stdout.split()
    assert len(codes) == MANY
    return MANY - codes.count("200")


def test_what_a_reload_costs_while_a_request_holds_an_old_worker(
    sh: Shell, host: Host, eventually: Eventually, report: t.Callable[[str], None]
) -> None:
    def reload() -> t.Callable[[], int]:
        """Reload nginx, and return how many of its workers so far are left."""
        # Their title says that they end only when the new ones have started.
        before = set(sh(WORKERS).split())
        sh("systemctl reload nginx.service")
        return lambda: len(before & set(sh(WORKERS).split()))

    old_workers = reload()
    eventually(lambda: not old_workers(), 20)
    assert (lost(host, HTTP3), lost(host, "--http2")) == (0, 0)
    sh(f"systemd-run --quiet --collect --unit held sh -c {shlex.quote(HELD)}")
    try:
        eventually(lambda: "ESTAB" in host.run("ss -tnH dst 127.0.0.1:443").stdout, 5)
        sh("sleep 1")
        old_workers = reload()
        eventually(lambda: old_workers() == 1, 20)
        over3, over2 = lost(host, HTTP3), lost(host, "--http2")
        assert old_workers() == 1
    finally:
        sh("systemctl stop held.service")
    told = f"{over3} of {MANY} new HTTP/3 connections lost, {over2} of HTTP/2"
    report(f"{told}, after a reload while a request holds an old worker")
    assert over2 == 0
    assert over3 < MANY
    eventually(lambda: not old_workers(), 20)
    assert lost(host, HTTP3) == 0
