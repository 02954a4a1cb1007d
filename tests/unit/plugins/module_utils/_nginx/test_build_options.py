# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.build_options import parse_build
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.server import configuration_of

DEBIAN = """nginx version: nginx/1.26.3
built with OpenSSL 3.4.0
TLS SNI support enabled
configure arguments: --with-cc-opt='-g -O2 -fPIC' --prefix=/usr/share/nginx --conf-path=/etc/nginx/nginx.conf \
--error-log-path=stderr --pid-path=/run/nginx.pid --http-proxy-temp-path=/var/lib/nginx/proxy --without-http_scgi_module
"""


def test_compiled_in_places_are_read() -> None:
    build = parse_build(DEBIAN)
    assert (build.version, build.config, build.pid) == ("1.26.3", "/etc/nginx/nginx.conf", "/run/nginx.pid")
    assert dict(build.temporary)["proxy_temp_path"] == "/var/lib/nginx/proxy"
    assert dict(build.temporary)["client_body_temp_path"] == "/usr/share/nginx/client_body_temp"
    assert "scgi_temp_path" not in dict(build.temporary)
    assert build.error_log == "stderr"
    assert build.at_least(1, 26) and not build.at_least(1, 27)


def test_a_build_without_arguments_has_the_defaults() -> None:
    build = parse_build("nginx version: openresty/1.21.4.1\n")
    assert (build.version, build.prefix) == ("1.21.4.1", "/usr/local/nginx")
    assert build.config == "/usr/local/nginx/conf/nginx.conf"


OPENRESTY = (
    "nginx version: openresty/1.25.3.1\nconfigure arguments: --prefix=/usr/local/openresty/nginx --with-cc-opt=-O2\n"
)


def test_relative_places_are_below_a_prefix_that_was_given() -> None:
    build = parse_build(OPENRESTY, "/srv/edge")
    assert (build.version, build.config, build.pid) == (
        "1.25.3.1",
        "/srv/edge/conf/nginx.conf",
        "/srv/edge/logs/nginx.pid",
    )
    assert parse_build(DEBIAN, "/srv/edge").config == "/etc/nginx/nginx.conf"


@pytest.mark.parametrize(
    ("words", "text", "config"),
    [
        ("nginx", OPENRESTY, "/usr/local/openresty/nginx/conf/nginx.conf"),
        ("nginx -p /srv/edge/", OPENRESTY, "/srv/edge/conf/nginx.conf"),
        ("nginx -p /srv/edge/ -c conf/a.conf", OPENRESTY, "/srv/edge/conf/a.conf"),
        ("nginx -cconf/a.conf -p.", OPENRESTY, "/cwd/./conf/a.conf"),
        ("nginx -p /srv/edge -c /etc/a.conf", OPENRESTY, "/etc/a.conf"),
        ("nginx -c conf/a.conf", OPENRESTY, "/usr/local/openresty/nginx/conf/a.conf"),
        ("/usr/sbin/nginx -g daemon on; master_process on;", DEBIAN, "/etc/nginx/nginx.conf"),
        ("nginx -p /srv/edge", DEBIAN, "/etc/nginx/nginx.conf"),
    ],
)
def test_a_master_says_which_configuration_it_has_read(words: str, text: str, config: str) -> None:
    assert configuration_of(f"nginx: master process {words}", "/cwd", parse_build(text, "/ours")) == config
