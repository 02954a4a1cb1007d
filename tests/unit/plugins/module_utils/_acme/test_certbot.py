# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._acme.certbot import (
    arguments,
    explain,
    read_eab,
    require_private,
    write_bundle,
)
from ansible_collections.flaskops.stack.plugins.module_utils._acme.lineage import Lineage, Places, refuse_foreign
from ansible_collections.flaskops.stack.plugins.module_utils._acme.model import (
    AcmeError,
    Authority,
    Problem,
    WantedCertificate,
)

PLACES = Places()
ME = os.geteuid()


def test_the_first_request_of_a_site() -> None:
    words = arguments(PLACES, WantedCertificate("-shop", ("a.test", "b.test")), Authority(email="x@a.test"), first=True)
    assert words[:2] == ["certbot", "certonly"] and "--cert-name=-shop" in words and "--force-renewal" not in words
    assert " ".join(words).endswith("--domain a.test --domain b.test")
    assert "--email x@a.test" in " ".join(
        words
    ) and "--deploy-hook /usr/local/lib/flaskops/renewal/deploy-hook" in " ".join(words)


def test_an_account_needs_no_address() -> None:
    words = arguments(PLACES, WantedCertificate("shop", ("a.test",)), Authority(), first=False)
    assert "--register-unsafely-without-email" in words and "--renew-with-new-domains" in words


@pytest.mark.parametrize(
    "text",
    ['{"kid": "k", "hmac_key": "h_-"}', "kid = k\nhmac_key = h_-\n", "kid: k\nhmac_key: 'h_-'\n"],
)
def test_an_external_account_is_read_in_either_form(tmp_path: Path, text: str) -> None:
    path = tmp_path / "eab"
    path.write_text(text)
    path.chmod(0o600)
    assert read_eab(str(path), ME) == ("k", "h_-")


@pytest.mark.parametrize("text", ["", "[]", "kid = k", '{"kid": "k"}', '{"kid": "k\\n", "hmac_key": "h"}'])
def test_half_an_external_account_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "eab"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(AcmeError, match="must have kid and hmac_key"):
        read_eab(str(path), ME)


def test_a_secret_of_another_user_or_a_directory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "eab"
    path.write_text("x")
    path.chmod(0o600)
    with pytest.raises(AcmeError, match="must be a file of root"):
        require_private(str(path), "eab_file", 0o600, ME + 1)
    with pytest.raises(AcmeError, match="must be a file of root"):
        require_private(str(tmp_path), "eab_file", 0o700, ME)
    with pytest.raises(AcmeError, match="cannot be read on the host: No such file"):
        require_private(f"{tmp_path}/none", "eab_file", 0o600, ME)


def test_a_bundle_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    for name, words in (("none", "is not on the host"), ("text", "is no PEM file")):
        with pytest.raises(AcmeError, match=words):
            write_bundle(Places(state=str(tmp_path)), Authority(ca_bundle=f"{tmp_path}/{name}"))


@pytest.mark.parametrize(
    "problem", [Problem("accountDoesNotExist", "x"), Problem("unauthorized", "Account is not valid")]
)
def test_a_lost_account_has_a_way_out(problem: Problem) -> None:
    assert (
        "/etc/letsencrypt/accounts/ca.test/dir away"
        in explain(PLACES, Authority("https://ca.test/dir"), problem).detail
    )


@pytest.mark.parametrize("hook", ["", PLACES.hook])
def test_certificates_without_a_hook_of_others_may_be_taken(hook: str) -> None:
    refuse_foreign(PLACES, Lineage("shop", settings={"renew_hook": hook}))
