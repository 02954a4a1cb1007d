# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines for maintenance, which look for a file with each request, without a reload. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

from .._system.paths import CHALLENGES
from .error_pages import PAGE, TYPES
from .lines import Lines, block, literal, quote
from .model import Maintenance

# Certificates are renewed during maintenance, too.
ACME = "/.well-known/acme-challenge/"
_CLOSED = "/flaskops-maintenance"
_TEXT = [
    'set $flaskops_error_title "Down for maintenance";',
    'set $flaskops_error_text "This site is being worked on. Please come back in a few minutes.";',
    "set $flaskops_error_language en;",
]


def challenge_lines(more: t.Iterable[str] = ()) -> Lines:
    """Return the location with what a CA asks for to see that a name leads to this host; C(more) are further lines."""
    return block(f"location ^~ {ACME}", ["default_type text/plain;", f"root {CHALLENGES};", *more])


def challenge_gate() -> Lines:
    """Return the lines of a server that answers nothing else."""
    return [
        *block(f'if ($uri !~ "^{literal(ACME)}[A-Za-z0-9_-]+$")', ["return 444;"]),
        "default_type text/plain;",
        f"root {CHALLENGES};",
    ]


def gate_lines(maintenance: Maintenance) -> Lines:
    """Return what leads every request to the page while the flag is there."""
    if not maintenance.flag:
        return []
    # The page is asked for by a redirect inside nginx, which passes here once more.
    exempt = [
        literal(ACME),
        f"{literal(_CLOSED)}(?:\\.(?:usual\\.)?(?:html|json))?$",
        f"{literal(PAGE)}(?:html|json)$",
        *(f"{literal(path)}$" for path in maintenance.open),
    ]
    return [
        "",
        'set $flaskops_closed "";',
        *block(f"if (-f {quote(maintenance.flag)})", ["set $flaskops_closed 1;"]),
        *block(f"if ($uri ~ {quote('^(?:' + '|'.join(exempt) + ')')})", ['set $flaskops_closed "";']),
        *block("if ($flaskops_closed)", [f"rewrite ^ {_CLOSED} last;"]),
    ]


def closed_locations(maintenance: Maintenance, headers: t.Iterable[str]) -> Lines:
    """Return the locations that answer with the page; C(headers) are the lines with headers that it has, too."""
    if not maintenance.flag:
        return []
    kept = [
        *headers,
        f"add_header Retry-After {maintenance.retry_after} always;",
        "add_header Cache-Control no-store always;",
    ]
    usual = ["internal;", *TYPES, *kept, *_TEXT, "return 503 $flaskops_error_body;"]
    own = _own_page(maintenance.page, kept) if maintenance.page else []
    closed = own or block(f"location = {_CLOSED}", ["internal;", f"rewrite ^ {_CLOSED}.$flaskops_answer last;"])
    return ["", *closed, "", *block(f"location ^~ {_CLOSED}.", usual)]


def _own_page(page: str, kept: Lines) -> Lines:
    """Return the locations that answer with a page of the user's, or the usual one while that file is not there."""
    # Two errors, one after the other: that of maintenance, and that of the missing file.
    answer = ["internal;", f"error_page 503 {_CLOSED}.html;", "recursive_error_pages on;", "return 503;"]
    lines = [
        "internal;",
        f"alias {quote(page)};",
        "types { }",
        'default_type "text/html; charset=utf-8";',
        *kept,
        f"error_page 403 404 = {_CLOSED}.usual.$flaskops_answer;",
    ]
    return [*block(f"location = {_CLOSED}", answer), "", *block(f"location = {_CLOSED}.html", lines)]
