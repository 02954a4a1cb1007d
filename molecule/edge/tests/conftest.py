# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last lines of the scenario: what was counted."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from testinfra.host import Host

_REPORTED = pytest.StashKey[list[str]]()


@pytest.fixture
def report(host: Host, request: pytest.FixtureRequest) -> t.Callable[[str], None]:
    """Take a line for the end of the scenario."""
    lines = request.config.stash.setdefault(_REPORTED, [])
    return lambda text: lines.append(f"{host.backend.get_hostname()}: {text}\n")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show what was reported, and leave it to tools/cli/scenario.py."""
    lines: list[str] = config.stash.setdefault(_REPORTED, [])
    text = "".join(lines)
    terminalreporter.write(text)
    if place := os.environ.get("FLASKOPS_CLOSING"):
        Path(place).write_text(text, encoding="utf-8")
