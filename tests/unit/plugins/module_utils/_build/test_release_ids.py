# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Release ids of descriptions that version 1.0 knew: another id would build, and deploy, every release anew."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.application import identify, parse_app
from ansible_collections.flaskops.stack.plugins.module_utils._build.adopt import ExistingApp

SHOP: dict[str, t.Any] = {
    "name": "shop",
    "source": "https://git.example.com/shop.git",
    "app": "shop:create_app()",
    "domains": ["shop.test"],
}
REVISION = f"abcdef1{'0' * 33}"


@pytest.mark.parametrize(
    ("more", "known"),
    [
        ({}, "abcdef1-16114b43"),
        ({"gunicorn": {"workers": 3, "health": {"path": "/h"}}}, "abcdef1-4627e856"),
        (
            {
                "environment": {"A": "1"},
                "secrets": {"B": "2"},
                "hooks": {"migrate": ["flask db upgrade"]},
                "workers": [{"name": "w", "command": "rq worker"}],
            },
            "abcdef1-2e446897",
        ),
        ({"trusted_hops": 2, "shared": ["uploads"], "requirements": ["requirements.txt"]}, "abcdef1-c59d9949"),
        (
            {
                "user": "web",
                "python": "3.12",
                "installer": "pip",
                "packages": ["tomlkit"],
                "host_header": "X-Host",
                "trusted_hops": 3,
                "gunicorn": {
                    "worker_class": "gevent",
                    "extra": {"limit_request_fields": 60},
                    "instances": 2,
                    "bind": ["127.0.0.1:8000"],
                    "sandbox": {"PrivateTmp": False},
                },
            },
            "abcdef1-e3c8b66a",
        ),
        (
            {
                "timers": [{"name": "t", "command": "flask clean", "schedule": "daily"}],
                "shared": [],
                "keep": 9,
                "gunicorn": {"health": {"status": [200, 204], "watch": 5, "timeout": 9}},
            },
            "abcdef1-720360d4",
        ),
        ({"source": "shop[web]==1.2", "hooks": {"build": ["npm ci"]}}, "abcdef1-63542755"),
    ],
)
def test_the_id_of_an_application_is_that_of_version_1_0(more: dict[str, t.Any], known: str) -> None:
    assert identify(parse_app({**SHOP, **more}, "/srv"), "git", REVISION, "3.11.2") == known


@pytest.mark.parametrize(
    ("more", "known"),
    [
        ({"environment": {"A": "1"}, "workers": 2}, "0a114a6-a8458d6b"),
        ({"version": "7", "user": "web"}, "e31c937-29981df6"),
    ],
)
def test_the_id_of_a_service_with_code_of_its_own_is_that_of_version_1_0(more: dict[str, t.Any], known: str) -> None:
    service = {"name": "shop", "app": "shop:app", "directory": "/opt/shop", "virtualenv": "/opt/shop/.venv", **more}
    assert ExistingApp.from_params(service).id == known
