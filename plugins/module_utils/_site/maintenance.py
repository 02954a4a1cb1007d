# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines for maintenance, which look for a file with each request, without a reload. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

from .lines import Lines, block, literal, quote
from .model import Maintenance

# Certificates are renewed during maintenance, too.
_ACME = "/.well-known/acme-challenge/"
_CLOSED = "/flaskops-maintenance"


def gate_lines(maintenance: Maintenance) -> Lines:
    """Return what leads every request to the page while the flag is there."""
    if not maintenance.flag:
        return []
    # The page is asked for by a redirect inside nginx, which passes here once more.
    exempt = [
        literal(_ACME),
        f"{literal(_CLOSED)}(?:\\.html)?$",
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
