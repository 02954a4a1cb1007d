# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one class for a test host, with an engine that runs commands on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tools.common import CHECKOUT, ToolError
from tools.lab.host import CommandError, Host, Output


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `docker exec [--interactive] NAME command` run the command here."""
    (tmp_path / "docker").write_text('#!/bin/sh\nshift\n[ "$1" != --interactive ] || shift\nshift\nexec "$@"\n')
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


def test_two_checkouts_have_hosts_of_their_own() -> None:
    assert Host.of_checkout("bench").name == f"flaskops-{CHECKOUT}-bench"


@pytest.mark.usefixtures("engine")
def test_a_script_ends_at_its_first_failure_and_a_line_with_its_last_command() -> None:
    host = Host("host")
    assert host.sh("false; echo on") == "on"
    with pytest.raises(CommandError, match=r"(?s)host: sh -ec .*exited 1: before\nwhy"):
        host.script("echo before; echo why >&2; false; echo on")
    assert host.sh("echo out; exit 3", check=False) == "out"
    assert host.script("cat", stdin="read") == "read"


@pytest.mark.usefixtures("engine")
def test_a_command_that_does_not_end_in_time_is_an_error() -> None:
    with pytest.raises(CommandError, match=r"host: sleep 60 did not end within 1 s"):
        Host("host").run("sleep", "60", timeout=1)


@pytest.mark.usefixtures("engine")
def test_a_file_is_written_with_its_directory(tmp_path: Path) -> None:
    Host("host").write(f"{tmp_path}/new/file", "text")
    assert (tmp_path / "new/file").read_text() == "text"


@pytest.mark.parametrize(
    ("script", "rc", "out", "last"),
    [
        ("echo one; echo two; echo no >&2; exit 3", 3, "one\ntwo\n", ""),
        ("echo one; exec sleep 60", 0, "", "hangs: sh -c .* has said nothing for 1 s, and last 'one'"),
        ("exec sleep 60", 0, "", "and last 'nothing at all'"),
    ],
)
@pytest.mark.usefixtures("engine")
def test_a_host_that_says_nothing_is_given_up(script: str, rc: int, out: str, last: str) -> None:
    heard: list[str] = []
    if last:
        with pytest.raises(ToolError, match=last):
            Host("host").follow("sh", "-c", script, on_line=heard.append, silence=1)
        return
    said = Host("host").follow("sh", "-c", script, on_line=heard.append, silence=9)
    assert (said, "".join(heard)) == (Output(rc, out, "no\n"), out)
