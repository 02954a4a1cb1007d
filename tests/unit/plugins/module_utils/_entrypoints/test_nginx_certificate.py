# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.action import nginx_certificate as action
from ansible_collections.flaskops.stack.plugins.module_utils._acme.model import DNS, AcmeError
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints import nginx_certificate
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import STAGING
from ansible_collections.flaskops.stack.plugins.modules.nginx_certificate import ARGUMENTS, OPTIONS
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_certbot import Lab


def params(*names: str, **options: t.Any) -> dict[str, t.Any]:
    given = {name: option.get("default") for name, option in OPTIONS.items()}
    return {**given, "certificates": [{"name": name, "names": [f"{name}.test"]} for name in names], **options}


def test_all_options_reach_the_ca() -> None:
    options = {"directory_url": "staging", "challenge": DNS, "dns_hook": "/x", "profile": "p", "renew_before": "3d"}
    authority = nginx_certificate.authority_of(params(**options, check_names=False))
    assert (authority.server, authority.dns_hook, authority.profile) == (STAGING, "/x", "p")
    assert (authority.renew_before.seconds, authority.check_names) == (259200, False)


def test_the_module_obtains_and_removes(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    result = nginx_certificate.manage(lab.where, params("shop"), check=False, diff=False)
    assert result["certificates"][0]["state"] == "issued"
    result = nginx_certificate.manage(lab.where, params("shop", state="absent"), check=False, diff=False)
    assert (result["certificates"][0]["state"], lab.certbot.asked[-1][3]) == ("absent", "delete")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (params("shop", "shop"), "shop twice"),
        (params("shop", renew_before="soon"), "renew_before 'soon'"),
        (params("../x", state="absent"), "must be 1 to 64"),
        (params("shop", certificates=[{"name": "shop", "names": None}]), "0 names"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_done(tmp_path: Path, given: dict[str, t.Any], words: str) -> None:
    lab = Lab(tmp_path)
    with pytest.raises((AcmeError, ValueError), match=words):
        nginx_certificate.manage(lab.where, given, check=False, diff=False)
    assert lab.certbot.asked == []


def test_an_error_is_a_result() -> None:
    result = nginx_certificate.run(params("shop", directory_url="http://x"), check=True)
    assert result["failed"] and "directory_url 'http://x' must be the https:// URL" in result["msg"]


def test_module_and_action_take_the_same_arguments() -> None:
    assert set(ARGUMENTS["argument_spec"]) - set(OPTIONS) == {"code", "code_archive"}
    assert action.ActionModule.run.__doc__
