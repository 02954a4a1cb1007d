# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the result of a task has of a service is what the module documents, wherever it is made."""

from __future__ import annotations

import yaml
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.service_result import ServiceResult
from ansible_collections.flaskops.stack.plugins.modules import gunicorn_service


def test_a_result_has_the_keys_that_are_documented() -> None:
    documented = yaml.safe_load(gunicorn_service.RETURN)["services"]["contains"]
    assert set(ServiceResult("shop", "").to_json()) == set(documented)


def test_two_results_share_no_list() -> None:
    first, second = (ServiceResult(name, "").to_json() for name in ("shop", "wiki"))
    first["hooks"].append("migrate")
    assert second["hooks"] == []
