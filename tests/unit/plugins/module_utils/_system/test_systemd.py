# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._system.systemd import has_job


@pytest.mark.parametrize(
    ("state", "waits"), [({}, False), ({"Job": ""}, False), ({"Job": "0"}, False), ({"Job": "4711"}, True)]
)
def test_a_unit_with_a_job_is_still_to_be_started_or_stopped(state: dict[str, str], waits: bool) -> None:
    assert has_job(state) is waits
