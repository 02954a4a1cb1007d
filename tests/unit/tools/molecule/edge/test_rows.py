# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from tools.molecule.edge import http_1, http_2
from tools.molecule.edge.send import answers_1, answers_2

PART = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_every_row_has_a_name_of_its_own() -> None:
    names = [row.name for row in (*http_1.ROWS, *http_2.ROWS)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("received", "answers"),
    [
        (b"", []),
        (PART, ["part"]),
        (PART + b"hello", ["200"]),
        (PART + b"hello" + PART + b"hello", ["200", "200"]),
        (CHUNKED + b"5\r\nhello\r\n", ["part"]),
        (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n" + PART + b"hello", ["200", "200"]),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + PART + b"hello", ["100", "200"]),
        (b"HTTP/1.1 2", ["part"]),
        (b"<html>", ["bare"]),
    ],
)
def test_answers_are_counted_when_they_are_whole(received: bytes, answers: list[str]) -> None:
    assert answers_1(received) == answers


@pytest.mark.parametrize(
    ("number", "encoded"), [(10, b"\x0a"), (126, b"\x7e"), (127, b"\x7f\x00"), (1337 + 127 - 31, b"\x7f\x9a\x0a")]
)
def test_lengths_are_those_of_hpack(number: int, encoded: bytes) -> None:
    assert http_2.integer(number) == encoded


@pytest.mark.parametrize(
    ("received", "answers"),
    [
        (http_2.frame(1, 4, 1, b"\x88"), ["200"]),
        (http_2.frame(1, 4, 1, b"\x20\x08\x03429"), ["429"]),
        (http_2.frame(1, 4, 1, b"\x8c") + http_2.frame(0, 1, 1, b"bad"), ["400"]),
        (http_2.frame(3, 0, 1, b"\0\0\0\1"), ["reset 1"]),
        (http_2.frame(7, 0, 0, b"\0\0\0\0\0\0\0\2"), ["goaway 2"]),
        (http_2.frame(1, 4, 1, b"\x88")[:-1], []),
    ],
)
def test_answers_of_http_2_are_read(received: bytes, answers: list[str]) -> None:
    assert answers_2(received) == answers
