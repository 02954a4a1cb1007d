# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The access log in JSON, over each version of HTTP that curl speaks, also of requests that nginx answers itself."""

from __future__ import annotations

import json
import re
import typing as t

import pytest
from testinfra.host import Host

from tools.molecule.protocols import ReleaseOf, Shell, Visit

LOG = "/var/log/nginx/hello.access.log"
CERTIFICATE = "/etc/flaskops/tls/hello/current/fullchain.pem"
VERSIONS = {"--http1.1": "HTTP/1.1", "--http2": "HTTP/2.0", "--http3-only": "HTTP/3.0"}


@pytest.mark.parametrize(
    ("path", "logged"), [(r"\377\376", "\ufffd"), (r"k\303\244se", "käse"), (r"a\300\257b", "a\ufffd")]
)
def test_a_line_is_json_whatever_bytes_are_asked_for(
    sh: Shell, host: Host, release_of: ReleaseOf, path: str, logged: str
) -> None:
    has_http3 = str(host.backend.get_hostname()).endswith("-newer")
    for option, version in list(VERSIONS.items())[: 3 if has_http3 else 2]:
        sh(
            f"curl --silent --output /dev/null --cacert {CERTIFICATE} --resolve hello.test:443:127.0.0.1 {option}"
            # In the path of the address it would write these bytes with a per cent sign.
            f" --request-target \"/$(printf '{path}')\" https://hello.test/"
        )
        line = json.loads(sh(f"tail -n 1 {LOG}"))
        assert (line["uri"], line["protocol"]) == (f"/{logged}", version)
        assert line["release"] == release_of("hello")


@pytest.mark.parametrize(
    ("target", "status", "wanted"),
    [
        ("/", 200, {}),
        ("/none", 404, {}),
        ("/static/style.css", 200, {}),
        ("/static/none.css", 404, {}),
    ],
)
def test_a_line_has_the_release_and_the_id_that_the_visitor_got(
    visit: Visit, sh: Shell, release_of: ReleaseOf, target: str, status: int, wanted: dict[str, t.Any]
) -> None:
    reply = visit("hello.test", target, ca_file=CERTIFICATE, **wanted)
    line = json.loads(sh(f"tail -n 1 {LOG}"))
    assert (reply.status, line["status"], line["uri"]) == (status, status, target)
    assert line["release"] == release_of("hello")
    assert re.fullmatch("[0-9a-f]{32}", line["request_id"])
    assert reply.header("x-request-id") == line["request_id"]
