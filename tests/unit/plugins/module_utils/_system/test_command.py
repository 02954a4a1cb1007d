# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pwd
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._system.command import CommandError, run, sync_filesystem

ME = pwd.getpwuid(os.geteuid()).pw_name


def test_a_command_says_what_it_wrote_and_how_it_ended() -> None:
    result = run([sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"])
    assert (result.rc, result.out, result.err) == (3, "out\n", "err\n")


def test_a_command_that_is_missing_is_named() -> None:
    with pytest.raises(CommandError, match="'no-such-program' was not found"):
        run(["no-such-program"])


def test_a_command_that_does_not_end_is_killed_with_what_it_started() -> None:
    with pytest.raises(CommandError, match=r"did not end within 0\.5 s; it said last: begun"):
        run(["sh", "-c", "echo begun; sleep 60 & wait"], timeout=0.5)


@pytest.mark.parametrize("start", ["sleep 60 &", "setsid --fork sleep 6;"])
def test_a_command_has_ended_when_what_it_has_started_holds_its_output(start: str) -> None:
    began = time.monotonic()
    result = run(["sh", "-c", f"cat; {start} echo said; exit 3"], stdin="told ")
    assert (result.rc, result.out) == (3, "told said\n")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("start", ["sleep 60 &", "setsid --fork sleep 6;"])
def test_a_command_that_is_too_slow_is_not_waited_for_with_what_it_has_started(start: str) -> None:
    began = time.monotonic()
    with pytest.raises(CommandError, match=r"did not end within 0\.6 s; it said last: begun"):
        run(["sh", "-c", f"echo begun; {start} sleep 60"], timeout=0.6)
    assert time.monotonic() - began < 5


def test_what_a_command_says_for_long_is_whole() -> None:
    said = run(["sh", "-c", "for n in 1 2 3; do sleep 0.6; echo $n; done; seq 1 200000"]).out
    assert said.startswith("1\n2\n3\n1\n")
    assert len(said) == 6 + sum(len(str(n)) + 1 for n in range(1, 200001))


def test_a_command_has_all_rights_of_its_user_and_no_others() -> None:
    name = "nobody" if os.geteuid() == 0 else ME
    account = pwd.getpwnam(name)
    said = run(["sh", "-c", "grep -E '^(Uid|Gid|Groups):' /proc/self/status"], user=name).out.split("\n")
    uid, gid = account.pw_uid, account.pw_gid
    groups = sorted(os.getgrouplist(name, gid))
    assert [line.split()[1:] for line in said[:2]] == [[str(uid)] * 4, [str(gid)] * 4]
    assert sorted(map(int, said[2].split()[1:])) == groups


@pytest.mark.skipif(sys.version_info < (3, 9), reason="runuser says it there")
def test_a_user_who_does_not_exist_is_named() -> None:
    with pytest.raises(CommandError, match="user 'no-such-user', who does not exist"):
        run(["true"], user="no-such-user")


def test_what_cannot_be_brought_to_the_disk_is_said(tmp_path: Path) -> None:
    with sync_filesystem(str(tmp_path)):
        pass
    with pytest.raises(CommandError, match=r"sync --file-system .*missing.* failed"), sync_filesystem(
        f"{tmp_path}/missing"
    ):
        pass


def test_what_left_the_group_of_a_command_does_not_hold_up_its_timeout() -> None:
    begun = time.monotonic()
    with pytest.raises(CommandError, match=r"did not end within 0\.5 s; it said last: hi"):
        run(["sh", "-c", "echo hi; setsid sleep 8 & sleep 8"], timeout=0.5)
    assert time.monotonic() - begun < 6
