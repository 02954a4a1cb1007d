# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy before nginx, which says whose connections it passes on (PROXY protocol), and a proxy that sends headers."""

from __future__ import annotations

import json
import typing as t

import pytest

from tools.molecule.protocols import Shell, Visit

NAME = "balanced.test"
CERTIFICATE = "/etc/flaskops/tls/balanced/current/fullchain.pem"
VISITOR, FORGED = "127.0.0.9", "203.0.113.66"
# The ports of the balancer, and of one that is not trusted; see others.yml.
PLAIN, SECURE, STRANGER = 10080, 10443, 11080
HEADERS = {
    "X-Forwarded-For": FORGED,
    "X-Real-IP": FORGED,
    "X-Forwarded-Host": "evil.test",
    "X-Forwarded-Proto": "http",
    "Forwarded": f"for={FORGED};host=evil.test;proto=http",
}


@pytest.mark.parametrize("headers", [{}, HEADERS], ids=["plain", "forged"])
def test_flask_sees_the_visitor_of_the_balancer_alone(visit: Visit, headers: dict[str, str]) -> None:
    seen = visit(NAME, "/whoami", port=SECURE, ca_file=CERTIFICATE, source=VISITOR, headers=headers).json
    assert (seen["client"], seen["host"], seen["scheme"]) == (VISITOR, NAME, "https")


def test_the_log_and_the_redirect_to_https_know_the_visitor(visit: Visit, sh: Shell) -> None:
    reply = visit(NAME, "/of-a-visitor", port=PLAIN, source=VISITOR)
    assert (reply.status, reply.header("location")) == (301, f"https://{NAME}:9443/of-a-visitor")
    assert sh("grep of-a-visitor /var/log/nginx/balanced.access.log | tail -n 1").split()[0] == VISITOR


def test_a_balancer_that_is_not_trusted_says_nothing(visit: Visit, sh: Shell) -> None:
    assert visit(NAME, "/of-a-stranger", port=STRANGER, source=VISITOR).status == 301
    assert sh("grep of-a-stranger /var/log/nginx/balanced.access.log | tail -n 1").split()[0] == "127.0.0.3"


@pytest.mark.parametrize("secure", [True, False])
def test_a_visitor_who_comes_past_the_balancer_cannot_say_who_he_is(visit: Visit, secure: bool) -> None:
    more: dict[str, t.Any] = {"ca_file": CERTIFICATE, "port": 9443} if secure else {"port": 9080}
    greeting = f"PROXY TCP4 {FORGED} 127.0.0.1 1234 {more['port']}\r\n"
    assert visit(NAME, "/whoami", source=VISITOR, **more).status == 0
    reply = visit(NAME, "/whoami", source=VISITOR, greeting=greeting, headers=HEADERS, **more)
    if secure:
        assert (reply.json["client"], reply.json["host"]) == (VISITOR, NAME)
    assert reply.status == (200 if secure else 301)


def test_a_visitor_who_greets_through_the_balancer_is_no_other_one(visit: Visit) -> None:
    greeting = f"PROXY TCP4 {FORGED} 127.0.0.1 1234 9080\r\n"
    assert visit(NAME, "/whoami", port=PLAIN, source=VISITOR, greeting=greeting).status == 400


@pytest.mark.parametrize("source", ["127.0.0.5", "127.0.0.1"])
def test_headers_are_believed_from_a_proxy_that_is_trusted_alone(visit: Visit, sh: Shell, source: str) -> None:
    # "Forwarded" is not among them: neither nginx nor Flask reads it.
    sent = {**HEADERS, "X-Forwarded-For": f"{FORGED}, 198.51.100.7", "X-Forwarded-Host": "proxied.test:8443"}
    del sent["Forwarded"]
    assert visit("proxied.test", f"/from-{source}", source=source, headers=sent).status == 200
    seen = json.loads(sh(f"grep from-{source} /srv/proxied/shared/seen/requests.jsonl | tail -n 1"))
    headers = dict(seen["headers"])
    if source == "127.0.0.1":
        # The last but one is who asked the proxy; what stands before may be forged.
        assert (seen["client"], seen["host"]) == ("198.51.100.7", "proxied.test:8443")
    else:
        # Flask counts two hops, as through the proxy.
        assert headers["x-forwarded-for"] == f"{source}, {source}"
        assert (seen["client"], seen["host"]) == (source, "proxied.test")
        assert FORGED not in json.dumps(seen)


def test_a_host_name_that_no_site_has_gets_no_answer(visit: Visit) -> None:
    assert visit("unknown.test", port=PLAIN, source=VISITOR).status == 0
    assert visit("unknown.test", port=SECURE, ca_file=CERTIFICATE, source=VISITOR).error.startswith("SSLError")
