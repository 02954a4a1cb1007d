# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.flaskops.stack.plugins.modules.nginx_site import ARGUMENTS

CHAIN: t.Final = {"current": "/srv/shop/current", "host": "shop.test"}


@pytest.mark.parametrize(
    ("chain", "fault"),
    [
        # It was published first, and then ended with a traceback.
        ({**CHAIN, "ports": 80}, "sites.chain.ports"),
        ({"host": "shop.test"}, "current"),
        ({**CHAIN, "port": "http"}, "'port'"),
        (CHAIN, ""),
    ],
)
def test_a_chain_that_is_none_is_refused_before_anything_is_published(chain: dict[str, t.Any], fault: str) -> None:
    found = ArgumentSpecValidator(**ARGUMENTS).validate({"sites": [{"name": "shop", "content": "", "chain": chain}]})
    said = " ".join(found.error_messages)
    assert fault in said and bool(said) == bool(fault)
