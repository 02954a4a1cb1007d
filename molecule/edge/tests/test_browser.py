# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example application in Chromium, the browser that the distribution has."""

from __future__ import annotations

import json
import typing as t

import pytest
from testinfra.host import Host

from tools.common import ROOT
from tools.molecule.protocols import Shell

testinfra_hosts = ["*-edge-newer"]

Page = dict[str, t.Any]
Browse = t.Callable[..., list[Page]]

URL = "https://hello.test/"
KEY = (
    "openssl x509 -in /etc/flaskops/tls/hello/current/fullchain.pem -noout -pubkey"
    " | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64"
)
PROGRAM = ROOT / "tools" / "molecule" / "browse.py"


@pytest.fixture
def browse(host: Host, sh: Shell) -> Browse:
    """Load pages one after the other, in a browser that knows the certificate of the site and no other of the host."""
    options = ["--host-resolver-rules=MAP *.test 127.0.0.1", f"--ignore-certificate-errors-spki-list={sh(KEY)}"]

    def load(*pages: str, more: t.Sequence[str] = ()) -> list[Page]:
        wanted = {"pages": pages, "options": [*options, *more]}
        done = host.run("python3 -c %s %s", PROGRAM.read_text(encoding="utf-8"), json.dumps(wanted))
        assert done.rc == 0, done.stderr
        return list(json.loads(done.stdout))

    return load


def answers(page: Page) -> dict[str, tuple[int, str, bool]]:
    """Return status, protocol and whether the cache has answered, for each path that a page has asked for."""
    return {one["url"].removeprefix(URL): (one["status"], one["protocol"], one["cached"]) for one in page["requests"]}


def test_the_example_has_no_error_in_the_console_and_its_files_come_from_the_cache(browse: Browse, sh: Shell) -> None:
    first, second = browse(URL, URL)
    assert (first["error"], first["console"], second["console"]) == ("", [], [])
    assert "Hello from Flask" in first["text"]
    new = (200, "h2", False)
    assert answers(first) == {"": new, "static/style.css": new, "static/icon.svg": new}
    # The page is the application's, and counts.
    assert answers(second)[""] == new
    assert answers(second)["static/style.css"] == (200, "h2", True)
    assert "static/icon.svg" not in answers(second) or answers(second)["static/icon.svg"][2]
    log = sh("grep Chrome /var/log/nginx/hello.access.log | tail -n 4").splitlines()
    assert sorted(json.loads(line)["uri"] for line in log) == ["/", "/", "/static/icon.svg", "/static/style.css"]


def test_an_answer_that_names_no_icon_has_one(browse: Browse) -> None:
    (page,) = browse(f"{URL}whoami")
    assert page["console"] == []
    assert {path: status for path, (status, _protocol, _cached) in answers(page).items()} == {
        "whoami": 200,
        "favicon.ico": 200,
    }


def test_the_example_is_loaded_over_http3(browse: Browse) -> None:
    # Of a certificate that no public CA has signed, it speaks QUIC only when it is told to.
    (page,) = browse(URL, more=["--origin-to-force-quic-on=hello.test:443"])
    assert (page["error"], page["console"]) == ("", [])
    assert set(answers(page).values()) == {(200, "h3", False)}


def test_a_certificate_that_the_browser_does_not_know_is_refused(browse: Browse) -> None:
    (page,) = browse("https://ported.test:8444/")
    assert page["error"].startswith("net::ERR_CERT_")


def test_an_unknown_name_is_refused(browse: Browse) -> None:
    for more in ([], ["--origin-to-force-quic-on=unknown.test:443"]):
        (page,) = browse("https://unknown.test/", more=more)
        assert page["error"].startswith("net::ERR_") and page["text"] == ""
