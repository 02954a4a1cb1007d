# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last line of the scenario: what was counted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the count of each host, and leave it to tools/cli/scenario.py."""
    reports = sorted(Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]).glob("*-release-*.json"))
    text = "".join(f"{json.loads(path.read_text(encoding='utf-8'))['closing']}\n" for path in reports)
    terminalreporter.write(text)
    if place := os.environ.get("FLASKOPS_CLOSING"):
        Path(place).write_text(text, encoding="utf-8")
