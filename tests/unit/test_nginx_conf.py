# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What role nginx writes into nginx.conf."""

from __future__ import annotations

from pathlib import Path

import jinja2

TEMPLATE = Path(__file__).parents[2] / "roles/nginx/templates/nginx.conf.j2"


def rendered(http_config: str) -> str:
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        ansible_managed="",
        __nginx_state={"nginx_user": ""},
        nginx_worker_processes="auto",
        nginx_worker_connections=1024,
        nginx_http_config=http_config,
    )


def test_a_quoted_text_of_several_lines_stays_what_it_is() -> None:
    text = "log_format two 'first\nsecond\n  third';\nlimit_conn_zone $server_name zone=a:1m;"
    assert text in rendered(f"\n{text}\n\n")


def test_a_line_of_the_users_takes_the_place_of_ours() -> None:
    assert "server_tokens off;" in rendered("")
    assert "server_tokens off;" not in rendered("server_tokens on;")
