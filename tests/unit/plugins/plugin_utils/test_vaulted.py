# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible Vault has encrypted is refused where an application would not keep it secret."""

from __future__ import annotations

import typing as t

import pytest
from ansible.parsing.vault import EncryptedString
from ansible_collections.flaskops.stack.plugins.plugin_utils._vaulted import vaulted_faults

VAULTED = EncryptedString(ciphertext="$ANSIBLE_VAULT;1.1;AES256\n6162\n")
FILE = {"path": "app.cfg", "content": VAULTED}


@pytest.mark.parametrize(
    ("option", "value", "place"),
    [
        (
            "environment",
            {"DEBUG": "no", "API_KEY": VAULTED},
            "environment.API_KEY is encrypted with Ansible Vault, and ",
        ),
        ("environment", VAULTED, "environment is encrypted"),
        ("build_environment", {"TOKEN": VAULTED}, "move it to build_secrets"),
        ("app", VAULTED, "app is encrypted"),
        ("host_header", VAULTED, "host_header is encrypted"),
        ("gunicorn", {"config": {"raw_env": ["A=b", VAULTED]}}, "gunicorn.config.raw_env[1] is encrypted"),
        ("hooks", {"migrate": ["true", ["flask", VAULTED]]}, "hooks.migrate[1][1] is encrypted"),
        ("workers", [{"name": "mail", "command": [VAULTED]}], "workers[0].command[0] is encrypted"),
        ("timers", [{"name": "mail", "command": VAULTED}], "timers[0].command is encrypted"),
        ("files", [FILE], "files 'app.cfg': content is encrypted, and the file is not secret: set secret: true"),
        ("files", [{**FILE, "secret": "no"}], "files 'app.cfg': content is encrypted"),
    ],
)
def test_an_encrypted_text_is_refused_where_it_would_be_no_secret(option: str, value: t.Any, place: str) -> None:
    (fault,) = vaulted_faults([{"name": "blog"}, {"name": "shop", option: value}])
    assert fault.startswith("app 'shop': ")
    assert place in fault


@pytest.mark.parametrize(
    "app",
    [
        {"secrets": {"KEY": VAULTED}, "build_secrets": {"KEY": VAULTED}, "deploy_key": VAULTED, "source": VAULTED},
        {"packages": [VAULTED], "index_url": VAULTED, "extra_index_url": [VAULTED]},
        {"nginx": {"basic_auth": {"users": [{"name": "alice", "password": VAULTED}]}}},
        {"files": [{**FILE, "secret": True}, {**FILE, "secret": "yes"}, {"path": "b", "content": "plain"}]},
        {"environment": {"A": "b", "C": 1, "D": None}, "hooks": {"migrate": ["true"]}},
        # Others check the types.
        {"files": "no list", "environment": 1, "gunicorn": []},
    ],
)
def test_what_is_kept_secret_may_be_encrypted(app: dict[str, t.Any]) -> None:
    assert vaulted_faults([{"name": "shop", **app}]) == []


@pytest.mark.parametrize("apps", [None, "", {}, ["shop"], [None]])
def test_what_are_no_applications_is_left_to_those_who_check_it(apps: object) -> None:
    assert vaulted_faults(apps) == []
