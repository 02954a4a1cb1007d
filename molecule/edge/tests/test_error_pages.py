# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each error that nginx answers itself: with a page in the visitor's language, or in JSON for programs."""

from __future__ import annotations

import typing as t

import pytest
import yaml

from tools.common import ROOT
from tools.molecule.protocols import Reply, Shell, Visit

Fail = t.Callable[..., Reply]

SITE = yaml.safe_load((ROOT / "tools" / "molecule" / "errors.yml").read_text(encoding="utf-8"))
GERMAN: dict[t.Any, dict[str, str]] = SITE["error_pages"]["de"]
NAME = SITE["domains"][0]
# What leads to each, and what is said in English.
REQUESTS: dict[int, tuple[str, dict[str, t.Any], str]] = {
    404: ("/static/none.css", {}, "Page not found"),
    413: ("/upload", {"method": "POST", "upload": 4096}, "Too large"),
    429: ("/limited", {}, "Too many requests"),
    502: ("/", {}, "Not available at the moment"),
    503: ("/closed", {}, "Not available at the moment"),
    504: ("/slow", {}, "This takes too long"),
}
TITLES = {404: "Not Found", 413: "Content Too Large", 429: "Too Many Requests"}
TITLES |= {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}
RETRY = {429: "60", 502: "10", 503: "10", 504: "10"}


@pytest.fixture
def fail(visit: Visit) -> Fail:
    """Send a request that nginx answers with an error."""

    def send(status: int, **headers: str) -> Reply:
        target, more, _title = REQUESTS[status]
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        # Only the second request in a minute is one too many.
        for _time in range(2 if status == 429 else 1):
            reply = visit(NAME, target, headers=given, **more)
        return reply

    return send


@pytest.mark.parametrize("status", REQUESTS)
@pytest.mark.parametrize(
    ("languages", "language"),
    [
        ("", "en"),
        ("de-AT, de;q=0.9, en;q=0.5", "de"),
        ("fr, DE;q=0.5", "de"),
        ("en-US, de", "en"),
        ("de;q=0, en", "en"),
    ],
)
def test_an_error_is_answered_in_the_language_of_the_visitor(
    fail: Fail, status: int, languages: str, language: str
) -> None:
    reply = fail(status, Accept_Language=languages)
    title = GERMAN[status]["title"] if language == "de" else REQUESTS[status][2]
    assert (reply.status, reply.header("content-type")) == (status, "text/html; charset=utf-8")
    assert f"<h1>{title}</h1>" in reply.text and f'<html lang="{language}">' in reply.text.lower()
    assert language == "en" or GERMAN[status]["text"] in reply.text
    assert (reply.header("cache-control"), reply.header("retry-after")) == ("no-store", RETRY.get(status, ""))
    assert reply.header("x-content-type-options") == "nosniff"


@pytest.mark.parametrize("status", REQUESTS)
def test_a_program_gets_json(fail: Fail, status: int) -> None:
    reply = fail(status, Accept="application/json", Accept_Language="de")
    assert (reply.status, reply.header("content-type")) == (status, "application/problem+json")
    assert reply.json == {"status": status, "title": TITLES[status]}


@pytest.fixture
def closed(sh: Shell) -> t.Iterator[None]:
    """Close the site."""
    flag = SITE["maintenance"]["flag"]
    sh(f"touch {flag}")
    yield
    sh(f"rm {flag}")


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize("target", ["/", "/static/none.css", "/closed", "/limited"])
@pytest.mark.parametrize(
    ("languages", "language", "title"),
    [("de", "de", GERMAN["maintenance"]["title"]), ("fr", "en", "Down for maintenance")],
)
def test_maintenance_is_told_in_the_language_of_the_visitor(
    visit: Visit, target: str, languages: str, language: str, title: str
) -> None:
    reply = visit(NAME, target, headers={"Accept-Language": languages})
    assert (reply.status, reply.header("retry-after"), reply.header("cache-control")) == (503, "300", "no-store")
    assert f"<h1>{title}</h1>" in reply.text and f'<html lang="{language}">' in reply.text
