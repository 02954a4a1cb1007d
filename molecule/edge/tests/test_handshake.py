# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that no site has are refused in the handshake."""

from __future__ import annotations

import pytest
from testinfra.host import Host


@pytest.mark.parametrize("port", [443, 8443])
@pytest.mark.parametrize("name", ["-servername unknown.test", "-servername a.recorder.test", "-noservername"])
def test_an_unknown_name_gets_no_certificate(host: Host, port: int, name: str) -> None:
    done = host.run(f"openssl s_client -connect 127.0.0.1:{port} {name} < /dev/null")
    assert done.rc != 0 and "no peer certificate available" in done.stdout
    assert "unrecognized name" in done.stderr


def test_an_unknown_name_gets_no_answer_over_plain_http(host: Host) -> None:
    done = host.run("curl -s --resolve unknown.test:80:127.0.0.1 http://unknown.test/")
    # The connection was closed.
    assert (done.rc, done.stdout) == (52, "")
