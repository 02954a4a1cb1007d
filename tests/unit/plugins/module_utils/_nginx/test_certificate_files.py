# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains that are missing in a file, and keys that all users can read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx import certificate_files
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.certificate import CertificateError, read_signed
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.certificate_files import find_file_problems
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.checks import Problem, ServerBlock
from ansible_collections.flaskops.stack.plugins.module_utils._system.files import read_file
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.made_certificates import (
    KINDS,
    key_text,
    named,
    new_key,
    signed,
)
from cryptography.hazmat.primitives.serialization import PrivateFormat


@pytest.fixture(scope="session", name="pki")
def make_pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a root, an intermediate that it has signed, and a leaf of each."""
    place = tmp_path_factory.mktemp("pki")
    names = {"root": named("The root", "Test"), **{name: named(name) for name in ("middle", "leaf", "near")}}
    keys = {name: new_key("ec") for name in names}
    for name, issuer in (("root", "root"), ("middle", "root"), ("leaf", "middle"), ("near", "root")):
        (place / f"{name}.crt").write_bytes(signed(names[name], keys[name], names[issuer], keys[issuer]))
        (place / f"{name}.key").write_bytes(key_text(keys[name]))
    return place


@pytest.fixture(name="host")
def make_host(tmp_path: Path, pki: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory of the host, where only the key is."""
    shutil.copy(pki / "leaf.key", tmp_path / "key.pem")
    (tmp_path / "roots").mkdir()
    monkeypatch.setattr(certificate_files, "_ROOTS", str(tmp_path / "roots/ca.crt"))
    return tmp_path


def problems(host: Path, certificate: str = "site.pem", key: str = "key.pem") -> list[Problem]:
    server = ServerBlock("/s", 3, (), ("a.b",), ((certificate, key),), False)
    return find_file_problems([server, server], lambda path: str(host / path), read_file, lambda _path: False)


def write(host: Path, pki: Path, *names: str, file: str = "site.pem") -> None:
    (host / file).write_text("".join((pki / f"{name}.crt").read_text() for name in names))


@pytest.mark.parametrize(
    "names", [("leaf", "middle"), ("leaf", "middle", "root"), ("leaf", "root", "middle"), ("root",)]
)
def test_a_whole_chain_is_accepted(host: Path, pki: Path, names: tuple[str, ...]) -> None:
    write(host, pki, *names)
    assert problems(host) == []


@pytest.mark.parametrize("names", [("leaf",), ("leaf", "root"), ("near",), ("leaf", "leaf")])
def test_a_missing_chain_is_named_with_the_way_out(host: Path, pki: Path, names: tuple[str, ...]) -> None:
    write(host, pki, *names)
    (problem,) = problems(host)
    issuer = "The root" if names == ("near",) else "middle"
    assert problem.kind == "certificate_chain"
    assert f"certificate {host}/site.pem, used in /s:3, comes without that of its issuer '{issuer}'" in problem.message
    assert "append what the CA gave you as chain, bundle or intermediate to it" in problem.message


def test_the_file_that_is_to_be_appended_is_named_where_it_is_beside(host: Path, pki: Path) -> None:
    write(host, pki, "leaf")
    write(host, pki, "root", "middle", file="bundle.crt")
    (host / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\n!\n-----END")
    assert f"append {host}/bundle.crt to it" in problems(host)[0].message
    (host / "all.pem").write_text((host / "bundle.crt").read_text() + (pki / "leaf.key").read_text())
    assert f"append {host}/bundle.crt to it" in problems(host)[0].message
    (host / "bundle.crt").unlink()
    write(host, pki, "leaf", "middle", file="fullchain.pem")
    assert f"name {host}/fullchain.pem instead" in problems(host)[0].message


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize(("certificate", "key"), [("rsa", "ec"), ("ec", "rsa"), ("rsa", "rsa"), ("ec", "ec")])
def test_a_pair_of_two_kinds_is_named(tmp_path: Path, certificate: str, key: str, form: PrivateFormat) -> None:
    for name in KINDS:
        made = new_key(name)
        (tmp_path / f"{name}.pem").write_bytes(signed(named("x"), made))
        (tmp_path / f"{name}.key").write_bytes(key_text(made, form))
        (tmp_path / f"{name}.key").chmod(0o600)
    found = problems(tmp_path, f"{certificate}.pem", f"{key}.key")
    assert [problem.kind for problem in found] == (["certificate_pair"] if certificate != key else [])
    assert all(
        f"{certificate}.pem" in each.message and f"the key {tmp_path}/{key}.key" in each.message for each in found
    )


@pytest.mark.parametrize("place", ["ca.crt", "roots/ca.crt"])
def test_what_a_root_of_the_host_has_signed_needs_no_chain(host: Path, pki: Path, place: str) -> None:
    write(host, pki, "near")
    write(host, pki, "middle", "root", file=place)
    assert problems(host) == []


@pytest.mark.parametrize(("mode", "is_told"), [(0o600, 0), (0o640, 0), (0o440, 0), (0o644, 1), (0o604, 1)])
def test_a_key_that_everybody_can_read_is_named(host: Path, pki: Path, mode: int, is_told: int) -> None:
    write(host, pki, "root")
    host.chmod(0o755)
    for parent in host.parents:
        if not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o001)
    (host / "key.pem").chmod(mode)
    (host / "linked.pem").symlink_to("key.pem")
    found = problems(host, key="linked.pem")
    assert [problem.kind for problem in found] == ["key_permissions"] * is_told
    if is_told:
        assert f"(mode {mode:04o}): 'chmod 600 {host}/key.pem'" in found[0].message


def test_a_key_behind_a_closed_directory_is_nobodys_to_read(host: Path, pki: Path) -> None:
    write(host, pki, "root")
    (host / "key.pem").chmod(0o644)
    host.chmod(0o700)
    assert problems(host) == []


@pytest.mark.parametrize("pair", [("$c", "$k"), ("data:x", "engine:y"), ("none.pem", "none.key")])
def test_what_is_no_file_is_not_looked_at(host: Path, pair: tuple[str, str]) -> None:
    assert problems(host, *pair) == []


@pytest.mark.parametrize("pem", [b"-----BEGIN CERTIFICATE-----\nMIIBIjAN\n-----END CERTIFICATE-----\n"])
def test_what_cannot_be_read_is_said_to_be_so(pem: bytes) -> None:
    with pytest.raises(CertificateError):
        read_signed(pem)
    assert read_signed(b"") == []
