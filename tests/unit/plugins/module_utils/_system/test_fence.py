# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a user's code runs; that a unit ends what it has started is for a host with systemd, see the scenarios."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import hook_run as _hook_run
from ansible_collections.flaskops.stack.plugins.module_utils._system import fence as _fence
from ansible_collections.flaskops.stack.plugins.module_utils._system.command import CommandError
from ansible_collections.flaskops.stack.plugins.module_utils._system.fence import Fence, FenceError, inside

SECRET = "pypi-AgEIcHlwaS5vcmc"


def fence(*lines: str) -> Fence:
    return Fence("flaskops-build-shop.service", lines, sys.executable, "Build of shop")


def told(program: Path) -> str:
    return Path(f"{program}.told").read_text()


def test_commands_run_one_after_the_other_in_one_unit(systemd_run: Path, tmp_path: Path) -> None:
    with fence("User=shop") as one:
        first = one.run(["sh", "-c", "pwd; echo $NAME; echo err >&2; exit 3"], 20, {"NAME": "ü$"}, str(tmp_path))
        assert (first.rc, first.out, first.err) == (3, f"{tmp_path}\nü$\n", "err\n")
        assert one.run(["echo", "second"], 20).out == "second\n"
    words = told(systemd_run).splitlines()
    assert words.count("--wait") == 1
    assert {"--unit=flaskops-build-shop.service", "--property=User=shop", "--property=KillMode=control-group"} < {
        *words
    }
    # Where memory runs out, what serves goes on.
    assert "--property=OOMScoreAdjust=1000" in words


def test_a_percent_sign_of_a_unit_file_is_passed_on_as_it_is_meant(systemd_run: Path) -> None:
    """It is expanded in files alone: a path with two of them does not exist, and the unit does not start."""
    with fence("ReadOnlyPaths=/srv/50%%off") as one:
        one.run(["true"], 20)
    assert "--property=ReadOnlyPaths=/srv/50%off" in told(systemd_run).splitlines()


def test_no_secret_is_where_others_see_it(systemd_run: Path) -> None:
    with fence() as one:
        found = one.run(["sh", "-c", "echo $TOKEN; cat /proc/$PPID/cmdline"], 20, {"TOKEN": SECRET, "PATH": "/bin"})
    assert found.out.count(SECRET) == 1
    assert SECRET not in told(systemd_run)


def test_a_command_that_is_missing_or_too_slow_is_named_and_others_run(no_systemd: None) -> None:
    with fence() as one:
        with pytest.raises(CommandError, match="'no-such-program' was not found"):
            one.run(["no-such-program"], 20)
        with pytest.raises(CommandError, match=r"'sh -c .*' did not end within 0\.3 s; it said last: begun"):
            one.run(["sh", "-c", "echo begun; sleep 60 & wait"], 0.3)
        assert one.run(["echo", "on"], 20).out == "on\n"


@pytest.mark.parametrize(
    ("first", "error"),
    [
        ("#!/bin/sh\r", "'./build.sh' has the line ends of Windows.*save it with those of Unix"),
        (
            "#!/opt/gone/bin/node",
            "'./build.sh' names an interpreter in its first line that is not on this host: '#!/opt/gone",
        ),
    ],
)
def test_a_script_whose_interpreter_is_missing_is_not_said_to_be_missing(
    no_systemd: None, tmp_path: Path, first: str, error: str
) -> None:
    script = tmp_path / "build.sh"
    script.write_bytes(f"{first}\necho built\n".encode())
    script.chmod(0o755)
    with fence() as one, pytest.raises(CommandError, match=error):
        one.run(["./build.sh"], 20, None, str(tmp_path))


@pytest.mark.parametrize("start", ["sleep 20 &", "setsid --fork sleep 5;"])
def test_nobody_waits_for_what_a_command_has_left(no_systemd: None, start: str) -> None:
    began = time.monotonic()
    with fence() as one:
        result = one.run(["sh", "-c", f"{start} echo said; exit 3"], 20)
        assert (result.rc, result.out) == (3, "said\n")
        assert time.monotonic() - began < 4


def test_of_what_a_command_says_the_end_is_kept(no_systemd: None) -> None:
    with fence() as one:
        result = one.run(["sh", "-c", "yes | head -c 5000000; echo end"], 20)
    assert len(result.out) == 65536
    assert result.out.endswith("y\nend\n")


def test_it_ends_with_whoever_has_asked_for_it(no_systemd: None, tmp_path: Path) -> None:
    """A module that is killed closes its pipe, and the unit's first process ends."""
    words = inside(sys.executable)
    job = f'{{"argv": ["sh", "-c", "touch {tmp_path}/begun; sleep 9"], "timeout": 20, "env": null, "cwd": null}}\n'
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin
        process.stdin.write(job.encode())
        process.stdin.flush()
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        began = time.monotonic()
        process.stdin.close()
        assert process.wait(5) == 1
    assert time.monotonic() - began < 2


def refuse(program: Path, says: str, code: int = 1) -> None:
    """Let systemd refuse once."""
    Path(f"{program}.refuses").write_text(f'rm "$0.refuses"; echo "{says}" >&2; exit {code}\n')


def test_a_directive_that_systemd_does_not_know_is_left_out(systemd_run: Path) -> None:
    refuse(systemd_run, "Unknown assignment: PrivateIPC=yes")
    with fence("PrivateTmp=yes", "PrivateIPC=yes") as one:
        assert one.run(["echo", "run"], 20).out == "run\n"
    assert told(systemd_run).count("=PrivateTmp=yes") == 2
    assert told(systemd_run).count("=PrivateIPC=yes") == 1


def test_what_a_killed_run_has_left_is_ended_by_its_name(systemd_run: Path) -> None:
    refuse(systemd_run, "Failed to start: Unit flaskops-build-shop.service was already loaded or has a fragment file.")
    with fence() as one:
        assert one.run(["echo", "run"], 20).out == "run\n"
    assert "kill --signal=KILL -- flaskops-build-shop.service" in told(systemd_run.with_name("systemctl"))


@pytest.mark.parametrize(
    ("says", "error"),
    [
        ("Failed to connect to bus: No such file", "could not be started: Failed to connect to bus.*journalctl -u"),
        (
            "Finished with result: exit-code\nMain processes terminated with: code=exited, status=226/NAMESPACE",
            r"could not be started: .*226/NAMESPACE.*gunicorn\.sandbox",
        ),
        ("Finished with result: oom-kill", "was ended from outside .oom-kill.*dmesg"),
    ],
)
def test_a_unit_that_does_not_start_says_why_and_the_way_out(systemd_run: Path, says: str, error: str) -> None:
    refuse(systemd_run, says)
    with fence() as one, pytest.raises(FenceError, match=error):
        one.run(["true"], 20)


def test_what_disturbs_a_fence_from_inside_is_an_error(no_systemd: None) -> None:
    with fence() as one, pytest.raises(FenceError, match=r"could not be started|was ended"):
        one.run(["sh", "-c", "kill -9 $PPID"], 20)


def test_what_fills_the_pipe_of_a_fence_that_does_not_end_fills_no_memory(
    no_systemd: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's code may stop the first process of the unit, and write where systemd-run(1) writes."""
    monkeypatch.setattr(_fence, "_END", 1.0)
    monkeypatch.setattr(_fence, "_KILLED", 0.5)
    one = fence()
    one.__enter__()
    process = one._process
    assert process
    left = 'master=$PPID; setsid --fork sh -c "exec yes >/proc/$master/fd/2"'
    assert one.run(["sh", "-c", left], 20).rc == 0
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(0.2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    one.end()
    assert time.monotonic() - began < 15
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def hook(tmp_path: Path, script: str) -> tuple[int, bytes]:
    with (tmp_path / "log").open("ab") as log:
        code = subprocess.call(inside(sys.executable, "sh", "-c", script), stdout=log, timeout=30)
    return code, (tmp_path / "log").read_bytes()


def test_the_output_of_a_hook_is_bounded_while_it_is_written(tmp_path: Path) -> None:
    code, kept = hook(tmp_path, f"yes | head -c 9000000; stat -c %s {tmp_path}/log; echo end; exit 4")
    size = int(kept.splitlines()[-2])
    assert (code, kept.endswith(b"end\n")) == (4, True)
    assert size <= 2 * 65536
    assert len(kept) <= 2 * 65536


def test_of_the_output_of_a_hook_the_end_alone_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as stream:
        stream.seek(8 * 1024**3)
        stream.write(b"the end")
    assert _hook_run._tail(str(log)).endswith("the end")
    log.write_bytes(b"short")
    assert _hook_run._tail(str(log)) == "short"


def test_a_hook_ends_as_its_command_does(tmp_path: Path) -> None:
    assert hook(tmp_path, "kill -9 $$")[0] == -signal.SIGKILL
    began = time.monotonic()
    assert hook(tmp_path, "echo begun; sleep 20 & exit 0") == (0, b"begun\n")
    assert time.monotonic() - began < 5


def test_a_hook_that_is_told_to_end_may_say_so(tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab") as log:
        script = f"trap 'echo clearing; exit 5' TERM; touch {tmp_path}/begun; sleep 20 & wait"
        process = subprocess.Popen(inside(sys.executable, "sh", "-c", script), stdout=log, start_new_session=True)
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGTERM)
    assert process.wait(10) == 5
    # A shell may say besides that its own command was terminated.
    assert (tmp_path / "log").read_text().endswith("clearing\n")
