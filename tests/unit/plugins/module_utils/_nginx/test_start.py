# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An nginx that does not run is started, and what it says when it does not start is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.binary import Nginx
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.policy import ReloadResult
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.server import find_master
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.start import start
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_host import FakeHost

BIND = "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)"


@pytest.fixture(name="host")
def make_host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def started(host: FakeHost) -> ReloadResult:
    nginx = Nginx("nginx", host.nginx.config, host=host)
    return start(host, "nginx", lambda: find_master(host, nginx.config, nginx.build, "nginx"))


def test_a_start_is_proved_by_workers(host: FakeHost) -> None:
    result = started(host)
    assert (result.performed, result.proved) == (True, True)
    assert result.new_workers == tuple(sorted(host.nginx.workers)) != ()


def test_a_start_that_fails_says_what_nginx_said_since_and_not_before(host: FakeHost) -> None:
    """Within the same second."""
    host.start_fails = "Job for nginx.service failed"
    host.journal = [(1000.6, "of an earlier start"), (1000.8, BIND)]
    host.wall = 1000.7
    result = started(host)
    assert (result.performed, result.proved, result.output) == (True, False, BIND)


def test_a_start_that_fails_without_a_word_of_nginx_says_what_systemd_said(host: FakeHost) -> None:
    host.start_fails = "Job for nginx.service failed"
    assert started(host).output == "Job for nginx.service failed"


def test_a_masked_unit_is_told_with_the_way_out(host: FakeHost) -> None:
    host.start_fails = "Failed to start nginx.service: Unit nginx.service is masked."
    assert "systemctl unmask nginx" in started(host).reason


def test_what_was_not_started_is_no_failure(host: FakeHost) -> None:
    host.systemd = False
    assert not started(host).performed
    host.systemd = True
    assert "another configuration" in start(host, "nginx", lambda: None).reason
