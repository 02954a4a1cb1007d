# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hook that fails before the switch aborts the deploy; one that fails after it is reported."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import hook_run as _hook_run
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.deployment import Deployment
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.hook_run import HookResult, hooks_of
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.hooks import HookSteps
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import Settings
from ansible_collections.flaskops.stack.plugins.module_utils._input.hooks import AFTER, BEFORE, MIGRATE, HookError
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout, Manifest
from ansible_collections.flaskops.stack.plugins.module_utils._system.command import Result
from ansible_collections.flaskops.stack.plugins.module_utils._system.host import Host

NEW, OLD = "2222222-22222222", "1111111-11111111"


def deployment(switch: bool = True, current: str = OLD) -> Deployment:
    """Return as much of a deployment as its hooks read."""
    found = SimpleNamespace(
        plan=SimpleNamespace(switch=switch),
        observed=SimpleNamespace(current=current),
        service=SimpleNamespace(wanted=SimpleNamespace(release=NEW)),
        hook_results=[],
        post_switch_error="",
    )
    return t.cast(Deployment, found)


class Steps:
    """The steps with hooks that only note their stage, and fail where they shall."""

    def __init__(self, failing: str = "") -> None:
        self.ran: list[str] = []
        self.aborted: list[str] = []
        self._failing = failing
        self.steps = HookSteps(self._run, lambda _deployment, error: self.aborted.append(error))

    def _run(self, _deployment: Deployment, stage: str) -> list[HookResult]:
        self.ran.append(stage)
        if stage == self._failing:
            raise HookError(f"hook of {stage} failed")
        return [t.cast(HookResult, stage)]


def test_damaged_hooks_of_a_release_fail_like_a_hook() -> None:
    damaged = {"hooks": {"migrate": {"run": "flask db upgrade"}}}
    manifest = Manifest("shop", NEW, "shop", "shop", {}, "3.13", "shop:app", Settings(), extra=damaged)
    with pytest.raises(HookError, match=r"hooks\.migrate must be a list"):
        hooks_of(manifest)


def test_each_stage_runs_its_hooks_and_keeps_what_they_said() -> None:
    one, given = Steps(), deployment()
    one.steps.migrate([given])
    one.steps.before([given])
    one.steps.after([given])
    assert one.ran == [str(result) for result in given.hook_results] == [MIGRATE, BEFORE, AFTER]
    assert (one.aborted, given.post_switch_error) == ([], "")


def test_no_hook_runs_for_a_release_that_is_live_already() -> None:
    one, given = Steps(), deployment(switch=False)
    for step in (one.steps.migrate, one.steps.before, one.steps.after):
        step([given])
    assert one.ran == []


@pytest.mark.parametrize("stage", [MIGRATE, BEFORE])
@pytest.mark.parametrize(("current", "serving"), [(OLD, f"; {OLD} still serves."), ("", "switch.")])
def test_a_failure_before_the_switch_aborts(stage: str, current: str, serving: str) -> None:
    one = Steps(failing=stage)
    step = one.steps.migrate if stage == MIGRATE else one.steps.before
    step([deployment(current=current)])
    assert len(one.aborted) == 1
    assert one.aborted[0].startswith(f"hook of {stage} failed\nRelease {NEW} was removed before the switch")
    assert one.aborted[0].endswith(serving)


def test_a_failure_after_the_switch_leaves_the_release_live() -> None:
    one, given = Steps(failing=AFTER), deployment()
    one.steps.after([given])
    assert one.aborted == []
    assert given.post_switch_error == f"release {NEW} is live, but its after_switch hook failed: hook of {AFTER} failed"


SECRET = "s3cr3t-of-the-shop"


def run_hook(tmp_path: Path, patch: pytest.MonkeyPatch, said: str, rc: int) -> list[HookResult]:
    """Run a hook that gets a secret as its argument and says something."""
    layout = Layout(str(tmp_path), "shop")
    release = Path(layout.release(NEW))
    (release / "app").mkdir(parents=True)
    (release / "env").write_text(f'TOKEN="{SECRET}"\n')
    extra = {"hooks": {"migrate": [["sh", "-c", f"curl -u {SECRET}"]]}, "secret_names": ["TOKEN"]}
    manifest = Manifest("shop", NEW, "shop", "shop", {}, "3.13", "shop:app", Settings(), extra=extra)

    def run(*given: t.Any) -> Result:
        Path(given[-1]).write_text(said)
        return Result((), rc, "", "Finished with result: exit-code\nMain processes terminated with: status=1/FAILURE")

    patch.setattr(_hook_run, "HOOK_LOGS", str(tmp_path / "logs"))
    patch.setattr(_hook_run, "_systemd_run", run)
    patch.setattr(_hook_run, "wait_until_stopped", lambda *_args: [])
    return _hook_run.run_hooks(Host(), MIGRATE, layout, manifest)


@pytest.mark.parametrize("kept", range(8192 - len(SECRET), 8192 + 1, 3))
def test_a_secret_is_masked_also_where_the_output_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    [ran] = run_hook(tmp_path, monkeypatch, "a" * 9000 + SECRET + "b" * kept, 0)
    before, _masked, _after = ran.output.partition("b")
    assert before.strip("a*") == ""
    assert len(ran.output) <= 8192


def test_a_secret_in_the_command_of_a_hook_is_shown_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [ran] = run_hook(tmp_path, monkeypatch, "", 0)
    assert ran.command == "sh -c 'curl -u ********'"


def test_a_secret_in_the_command_of_a_hook_that_fails_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(HookError, match=r"hook migrate .*curl -u \*{8}.* failed with exit code 1") as caught:
        run_hook(tmp_path, monkeypatch, "401", 1)
    assert SECRET not in str(caught.value)


def test_a_hook_has_the_sandbox_of_its_service_also_with_a_percent_sign(tmp_path: Path) -> None:
    asked: list[t.Sequence[str]] = []
    commands = SimpleNamespace(run=lambda argv, _timeout: asked.append(argv))
    settings = replace(Settings(), sandbox={"ReadOnlyPaths": "/srv/50%off"})
    manifest = Manifest("shop", NEW, "shop", "shop", {}, "3.13", "shop:f('%%')", settings)
    host = t.cast(Host, SimpleNamespace(commands=commands))
    _hook_run._systemd_run(host, ["/bin/true"], Layout(str(tmp_path), "shop"), manifest, 5, "", "/log")
    [words] = asked
    assert "--property=ReadOnlyPaths=/srv/50%off" in words
    assert "--property=Environment=\"FLASK_APP=shop:f('%%')\"" in words
