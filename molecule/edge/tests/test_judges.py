# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings of sslyze, testssl.sh, gixy, h2load and slowhttptest on the sites."""

from __future__ import annotations

import json
import re

import pytest
from testinfra.host import Host

from tools.molecule.protocols import Shell

SITES = [
    ("intermediate", "recorder.test:443", "/etc/pebble/first-root.pem"),
    ("modern", "modern.test:8443", "/etc/own/root.pem"),
]
PROGRAMS = "/opt/judges/bin"

# What gixy finds, and why it stays.
DUMP = "/root/dump.conf"
FINDINGS = {
    "http2_misdirected_request": "the server for unknown names ends the connection (444)",
    "hsts_header": "most sites of this scenario do not set hsts",
    "if_is_evil": "they hold nothing but set, root and return, which work there",
    "try_files_is_evil_too": "open_file_cache would serve a file of the former release after a deploy",
}
# In a dump, these are in nginx.conf of the distribution, which the role leaves alone. Each site says its own protocols.
OF_THE_DISTRIBUTION = {"worker_rlimit_nofile_vs_connections", "weak_ssl_tls"}
# What testssl.sh calls high, and why it stays.
ACCEPTED = {
    "cert_revocation": "the CA of the host names neither CRL nor OCSP",
    "cipher_order": "Mozilla leaves the order to the visitor, and testssl.sh since 3.2 finds nothing in that",
}

# Each holds connections for some seconds; what it asks for is at the end.
ATTACKS = {
    "headers": "-H -c 200 -r 100 -l 7 -i 3",
    "body": "-B -t POST -s 8192 -x 10 -c 200 -r 100 -l 7 -i 3",
    "read": "-X -k 3 -w 10 -y 20 -n 5 -z 32 -c 200 -r 100 -l 7",
}


@pytest.mark.parametrize(("profile", "site", "root"), SITES)
def test_sslyze_finds_the_profile_of_mozilla(host: Host, profile: str, site: str, root: str) -> None:
    done = host.run(f"{PROGRAMS}/python -m sslyze --certinfo_ca_file {root} --mozilla_config={profile} {site}")
    assert done.rc == 0, done.stdout[-3000:]


@pytest.mark.parametrize("site", [site for _profile, site, _root in SITES])
def test_testssl_finds_nothing_above_low(sh: Shell, site: str) -> None:
    found = {one["id"]: one for one in json.loads(sh(f"cat /root/testssl-{site}.json"))}
    # It came to its end.
    assert found["TLS1_3"]["severity"] == "OK" and "scanTime" in found
    bad = [one for one in found.values() if one["severity"] not in {"OK", "INFO", "LOW", "WARN"}]
    assert {one["id"] for one in bad} <= set(ACCEPTED), bad


def test_gixy_finds_what_is_known(sh: Shell) -> None:
    # It does not know possessive quantifiers, which nginx has by PCRE: what they match is the same without. They stay:
    # without them a header of 30 KB ends workers of nginx 1.18 by signal 11, and one of 8 KB costs 248 ms instead of 4.
    sh(rf"nginx -T 2>/dev/null | sed 's/\]++/]+/g; s/)\*+/)*/g' > {DUMP}")
    found = json.loads(sh(f"{PROGRAMS}/gixy -f json {DUMP}; [ $? -lt 2 ]"))
    assert {one["plugin"] for one in found if one["file"] != DUMP} <= set(FINDINGS), found
    assert {one["plugin"] for one in found if one["file"] == DUMP} <= OF_THE_DISTRIBUTION, found


@pytest.mark.parametrize(("protocol", "options"), [("HTTP/1.1", "--h1"), ("HTTP/2", "")])
@pytest.mark.parametrize("target", ["/", "/static/page.html"])
def test_h2load_gets_every_answer(sh: Shell, protocol: str, options: str, target: str) -> None:
    text = sh(f"h2load {options} -n 1000 -c 10 -m 5 https://recorder.test{target}")
    assert "status codes: 1000 2xx, 0 3xx, 0 4xx, 0 5xx" in text, (protocol, text)


@pytest.mark.parametrize("target", ["/static/page.html", "/guarded/large"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_visitor_is_answered_while_others_are_slow(sh: Shell, attack: str, target: str) -> None:
    url = f"https://recorder.test{target}"
    # The visitor has another address than those.
    visit = f"curl -sk --interface 127.0.0.2 -o /dev/null -w '%{{http_code}} %{{time_total}}\\n' {url}"
    scheme = "http" if sh("slowhttptest -h | grep -o 'version.*'").startswith("version 1.8") else "https"
    slow = f"timeout 30 slowhttptest {ATTACKS[attack]} -u {scheme}://recorder.test{target} > /root/slow.txt 2>&1"
    text = sh(f"{slow} & sleep 2.5; for i in 1 2 3 4 5 6 7 8 9 10; do {visit}; sleep 0.3; done; wait")
    answers = [line.split() for line in text.splitlines()]
    assert [status for status, _seconds in answers] == ["200"] * 10
    assert max(float(seconds) for _status, seconds in answers) < 1, answers
    # The others were there: its last report, without colours for a terminal.
    report = re.sub(r"\x1b\[[\d;]*[A-Za-z]", "", sh("cat /root/slow.txt"))
    counts = {name: re.findall(rf"{name}:\s+(\d+)", report)[-1] for name in ("connected", "closed")}
    assert sum(int(count) for count in counts.values()) >= 150, report[-1500:]
