# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files a configuration names: logs that it opens, and what is loaded with a site."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.references import loaded_with, log_path, log_paths
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.staged_tree import StagedTree
from ansible_collections.flaskops.stack.plugins.module_utils._site.syntax import parse


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("access_log /var/log/nginx/a.log json;", "/var/log/nginx/a.log"),
        ("error_log logs/../e.log warn;", "/etc/nginx/e.log"),
        ("access_log off;", ""),
        ("error_log stderr;", ""),
        ("access_log syslog:server=unix:/dev/log;", ""),
        ("error_log memory:32m;", ""),
        ("access_log /dev/stdout;", ""),
        ("access_log /var/log/$host.log;", ""),
        ("root /var/log;", ""),
    ],
)
def test_a_log_is_a_file_that_nginx_opens_when_it_loads(text: str, path: str) -> None:
    assert log_path(next(iter(parse(text))), "/etc/nginx") == path


def test_a_site_is_loaded_with_what_it_includes_and_its_certificates(tmp_path: Path) -> None:
    for name, text in {
        "nginx.conf": "error_log e.log; http { ssl_certificate /c/all.pem; "
        "ssl_certificate_key /c/all.key; include site; }",
        "site": "server { listen 443 ssl; access_log a.log; include part*; ssl_crl $ssl_server_name; }",
        "part1": "ssl_dhparam dh.pem; ssl_client_certificate data:x;",
    }.items():
        (tmp_path / name).write_text(text)
    config = StagedTree({}).load(str(tmp_path / "nginx.conf"))
    loaded = loaded_with(config, [str(tmp_path / "site")])
    assert set(loaded.files) == {
        *(str(tmp_path / name) for name in ("site", "part1", "dh.pem")),
        "/c/all.pem",
        "/c/all.key",
    }
    assert loaded.patterns == (str(tmp_path / "part*"),)
    assert log_paths(config, "/logs") == {"/logs/e.log", "/logs/a.log"}
