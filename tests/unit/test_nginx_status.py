# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The counters of nginx: a server for the host itself, on a port that no site has."""

from __future__ import annotations

import typing as t
from pathlib import Path

import jinja2
import pytest
from ansible_collections.flaskops.stack.plugins.filter.nginx_site_configs import nginx_site_problems
from ansible_collections.flaskops.stack.plugins.module_utils._site.syntax import parse

TEMPLATE = Path(__file__).parents[2] / "roles/nginx/templates/status.conf.j2"
SITE: dict[str, t.Any] = {"name": "shop", "domains": ["shop.test"], "upstream": ["10.0.0.1:80"]}
TLS = {"certificate": "/c", "key": "/k"}


@pytest.mark.parametrize(
    ("defaults", "addresses"),
    [({}, ["127.0.0.1:8181", "[::1]:8181"]), ({"ipv6": False}, ["127.0.0.1:8181"])],
)
def test_nobody_but_the_host_can_reach_it(defaults: dict[str, t.Any], addresses: list[str]) -> None:
    environment = jinja2.Environment(trim_blocks=True, autoescape=False)
    environment.filters["bool"] = bool
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    (server,) = parse(template.render(nginx_status_port=8181, nginx_site_defaults=defaults))
    assert server.block is not None
    assert [line.args[0] for line in server.block if line.name == "listen"] == addresses


@pytest.mark.parametrize(
    ("port", "more", "fault"),
    [
        (0, {"http_port": 80}, ""),
        (8181, {}, ""),
        ("8181", {"http_port": 8181}, "nginx_status_port 8181 is a port of site 'shop': choose one that no site uses"),
        (443, {"tls": TLS}, "nginx_status_port 443 is a port of site 'shop': choose one that no site uses"),
        (443, {}, ""),
        (80, {"state": "disabled"}, ""),
        (70000, {}, "nginx_status_port must be between 0 and 65535, not 70000"),
    ],
)
def test_a_port_of_a_site_is_refused(port: object, more: dict[str, t.Any], fault: str) -> None:
    assert nginx_site_problems([{**SITE, **more}], {}, port) == ([fault] if fault else [])
