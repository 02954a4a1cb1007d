# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages for errors of nginx itself."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._site.error_pages import CODES
from ansible_collections.flaskops.stack.plugins.module_utils._site.parse import parse_site
from ansible_collections.flaskops.stack.plugins.module_utils._site.render import render_site
from ansible_collections.flaskops.stack.plugins.module_utils._site.syntax import Directive, parse

SHARED = parse((Path(__file__).parents[5] / "roles/nginx/files/flaskops.conf").read_text("utf-8"))
SITE: dict[str, t.Any] = {"name": "shop", "domains": ["shop.test"], "upstream": ["127.0.0.1:8000"]}
LEADS = "error_page 404 413 429 502 503 504 /flaskops-error.$flaskops_answer;"
GERMAN = {
    "de": {404: {"title": "Nicht gefunden", "text": 'Für $5 & "mehr" <hier>'}, "502": {"title": "b", "text": "c"}}
}


def rendered(**options: object) -> str:
    return render_site(parse_site({**SITE, **options}, {}), (1, 22))


def entries(directives: t.Iterable[Directive], variable: str) -> dict[str, str]:
    """Return what a map leads to."""
    (found,) = [item for item in directives if item.name == "map" and item.args[1] == variable]
    return {item.name: item.args[0] for item in found.block or ()}


def test_a_site_answers_errors_of_nginx_with_pages_and_leaves_those_of_the_application() -> None:
    text = rendered()
    assert LEADS in text and "location ^~ /flaskops-error. {" in text
    assert "intercept_errors" not in text


@pytest.mark.parametrize(
    "options",
    [{"error_pages": False}, {"config": "error_page 404 /own.html;"}, {"config": "proxy_intercept_errors on;"}],
)
def test_a_site_has_no_pages_of_ours_when_it_wants_none_or_has_its_own(options: dict[str, object]) -> None:
    assert "flaskops-error" not in rendered(**options)


def test_the_page_has_the_headers_of_the_site_and_is_kept_by_nobody() -> None:
    page = (
        rendered(hsts=60, behind_proxy=True).partition("location ^~ /flaskops-error. {")[2].partition("return 404")[0]
    )
    assert "add_header X-Content-Type-Options" in page and "add_header Strict-Transport-Security" in page
    assert "add_header Cache-Control no-store always;" in page
    assert "add_header Retry-After $flaskops_error_retry always;" in page


@pytest.mark.parametrize("what", ["title", "text", "reason"])
def test_each_status_has_a_text_of_its_own_in_english(what: str) -> None:
    assert set(CODES) <= set(entries(SHARED, f"$flaskops_error_{what}"))


def test_the_page_needs_nothing_else_and_fits_nginx() -> None:
    body = entries(SHARED, "$flaskops_error_body")
    assert len(body["default"]) < 4000
    assert not re.search(r"(?:src|href|url)\W|<script", body["default"])
    filled = body["json"].replace("$status", "502").replace("$flaskops_error_reason", "Bad Gateway")
    assert json.loads(filled) == {"status": 502, "title": "Bad Gateway"}


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "json"),
        ("application/problem+json, */*", "json"),
        ("text/html,application/json;q=0.9", None),
        ("*/*", None),
        ("", None),
    ],
)
def test_json_is_for_those_who_accept_it_and_no_html(accept: str, kind: str | None) -> None:
    (pattern,) = [key for key in entries(SHARED, "$flaskops_answer") if key.startswith("~*")]
    assert bool(re.search(pattern[2:], accept, re.IGNORECASE)) == (kind == "json")


def test_a_further_language_is_escaped_for_html_and_for_nginx() -> None:
    found = parse(rendered(error_pages=GERMAN))
    assert entries(found, "$flaskops_shop_title") == {
        "default": "$flaskops_error_title",
        "de 404": "Nicht gefunden",
        "de 502": "b",
    }
    assert entries(found, "$flaskops_shop_text")["de 404"] == "Für &#36;5 &amp; &quot;mehr&quot; &lt;hier&gt;"
    assert entries(found, "$flaskops_shop_language") == {"default": "en", "de 404": "de", "de 502": "de"}
    assert "set $flaskops_error_title $flaskops_shop_title;" in rendered(error_pages=GERMAN)


def test_maintenance_has_texts_in_further_languages_too() -> None:
    options = {"maintenance": {"flag": "/run/closed"}}
    usual = rendered(**options)
    assert 'set $flaskops_error_title "Down for maintenance";' in usual and "map " not in usual
    closed = {"maintenance": {"title": "Wartung", "text": "Für $5"}}
    text = rendered(**options, error_pages={"de": closed})
    found = parse(text)
    assert entries(found, "$flaskops_shop_closed_title") == {"default": "Down for maintenance", "de": "Wartung"}
    assert entries(found, "$flaskops_shop_closed_text")["de"] == "Für &#36;5"
    assert entries(found, "$flaskops_shop_closed_language") == {"default": "en", "de": "de"}
    assert "set $flaskops_error_title $flaskops_shop_closed_title;" in text and "$flaskops_shop_title" not in text
    both = rendered(**options, error_pages={"de": {**closed, **GERMAN["de"]}})
    assert entries(parse(both), "$flaskops_shop_title").keys() == {"default", "de 404", "de 502"}


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("en-US, de", "en"),
        ("fr, DE", "DE"),
        ("de;q=0, en", "en"),
        ("den", None),
        ("pt-BR", "pt-BR"),
        ("pt", None),
    ],
)
def test_the_first_language_that_is_known_is_taken(accept: str, language: str | None) -> None:
    pages = {**GERMAN, "pt-BR": {404: {"title": "a", "text": "b"}}}
    (pattern,) = [key for key in entries(parse(rendered(error_pages=pages)), "$flaskops_shop_asked") if key[0] == "~"]
    match = re.search(pattern[2:], accept, re.IGNORECASE)
    assert (match.group(1) if match else None) == language


def said(value: str, directives: t.Sequence[Directive], request: t.Mapping[str, str]) -> str:
    """Return what nginx makes of a value with variables, by the maps of a site."""

    def look_up(name: str) -> str:
        if name in request:
            return request[name]
        found = [item for item in directives if item.name == "map" and item.args[1] == name]
        if not found:
            return name
        (own,), key = found, said(found[0].args[0], directives, request)
        lines = {item.name: item.args[0] for item in own.block or ()}
        for entry, leads_to in lines.items():
            match = re.search(entry[2:], key, re.IGNORECASE) if entry.startswith("~*") else None
            if match or entry.lower() == key.lower():
                return match.group(1) if match else said(leads_to, directives, request)
        return said(lines["default"], directives, request)

    return re.sub(r"\$\w+", lambda match: look_up(match.group()), value)


# German lacks 502, French lacks 404, Portuguese has the maintenance page alone, English has words of its own for 413.
SPARSE: dict[str, t.Any] = {
    "de": {404: {"title": "de-404", "text": "a"}, "maintenance": {"title": "de-closed", "text": "a"}},
    "fr": {502: {"title": "fr-502", "text": "a"}, "maintenance": {"title": "fr-closed", "text": "a"}},
    "pt-BR": {"maintenance": {"title": "pt-closed", "text": "a"}},
    "en": {413: {"title": "en-413", "text": "a"}},
}


@pytest.mark.parametrize(
    ("accept", "status", "title"),
    [
        ("de,fr;q=0.9,en;q=0.8", "502", "fr-502"),
        ("fr,de;q=0.9", "404", "de-404"),
        ("de-AT,de;q=0.9,fr-CH;q=0.8", "502", "fr-502"),
        ("de,fr;q=0,en", "502", "$flaskops_error_title"),
        ("de,*", "502", "$flaskops_error_title"),
        ("de,fr", "413", "en-413"),
        ("de,fr", "504", "$flaskops_error_title"),
        ("pt-BR,fr,de", "404", "de-404"),
        ("pt-BR,fr,de", "maintenance", "pt-closed"),
        ("pt,fr,de", "maintenance", "fr-closed"),
        ("it", "maintenance", "Down for maintenance"),
    ],
)
def test_a_visitor_gets_the_first_of_the_languages_that_the_page_has(accept: str, status: str, title: str) -> None:
    found = parse(rendered(error_pages=SPARSE, maintenance={"flag": "/run/closed"}))
    request = {"$http_accept_language": accept, "$status": status}
    closed = "closed_" if status == "maintenance" else ""
    assert said(f"$flaskops_shop_{closed}title", found, request) == title
    language = title[:2] if title[2:3] == "-" else "en"
    assert said(f"$flaskops_shop_{closed}language", found, request).lower()[:2] == language


def test_a_site_called_like_the_page_of_another_has_maps_of_its_own() -> None:
    pages = {"de": {404: {"title": "a", "text": "b"}, "maintenance": {"title": "a", "text": "b"}}}
    names = [
        {item.args[1] for item in parse(rendered(name=name, error_pages=pages)) if item.name == "map"}
        for name in ("shop", "shop-closed")
    ]
    assert not names[0] & names[1]


@pytest.mark.parametrize(
    ("pages", "asked"),
    [
        ({"de": {404: 1, 502: 1, "maintenance": 1}, "fr": {404: 1, 502: 1, "maintenance": 1}}, 1),
        ({"en": {404: 1, 502: 1}}, 1),
        ({"de": {404: 1, 502: 1}, "en": {413: 1, "maintenance": 1}}, 1),
        ({"de": {404: 1}, "DE": {502: 1}}, 1),
        ({"de": {404: 1}, "fr": {502: 1, "maintenance": 1}}, 2),
        ({"de": {404: 1, 502: 1}, "fr": {502: 1, "maintenance": 1}}, 3),
    ],
)
def test_pages_with_the_same_languages_share_a_map(pages: dict[str, dict[object, int]], asked: int) -> None:
    texts = {"title": "a", "text": "b"}
    filled = {language: dict.fromkeys(statuses, texts) for language, statuses in pages.items()}
    assert rendered(error_pages=filled).count("map $http_accept_language ") == asked


@pytest.mark.parametrize(
    ("pages", "message"),
    [
        ("often", "error_pages must be true, false or texts by language and status, not 'often'"),
        ({"de": {404: GERMAN["de"][404], "404": GERMAN["de"][404]}}, "text for 'de 404' is listed twice"),
        ({"DE": GERMAN["de"], **GERMAN}, "is listed twice"),
        (
            {"de": {418: {"title": "a", "text": "b"}}},
            "error_pages: de: '418' must be one of 404, 413, 429, 502, 503, 504, maintenance",
        ),
        ({"german": {}}, "error_pages: 'german' must be a language such as 'de'"),
        ({False: {}}, "error_pages: False must be a language"),
        ({"de": "weg"}, "error_pages: de must be a dictionary"),
        ({"de": {404: {"title": "a", "body": "b"}}}, "error_pages: de: 404: unknown key 'body'"),
        ({"de": {404: {"title": "a"}}}, "error_pages: de: 404: text '' must be 1 to 1500 bytes"),
        ({"de": {404: {"title": "a\nb", "text": "b"}}}, "error_pages: de: 404: title"),
        ({"de": {404: {"title": "a", "text": "ü" * 800}}}, "must be 1 to 1500 bytes of text in one line"),
    ],
)
def test_what_cannot_be_shown_is_refused(pages: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_site({**SITE, "error_pages": pages}, {})
    assert message in str(caught.value)
