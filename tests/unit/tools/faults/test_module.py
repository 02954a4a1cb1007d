# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from tools.faults.inject import module


@pytest.mark.parametrize(
    ("name", "keeps"),
    [("flask_release", True), ("gunicorn_service", True), ("nginx_site", True), ("flask_status", False)],
)
def test_only_a_module_whose_code_is_kept_is_given_its_name(
    name: str, keeps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "keep_code", lambda _name: "c0de")
    assert module.Module(name)._more == ({"code": "c0de"} if keeps else {})
