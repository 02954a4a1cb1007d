# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a rollback goes, and what history says of it."""

from __future__ import annotations

import os
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import rollback_hook as _rollback_hook
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.deployment import Deployment, Service
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.plan import Observed, WantedUnits
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.request import ServiceRequest, read_requests
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.rollback import resolve_target
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.rollback_hook import (
    due_rollback_hook,
    rolled_back_from,
    run_rollback_hook,
)
from ansible_collections.flaskops.stack.plugins.module_utils._input.hooks import HookError
from ansible_collections.flaskops.stack.plugins.module_utils._input.printable import short_reason
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._release import history as _history
from ansible_collections.flaskops.stack.plugins.module_utils._release import migration as _migration
from ansible_collections.flaskops.stack.plugins.module_utils._release.history import (
    complete_last,
    with_interrupted_resolved,
)
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout, Manifest, ReleaseError
from ansible_collections.flaskops.stack.plugins.module_utils._release.prune import prune_releases
from ansible_collections.flaskops.stack.plugins.module_utils._release.release import list_releases, write_manifest
from ansible_collections.flaskops.stack.plugins.module_utils._release.rollback import (
    choose_target,
    deploy_runs,
    possible_targets,
    previous_healthy,
    rejected_releases,
)
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import parse_settings
from ansible_collections.flaskops.stack.plugins.module_utils._system.command import CommandError
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_system import simulate

V1, V2, V3, V4 = (f"{number * 7}-0000000{number}" for number in "1234")
ALL = (V1, V2, V3, V4)


def manifest(release: str) -> Manifest:
    source = {"type": "git", "location": "", "version": f"v{release[0]}", "revision": ""}
    built = f"2026-01-0{release[0]}"
    return Manifest("shop", release, "u", "g", source, "3", "a:b", parse_settings({}), built_at=built)


def story(*steps: str) -> tuple[list[dict[str, t.Any]], str]:
    """Return history and current release after steps: C(1), C(2!) failed, C(<1) back to 1, C(2?) killed."""
    entries: list[dict[str, t.Any]] = []
    current = ""
    for number, step in enumerate(steps):
        release = ALL[int(step.strip("<!?")) - 1]
        result = "failed" if "!" in step else "interrupted" if "?" in step else "activated"
        what = "rollback" if "<" in step else "deploy"
        entry = {"when": f"2026-01-{number + 10}", "what": what, "release": release, "from": current, "result": result}
        entries.append({**entry, "reason": "no answer"} if result == "failed" else entry)
        current = release if result == "activated" else current
    return entries, current


@pytest.mark.parametrize(
    ("steps", "target"),
    [
        ("1 2", V1),
        ("1 2 3", V2),
        ("1 2 3 <2", V1),
        ("1 2 3 <2 4", V2),
        ("1 2 3!", V1),
        ("1 2! 3", V1),
        ("1 2! 2 3", V2),
        ("1 2 2! 3", V1),
        ("1 2 3 <2! <1", ""),
        ("1 2 3 <2!", V1),
        ("1 2 <1 2 3", V2),
        ("1 2 <1 3", V1),
        ("1 2 1", V2),
        ("1 2 3 <1", ""),
        ("1 2? 3", V1),
        ("1", ""),
        ("1!", ""),
        ("", ""),
    ],
)
def test_the_release_before_that_was_never_found_bad_is_the_target(steps: str, target: str) -> None:
    entries, current = story(*steps.split())
    assert previous_healthy(entries, ALL, current) == target


@pytest.mark.parametrize(
    ("steps", "targets"),
    [
        ("1 2 3", [V3, V2, V1]),
        ("1 2 3!", [V2, V1]),
        ("1 2! 3", [V3, V1]),
        ("1 2 3 <2", [V2, V1]),
        ("1 2 1", [V1, V2]),
        ("", []),
    ],
)
def test_a_host_may_stay_where_it_is_or_go_to_what_was_healthy(steps: str, targets: list[str]) -> None:
    entries, current = story(*steps.split())
    assert possible_targets(entries, ALL, current) == targets


def test_what_one_run_deployed_is_known_by_the_run() -> None:
    entries, _current = story("1", "2", "<1", "3!")
    known = [{**entry, "run": f"r{number}"} for number, entry in enumerate(entries)]
    assert deploy_runs([*known, {"result": "activated", "what": "deploy", "release": V4}]) == {V1: "r0", V2: "r1"}


def test_one_that_was_refused_before_it_was_started_is_as_good_as_it_was() -> None:
    entries, current = story("1", "2", "3", "<2!")
    refused = {**entries.pop(), "reason": "too little memory", "started": False}
    assert previous_healthy([*entries, refused], ALL, current) == V2
    assert rejected_releases([*entries, {**refused, "release": V4}]) == {V4: "failed 2026-01-13: too little memory"}


def test_one_that_cannot_run_any_more_is_passed_over() -> None:
    entries, current = story("1", "2", "3")
    assert previous_healthy(entries, {V1, V3}, current) == V1


def test_a_current_release_that_history_does_not_know_is_newer_than_all() -> None:
    entries, _current = story("1", "2")
    assert previous_healthy(entries, ALL, V3) == V2


def choose(steps: str, asked: str = "", usable: t.Collection[str] = ALL) -> str:
    entries, current = story(*steps.split())
    return choose_target("shop", [manifest(release) for release in ALL[:3]], usable, entries, current, asked)


@pytest.mark.parametrize("asked", [V1, V1[:4]])
def test_a_release_can_be_named_by_the_beginning_of_its_id(asked: str) -> None:
    assert choose("1 2 3", asked) == V1


@pytest.mark.parametrize("steps", ["1 2 3 <1!", "1 2 1! 3", "1 2 3 <1! <1! 3!"])
def test_one_that_has_served_and_failed_since_can_be_named(steps: str) -> None:
    assert choose(steps, V1) == V1
    # Without a name, the one before it is better known.
    assert previous_healthy(story(*steps.split())[0], ALL, V3) != V1


@pytest.mark.parametrize(
    ("steps", "named"), [("1 2 <1 2!", V2), ("1 2 <1 2! 2!", V2), ("1 2! 3", V2), ("1 2 <1 2! 3", V2)]
)
def test_one_whose_migrations_may_be_missing_is_refused_by_its_name(steps: str, named: str) -> None:
    with pytest.raises(ReleaseError, match="runs the migrations that a rollback leaves out"):
        choose(steps, named)


def test_the_way_out_names_what_the_release_was_built_from() -> None:
    with pytest.raises(ReleaseError) as error:
        choose("1 2 <1", V2)
    assert "run deploy.yml or site.yml with version 'v2' of shop and the variables of that time" in str(error.value)
    without = replace(manifest(V2), source={"type": "directory", "location": "./shop"})
    with pytest.raises(ReleaseError, match="with the source of shop that it was built from and the variables"):
        choose_target("shop", [without], ALL, story("1", "2", "<1")[0], V1, V2)


def test_of_one_that_was_removed_the_history_knows_why() -> None:
    entries = [{**entry, "version": "v4"} for entry in story("1", "4!")[0]]
    releases = [manifest(V1), manifest(V2)]
    with pytest.raises(ReleaseError) as error:
        choose_target("shop", releases, ALL, entries, V1, V4[:7])
    said = str(error.value)
    assert said.startswith(f"Release {V4} of shop is not on this host any more (failed 2026-01-11: no answer). ")
    assert "with version 'v4' of shop and the variables of that time" in said
    assert f"{V1}  current since" in said
    # One that served, and of which too many others are kept now.
    with pytest.raises(ReleaseError, match=f"Release {V3} of shop is not on this host any more. Name another"):
        choose_target("shop", releases, ALL, story("3", "1")[0], V1, V3)


def test_one_that_was_never_activated_can_be_named() -> None:
    assert choose("1 2", V3) == V3


@pytest.mark.parametrize(
    ("steps", "asked", "words"),
    [
        (
            "1",
            "",
            ["shop has no release to roll back to", f"{V2}  never activated, version v2", f"{V1}  current since"],
        ),
        ("1 2!", "", ["failed 2026-01-11: no answer"]),
        ("1 2", "abc", ["'abc' is no release of shop", V1, V2, V3]),
        ("1 2 3!", V3, [f"release {V3} of shop cannot be rolled back to: failed 2026-01-12: no answer", "site.yml"]),
        ("1 2 <1", V2, ["rolled back from 2026-01-12"]),
    ],
)
def test_a_wish_that_cannot_be_met_says_what_there_is(steps: str, asked: str, words: list[str]) -> None:
    with pytest.raises(ReleaseError) as error:
        choose(steps, asked)
    assert [word for word in words if word not in str(error.value)] == []


def test_a_named_release_whose_python_is_gone_is_refused() -> None:
    with pytest.raises(ReleaseError, match="its code or its Python is gone"):
        choose("1 2 3", V1, {V2, V3})


def test_the_beginning_of_several_ids_names_none() -> None:
    with pytest.raises(ReleaseError, match="matches 2 releases"):
        choose_target("shop", [manifest(V1), manifest("1111112-00000000")], ALL, [], "", "11111")


def test_what_a_killed_run_has_begun_is_judged_by_the_link() -> None:
    begun = {"release": V2, "from": V1, "when": "2026", "result": "begun"}
    assert with_interrupted_resolved([begun], V2)[0]["result"] == "activated"
    assert with_interrupted_resolved([begun], V1)[0]["result"] == "interrupted"
    assert [entry["result"] for entry in with_interrupted_resolved([begun, begun], V2)] == ["interrupted", "activated"]


def test_a_result_completes_the_line_that_was_begun() -> None:
    begun = {"release": V2, "when": "1", "result": "begun"}
    assert complete_last([begun], {"release": V2, "when": "2", "result": "failed"}) == [
        {"release": V2, "when": "1", "result": "failed"}
    ]
    assert len(complete_last([begun], {"release": V3, "result": "failed"})) == 2


def test_an_unchanged_application_writes_no_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_history, "STATE", str(tmp_path))
    _history.resolve_interrupted("shop", V1)
    assert os.listdir(tmp_path) == []
    _history.resolve_interrupted("shop", V1, {"release": V2, "when": "1"})
    _history.resolve_interrupted("shop", V2)
    assert _history.read_history("shop") == [{"release": V2, "result": "activated", "when": "1"}]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Return an application with four complete releases."""
    for place in (_history, _migration):
        monkeypatch.setattr(place, "STATE", str(tmp_path / "history"))
    layout = Layout(str(tmp_path / "s"), "shop")
    for release in ALL:
        os.makedirs(f"{layout.release(release)}/app")
        os.makedirs(f"{layout.release(release)}/venv/bin")
        Path(layout.release(release), "venv/bin/python").touch()
        write_manifest(layout.release(release), manifest(release))
    return layout


def write(layout: Layout, steps: str) -> list[dict[str, t.Any]]:
    """Bring the host to where the steps lead."""
    entries, current = story(*steps.split())
    for entry in entries:
        _history.record("shop", entry)
    os.symlink(f"releases/{current}", layout.current)
    return entries


def back(layout: Layout, release: str | None = None) -> str:
    """Return the release that a task of module gunicorn_service would go back to."""
    services = [{"name": layout.name, "state": "rolled_back", "release": release}]
    return resolve_target(read_requests(services, layout.root, True)[0], True).release


def test_a_rollback_asks_for_a_release(host: Layout) -> None:
    write(host, "1 2 3")
    assert back(host) == V2
    assert back(host, V1) == back(host, host.release(V1)) == V1
    os.unlink(f"{host.release(V2)}/venv/bin/python")
    assert back(host) == V1


def test_a_rollback_that_was_killed_after_its_switch_is_completed_and_not_done_twice(host: Layout) -> None:
    write(host, "1 2 3")
    _history.resolve_interrupted("shop", V3, {"release": V2, "from": V3, "what": "rollback", "when": "2027"})
    assert back(host) == V2
    os.unlink(host.current)
    os.symlink(f"releases/{V2}", host.current)
    assert back(host) == V2
    _history.resolve_interrupted("shop", V2)
    assert back(host) == V1


def down(layout: Layout, hook: str, release: str | None = None) -> str:
    """Return the release whose hook a rollback would run."""
    services = [{"name": layout.name, "state": "rolled_back", "release": release, "hook": hook}]
    return resolve_target(read_requests(services, layout.root, True)[0], True).rolled_back_from


def with_hooks(layout: Layout, release: str, **hooks: list[str]) -> None:
    write_manifest(layout.release(release), replace(manifest(release), extra={"hooks": {"rollback": hooks}}))


def test_a_hook_is_that_of_the_release_that_is_left(host: Layout) -> None:
    write(host, "1 2 3")
    with_hooks(host, V3, migrate_down=["true"], forget=["true"])
    assert down(host, "migrate_down") == V3
    with pytest.raises(
        HookError, match=rf"{V3} of shop has no hook 'down' for a rollback: it has forget, migrate_down"
    ):
        down(host, "down")
    with_hooks(host, V3)
    with pytest.raises(HookError, match=r"no hook 'down' for a rollback: it has none \(hooks.rollback"):
        down(host, "down")
    with_hooks(host, V3, down=["no-such-program"])
    with pytest.raises(
        HookError, match=r"hook rollback.down 'no-such-program' cannot be run: .* in hooks.rollback.down"
    ):
        down(host, "down")


def test_a_hook_can_be_asked_for_again_when_nothing_has_to_be_switched(host: Layout) -> None:
    entries = write(host, "1 2 3 <2")
    with_hooks(host, V3, migrate_down=["true"])
    assert down(host, "migrate_down", V2) == V3
    assert rolled_back_from(entries, V2, V1) == V2
    assert rolled_back_from(entries[:-1], V3, V3) == ""
    os.unlink(host.current)
    os.symlink(f"releases/{V1}", host.current)
    with pytest.raises(HookError, match="no release was rolled back"):
        down(host, "migrate_down", V1)


def test_a_hook_is_for_a_rollback_alone() -> None:
    with pytest.raises(InputError, match="hook 'migrate_down' is for a rollback"):
        read_requests([{"name": "shop", "state": "absent", "hook": "migrate_down"}], "/srv", True)


def test_a_hook_is_recorded_and_the_next_deploy_migrates_again(host: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    write(host, "1 2 <1")
    with_hooks(host, V2, migrate_down=["true"])
    _migration.record_migration("shop", V2, "key", here=True)
    monkeypatch.setattr(_rollback_hook, "run_hooks", lambda *_args: [])
    run_rollback_hook(simulate().host, host, V2, "migrate_down", "anna@laptop")
    last = _history.read_history("shop")[-1]
    assert (last["what"], last["release"], last["from"], last["result"]) == ("hook migrate_down", V2, V1, "done")
    assert _migration.migrated_key("shop") == ""
    assert rejected_releases(_history.read_history("shop"))[V2].startswith("rolled back from")


def test_a_hook_that_fails_says_what_serves_and_is_no_verdict_on_the_release(
    host: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> t.NoReturn:
        raise HookError("hook rollback.migrate_down 'true' failed")

    write(host, "1 2 <1")
    with_hooks(host, V2, migrate_down=["true"])
    monkeypatch.setattr(_rollback_hook, "run_hooks", fail)
    with pytest.raises(HookError, match=f"release {V1} is live, but hook rollback.migrate_down 'true' failed"):
        run_rollback_hook(simulate().host, host, V2, "migrate_down", "")
    assert _history.read_history("shop")[-1]["result"] == "unsuccessful"
    os.unlink(host.current)
    os.symlink(f"releases/{V2}", host.current)
    with pytest.raises(HookError, match=f"release {V2} is live again"):
        run_rollback_hook(simulate().host, host, V2, "migrate_down", "")


def test_a_hook_does_not_take_the_database_back_below_what_another_run_has_deployed(
    host: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(host, "1 2 <1")
    with_hooks(host, V2, migrate_down=["true"])
    monkeypatch.setattr(_rollback_hook, "run_hooks", lambda *_args: pytest.fail("it was run"))
    with pytest.raises(HookError, match=f"the rollback went to {V3}, and {V1} is live by now"):
        run_rollback_hook(simulate().host, host, V2, "migrate_down", "", V3)


def test_a_hook_that_ran_well_is_not_asked_for_again_because_of_a_full_disk(
    host: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object) -> t.NoReturn:
        raise OSError(28, "No space left on device")

    write(host, "1 2 <1")
    with_hooks(host, V2, migrate_down=["true"])
    monkeypatch.setattr(_rollback_hook, "run_hooks", lambda *_args: [])
    monkeypatch.setattr(_history, "record", full)
    assert run_rollback_hook(simulate().host, host, V2, "migrate_down", "", V1) == []


@pytest.mark.parametrize(
    ("step", "problem"),
    [("forget_migration", OSError(28, "No space left on device")), ("_wait_for_stop", CommandError("show: timed out"))],
)
def test_a_hook_that_cannot_be_prepared_does_not_hide_what_serves(
    host: Layout, monkeypatch: pytest.MonkeyPatch, step: str, problem: Exception
) -> None:
    def fail(*_args: object) -> t.NoReturn:
        raise problem

    with_hooks(host, V2, migrate_down=["true"])
    request = ServiceRequest(host, True, V1, manifest(V1), rollback=True, hook="migrate_down", rolled_back_from=V2)
    change = Deployment.from_observed(Service(host, manifest(V1), WantedUnits(V1)), Observed(V1), simulate().host)
    assert due_rollback_hook(change, request) == {"name": "shop", "left": V2, "key": V2, "each_host": False}
    monkeypatch.setattr(_rollback_hook, step, fail)
    assert due_rollback_hook(change, request) is None
    assert change.post_switch_error == (
        f"release {V1} is live, but hook 'migrate_down' was not run: {problem}. Ask for it again, with the release by "
        f"its name: -e release={V1} -e hook=migrate_down"
    )


def test_an_application_that_is_not_there_is_named_with_those_that_are(host: Layout) -> None:
    with pytest.raises(
        ReleaseError, match=r"no application 'shoppe' below .*; there are: shop \(did you mean shop\?\)$"
    ):
        back(Layout(host.root, "shoppe"))


def test_the_last_healthy_release_is_never_pruned(host: Layout) -> None:
    history = write(host, "1 2 <1 3! 4")
    assert prune_releases(host, 1, {V4, V3}, history) == [V2]
    assert sorted(manifest.id for manifest in list_releases(host)) == [V1, V3, V4]


@pytest.mark.parametrize(
    ("error", "short"),
    [
        ("'shop:app' cannot be loaded; the end of the output:\nKeyError: 1", "'shop:app' cannot be loaded"),
        ("hook migrate 'x' failed with exit code 3. It said:\nno table", "hook migrate 'x' failed with exit code 3"),
        ("/ answered 500, wanted 200; it said: no\nIts log says:\nno", "/ answered 500, wanted 200; it said: no"),
        ("git cannot read https://a.test/b: it is not there", "git cannot read https://a.test/b: it is not there"),
    ],
)
def test_the_reason_that_is_kept_does_not_announce_what_is_left_out(error: str, short: str) -> None:
    assert short_reason(error) == short
