# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import calendar

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._acme.model import Problem
from ansible_collections.flaskops.stack.plugins.module_utils._acme.problems import failed_renewals, find_problems
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_certbot import problem

NOW = 1_800_000_000.0
BLOCKS = """
Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these problems:
  Domain: nx.test
  Type:   dns
  Detail: DNS problem: NXDOMAIN looking up A for
    nx.test

  Domain: away.test
  Type:   unauthorized
  Detail: 192.0.2.7: Invalid response from http://away.test/: 404

Hint: The Certificate Authority failed to download the temporary challenge files created by Certbot.
"""


def test_each_name_that_was_not_authorised_is_named_with_type_and_detail() -> None:
    assert find_problems(BLOCKS, "", NOW) == [
        Problem("dns", "DNS problem: NXDOMAIN looking up A for nx.test", "nx.test"),
        Problem("unauthorized", "192.0.2.7: Invalid response from http://away.test/: 404", "away.test"),
    ]


def test_an_order_that_was_refused_is_read_from_the_log() -> None:
    parts = [
        {
            "type": "urn:ietf:params:acme:error:rejectedIdentifier",
            "detail": "forbidden",
            "identifier": {"type": "dns", "value": "blocked.test"},
        }
    ]
    log = problem("badNonce", "old") + problem("rejectedIdentifier", "policy", subproblems=parts)
    assert find_problems("An unexpected error occurred:\npolicy", f"certbot version: 4\n{log}", NOW) == [
        Problem("rejectedIdentifier", "forbidden", "blocked.test")
    ]


def test_an_old_nonce_counts_where_there_is_nothing_else() -> None:
    assert [one.kind for one in find_problems("JWS", problem("badNonce", "old"), NOW)] == ["badNonce"]


def test_what_an_earlier_run_has_logged_does_not_count() -> None:
    log = f"certbot version: 4\n{problem('rejectedIdentifier', 'x')}certbot version: 4\n"
    assert [one.kind for one in find_problems("Some error", log, NOW)] == ["certbot"]


@pytest.mark.parametrize(
    ("detail", "header", "until"),
    [
        ("too many, retry after 2027-01-16 08:00:00 UTC: see x", "", calendar.timegm((2027, 1, 16, 8, 0, 0))),
        ("too many, retry after 2027-01-16T08:00:00Z", "", calendar.timegm((2027, 1, 16, 8, 0, 0))),
        ("too many", "Retry-After: 7200", NOW + 7200),
        ("too many", "", NOW + 3600),
        ("too many, retry after 2027-02-30 08:00:00 UTC", "", NOW + 3600),
        ("too many", f"Retry-After: {'9' * 30}", NOW + 3600),
    ],
)
def test_a_rate_limit_says_until_when(detail: str, header: str, until: float) -> None:
    log = problem("rateLimited", detail).replace("Content-Type: x", header or "X: y")
    assert [(one.kind, one.until) for one in find_problems("", log, NOW)] == [("rateLimited", until)]


@pytest.mark.parametrize(
    "output",
    ["ValueError: Requesting localhost/dir: Connection refused", "requests.exceptions.ConnectionError: x"],
)
def test_a_ca_that_is_not_there_is_told_from_one_that_refuses(output: str) -> None:
    assert [one.kind for one in find_problems(output, "", NOW)] == ["unreachable"]


@pytest.mark.parametrize("body", ["{", "[]", '{"type": 3}', ""])
def test_a_log_that_is_cut_short_is_no_problem_of_its_own(body: str) -> None:
    assert find_problems("word", f"Received response:\nHTTP 200\n\n{body}", NOW) == [Problem("certbot", "word")]


def test_renewals_that_failed_are_read_from_the_last_run() -> None:
    old = "x:ERROR:certbot._internal.renewal:Failed to renew certificate gone with error: no\n"
    new = (
        "x:ERROR:certbot._internal.renewal:Failed to renew certificate shop with error: urn:x :: why\n"
        "x:WARNING:certbot._internal.renewal:Attempting to renew cert (blog) from /x.conf produced an unexpected "
        "error: no. Skipping.\n"
        "x:ERROR:certbot._internal.renewal:Renewal configuration file /etc/letsencrypt/renewal/mail.conf is broken.\n"
        "x:ERROR:certbot._internal.renewal:The error was: expected cert.pem to be a symlink\nSkipping.\n"
        "x:ERROR:certbot._internal.renewal:Renewal configuration file /etc/letsencrypt/renewal/www.shop.conf (cert: "
        "www.shop) produced an unexpected error: no. Skipping.\n"
    )
    found = failed_renewals(f"certbot version: 4\n{old}certbot version: 4\n{new}")
    assert found == {
        "shop": "urn:x :: why",
        "blog": "no. Skipping.",
        "mail": "its settings are broken: expected cert.pem to be a symlink",
        "www.shop": "its settings are broken: no",
    }
