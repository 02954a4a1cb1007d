# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import atexit
import gc
import importlib
import os
import sys

import pytest
from ansible_collections.flaskops.stack.plugins.action import preflight
from ansible_collections.flaskops.stack.plugins.filter import derive
from ansible_collections.flaskops.stack.plugins.plugin_utils import _run_record, _task_process

NAME = "ansible_collections.flaskops.stack.plugins.filter"


def test_all_filters_are_loaded_with_what_every_role_begins_with(monkeypatch: pytest.MonkeyPatch) -> None:
    known = [name for name in sys.modules if name.startswith(f"{NAME}.")]
    # Loaded anew, and not again in its place: the tests of this plugin have its class already.
    for name in [*known, preflight.__name__]:
        monkeypatch.delitem(sys.modules, name)
    package = sys.modules[preflight.__name__.rpartition(".")[0]]
    monkeypatch.setattr(package, "preflight", preflight)
    assert importlib.import_module(preflight.__name__) is not preflight
    files = [name[:-3] for name in os.listdir(os.path.dirname(derive.__file__)) if name.endswith(".py")]
    assert {f"{NAME}.{name}" for name in files if name != "__init__"} <= set(sys.modules)


def test_garbage_of_ansible_is_not_looked_for_in_a_task() -> None:
    before = gc.get_freeze_count()
    try:
        _task_process.freeze_gc()
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()


def test_garbage_is_not_looked_for_when_a_run_ends_and_its_summary_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    # Called in turn, the last that is registered first.
    registered: list[object] = []
    monkeypatch.setattr(atexit, "register", registered.append)
    summary = importlib.reload(_run_record)._show
    assert registered == [_task_process.freeze_gc, summary]
