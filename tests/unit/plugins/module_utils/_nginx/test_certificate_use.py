# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory with the certificate of a site stays as long as any configuration names what is in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.certificate_use import readers, refuse_used
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.model import NginxPlan, NginxSiteError
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.staged_tree import StagedTree


@pytest.fixture
def main(tmp_path: Path) -> str:
    """Make a configuration in which three lines name what is in the directory of one site."""
    lines = [
        "events { }",
        "http {",
        f"    server {{ ssl_certificate {tmp_path}/tls/shop/cert.pem; }}",
        f'    server {{ ssl_certificate "{tmp_path}/tls/../tls/shop/key.pem"; }}',
        f"    server {{ ssl_certificate {tmp_path}/tls/shop-2/cert.pem; }}",
        "}",
        f"stream {{ server {{ ssl_certificate {tmp_path}/tls/shop/cert.pem; }} }}",
    ]
    path = tmp_path / "nginx.conf"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_the_lines_that_name_a_file_in_a_directory_are_found(main: str, tmp_path: Path) -> None:
    config = StagedTree({}).load(main)
    assert readers(config, f"{tmp_path}/tls/shop") == [f"{main}:3", f"{main}:4", f"{main}:7"]
    # A directory whose name only begins so is another one.
    assert readers(config, f"{tmp_path}/tls/shop-2") == [f"{main}:5"]
    assert readers(config, f"{tmp_path}/tls/blog") == []


def test_a_certificate_that_another_site_uses_does_not_go(main: str, tmp_path: Path) -> None:
    with pytest.raises(NginxSiteError, match=r"site 'shop' goes, .*nginx\.conf:3 and .*:4 and .*:7 would go on using"):
        refuse_used(main, NginxPlan(obsolete=[f"{tmp_path}/tls/shop"]))
    refuse_used(main, NginxPlan(obsolete=[f"{tmp_path}/tls/blog"]))


def test_a_configuration_that_cannot_be_read_is_left_to_its_test(main: str, tmp_path: Path) -> None:
    Path(main).write_text("http {", encoding="utf-8")
    refuse_used(main, NginxPlan(obsolete=[f"{tmp_path}/tls/shop"]))
