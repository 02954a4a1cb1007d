# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page for maintenance."""

from __future__ import annotations

import re

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._site.maintenance import (
    closed_locations,
    gate_lines,
)
from ansible_collections.flaskops.stack.plugins.module_utils._site.model import Maintenance, Site

CLOSED = Maintenance("/srv/shop/shared/maintenance", "/srv/shop/shared/page.html", 60, ("/health",))


def site(maintenance: Maintenance) -> Site:
    return Site("shop", domains=("shop.test",), config="return 204;", maintenance=maintenance)


def test_a_site_without_maintenance_has_no_line_of_it() -> None:
    assert gate_lines(Maintenance()) == closed_locations(site(Maintenance()), []) == []


def test_certificates_are_renewed_and_what_is_open_answers_while_the_site_is_closed() -> None:
    lines = gate_lines(CLOSED)
    assert 'if (-f "/srv/shop/shared/maintenance") {' in lines
    pattern = next(line for line in lines if "rewrite" in line).partition('"')[2].rpartition('"')[0]
    # In quotes nginx reads two backslashes as one.
    closed = re.compile(pattern.replace("\\\\", "\\"))
    for path in (
        "/.well-known/acme-challenge/token",
        "/health",
        "/flaskops-maintenance",
        "/flaskops-maintenance.html",
        "/flaskops-error.json",
    ):
        assert not closed.search(path)
    for path in ("/", "/healthy", "/x/health", "/flaskops-maintenance-x"):
        assert closed.search(path)


def test_a_site_without_a_page_answers_503_with_the_usual_one() -> None:
    lines = [
        line.strip()
        for line in closed_locations(site(Maintenance("/srv/shop/on", retry_after=60)), ["add_header X-Test one;"])
    ]
    assert {"return 503 $flaskops_error_body;", "add_header X-Test one;"} <= set(lines)
    assert {"add_header Retry-After 60 always;", "add_header Cache-Control no-store always;"} <= set(lines)
    assert not any(line.startswith("alias") for line in lines)


def test_while_the_file_of_the_page_is_missing_the_usual_one_answers() -> None:
    lines = [line.strip() for line in closed_locations(site(CLOSED), [])]
    assert "error_page 403 404 = /flaskops-maintenance.usual.$flaskops_answer;" in lines
    assert "recursive_error_pages on;" in lines and "return 503 $flaskops_error_body;" in lines


def test_a_page_without_a_flag_is_refused() -> None:
    with pytest.raises(InputError, match=r"page '/srv/page.html' would never be shown without a flag"):
        Maintenance(page="/srv/page.html")


def test_the_page_answers_503_with_the_headers_of_the_site_and_is_kept_by_nobody() -> None:
    lines = [line.strip() for line in closed_locations(site(CLOSED), ["add_header X-Test one;"])]
    assert {"return 503;", 'alias "/srv/shop/shared/page.html";', "add_header X-Test one;"} <= set(lines)
    assert {"add_header Retry-After 60 always;", "add_header Cache-Control no-store always;"} <= set(lines)
