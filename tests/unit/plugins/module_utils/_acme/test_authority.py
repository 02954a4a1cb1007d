# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import email.message
import http.client
import ssl
import typing as t
import urllib.error

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._acme.authority import fetch, look_at
from ansible_collections.flaskops.stack.plugins.module_utils._acme.model import AcmeError, Authority

CA = Authority("https://ca.test/dir")


def failing(error: Exception) -> t.Callable[[str, str], bytes]:
    def get(_url: str, _bundle: str) -> bytes:
        raise error

    return get


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (OSError(111, "Connection refused"), "cannot be reached"),
        (urllib.error.URLError(ssl.SSLCertVerificationError("self-signed")), "ca_bundle"),
        (urllib.error.HTTPError("x", 503, "x", email.message.Message(), None), "status 503"),
        (http.client.BadStatusLine("* OK IMAP4 ready"), "answers with something else than HTTP"),
        (http.client.LineTooLong("header line"), "answers with something else than HTTP"),
        (b"<html>", "does not answer with JSON"),
        (b"[]", "no newOrder"),
        (b"{}", "no newOrder"),
    ],
)
def test_a_ca_that_is_none_is_said_to_be_none(answer: Exception | bytes, words: str) -> None:
    get = failing(answer) if isinstance(answer, Exception) else lambda _url, _bundle: answer
    with pytest.raises(AcmeError, match=words):
        look_at(CA, "", True, get)


@pytest.mark.parametrize("meta", [b"3", b"null", b'{"profiles": null}', b"{}"])
def test_a_ca_without_profiles_is_fine_as_long_as_none_is_wanted(meta: bytes) -> None:
    body = b'{"newOrder": "x", "meta": ' + meta + b"}"
    look_at(CA, "", True, lambda _url, _bundle: body)
    with pytest.raises(AcmeError, match="no profile 'short': it has none"):
        look_at(Authority("https://ca.test/dir", profile="short"), "", True, lambda _url, _bundle: body)


def test_a_ca_that_wants_an_external_account_says_so_before_certbot_is_called() -> None:
    body = b'{"newOrder": "x", "meta": {"externalAccountRequired": true}}'
    with pytest.raises(AcmeError, match="eab_file"):
        look_at(CA, "", False, lambda _url, _bundle: body)
    look_at(CA, "", True, lambda _url, _bundle: body)
    look_at(Authority("https://ca.test/dir", eab_file="/x"), "", False, lambda _url, _bundle: body)


def test_nobody_is_at_a_closed_port() -> None:
    with pytest.raises(OSError, match="refused"):
        fetch("https://127.0.0.1:9/", "")
