# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets are masked in every form in which they are shown."""

from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.redact import (
    MASK,
    mask,
    mask_urls,
    without_passwords,
)


@pytest.mark.parametrize(
    ("text", "secrets", "shown"),
    [
        ("password is s3cr3t-value!", ["s3cr3t-value"], "password is ********!"),
        ("KeyError: 'a\\\\b-cdef'", ["a\\b-cdef"], "KeyError: '********'"),
        ("GET /?key=a%2Fb%3Dcdef", ["a/b=cdef"], "GET /?key=********"),
        ("line two of it", ["first line\nline two\n"], "******** of it"),
        ("it said hunter22", ["postgresql://shop:hunter22@db/shop"], "it said ********"),
        ("longer-secret and longer", ["longer", "longer-secret"], "******** and ********"),
        ("true at 8000", ["true", "8000", ""], "true at 8000"),
    ],
)
def test_a_secret_is_masked_in_all_its_forms(text: str, secrets: list[str], shown: str) -> None:
    assert mask(text, secrets) == shown


@pytest.mark.parametrize(
    ("text", "secrets", "shown"),
    [
        ("'x' is NoneType, None", ["None"], "'x' is NoneType, None"),
        ("it is True: true", ["true", "1", "e"], "it is True: true"),
        ("ValueError: e 1", ["e", "1", ""], "ValueError: e 1"),
        ("Latest tested test", ["test"], "Latest tested ********"),
        ("line 12345, pin 1234", ["1234"], "line 12345, pin ********"),
        ("key=test;x_test", ["test"], "key=********;x_********"),
        ("tokenhunter2x", ["hunter2"], "token********x"),
        ("thepasswordis", ["password"], "the********is"),
        ("the star is ********", ["***x", "****"], "the star is ****************"),
    ],
)
def test_short_and_common_words_do_not_garble_others(text: str, secrets: list[str], shown: str) -> None:
    assert mask(text, secrets, shortest=3) == shown


def test_a_caller_who_knows_that_it_is_a_secret_masks_short_ones_too() -> None:
    assert mask("the pin is 1234", ["1234"], shortest=3) == "the pin is ********"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:pw@host/x", "https://********@host/x"),
        ("https://token@host", "https://********@host"),
        ("https://user:p@ss@host/x@y", "https://********@host/x@y"),
        ("https://user:p/w?#@host/x", "https://********@host/x"),
        ("cannot read 'git+https://user:p/w@host/x': no", "cannot read 'git+https://********@host/x': no"),
        ("redis://:p/w@host/0", "redis://********@host/0"),
        ("https://host:8443/x@y http://[::1]:80/x@y", "https://host:8443/x@y http://[::1]:80/x@y"),
        ("http://a:80,http://b/x@y http://a:/x@y", "http://a:80,http://b/x@y http://a:/x@y"),
        ("ssh://git@host/x", "ssh://git@host/x"),
        ("postgresql://shop:pw@db/shop", "postgresql://shop:********@db/shop"),
        ("git@host:x", "git@host:x"),
        ("nothing here", "nothing here"),
    ],
)
def test_credentials_in_urls_are_masked(text: str, shown: str) -> None:
    assert mask_urls(text) == shown


def test_passwords_of_a_site_and_of_paths_of_it_are_not_shown() -> None:
    auth = {"users": [{"name": "ann", "password": "pw-of-ann"}], "realm": "x"}
    shown = without_passwords({"basic_auth": auth, "mounts": [{"path": "/blog", "basic_auth": auth}, {"path": "/x"}]})
    hidden = {"users": [{"name": "ann", "password": MASK}], "realm": "x"}
    assert shown == {"basic_auth": hidden, "mounts": [{"path": "/blog", "basic_auth": hidden}, {"path": "/x"}]}
    assert without_passwords({"mounts": "x"}) == {"mounts": "x"}
