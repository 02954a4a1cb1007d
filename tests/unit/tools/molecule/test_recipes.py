# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenario of the recipes runs what the page shows."""

from __future__ import annotations

import pytest

from tools.molecule.recipes import shown

PAGE = "```console\n# systemctl start shop  # now\n$ ls\noutput of ls\n```\n```yaml\n# ls\n```\n"


def test_a_command_is_found_as_it_is_written() -> None:
    assert shown("systemctl", PAGE) == "systemctl start shop  # now"
    assert shown("ls", PAGE) == "ls"


@pytest.mark.parametrize("part", ["output", "rm", "s"])
def test_one_that_is_not_there_or_not_the_only_one_is_refused(part: str) -> None:
    with pytest.raises(SystemExit, match=f"one command must have '{part}' in it"):
        shown(part, PAGE)


@pytest.mark.parametrize("part", ["timer-backup.service", "a.backup(b)"])
def test_the_page_has_the_commands_that_the_scenario_runs(part: str) -> None:
    assert shown(part)
