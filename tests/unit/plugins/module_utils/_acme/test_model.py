# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._acme.model import (
    DNS,
    HTTP,
    AcmeError,
    wanted_certificate,
)


def test_names_are_taken_once_and_as_certificates_have_them() -> None:
    wanted = wanted_certificate("shop", ["Shop.test", "shop.test.", "bücher.test"], HTTP)
    assert wanted.names == ("shop.test", "xn--bcher-kva.test")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "0 names"),
        (["*.shop.test"], "only by the challenge dns"),
        (["localhost"], "no host name"),
        (["192.0.2.1"], "no host name"),
        (["_"], "no host name"),
        (["-x.test"], "no host name"),
        (["a.test --deploy-hook x"], "no host name"),
        (["~^x"], "no host name"),
        (["x" * 64 + ".test"], "no host name"),
        ([f"h{number}.test" for number in range(101)], "101 names"),
    ],
)
def test_names_that_no_ca_certifies_are_refused(names: list[str], words: str) -> None:
    with pytest.raises(AcmeError, match=words):
        wanted_certificate("shop", names, HTTP)


def test_a_wildcard_is_certified_by_dns() -> None:
    assert wanted_certificate("shop", ["*.shop.test"], DNS).names == ("*.shop.test",)


@pytest.mark.parametrize("name", ["", "../x", ".x", "a/b", "x" * 65, "a b"])
def test_a_name_that_is_no_file_is_refused(name: str) -> None:
    with pytest.raises(AcmeError, match="must be 1 to 64"):
        wanted_certificate(name, ["shop.test"], HTTP)
