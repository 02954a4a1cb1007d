# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets in configuration files of any format are found, and no more than them."""

from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.file_secrets import find_secret, values_of


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('SECRET_KEY = "abcdef123"', "a value of SECRET_KEY (line 1)"),
        ("# no\n[mail]\nMAIL_PASSWORD: abcdef123", "a value of MAIL_PASSWORD (line 3)"),
        ('{"a": 1,\n "apiKey": "abcdef123"}', "a value of apiKey (line 2)"),
        ('{"a": 1, "password": "abcdef123"}', "a value of password (line 1)"),
        ("export GITHUB_TOKEN=abcdef123", "a value of GITHUB_TOKEN (line 1)"),
        ("SECRET_KEY = 'with (parentheses)'", "a value of SECRET_KEY (line 1)"),
        ("url = postgresql://shop:abcdef1@db/shop", "a password in a URL (line 1)"),
        ("-----BEGIN RSA PRIVATE KEY-----", "a private key (line 1)"),
    ],
)
def test_what_looks_like_a_secret_is_named_without_its_value(text: str, found: str) -> None:
    assert find_secret(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SECRET_KEY = os.environ['KEY']",
        "SECRET_KEY = None",
        'SECRET_KEY = ""',
        "PASSWORD_HASHERS = ['a', 'b']",
        "PASSWORD_MIN_LENGTH: 120000",
        "password: ${DB_PASSWORD}",
        "password_file: /run/secrets/db",
        "TOKEN: /run/token.txt",
        "token = 86400000",
        "# SECRET_KEY = 'abcdef123'",
        "url = postgresql://shop:$PASSWORD@db/shop",
        "SECRET_KEY = load_key('x')",
        "-----BEGIN CERTIFICATE-----",
    ],
)
def test_a_reference_to_a_secret_is_none(text: str) -> None:
    assert find_secret(text) == ""


@pytest.mark.parametrize(
    "line",
    [
        "KEY = 'abcdef 123'",
        'key: "abcdef 123"',
        '{"key": "abcdef 123", "b": 1}',
        "key = abcdef 123",
        "- abcdef 123",
        "<key>abcdef 123</key>",
    ],
)
def test_values_are_found_in_every_format(line: str) -> None:
    assert "abcdef 123" in values_of(line)


def test_what_is_in_every_program_is_not_masked() -> None:
    text = "import os\nfrom datetime import timedelta\n\n[database]\nport = 8000\n"
    assert values_of(text) == ["port = 8000"]
    assert values_of("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\n") == ["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj"]
