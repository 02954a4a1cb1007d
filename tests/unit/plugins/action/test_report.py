# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown on the controller's screen, and what is written there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Report
      flaskops.stack.report:
        text: |
          A table
            with  columns
        data: {"a": [1, "two"]}
        path: "{{ path | default(omit) }}"
"""


def played(tmp_path: Path, *options: str) -> tuple[int, str]:
    """Run a report on a host that cannot be reached, and return exit status and output."""
    (tmp_path / "play.yml").write_text(PLAY)
    collections = Path(__file__).parents[4] / ".ansible/collections"
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path),
        "ANSIBLE_NOCOLOR": "1",
    }
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "ssh", *options]
    done = subprocess.run(
        [*command, str(tmp_path / "play.yml")],
        capture_output=True,
        text=True,
        env={**os.environ, **settings},
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_text_is_shown_as_it_is(tmp_path: Path) -> None:
    status, shown = played(tmp_path)
    assert (status, "\nA table\n  with  columns\nok: [localhost]" in shown) == (0, True)


def test_the_data_is_written_once_and_not_in_check_mode(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    assert "changed=1" in played(tmp_path, "--check", "-e", f"path={path}")[1]
    assert not path.exists()
    assert "changed=1" in played(tmp_path, "-e", f"path={path}")[1]
    assert json.loads(path.read_text()) == {"a": [1, "two"]}
    assert "changed=0" in played(tmp_path, "-e", f"path={path}")[1]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    status, shown = played(tmp_path, "-e", f"path={tmp_path}/none/found.json")
    assert status and "none/found.json' cannot be written on the controller" in shown
