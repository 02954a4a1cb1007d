# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Default values fit each other: a service that sets nothing is one that works."""

from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input import defaults
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import parse_settings


def test_a_service_that_sets_nothing_has_the_defaults() -> None:
    assert parse_settings({}) == defaults.Settings()
    assert defaults.to_json(parse_settings({})) == defaults.DEFAULTS


def test_setting_a_default_by_hand_changes_nothing() -> None:
    assert parse_settings(dict(defaults.DEFAULTS)) == parse_settings({})


def test_every_default_is_a_known_setting_and_no_other_is() -> None:
    with pytest.raises(InputError, match="worker_clas"):
        parse_settings({"worker_clas": "sync"})


def test_a_request_may_take_as_long_as_a_worker_is_given_to_end() -> None:
    assert defaults.DEFAULTS["graceful_timeout"] == defaults.DEFAULTS["drain_timeout"] == defaults.DEFAULTS["timeout"]
