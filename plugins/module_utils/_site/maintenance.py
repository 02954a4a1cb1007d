# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines for maintenance, and for static files of the previous release. Private to flaskops.stack.

Both look at the disk with each request, so that nothing has to be reloaded.
"""

from __future__ import annotations

import re
import typing as t

from .lines import Lines, block, link_lines
from .model import Maintenance, Static
from .values import quote

# Certificates are renewed during maintenance, too.
_ACME = "/.well-known/acme-challenge/"
_CLOSED = "/flaskops-maintenance"


def gate_lines(maintenance: Maintenance) -> Lines:
    """Return what leads every request to the page while the flag is there."""
    if not maintenance.flag:
        return []
    # The page is asked for by a redirect inside nginx, which passes here once more.
    exempt = [
        _literal(_ACME),
        f"{_literal(_CLOSED)}(?:\\.html)?$",
        *(f"{_literal(path)}$" for path in maintenance.open),
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
    answer = ["internal;", f"error_page 503 {_CLOSED}.html;", "return 503;"]
    page = [
        "internal;",
        f"alias {quote(maintenance.page)};",
        "types { }",
        'default_type "text/html; charset=utf-8";',
        *headers,
        f"add_header Retry-After {maintenance.retry_after} always;",
        "add_header Cache-Control no-store always;",
    ]
    return ["", *block(f"location = {_CLOSED}", answer), "", *block(f"location = {_CLOSED}.html", page)]


def fallback(static: Static, number: int) -> Lines:
    """Return the lines of a static location that look for a missing file in the previous release."""
    if not static.previous:
        return []
    # Also what is missing there has the site's own page for it.
    return [f"error_page 404 = {_previous(number)};", "recursive_error_pages on;"]


def previous_location(static: Static, number: int, hidden: str, lines: t.Iterable[str]) -> Lines:
    """Return the location with the files of the previous release; C(hidden) is what visitors must not see of it."""
    if not static.previous:
        return []
    inner = [
        *block(f"if ($uri {hidden})", ["return 404;"]),
        f"root {quote(static.previous)};",
        *link_lines(static.previous),
        f"rewrite {quote('^' + _literal(static.url) + '(.*)$')} /$1 break;",
        # Files only: an index or a redirect to a directory would lead to another location.
        "try_files $uri =404;",
        *lines,
    ]
    return ["", *block(f"location {_previous(number)}", inner)]


def _literal(path: str) -> str:
    """Return the regular expression for nothing but this path."""
    return re.escape(path).replace("\\-", "-")


def _previous(number: int) -> str:
    return f"@flaskops_previous_{number}"
