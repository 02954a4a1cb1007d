# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a site of nginx reads a certificate decides whether nginx has to accept another one."""

from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._acme.publish import is_used
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.staged_tree import StagedTree

DIRECTORY = "/etc/flaskops/tls/shop"


def is_used_by(certificate: str) -> bool:
    server = f"server {{ listen 443 ssl; ssl_certificate {certificate}; ssl_certificate_key {certificate}.key; }}"
    files = {"/etc/nginx/nginx.conf": f"events {{}} http {{ {server} }}".encode()}
    return is_used(StagedTree(files).load("/etc/nginx/nginx.conf"), DIRECTORY)


@pytest.mark.parametrize(
    ("certificate", "used"),
    [
        (f"{DIRECTORY}/current/fullchain.pem", True),
        ("../flaskops/tls/shop/current/fullchain.pem", True),
        # The name of another site begins with this one's.
        (f"{DIRECTORY}2/current/fullchain.pem", False),
        ("/etc/ssl/shop.pem", False),
    ],
)
def test_a_certificate_is_used_by_the_site_that_names_a_file_in_its_directory(certificate: str, used: bool) -> None:
    assert is_used_by(certificate) == used


@pytest.mark.parametrize(
    "text",
    [
        "stream {{ server {{ listen 853 ssl; ssl_certificate {0}; ssl_certificate_key {0}.key; }} }}",
        "mail {{ ssl_certificate {0}; }}",
        "http {{ server {{ listen 80; proxy_ssl_trusted_certificate {0}; }} }}",
    ],
)
def test_a_certificate_is_used_by_other_servers_and_directives_as_well(text: str) -> None:
    text = text.format(f"{DIRECTORY}/current/fullchain.pem")
    config = StagedTree({"/etc/nginx/nginx.conf": text.encode()}).load("/etc/nginx/nginx.conf")
    assert is_used(config, DIRECTORY)


def test_a_configuration_that_cannot_be_followed_may_use_it() -> None:
    assert is_used(None, DIRECTORY)
