# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits by exact counts, for each visitor his own."""

from __future__ import annotations

import re
import time
import typing as t
from functools import partial

import pytest

from tools.molecule.protocols import Shell, Visit

ALL, BURST, RATE = 30, 10, 5
# Until the count of a visitor is at zero again.
FORGOTTEN = BURST / RATE + 0.3
# A visitor has no request left, for less than a fifth of a second.
FULL = f"h2load -n {ALL} -c 1 -m {ALL} https://recorder.test/limited > /dev/null"
Load = t.Callable[..., tuple[int, int, float]]


@pytest.fixture
def load(sh: Shell) -> Load:
    """Send so many requests at once with h2load; return how many were accepted and refused, and the seconds it took."""

    def send(url: str, *options: str) -> tuple[int, int, float]:
        words = " ".join(f"'{option}'" for option in options)
        text = sh(f"h2load -n {ALL} {words} {url}")
        counts = re.search(r"status codes: (\d+) 2xx, 0 3xx, (\d+) 4xx, 0 5xx", text)
        took = re.search(r"finished in ([\d.]+)(m?s)", text)
        assert counts and took, text
        return int(counts[1]), int(counts[2]), float(took[1]) / (1000 if took[2] == "ms" else 1)

    return send


def exact(send: t.Callable[[], tuple[int, int, float]]) -> tuple[int, int]:
    """Return the counts of requests that came within the time of one more; a busy host may need another try."""
    for _attempt in range(4):
        time.sleep(FORGOTTEN)
        accepted, refused, took = send()
        assert accepted + refused == ALL and 1 + BURST <= accepted <= 1 + BURST + took * RATE
        if took < 1 / RATE:
            break
    return accepted, refused


@pytest.mark.parametrize(
    ("protocol", "options"),
    [
        ("HTTP/1.1", ("--h1", "-c", "30")),
        ("HTTP/2 in one connection", ("-c", "1", "-m", "30")),
        ("HTTP/2", ("-c", "30")),
    ],
)
def test_thirty_at_once_get_eleven_answers(load: Load, protocol: str, options: tuple[str, ...]) -> None:
    assert exact(lambda: load("https://recorder.test/limited", *options)) == (11, 19), protocol


def test_who_is_refused_is_told_when_to_ask_again(sh: Shell) -> None:
    urls = "https://recorder.test/limited " * 8
    answers = sh(f"{FULL}; curl -skI {urls}").split("HTTP/2 ")
    refused = [answer for answer in answers if answer.startswith("429")]
    assert refused and all(re.search(r"(?mi)^retry-after: \d+", answer) for answer in refused)


@pytest.mark.parametrize("path", ["//limited/x/../y", "/%6cimited", "/limited?a=b"])
def test_the_same_path_in_another_form_is_not_counted_anew(load: Load, sh: Shell, path: str) -> None:
    began = time.monotonic()
    sh(FULL)
    accepted, refused, _took = load(f"https://recorder.test{path}", "-c", "1", "-m", "30")
    assert accepted + refused == ALL and accepted <= 1 + (time.monotonic() - began) * RATE


@pytest.mark.parametrize(
    "options", ["--interface 127.0.0.2 https://recorder.test/limited", "https://recorder.test/limited2"]
)
def test_another_visitor_and_other_paths_are_not_refused(sh: Shell, options: str) -> None:
    assert sh(f"{FULL}; curl -sk -o /dev/null -w '%{{http_code}}' {options}") == "200"


def test_two_visitors_behind_a_trusted_proxy_share_no_count(load: Load) -> None:
    for visitor in ("192.0.2.1", "192.0.2.2"):
        options = ("--h1", "-c", "30", "-H", f"X-Forwarded-For: {visitor}", "-H", "X-Forwarded-Proto: http")
        assert exact(partial(load, "http://proxied.test/", *options)) == (11, 19)


def test_the_address_that_a_visitor_says_is_not_believed(load: Load, sh: Shell) -> None:
    # The host's own address is none of the trusted proxies.
    own = sh("hostname -I").split()[0]
    time.sleep(FORGOTTEN)
    options = ("--h1", "-c", "30", "--connect-to", f"{own}:80")
    before = time.monotonic()
    accepted = sum(load("http://proxied.test/", *options, "-H", f"X-Forwarded-For: 192.0.2.{n}")[0] for n in (3, 4))
    assert 1 + BURST <= accepted <= 1 + BURST + (time.monotonic() - before) * RATE


def test_the_application_sees_the_visitor_behind_the_proxy(visit: Visit, sh: Shell) -> None:
    visit("proxied.test", "/who", headers={"X-Forwarded-For": "198.51.100.9, 192.0.2.5", "X-Forwarded-Proto": "http"})
    assert '"client": "192.0.2.5"' in sh("tail -n 1 /srv/proxied/shared/seen/requests.jsonl")
