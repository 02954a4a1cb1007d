# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines for maintenance, which look for a file with each request, without a reload. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

from .._input.values import InputError
from .._system.paths import CHALLENGES
from .error_pages import PAGE, TYPES, closed_text_lines
from .lines import LONGEST_WORD, Lines, block, literal, quote
from .model import Maintenance, Mount, Site

# Certificates are renewed during maintenance, too.
ACME = "/.well-known/acme-challenge/"
_CHALLENGE = "[A-Za-z0-9_-]+"
_FIRST = f"{ACME}flaskops/"
_CLOSED = "/flaskops-maintenance"


def challenge_lines(more: t.Iterable[str] = ()) -> Lines:
    """Return the location with what a CA asks for to see that a name leads to this host; C(more) are further lines."""
    return block(f"location ^~ {ACME}", ["default_type text/plain;", f"root {CHALLENGES};", *more])


def challenge_first_lines() -> Lines:
    """Return what leads the requests of a CA past all that a user's own lines say."""
    return [f"rewrite {quote(f'^{literal(ACME)}({_CHALLENGE})$')} {_FIRST}$1 last;"]


def challenge_first_location(more: t.Iterable[str] = ()) -> Lines:
    """Return the location to which these requests are led; C(more) are further lines."""
    # Below the path that no rule about visitors applies to.
    lines = ["internal;", "default_type text/plain;", f"alias {CHALLENGES}{ACME};", *more]
    return block(f"location ^~ {_FIRST}", lines)


def challenge_gate() -> Lines:
    """Return the lines of a server that answers nothing else."""
    return [
        *block(f'if ($uri !~ "^{literal(ACME)}{_CHALLENGE}$")', ["return 444;"]),
        "default_type text/plain;",
        f"root {CHALLENGES};",
    ]


def gate_lines(maintenance: Maintenance, mounts: t.Sequence[Mount] = ()) -> Lines:
    """Return what leads every request to the page while the flag is there, but for paths that have one of their own."""
    own = [mount for mount in mounts if mount.maintenance.flag]
    pages = [_pages(_closed(mount)) for mount in own]
    lines = _gate(maintenance, _CLOSED, [*pages, *_areas(mount.path for mount in own)])
    for mount in own:
        below = _areas(other.path for other in own if other.path.startswith(f"{mount.path}/"))
        lines += _gate(mount.maintenance, _closed(mount), below, mount.path)
    return lines


def check_gate(site: Site) -> None:
    """Raise InputError for more paths that stay open than nginx reads in one expression."""
    for line in gate_lines(site.maintenance, site.mounts):
        if len(line) > LONGEST_WORD and line.strip().startswith("rewrite "):
            size = len(line.strip()[len("rewrite ") :].rsplit(" ", 2)[0].encode("utf-8", "surrogatepass"))
            if size > LONGEST_WORD:
                raise InputError(
                    f"maintenance: the paths that stay open make an expression of {size} bytes, and nginx reads no "
                    f"word of more than {LONGEST_WORD}: list fewer or shorter paths in maintenance.open"
                )


def _pages(closed: str) -> str:
    return f"{literal(closed)}(?:\\.(?:usual\\.)?(?:html|json))?$"


def _closed(mount: Mount) -> str:
    return _CLOSED + mount.path


def _areas(paths: t.Iterable[str]) -> list[str]:
    return [f"{literal(path)}(?:/|$)" for path in paths]


def _gate(maintenance: Maintenance, closed: str, others: t.Iterable[str], area: str = "") -> Lines:
    """Return what closes a site, or an area of it, but for others in it."""
    if not maintenance.flag:
        return []
    # The page is asked for by a redirect inside nginx, which passes here once more.
    exempt = [
        literal(ACME),
        _pages(_CLOSED),
        f"{literal(PAGE)}(?:html|json)$",
        *(f"{literal(path)}$" for path in maintenance.open),
        *others,
    ]
    inside = f"(?={literal(area)}(?:/|$))" if area else ""
    # The path is looked at only while the flag is there.
    rewrite = f"rewrite {quote(f'^{inside}(?!' + '|'.join(exempt) + ')')} {closed} last;"
    return ["", *block(f"if (-f {quote(maintenance.flag)})", [rewrite])]


def closed_locations(site: Site, headers: t.Iterable[str]) -> Lines:
    """Return the locations that answer with the pages; C(headers) are the lines with headers that they have, too."""
    shared, texts = list(headers), closed_text_lines(site)
    lines = _closed_locations(site.maintenance, shared, texts, _CLOSED)
    for mount in site.mounts:
        lines += _closed_locations(mount.maintenance, shared, texts, _closed(mount))
    return lines


def _closed_locations(maintenance: Maintenance, headers: Lines, texts: Lines, closed: str) -> Lines:
    if not maintenance.flag:
        return []
    kept = [
        *headers,
        f"add_header Retry-After {maintenance.retry_after} always;",
        "add_header Cache-Control no-store always;",
    ]
    usual = ["internal;", *TYPES, *kept, *texts, "return 503 $flaskops_error_body;"]
    own = _own_page(maintenance.page, kept, closed) if maintenance.page else []
    found = own or block(f"location = {closed}", ["internal;", f"rewrite ^ {closed}.$flaskops_answer last;"])
    return ["", *found, "", *block(f"location ^~ {closed}.", usual)]


def _own_page(page: str, kept: Lines, closed: str) -> Lines:
    """Return the locations that answer with a page of the user's, or the usual one while that file is not there."""
    # Two errors, one after the other: that of maintenance, and that of the missing file.
    answer = ["internal;", f"error_page 503 {closed}.html;", "recursive_error_pages on;", "return 503;"]
    lines = [
        "internal;",
        f"alias {quote(page)};",
        "types { }",
        'default_type "text/html; charset=utf-8";',
        *kept,
        f"error_page 403 404 = {closed}.usual.$flaskops_answer;",
    ]
    return [*block(f"location = {closed}", answer), "", *block(f"location = {closed}.html", lines)]
