# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that nginx complains of without naming them are named."""

from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.conf import Configuration, load
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.named_places import defined_before, unplaced

FILES = {
    "/n/nginx.conf": "http { include a.conf; include b.conf; }\n",
    "/n/a.conf": """\
upstream app { server 127.0.0.1:1; }
limit_req_zone $uri zone=calls:1m rate=1r/s;
log_format short '$uri';
map $uri $kind { default 1; }
proxy_cache_path /c keys_zone=pages:1m;
""",
    "/n/b.conf": """\
upstream app { server 127.0.0.1:2; }
server {
    listen 192.0.2.1:8100 backlog=5;
    listen unix:/run/nope/x.sock;
    access_log /var/log/nope/x.log;
    limit_req zone=lost burst=5;
    location / { limit_conn lost 5; proxy_cache lost; }
}
""",
}


@pytest.fixture(name="config")
def make_config() -> Configuration:
    read = {path: text.encode() for path, text in FILES.items()}
    return load("/n/nginx.conf", read.get, lambda _pattern: [])


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (
            '[emerg] zero size shared memory zone "lost"',
            "nothing defines the zone lost, which is used in /n/b.conf:6 and /n/b.conf:7",
        ),
        (
            '[emerg] open() "/var/log/nope/x.log" failed (2: No such file or directory)',
            "/var/log/nope/x.log stands in /n/b.conf:5",
        ),
        ('[crit] pread() "/n/a.conf" failed (21: Is a directory)', "/n/a.conf stands in /n/nginx.conf:1"),
        (
            "[emerg] bind() to 192.0.2.1:8100 failed (99: Cannot assign requested address)",
            "192.0.2.1:8100 stands in /n/b.conf:3",
        ),
        (
            "[emerg] bind() to unix:/run/nope/x.sock failed (2: No such file or directory)",
            "unix:/run/nope/x.sock stands in /n/b.conf:4",
        ),
    ],
)
def test_what_nginx_names_without_a_place_is_found(config: Configuration, output: str, said: str) -> None:
    assert unplaced(f"{output}\n{output}", config) == [said]
    assert unplaced(f"{output} in /n/b.conf:1", config) == []
    assert defined_before(output, config) == []


@pytest.mark.parametrize(
    ("output", "place"),
    [
        ('[emerg] duplicate upstream "app" in /n/b.conf:1', "app is also defined in /n/a.conf:1"),
        ('[emerg] limit_req_zone "calls" is already bound to key "$uri" in /n/b.conf:1', "calls is also defined in "),
        (
            '[emerg] the size 2 of shared memory zone "calls" conflicts with already declared size 1 in /n/b:1',
            "calls is",
        ),
        ('[emerg] duplicate "log_format" name "short" in /n/b.conf:1', "short is also defined in /n/a.conf:3"),
        ('[emerg] the duplicate "kind" variable in /n/b.conf:1', "kind is also defined in /n/a.conf:4"),
        (
            "[emerg] duplicate listen options for 192.0.2.1:8100 in /n/a.conf:9",
            "192.0.2.1:8100 has options in /n/b.conf:3 as well: give them in one 'listen'",
        ),
        ('[emerg] duplicate zone "pages" in /n/b.conf:1', "pages is also defined in /n/a.conf:5"),
    ],
)
def test_what_is_defined_twice_is_named_with_the_other_place(config: Configuration, output: str, place: str) -> None:
    (found,) = defined_before(output, config)
    assert found.startswith(place)
    assert unplaced(output, config) == []


def test_what_stands_nowhere_is_not_named(config: Configuration) -> None:
    assert unplaced('[emerg] open() "/run/nginx.pid" failed (13: Permission denied)\nnonsense', config) == []
    assert defined_before('[emerg] duplicate upstream "other" in /n/b.conf:1', config) == []
    assert defined_before('[emerg] duplicate location "/" in /n/b.conf:7', config) == []
