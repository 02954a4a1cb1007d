# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts on which root's files are closed to others: what the modules make is open to those who need it."""

from __future__ import annotations

import os
import typing as t

import pytest
from ansible.module_utils import basic
from ansible_collections.flaskops.stack.plugins.modules import flask_release, gunicorn_service, nginx_site


@pytest.mark.parametrize("module", [flask_release, gunicorn_service, nginx_site])
def test_modules_do_not_take_over_the_umask_of_root(module: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", b'{"ANSIBLE_MODULE_ARGS": {"unknown": 1}}')
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    before = os.umask(0o077)
    try:
        with pytest.raises(SystemExit):
            module.main()
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
