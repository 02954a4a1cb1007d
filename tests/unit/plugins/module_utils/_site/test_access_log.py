# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the access log in JSON says, with the maps of C(flaskops.conf) as nginx applies them."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._site.syntax import Directive, parse
from hypothesis import given
from hypothesis import strategies as st

SNIPPET = Path(__file__).parents[5] / "roles/nginx/files/flaskops.conf"
# Variables that hold what a visitor sent, as it was sent.
RAW = {
    "$request_uri": "$flaskops_log_uri",
    "$host": "$flaskops_log_host",
    "$http_referer": "$flaskops_log_referer",
    "$http_user_agent": "$flaskops_log_agent",
}
# What nginx itself writes, or reads as a word of few letters.
SAFE = {
    "$time_iso8601",
    "$flaskops_id",
    "$remote_addr",
    "$scheme",
    "$request_method",
    "$server_protocol",
    "$bytes_sent",
    "$request_length",
    "$request_time",
    "$upstream_addr",
    "$upstream_status",
    "$upstream_response_time",
}


def snippet() -> list[Directive]:
    """Return the directives of the file that all sites share."""
    return parse(SNIPPET.read_text(encoding="utf-8"))


def in_python(pattern: str) -> bytes:
    """Return a pattern of PCRE for Python.

    Possessive quantifiers only spare PCRE steps back that cannot succeed: no sequence of UTF-8 begins another one. Some
    versions of Python 3.11 match with them what does not match.
    """
    return pattern.replace("*+", "*").replace("++", "+").replace(r"\z", r"\Z").encode("ascii")


def mapped(source: str, name: str, value: bytes) -> bytes:
    """Return what a map of regular expressions makes of a value; its own source stands for the value."""
    (found,) = (d for d in snippet() if d.name == "map" and tuple(d.args) == (source, name))
    assert found.block is not None
    default = b""
    for entry in found.block:
        if entry.name == "default":
            default = entry.args[0].encode()
            continue
        assert entry.name.startswith("~")
        match = re.search(in_python(entry.name[1:]), value)
        if match:
            result = entry.args[0]
            return value if result == source else result.encode().replace(b"$1", match.group(match.re.groups))
    return default


@pytest.mark.parametrize("source", sorted(RAW))
@pytest.mark.parametrize(
    ("value", "logged"),
    [
        (b"", ""),
        (b'/a"b\\c?d=%ff', '/a"b\\c?d=%ff'),
        ("/käse/€/😀".encode(), "/käse/€/😀"),
        (
            "\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff".encode(),
            "\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff",
        ),
        (b"/\xff\xfe?x=1", "/\ufffd"),
        (b"\xe1\x00\x00", "\ufffd"),
        (b"/ok\xe2\x82", "/ok\ufffd"),
        (b"\x80", "\ufffd"),
        # Forms that look like UTF-8: too long, surrogates, above the last character.
        (b"/\xc0\xaf", "/\ufffd"),
        (b"/\xe0\x80\x80", "/\ufffd"),
        (b"/\xf0\x80\x80\x80", "/\ufffd"),
        (b"/\xed\xa0\x80", "/\ufffd"),
        (b"/\xf4\x90\x80\x80", "/\ufffd"),
        (b"/\xf8\x88\x80\x80\x80", "/\ufffd"),
    ],
)
def test_text_is_logged_up_to_the_first_byte_that_is_no_utf_8(source: str, value: bytes, logged: str) -> None:
    assert mapped(source, RAW[source], value).decode("utf-8") == logged


def well_formed(value: bytes) -> int:
    """Return up to which byte a value is UTF-8."""
    try:
        value.decode("utf-8")
    except UnicodeDecodeError as exc:
        return exc.start
    return len(value)


@given(st.binary(max_size=40) | st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_whatever_a_visitor_sends_is_logged_as_utf_8(value: bytes) -> None:
    logged = mapped("$request_uri", RAW["$request_uri"], value).decode("utf-8")
    end = well_formed(value)
    assert logged == value[:end].decode("utf-8") + ("\ufffd" if end < len(value) else "")


@pytest.mark.parametrize(
    ("status", "number"), [(b"200", b"200"), (b"099", b"99"), (b"000", b"0"), (b"009", b"9"), (b"", b"0")]
)
def test_a_status_is_a_number_of_json(status: bytes, number: bytes) -> None:
    assert mapped("$status", "$flaskops_log_status", status) == number


@pytest.mark.parametrize(
    ("sent", "believed"),
    [
        (b"a-B-9", True),
        (b"4bf92f35-77b3-4da6-a3ce-929d0e0e4736", True),
        (b"a" * 64, True),
        (b"a" * 65, False),
        (b"", False),
        (b"a b", False),
        (b"a, b", False),
        (b"a_b", False),
        (b"a\xff", False),
        (b"a\n", False),
        (b'a"', False),
    ],
)
def test_the_id_of_another_proxy_is_letters_digits_and_hyphens(sent: bytes, believed: bool) -> None:
    assert mapped("$http_x_request_id", "$flaskops_xid", sent) == (sent if believed else b"$request_id")


@pytest.mark.parametrize(
    ("directory", "release"),
    [
        (b"/srv/shop/releases/3f2a91c-1b9e02d4/run", b"3f2a91c-1b9e02d4"),
        (b"/srv/shop/releases/3f2a91c-1b9e02d4/app/static/", b"3f2a91c-1b9e02d4"),
        (b"/releases/shop/releases/3f2a91c-1b9e02d4/run", b"3f2a91c-1b9e02d4"),
        (b"/srv/shop/releases/mine/run", b""),
        (b"/srv/shop/shared/uploads/", b""),
        (b"", b""),
    ],
)
def test_the_release_is_read_from_the_directory(directory: bytes, release: bytes) -> None:
    assert mapped("$flaskops_root", "$flaskops_release", directory) == release


def test_the_log_has_no_variable_with_raw_bytes_in_it() -> None:
    (log,) = (d for d in snippet() if d.name == "log_format")
    line = "".join(log.args[2:])
    used = set(re.findall(r"\$\w+", line))
    assert used - SAFE == {*RAW.values(), "$flaskops_log_status", "$flaskops_release"}
    entry: dict[str, t.Any] = json.loads(re.sub(r"\$\w+", "1", line))
    assert {"request_id", "uri", "status", "host"} <= set(entry)
