# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines that answer errors of nginx itself with a page that says what to do. Private to flaskops.stack.

The page and its English texts are in C(flaskops.conf), as variables: no file has to be there for an error to be
answered. An error that the application answers is passed on as it is.
"""

from __future__ import annotations

import typing as t

from .lines import Lines, block, quote, variable
from .model import ErrorText, Site

CODES = ("404", "413", "429", "502", "503", "504")
# The page during maintenance has texts in further languages, too.
MAINTENANCE = "maintenance"
PAGE = "/flaskops-error."
_ENGLISH = "en"
TYPES = block("types", ['"text/html; charset=utf-8" html;', "application/problem+json json;"])
_OWN = frozenset({"error_page", "proxy_intercept_errors"})
_WORDS: dict[str, t.Callable[[ErrorText], str]] = {
    "title": lambda text: escape(text.title),
    "text": lambda text: escape(text.text),
    "language": lambda text: text.language,
}
_CLOSED = {
    "title": "Down for maintenance",
    "text": "This site is being worked on. Please come back in a few minutes.",
    "language": _ENGLISH,
}


def has_pages(site: Site, taken: t.Collection[str]) -> bool:
    """Tell whether a site has pages for errors; C(taken) are the directives that its user has written."""
    return site.error_pages is not None and not _OWN.intersection(taken)


def error_lines() -> Lines:
    """Return what leads errors of nginx to the page."""
    return [f"error_page {' '.join(CODES)} {PAGE}$flaskops_answer;"]


def error_location(site: Site, headers: t.Iterable[str]) -> Lines:
    """Return the location with the page; C(headers) are the lines with headers that it has, too."""
    own = _WORDS if _texts(site) else ()
    lines = [
        "internal;",
        *TYPES,
        *headers,
        "add_header Retry-After $flaskops_error_retry always;",
        "add_header Cache-Control no-store always;",
        *(f"set $flaskops_error_{what} {variable(site, what)};" for what in own),
        # The status is that of the error.
        "return 404 $flaskops_error_body;",
    ]
    return ["", *block(f"location ^~ {PAGE}", lines)]


def closed_text_lines(site: Site) -> Lines:
    """Return what the page during maintenance says."""
    if _closed_texts(site):
        return [f"set $flaskops_error_{what} {variable(site, f'closed_{what}')};" for what in _WORDS]
    return [f"set $flaskops_error_{what} {_word(value)};" for what, value in _CLOSED.items()]


def error_maps(site: Site) -> list[Lines]:
    """Return the maps with a site's texts in further languages."""
    if not site.error_pages:
        return []
    found, asked = _asked(site)
    pages = {status: said for status, said in asked.items() if status != MAINTENANCE}
    page = next(iter(pages.values()), _ENGLISH)
    if len(set(pages.values())) > 1:
        page = variable(site, "page")
        lines = [f"{status} {said};" for status, said in pages.items() if said != _ENGLISH]
        found.append(block(f"map $status {page}", [f"default {_ENGLISH};", *lines]))
    for what, value in _WORDS.items() if _texts(site) else ():
        default = _ENGLISH if what == "language" else f"$flaskops_error_{what}"
        lines = [f"{quote(f'{text.language} {text.status}')} {quote(value(text))};" for text in _texts(site)]
        found.append(block(f'map "{page} $status" {variable(site, what)}', [f"default {default};", *lines]))
    for what, value in _WORDS.items() if _closed_texts(site) else ():
        lines = [f"{quote(text.language)} {quote(value(text))};" for text in _closed_texts(site)]
        default = f"default {_word(_CLOSED[what])};"
        found.append(block(f"map {asked[MAINTENANCE]} {variable(site, f'closed_{what}')}", [default, *lines]))
    return found


def _asked(site: Site) -> tuple[list[Lines], dict[str, str]]:
    """Return maps with the language that a visitor gets, and what says it for each page that has texts.

    Pages that have the same languages share a map: the first language of a visitor may lack a text for one page alone.
    """
    by_page: dict[str, list[ErrorText]] = {}
    for text in sorted(site.error_pages or (), key=lambda text: text.status):
        by_page.setdefault(text.status, []).append(text)
    shared: dict[frozenset[str], set[str]] = {}
    for texts in by_page.values():
        shared.setdefault(_known(texts), {_ENGLISH}).update(text.language for text in texts)
    if len(shared) > 1:
        # A page that has English alone needs no choice.
        shared.pop(frozenset({_ENGLISH}), None)
    names = {known: variable(site, f"asked{number or ''}") for number, known in enumerate(shared)}
    maps = [_asked_map(names[known], languages) for known, languages in shared.items()]
    return maps, {status: names.get(_known(texts), _ENGLISH) for status, texts in by_page.items()}


def _known(texts: t.Iterable[ErrorText]) -> frozenset[str]:
    return frozenset({_ENGLISH, *(text.language.lower() for text in texts)})


def _asked_map(name: str, languages: t.Iterable[str]) -> Lines:
    known = "|".join(sorted(languages, key=lambda language: (-len(language), language)))
    # The first that is known: browsers name languages in the order of their users' preference.
    first = rf"~*(?:^|,)\s*({known})(?=[-;,\s]|$)(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))"
    return block(f"map $http_accept_language {name}", [f"default {_ENGLISH};", f"{quote(first)} $1;"])


def _texts(site: Site) -> list[ErrorText]:
    return [text for text in site.error_pages or () if text.status != MAINTENANCE]


def _closed_texts(site: Site) -> list[ErrorText]:
    return [text for text in site.error_pages or () if text.status == MAINTENANCE]


def _word(value: str) -> str:
    return value if value.isalnum() else quote(value)


def escape(text: str) -> str:
    """Return a text for HTML in nginx's configuration, where a dollar begins a variable."""
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("$", "&#36;")):
        text = text.replace(char, entity)
    return text
