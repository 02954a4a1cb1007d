# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time
import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx import start as _start
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.server import Master
from ansible_collections.flaskops.stack.plugins.module_utils._system.command import CommandError

# A start that fails does so within the same second.
BEGAN = 1000.7
BIND = "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)"


class Started(Master):
    """A master process with two workers."""

    def __init__(self) -> None:
        self.pid = 1

    def workers(self, leaving: bool = False) -> set[int]:
        """Return the workers."""
        return set() if leaving else {3, 2}


@pytest.fixture(name="systemd")
def make_systemd(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., None]:
    def prepare(running: bool = True, said: str = "") -> None:
        def systemctl(verb: str, units: t.Sequence[str]) -> None:
            assert (verb, units) == ("start", ["nginx"])
            if said:
                raise CommandError(said)

        monkeypatch.setattr(_start, "is_running", lambda: running)
        monkeypatch.setattr(_start, "systemctl", systemctl)
        # systemd leaves out what was logged earlier.
        monkeypatch.setattr(
            _start, "journal_tail", lambda _unit, _lines, since: BIND if float(since[1:]) <= BEGAN else ""
        )
        monkeypatch.setattr(time, "time", lambda: BEGAN)

    return prepare


def test_a_start_is_proved_by_workers(systemd: t.Callable[..., None]) -> None:
    systemd()
    result = _start.start("nginx", Started)
    assert (result.performed, result.proved, result.new_workers) == (True, True, (2, 3))


def test_a_start_that_fails_says_what_nginx_said(systemd: t.Callable[..., None]) -> None:
    systemd(said="Job for nginx.service failed")
    result = _start.start("nginx", Started)
    assert (result.performed, result.proved, result.output) == (True, False, BIND)


def test_a_masked_unit_is_told_with_the_way_out(systemd: t.Callable[..., None]) -> None:
    systemd(said="Failed to start nginx.service: Unit nginx.service is masked.")
    assert "systemctl unmask nginx" in _start.start("nginx", Started).reason


def test_what_was_not_started_is_no_failure(systemd: t.Callable[..., None]) -> None:
    systemd(running=False)
    assert not _start.start("nginx", Started).performed
    systemd()
    assert "another configuration" in _start.start("nginx", lambda: None).reason
