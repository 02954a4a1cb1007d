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
    """Show the count of each host."""
    for path in sorted(Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]).glob("release-*.json")):
        terminalreporter.write_line(json.loads(path.read_text(encoding="utf-8"))["closing"])
