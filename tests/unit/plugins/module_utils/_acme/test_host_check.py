# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host says before anything changes, of the files that certificates need and of sites without TLS."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._acme import host_check
from ansible_collections.flaskops.stack.plugins.module_utils._acme.host_check import file_faults, plain_sites
from ansible_collections.flaskops.stack.plugins.module_utils._acme.lineage import Places
from ansible_collections.flaskops.stack.plugins.module_utils._acme.model import DNS, Authority
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.layout import Included
from ansible_collections.flaskops.stack.plugins.module_utils._site.acme import PLAIN_MARK
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_certbot import certificate

ME = os.geteuid()
TRUSTED = Path("/etc/ssl/certs/ca-certificates.crt")


@pytest.fixture(name="places")
def make_places(tmp_path: Path) -> Places:
    return Places(certbot=f"{tmp_path}/letsencrypt", tls=f"{tmp_path}/tls")


def faults(places: Places, installs: bool = False, **files: str) -> list[str]:
    authority = Authority(
        ca_bundle=files.get("ca_bundle", ""),
        eab_file=files.get("eab_file", ""),
        challenge=DNS,
        dns_hook=files.get("dns_hook", ""),
    )
    return file_faults(authority, places, installs, ME)


def write(path: Path, text: str, mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_all_files_that_are_missing_are_named_with_their_variables(tmp_path: Path, places: Places) -> None:
    found = faults(places, ca_bundle=f"{tmp_path}/ca", eab_file=f"{tmp_path}/eab", dns_hook=f"{tmp_path}/hook")
    assert [text.split(" ")[:2] for text in found] == [
        ["nginx_acme_ca_bundle", f"{tmp_path}/ca"],
        ["nginx_acme_eab_file", f"{tmp_path}/eab"],
        ["nginx_acme_dns_hook", f"{tmp_path}/hook"],
    ]
    assert all("on the host" in text and "Put it there first" in text for text in found)


@pytest.mark.parametrize(
    ("option", "text", "mode", "words"),
    [
        ("ca_bundle", "no PEM", 0o644, "is no PEM file"),
        ("ca_bundle", "-----BEGIN PRIVATE KEY-----\n", 0o644, "has no certificate that can be read"),
        ("ca_bundle", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", 0o644, "that can be read"),
        ("eab_file", "kid = k", 0o600, "must have kid and hmac_key"),
        ("eab_file", "kid = k\nhmac_key = h\n", 0o644, "no more rights than 0600"),
        ("dns_hook", "#!/bin/sh\n", 0o644, "cannot be executed: 'chmod 0755"),
        ("dns_hook", "#!/bin/sh\n", 0o777, "no more rights than 0755"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(
    tmp_path: Path, places: Places, option: str, text: str, mode: int, words: str
) -> None:
    (said,) = faults(places, installs=False, **{option: write(tmp_path / "file", text, mode)})
    assert said.startswith(f"nginx_acme_{option} {tmp_path}/file ") and words in said


def test_files_that_are_as_they_should_be_are_no_fault(tmp_path: Path, places: Places) -> None:
    eab = write(tmp_path / "eab", "kid = k\nhmac_key = h\n")
    assert faults(places, ca_bundle=str(TRUSTED), eab_file=eab, dns_hook=write(tmp_path / "hook", "", 0o755)) == []


def test_what_is_not_needed_is_not_looked_for(places: Places) -> None:
    os.makedirs(os.path.join(places.account(Authority().server), "a1"))
    assert faults(places, eab_file="/nonexistent/eab") == []
    assert file_faults(Authority(dns_hook="/nonexistent/hook"), places, False) == []


def test_a_file_may_come_with_a_package_of_the_same_task(
    tmp_path: Path, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_check, "_OF_PACKAGES", (f"{tmp_path}/usr/",))
    (tmp_path / "usr").mkdir()
    hook = tmp_path / "usr/hook"
    assert faults(places, installs=True, dns_hook=str(hook)) == []
    assert faults(places, installs=False, dns_hook=str(hook))
    assert faults(places, installs=True, dns_hook=f"{tmp_path}/opt/hook")
    write(hook, "", 0o644)
    assert faults(places, installs=True, dns_hook=str(hook))


@pytest.mark.parametrize(
    ("text", "target", "is_plain"),
    [
        ("server { listen 80; }", None, True),
        ("server { listen 80; }", "stand-in", True),
        (f"# note\n{PLAIN_MARK}\nserver {{\n    listen 443 ssl;\n    ssl_certificate x;\n}}", "stand-in", True),
        ("server {\n    listen 443 ssl;\n}", "stand-in", False),
        ("server {\n    listen 443 ssl http2;\n}", None, False),
        ("server {\n    ssl_certificate /a;\n}", None, False),
        ("server {\n    # listen 443 ssl;\n    listen 80; # ssl \n}", None, True),
        ("server { listen 80; }", "issued-1", False),
        # One that has ended is none.
        ("server { listen 80; }", "issued-0", True),
        ("", None, False),
        (None, None, False),
    ],
)
def test_a_site_without_tls_and_without_a_certificate_is_plain(
    tmp_path: Path, places: Places, text: str | None, target: str | None, is_plain: bool
) -> None:
    (tmp_path / "enabled").mkdir()
    if text is not None:
        (tmp_path / "shop@1").write_text(text)
        (tmp_path / "enabled/shop.conf").symlink_to("../shop@1")
    if target:
        (tmp_path / "tls/shop").mkdir(parents=True)
        (tmp_path / "tls/shop/current").symlink_to(target)
        (tmp_path / "tls/shop" / target).mkdir()
        end = 2000 if target == "issued-1" else 500
        (tmp_path / "tls/shop" / target / "fullchain.pem").write_bytes(certificate(["shop.test"], 0, end))
    enabled = Included(f"{tmp_path}/enabled", ".conf")
    names = ["Shop.test"]
    assert plain_sites({"shop": {"former": "", "names": names}}, enabled, places, 1000) == (
        ["shop"] if is_plain else []
    )
    # What visitors have under a site's former name counts where it has nothing under its own one.
    renamed = {"new": {"former": "shop", "names": names}}
    assert plain_sites(renamed, enabled, places, 1000) == (["new"] if is_plain else [])
    if target == "issued-1":
        # The certificate is not for all of its names: visitors of the others are not sent to it.
        more = {"shop": {"former": "", "names": ["shop.test", "b.test"]}}
        assert plain_sites(more, enabled, places, 1000) == ["shop"]
