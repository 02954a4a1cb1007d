# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who runs Ansible, and which run it is."""

from __future__ import annotations

import os
import typing as t

import pytest
from ansible import constants
from ansible_collections.flaskops.stack.plugins.plugin_utils._operator import operator, run_id


def test_the_operator_is_a_user_of_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "anna")
    assert operator() == f"anna@{os.uname().nodename}"


def test_a_number_without_a_name_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> t.NoReturn:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", unknown)
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    assert operator() == f"4711@{os.uname().nodename}"


def test_a_run_is_the_same_for_all_its_hosts_and_another_one_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", "/tmp/ansible-local-1-abc")
    first = run_id()
    assert first == run_id() and len(first) == 12
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", "/tmp/ansible-local-2-def")
    assert run_id() != first
