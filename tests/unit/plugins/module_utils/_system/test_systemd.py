# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._system.command import Commands
from ansible_collections.flaskops.stack.plugins.module_utils._system.systemd import Systemd, has_job

# Units that stop have ended when they are looked at the third time.
SYSTEMCTL = """#!/bin/sh
cd "$(dirname "$0")"
echo "$*" >> calls
case $1 in
  show) [ "$(grep -c ^show calls)" -gt 2 ] && echo ActiveState=inactive || echo ActiveState=deactivating ;;
  list-units) cat left ;;
  daemon-reload) : > left ;;
esac
"""


@pytest.mark.parametrize(
    ("state", "waits"), [({}, False), ({"Job": ""}, False), ({"Job": "0"}, False), ({"Job": "4711"}, True)]
)
def test_a_unit_with_a_job_is_still_to_be_started_or_stopped(state: dict[str, str], waits: bool) -> None:
    assert has_job(state) is waits


@pytest.mark.parametrize("left", ["", "shop@1.service not-found failed failed shop@1.service\n"])
def test_units_that_have_ended_are_forgotten_and_files_read_where_one_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    class Waits(Commands):
        def spawn_detached(self, argv: t.Sequence[str]) -> None:
            subprocess.run(argv, check=True)

    (tmp_path / "systemctl").write_text(SYSTEMCTL)
    (tmp_path / "systemctl").chmod(0o755)
    (tmp_path / "sleep").symlink_to("/bin/true")
    (tmp_path / "left").write_text(left)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    Systemd(Waits()).reset_failed_later(["shop@1.service"])
    calls = [call.split()[0] for call in (tmp_path / "calls").read_text().splitlines()]
    again = ["daemon-reload", "reset-failed"] if left else []
    assert calls == ["show", "show", "show", "reset-failed", "list-units", *again]
