# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils import _release_apply
from ansible_collections.flaskops.stack.plugins.module_utils._release import Layout
from ansible_collections.flaskops.stack.plugins.module_utils._venv_build import BuildError


def build_that_fails(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, t.Any]]:
    """Return what is recorded of a build that fails."""
    recorded: list[dict[str, t.Any]] = []

    def fail(_plan: object, _unproved: object) -> None:
        raise BuildError("cannot install requirements.txt\nmore")

    monkeypatch.setattr(_release_apply, "build", fail)
    monkeypatch.setattr(_release_apply, "record", lambda _name, entry: recorded.append(entry))
    plan: t.Any = SimpleNamespace(
        layout=layout, id="3f2a91c-1b9e02d4", revision=SimpleNamespace(revision="3f2a91c"),
        app=SimpleNamespace(name="shop", mask=str),
    )  # fmt: skip
    options: t.Any = SimpleNamespace(by="me")
    with pytest.raises(BuildError):
        _release_apply._build(plan, options, None)
    return recorded


def test_a_build_that_fails_stands_in_the_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(str(tmp_path), "shop")
    os.makedirs(layout.releases)
    (entry,) = build_that_fails(layout, monkeypatch)
    assert (entry["result"], entry["reason"]) == ("failed", "cannot install requirements.txt")


def test_a_first_build_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert build_that_fails(Layout(str(tmp_path), "shop"), monkeypatch) == []
