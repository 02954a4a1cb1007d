# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text that plugins show beside the output of a callback."""

from __future__ import annotations

import pytest
from ansible import constants
from ansible_collections.flaskops.stack.plugins.plugin_utils import _say


@pytest.mark.parametrize("callback", ["json", "ansible.posix.json", "ansible.posix.jsonl"])
def test_a_program_that_reads_the_output_finds_nothing_but_json(
    callback: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(constants, "DEFAULT_STDOUT_CALLBACK", callback)
    _say.say("shop: 1 host serves 3f2a91c-1b9e02d4: web1")
    assert capsys.readouterr() == ("", "shop: 1 host serves 3f2a91c-1b9e02d4: web1\n")


@pytest.mark.parametrize("callback", ["default", "minimal", "community.general.yaml"])
def test_people_find_it_in_the_output(
    callback: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(constants, "DEFAULT_STDOUT_CALLBACK", callback)
    _say.say("shop: 1 host serves 3f2a91c-1b9e02d4: web1")
    assert capsys.readouterr() == ("shop: 1 host serves 3f2a91c-1b9e02d4: web1\n", "")
