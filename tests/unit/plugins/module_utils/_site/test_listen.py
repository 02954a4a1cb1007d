# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.filter.nginx_site_configs import nginx_listen_ports
from ansible_collections.flaskops.stack.plugins.module_utils._site.listen import listen_ports
from ansible_collections.flaskops.stack.plugins.module_utils._site.render import site_configs


def test_ports_of_rendered_sites_and_of_the_catch_all() -> None:
    site = {"name": "shop", "domains": ["shop.test"], "upstream": ["10.0.0.1:1"], "http_port": 8080, "https_port": 8443}
    tls = {"tls": {"certificate": "/c.pem", "key": "/k.pem"}}
    assert nginx_listen_ports(site_configs([{**site, **tls}], {}, "1.26", True)) == ["8080/tcp", "8443/tcp"]
    assert listen_ports(site_configs([{**site, "state": "disabled"}], {}, "1.26", True)) == []


@pytest.mark.parametrize(
    ("listen", "ports"),
    [
        ("8080", ["8080/tcp"]),
        ("443 quic reuseport", ["443/udp"]),
        ("[::]:443 ssl", ["443/tcp"]),
        ("192.0.2.1:81", ["81/tcp"]),
        ("*:82", ["82/tcp"]),
        ("example.test", ["80/tcp"]),
        ("[2001:db8::1]", ["80/tcp"]),
        ("8080-8082", ["8080/tcp", "8081/tcp", "8082/tcp"]),
        ("[::]:8443-8444 quic", ["8443/udp", "8444/udp"]),
        ("65535-70000", ["65535/tcp"]),
        ("127.0.0.1:83-84", []),
        ("127.0.0.1:83", []),
        ("[::1]:83", []),
        ("localhost:83", []),
        ("localhost", []),
        ("unix:/run/a.sock", []),
        ("unix:/run/a:1", []),
    ],
)
def test_each_form_of_an_address(listen: str, ports: list[str]) -> None:
    assert listen_ports([{"name": "a", "state": "enabled", "content": f"server {{ listen {listen}; }}"}]) == ports


def test_a_template_has_no_ports_yet() -> None:
    assert listen_ports([{"name": "a", "template": "a.j2", "content": ""}]) == []
