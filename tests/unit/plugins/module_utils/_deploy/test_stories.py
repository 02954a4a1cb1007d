# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole deploys on a simulated host: what visitors get, what systemd is told, what the history says."""

from __future__ import annotations

import grp
import os
import pwd
import threading
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import hook_run as _hook_run
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.report import report
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.request import read_requests
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.service import DeployOptions, Services
from ansible_collections.flaskops.stack.plugins.module_utils._input.processes import normalise_workers
from ansible_collections.flaskops.stack.plugins.module_utils._release import assets as _assets
from ansible_collections.flaskops.stack.plugins.module_utils._release import history as _history
from ansible_collections.flaskops.stack.plugins.module_utils._release import migration as _migration
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout, Manifest
from ansible_collections.flaskops.stack.plugins.module_utils._release.release import current_id, write_manifest
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import parse_settings
from ansible_collections.flaskops.stack.plugins.module_utils._service.units import parse_unit_name
from ansible_collections.flaskops.stack.plugins.module_utils._service.worker_mark import with_mark
from ansible_collections.flaskops.stack.plugins.module_utils._system.files import replace_link
from ansible_collections.flaskops.stack.plugins.module_utils._system.http import Answer
from ansible_collections.flaskops.stack.plugins.module_utils._system.lock import Lock
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_system import MIB, App, simulate

V1, V2, V3, V4 = (f"{number * 7}-{number * 8}" for number in "1234")
MAIL = {"name": "mail", "command": "sh worker.sh"}


class Killed(BaseException):
    """The end of a run at some instruction."""


class World:
    """A host with one application, and a user who deploys."""

    def __init__(self, path: Path) -> None:
        self.layout = Layout(str(path / "srv"), "shop")
        self.units, self.runtime = path / "system", path / "runtime"
        self.units.mkdir()
        self.sim = simulate(self.units, self.runtime)
        self.overlap = "refuse"
        self.commands = self.sim.commands

    def app(self, release: str) -> App:
        return self.sim.systemd.app(release)

    def build(self, release: str, workers: t.Sequence[object] = (), hooks: object = None, **settings: object) -> None:
        """Build a release."""
        directory = Path(self.layout.release(release))
        for part in ("app", "venv/bin", "run"):
            (directory / part).mkdir(parents=True)
        for part in ("env", "venv/bin/python"):
            (directory / part).touch()
        (directory / "gunicorn.conf.py").write_text(with_mark(""))
        source = {"type": "git", "location": "", "version": "", "revision": ""}
        extra = {"workers": normalise_workers(workers), "hooks": hooks or {}}
        user, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
        normal = parse_settings({"health": {"timeout": 5}, **settings})
        manifest = Manifest("shop", release, user, group, source, "", "a:b", normal, keep=3, extra=extra)
        write_manifest(str(directory), manifest)

    def services(self, request: dict[str, t.Any], expected: t.Mapping[str, str] | None = None) -> Services:
        options = DeployOptions(
            str(self.units),
            # Long enough for a test that holds the lock for a moment.
            10,
            "anna@laptop",
            self.overlap,
            expected or {},
            runtime_directory=str(self.runtime),
        )
        return Services(self.sim.host, read_requests([{"name": "shop", **request}], self.layout.root, False), options)

    def run(self, request: dict[str, t.Any]) -> dict[str, t.Any]:
        self.commands.asked.clear()
        return report(self.services(request).apply())

    def deploy(self, release: str) -> dict[str, t.Any]:
        """Deploy a release, which is built if need be, and return the result of the module."""
        if not os.path.isdir(self.layout.release(release)):
            self.build(release)
        return self.run({"release": self.layout.release(release)})

    def roll_back(self, **more: str) -> dict[str, t.Any]:
        return self.run({"state": "rolled_back", **more})

    def settle(self, seconds: float = 200) -> None:
        """Let time pass."""
        self.sim.clock.sleep(seconds)

    @property
    def serving(self) -> str:
        """Return the release that visitors get; nothing when it does not answer."""
        release = current_id(self.layout) or ""
        units = self.sim.systemd.units
        names = [f"shop@{release}.{kind}" for kind in ("service", "socket")]
        up = all(name in units and units[name].active == "active" for name in names)
        return release if up and units[names[0]].loaded else ""

    @property
    def running(self) -> list[str]:
        """Return the units that run, without the name of the application."""
        return sorted(unit.name[len("shop@") :] for unit in self.sim.systemd.known() if unit.runs)

    @property
    def at_boot(self) -> set[str]:
        """Return the releases whose units a boot would start."""
        found = (parse_unit_name(path.name) for path in self.units.glob("*.wants/*"))
        return {unit.release for unit in found if unit}

    @property
    def files(self) -> set[str]:
        """Return the releases of which there are unit files."""
        return {unit.release for path in self.units.iterdir() if (unit := parse_unit_name(path.name))}

    def history(self) -> list[str]:
        """Return what became of which release, oldest first."""
        return [f"{line['what']} {line['release']} {line['result']}" for line in _history.read_history("shop")]

    def kill_at(self, number: int) -> None:
        """Let the next run be killed at one of its commands."""
        left = [number]

        def kill(_words: list[str]) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise Killed

        self.commands.before = [kill]


def web(release: str) -> list[str]:
    return [f"{release}.service", f"{release}.socket"]


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[World]:
    # Not tmp_path, which is long: the path of a socket has at most 107 bytes.
    path = tmp_path_factory.mktemp("w")
    for module, name in (
        (_history, "STATE"),
        (_migration, "STATE"),
        (_assets, "PREVIOUS"),
        (_hook_run, "HOOK_LOGS"),
    ):
        monkeypatch.setattr(module, name, str(path / module.__name__.rpartition(".")[2]))
    monkeypatch.setattr(Layout, "lock", property(lambda self: f"{path}/locks/{self.name}"))
    monkeypatch.setattr(Layout, "cache", property(lambda self: f"{path}/cache/{self.name}"))
    made = World(path)
    yield made
    # Threads that still ask an application come to their end.
    made.settle()


# Start, health check, switch, stop


def test_the_first_release_is_started_checked_and_served_also_after_a_boot(world: World) -> None:
    result = world.deploy(V1)
    assert (result["changed"], "failed" in result) == (True, False)
    assert (world.serving, world.running, world.at_boot) == (V1, web(V1), {V1})
    assert world.history() == [f"deploy {V1} activated"]


def test_a_new_release_takes_over_from_the_old_one(world: World) -> None:
    world.deploy(V1)
    world.deploy(V2)
    assert (world.serving, world.at_boot, world.files) == (V2, {V2}, {V2})
    told = world.commands.told()
    assert [line.split()[0] for line in told] == ["start", "start", "stop"]
    assert (V2 in told[0], V1 in told[2]) == (True, True)
    world.settle()
    assert world.running == web(V2)


def test_a_second_run_of_the_same_release_tells_systemd_nothing(world: World) -> None:
    world.deploy(V1)
    world.sim.http.requests.clear()
    result = world.deploy(V1)
    assert (result["changed"], world.commands.told(), world.sim.http.requests) == (False, [], [])


def requests_of(world: World, release: str, patch: pytest.MonkeyPatch, answer: t.Callable[[int], object]) -> list[str]:
    """Deploy a release, and return what served at each request to it; C(answer) happens before the answer to each."""
    serving: list[str] = []
    get = world.sim.http.get

    def note(address: str, *args: t.Any) -> Answer:
        serving.append(world.serving)
        answer(len(serving))
        return get(address, *args)

    patch.setattr(world.sim.http, "get", note)
    assert "failed" not in world.deploy(release)
    assert world.serving == release
    return serving


@pytest.mark.parametrize(("workers", "asked"), [(1, 1), (2, 1 + 4), (3, 1 + 6), (40, 1 + 24)])
def test_all_workers_are_asked_before_the_switch(
    world: World, monkeypatch: pytest.MonkeyPatch, workers: int, asked: int
) -> None:
    world.deploy(V1)
    world.app(V2).workers = workers
    assert requests_of(world, V2, monkeypatch, lambda _number: None) == [V1] * asked


def test_a_first_answer_that_takes_long_is_not_waited_for_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.deploy(V1)
    began = world.sim.clock.now
    requests_of(world, V2, monkeypatch, lambda number: world.sim.clock.sleep(60 if number > 1 else 0))
    assert world.sim.clock.now - began < 6


def test_an_application_that_is_slow_is_asked_once_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deploy(V1)
    assert requests_of(world, V2, monkeypatch, lambda number: world.sim.clock.sleep(number > 1 and 1.5)) == [V1] * 2


def test_a_release_that_visitors_wait_for_is_not_warmed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deploy(V1)
    world.build(V2, overlap="never")
    assert requests_of(world, V2, monkeypatch, lambda _number: None) == [""]


def test_all_instances_together_are_not_asked_more_often(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deploy(V1)
    world.build(V2, instances=8)
    world.app(V2).workers = 12
    assert len(requests_of(world, V2, monkeypatch, lambda _number: None)) == 8 + 24


def test_what_is_answered_after_the_health_check_does_not_count(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deploy(V1)

    def refuse(number: int) -> None:
        world.app(V2).status = 200 if number == 1 else 500

    requests_of(world, V2, monkeypatch, refuse)


def test_a_host_without_room_for_threads_switches(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deploy(V1)

    def fill(_number: int) -> None:
        world.sim.clock.threads_fail = "can't start new thread"

    assert requests_of(world, V2, monkeypatch, fill) == [V1]


def test_a_release_whose_worker_dies_while_it_loads_is_aborted_and_the_old_one_serves(world: World) -> None:
    world.deploy(V1)
    world.app(V2).loads_in, world.app(V2).worker_dies_after = 1, 0.5
    result = world.deploy(V2)
    assert "ended before it had loaded the application" in result["msg"]
    assert (world.serving, world.at_boot, world.files) == (V1, {V1}, {V1})
    assert world.history() == [f"deploy {V1} activated", f"deploy {V2} failed"]
    world.settle()
    assert world.running == web(V1)


def test_a_release_whose_gunicorn_exits_is_aborted_with_the_error_of_its_log(world: World) -> None:
    world.deploy(V1)
    world.app(V2).loads_in, world.app(V2).exits_after = None, 0.3
    world.app(V2).log = "[1] [ERROR] Exception in worker process\nImportError: no module named 'nowhere'\n"
    result = world.deploy(V2)
    assert f"shop@{V2}.service ended (exit-code, exit status 3)" in result["msg"]
    assert "ImportError: no module named 'nowhere'" in result["msg"]
    assert (world.serving, world.files) == (V1, {V1})


def test_a_release_that_answers_with_an_error_is_aborted_with_its_answer(world: World) -> None:
    world.deploy(V1)
    world.app(V2).status, world.app(V2).body = 500, b"no such table"
    result = world.deploy(V2)
    assert "/ answered 500 for host 'localhost', wanted 2xx, 3xx or 401; it said: no such table" in result["msg"]
    assert (world.serving, world.files) == (V1, {V1})


def test_a_release_that_never_answers_is_aborted_when_its_time_is_over(world: World) -> None:
    world.deploy(V1)
    world.app(V2).loads_in = None
    began = world.sim.clock.now
    result = world.deploy(V2)
    assert "no complete answer within 5 s (waited 5 s: health.timeout)" in result["msg"]
    assert 5 <= world.sim.clock.now - began < 12
    assert world.serving == V1


def test_all_instances_are_started_and_checked(world: World) -> None:
    world.build(V1, instances=2)
    world.deploy(V1)
    assert world.running == [f"{V1}.1.service", f"{V1}.1.socket", *web(V1)]
    assert len({line.split()[0] for line in world.sim.http.requests}) == 2


def test_a_release_that_exits_soon_after_the_switch_is_reverted(world: World) -> None:
    world.build(V1)
    world.build(V2, health={"watch": 2})
    world.deploy(V1)
    world.app(V2).exits_after = 1
    result = world.deploy(V2)
    assert f"soon after the switch; {V1} serves again" in result["msg"]
    assert (world.serving, world.at_boot, world.files) == (V1, {V1}, {V1})
    assert world.history()[-1] == f"deploy {V2} failed"


def test_a_release_that_failed_can_be_deployed_again_once_it_is_well(world: World) -> None:
    world.deploy(V1)
    world.app(V2).status = 500
    assert world.deploy(V2)["failed"]
    world.app(V2).status = 200
    assert "failed" not in world.deploy(V2)
    assert world.serving == V2


# Drain and deferred cleanup


def test_a_visitor_of_the_old_release_is_answered_before_it_is_stopped(world: World) -> None:
    world.deploy(V1)
    world.sim.kernel.visit(world.layout.socket(V1, 0), 8)
    answered = world.sim.clock.now + 8
    result = world.deploy(V2)
    assert (result["services"][0]["drained"], world.sim.clock.now >= answered) == (True, True)


def test_a_visitor_who_never_gets_an_answer_is_waited_for_until_drain_timeout(world: World) -> None:
    world.build(V2, drain_timeout=3)
    world.deploy(V1)
    world.sim.kernel.visit(world.layout.socket(V1, 0), 1000)
    began = world.sim.clock.now
    result = world.deploy(V2)
    assert result["services"][0]["drained"] is False
    assert 3 <= world.sim.clock.now - began < 5
    assert world.serving == V2


def test_an_old_release_that_cannot_be_stopped_is_stopped_by_the_next_run(world: World) -> None:
    world.deploy(V1)
    world.commands.fail(f"systemctl stop .*{V1}", times=1)
    result = world.deploy(V2)
    assert result["warnings"] == ["shop: removing the old release is deferred to the next run: connection timed out"]
    assert (world.serving, world.at_boot, world.files) == (V2, {V2}, {V1, V2})
    result = world.deploy(V2)
    assert (result["changed"], world.files) == (True, {V2})
    world.settle()
    assert world.running == web(V2)


def test_an_old_release_that_needs_too_long_to_stop_is_named_and_left_to_the_next_run(world: World) -> None:
    world.build(V1, graceful_timeout=100)
    world.deploy(V1)
    world.app(V1).stops_in = 500
    result = world.deploy(V2)
    assert result["warnings"][0].startswith("shop: not stopped in time; the next run retries: ")
    assert world.files == {V1, V2}
    world.settle(500)
    world.deploy(V2)
    assert (world.running, world.files) == (web(V2), {V2})


# Rollback


def test_a_rollback_goes_to_the_release_before_and_refuses_the_one_it_left(world: World) -> None:
    for release in (V1, V2):
        world.deploy(release)
    world.roll_back()
    assert (world.serving, world.at_boot) == (V1, {V1})
    assert world.history()[-1] == f"rollback {V1} activated"
    with pytest.raises(ValueError, match="rolled back from"):
        world.roll_back(release=world.layout.release(V2))


def test_a_rollback_may_come_while_its_target_still_answers_the_last_requests_from_before(world: World) -> None:
    """Its old process ends, with its workers, and systemd starts it again."""
    world.deploy(V1)
    world.app(V1).stops_in = 3.1
    world.deploy(V2)
    assert world.sim.systemd.units[f"shop@{V1}.service"].active == "deactivating"
    result = world.roll_back()
    assert ("failed" in result, world.serving) == (False, V1)


def test_two_rollbacks_go_back_two_releases(world: World) -> None:
    for release in (V1, V2, V3):
        world.deploy(release)
    world.roll_back()
    world.roll_back()
    assert world.serving == V1


def test_a_release_that_failed_is_no_target_of_a_rollback(world: World) -> None:
    world.deploy(V1)
    world.app(V2).status = 500
    world.deploy(V2)
    world.deploy(V3)
    world.roll_back()
    assert world.serving == V1


def test_a_rollback_to_a_release_that_is_unhealthy_by_now_is_aborted(world: World) -> None:
    for release in (V1, V2):
        world.deploy(release)
    world.app(V1).status = 503
    assert "/ answered 503" in world.roll_back()["msg"]
    assert world.serving == V2


def test_the_rollback_hook_runs_after_the_release_it_belongs_to_has_stopped(world: World) -> None:
    world.build(V2, hooks={"migrate": ["true up"], "rollback": {"down": ["true down"]}})
    for release in (V1, V2):
        world.deploy(release)
    services = world.services({"state": "rolled_back", "hook": "down"})
    services.apply()
    assert services.pending_rollback_hooks == [{"name": "shop", "left": V2, "key": V2, "each_host": False}]
    assert not [name for name in world.running if V2 in name]
    world.commands.asked.clear()
    done = world.services({"state": "rolled_back", "hook": "down"}).run_rollback_hooks({"shop": V2})
    assert [ran["hook"] for ran in done["ran"]["shop"]] == ["rollback.down"]
    assert world.history()[-1] == f"hook down {V2} done"
    # The next deploy migrates again.
    world.deploy(V2)
    assert len(hooks_run(world)) == 1


# Hooks


def hooks_run(world: World) -> list[str]:
    """Return the commands that hooks have run."""
    return [" ".join(argv[-2:]) for argv in world.commands.asked if argv[0] == "systemd-run" and "--wait" in argv]


def test_hooks_run_in_their_order_and_a_migration_once(world: World) -> None:
    hooks = {"migrate": ["true one"], "before_switch": ["true two"], "after_switch": ["true three"]}
    world.build(V2, hooks=hooks)
    world.deploy(V1)
    world.deploy(V2)
    assert [line.split()[-1] for line in hooks_run(world)] == ["one", "two", "three"]
    world.roll_back()
    assert hooks_run(world) == []


@pytest.mark.parametrize("stage", ["migrate", "before_switch"])
def test_a_hook_that_fails_before_the_switch_aborts_with_its_output(world: World, stage: str) -> None:
    world.build(V2, hooks={stage: ["true broken"]})
    world.deploy(V1)
    world.commands.hooks["broken"] = 3, "no such column"
    result = world.deploy(V2)
    assert f"hook {stage} 'true broken' failed with exit code 3" in result["msg"]
    assert "no such column" in result["msg"]
    assert f"{V1} still serves" in result["msg"]
    assert (world.serving, world.files) == (V1, {V1})
    assert bool([line for line in world.commands.told() if line.startswith("start")]) == (stage != "migrate")


@pytest.mark.parametrize("stage", ["migrate", "before_switch", "after_switch"])
def test_the_error_of_a_hook_names_the_way_out_once(world: World, stage: str) -> None:
    world.build(V2, hooks={stage: ["true broken"]})
    world.deploy(V1)
    world.commands.hooks["broken"] = 1, "ModuleNotFoundError: No module named 'pkg_resources'"
    assert world.deploy(V2)["msg"].count("Way out: setuptools 81 and later do not have pkg_resources") == 1


def test_the_services_whose_migration_fails_are_in_the_result_of_the_migration(world: World) -> None:
    world.build(V2, hooks={"migrate": ["true broken"]})
    world.deploy(V1)
    world.commands.hooks["broken"] = 1, "no such table"
    (failed,) = world.services({"release": world.layout.release(V2)}).migrate({"shop": ""})["services"]
    assert (failed["name"], failed["previous"], failed["release"]) == ("shop", V1, V2)
    assert "no such table" in failed["error"]


def test_a_hook_that_fails_after_the_switch_leaves_the_release_live_and_fails_the_task(world: World) -> None:
    world.build(V2, hooks={"after_switch": ["true broken"]})
    world.deploy(V1)
    world.commands.hooks["broken"] = 1, ""
    result = world.deploy(V2)
    assert f"release {V2} is live, but its after_switch hook failed" in result["msg"]
    assert (world.serving, world.history()[-1]) == (V2, f"deploy {V2} activated")


# Two controllers


def test_a_migration_that_waited_for_a_deploy_of_another_run_is_not_run(world: World) -> None:
    world.deploy(V1)
    world.build(V2)
    world.build(V3, hooks={"migrate": ["true up"]})
    services = world.services({"release": world.layout.release(V3)}, {"shop": V1})
    answers: list[dict[str, t.Any]] = []
    thread = threading.Thread(target=lambda: answers.append(services.migrate({"shop": ""})))
    with Lock(world.layout.lock, 0):
        thread.start()
        # By then it has begun, and waits for the lock.
        thread.join(0.3)
        replace_link(f"releases/{V2}", world.layout.current)
    thread.join()
    assert f"{V2} serves here, and {V1} served when this run began" in answers[0]["unmigrated"]["shop"]
    assert hooks_run(world) == []


def test_a_migration_is_not_run_after_one_of_another_run_that_has_yet_to_deploy(world: World) -> None:
    for release in (V2, V3):
        world.build(release, hooks={"migrate": [f"true {release}"]})
    world.deploy(V1)
    first, second = (world.services({"release": world.layout.release(release)}) for release in (V2, V3))
    seen = [{one["name"]: one["seen"] for one in services.due_migrations()} for services in (first, second)]
    assert first.migrate(seen[0])["unmigrated"] == {}
    refused = second.migrate(seen[1])["unmigrated"]["shop"]
    assert refused.startswith(f"another run has migrated the database for release {V2} since this one began")
    assert [line.split()[-1] for line in hooks_run(world)] == [V2]


def test_a_migration_is_not_run_after_another_run_has_migrated_down(world: World) -> None:
    for release in (V2, V3):
        world.build(release, hooks={"migrate": [f"true {release}"]})
    world.deploy(V1)
    assert world.services({"release": world.layout.release(V2)}).migrate({"shop": ""})["unmigrated"] == {}
    second = world.services({"release": world.layout.release(V3)})
    seen = {one["name"]: one["seen"] for one in second.due_migrations()}
    _migration.forget_migration("shop")
    refused = second.migrate(seen)["unmigrated"]["shop"]
    assert refused.startswith("another run has run a rollback hook, or removed the application, since this one")


def test_two_runs_may_migrate_for_the_same_release(world: World) -> None:
    world.build(V2, hooks={"migrate": ["true up"]})
    world.deploy(V1)
    for _run in range(2):
        assert world.services({"release": world.layout.release(V2)}).migrate({"shop": ""})["unmigrated"] == {}
    assert len(hooks_run(world)) == 1


@pytest.mark.parametrize(("migrated", "said"), [([], False), (["shop"], True)])
def test_a_run_that_another_one_has_overtaken_says_whether_it_has_migrated(
    world: World, migrated: list[str], said: bool
) -> None:
    world.build(V3, hooks={"migrate": ["true up"]})
    world.deploy(V2)
    (deployment,) = world.services({"release": world.layout.release(V3)}, {"shop": V1}).apply(migrated)
    assert f"{V2} was left as it is" in deployment.error
    assert (f"hooks.migrate of release {V3} has run" in deployment.error) == said


# Logs


@pytest.mark.parametrize(("journal", "named"), [("", True), ("[7] [ERROR] no such table", False)])
def test_the_error_names_the_log_that_the_application_writes_itself(world: World, journal: str, named: bool) -> None:
    own = Path(world.layout.shared) / "instance" / "app.log"
    own.parent.mkdir(parents=True)
    own.write_text("no such table\n")
    os.utime(own, (2**40, 2**40))
    world.app(V1).status = 500
    world.app(V1).log = journal
    assert (f"Its own log is in {own}" in world.deploy(V1)["msg"]) == named


# Memory


def test_a_release_that_does_not_fit_is_refused_and_its_database_is_not_migrated(world: World) -> None:
    world.build(V2, hooks={"migrate": ["true up"]})
    world.deploy(V1)
    world.app(V1).memory, world.sim.kernel.available = 300 * MIB, 200 * MIB
    result = world.deploy(V2)
    assert (
        "needs about 300 MiB of memory beside the one that serves, by what that uses, and 200 MiB are available"
        in result["msg"]
    )
    assert (world.serving, world.files, hooks_run(world)) == (V1, {V1}, [])
    assert not [line for line in world.commands.told() if line.startswith("start")]


def test_where_memory_is_short_the_old_release_stops_first_and_starts_again_after_an_abort(world: World) -> None:
    world.overlap = "fallback"
    world.deploy(V1)
    world.app(V1).memory, world.sim.kernel.available = 300 * MIB, 200 * MIB
    world.app(V2).status = 500
    result = world.deploy(V2)
    assert f"{V1} had been stopped first, and was started again" in result["msg"]
    world.settle()
    assert (world.serving, world.running) == (V1, web(V1))
    world.app(V2).status = 200
    world.deploy(V2)
    verbs = [(line.split()[0], V2 in line) for line in world.commands.told()]
    assert verbs[:3] == [("stop", False), ("stop", False), ("start", True)]
    assert world.serving == V2


# Releases that may not run twice


@pytest.mark.parametrize(("first", "second"), [("allow", "never"), ("never", "allow"), ("never", "never")])
def test_two_releases_do_not_run_at_once_when_one_of_them_may_not(world: World, first: str, second: str) -> None:
    world.build(V1, overlap=first)
    world.build(V2, overlap=second)
    world.deploy(V1)
    (service,) = world.deploy(V2)["services"]
    verbs = [(line.split()[0], V2 in line) for line in world.commands.told()]
    assert verbs[:3] == [("stop", False), ("stop", False), ("start", True)]
    assert world.serving == V2
    assert 0 < service["gap"] <= service["seconds"]


def test_a_release_that_may_not_run_twice_gives_way_in_a_rollback_too(world: World) -> None:
    world.deploy(V1)
    world.build(V2, overlap="never")
    world.deploy(V2)
    (service,) = world.roll_back()["services"]
    assert world.serving == V1
    assert service["gap"] > 0


def test_a_release_that_may_not_run_twice_serves_again_when_the_new_one_is_refused(world: World) -> None:
    world.build(V1, overlap="never")
    world.deploy(V1)
    world.app(V2).status = 500
    result = world.deploy(V2)
    assert f"{V1} had been stopped first, and was started again after " in result["msg"]
    world.settle()
    assert (world.serving, world.running) == (V1, web(V1))


def test_a_release_that_may_not_run_twice_needs_no_memory_for_two(world: World) -> None:
    world.build(V1, overlap="never")
    world.deploy(V1)
    world.app(V1).memory, world.sim.kernel.available = 300 * MIB, 200 * MIB
    assert not world.deploy(V2).get("msg")
    assert world.serving == V2


def test_there_is_no_gap_when_both_run_for_a_moment(world: World) -> None:
    world.deploy(V1)
    (service,) = world.deploy(V2)["services"]
    assert service["gap"] == 0


@pytest.mark.parametrize(
    ("workers", "threads", "settings", "told"),
    [
        (1, True, {}, True),
        (1, False, {}, False),
        # Each of them has its threads all the time.
        (2, True, {}, False),
        (1, True, {"instances": 2}, False),
        (1, True, {"overlap": "never"}, False),
    ],
)
def test_one_worker_with_threads_of_its_own_is_told(
    world: World, workers: int, threads: bool, settings: dict[str, t.Any], told: bool
) -> None:
    world.build(V1, **settings)
    world.app(V1).workers, world.app(V1).threads = workers, threads
    (service,) = world.deploy(V1)["services"]
    assert (world.serving, service["threads"]) == (V1, told)


def test_one_worker_with_threads_is_told_before_the_first_deploy_that_doubles_them(world: World) -> None:
    world.build(V1, overlap="never")
    world.deploy(V1)
    world.app(V2).workers, world.app(V2).threads = 1, True
    (service,) = world.deploy(V2)["services"]
    assert service["gap"] > 0 and service["threads"]


# Workers


def test_workers_are_replaced_after_the_switch_and_a_busy_one_may_finish(world: World) -> None:
    for release in (V1, V2):
        world.build(release, workers=[MAIL])
    world.deploy(V1)
    assert f"{V1}.worker-mail.0.service" in world.running
    world.app(V1).stops_in = 20
    result = world.deploy(V2)
    assert result["services"][0]["finishing"] == [f"shop@{V1}.worker-mail.0.service"]
    assert [path.name for path in world.runtime.iterdir()] == [f"shop@{V1}.worker-mail.0.service"]
    assert f"{V2}.worker-mail.0.service" in world.running
    world.settle()
    assert world.running == [*web(V2), f"{V2}.worker-mail.0.service"]


def test_a_worker_that_exits_reverts_the_deploy_and_the_old_worker_works_again(world: World) -> None:
    for release in (V1, V2):
        world.build(release, workers=[MAIL])
    world.deploy(V1)

    def exit_at_start(words: list[str]) -> None:
        name = f"shop@{V2}.worker-mail.0.service"
        if words[:2] == ["systemctl", "start"] and name in words:
            world.sim.clock.after(0.5, lambda: world.sim.systemd.exit(world.sim.systemd.units[name]))

    world.commands.before.append(exit_at_start)
    result = world.deploy(V2)
    assert f"worker shop@{V2}.worker-mail.0.service ended (exit-code, exit status 3)" in result["msg"]
    world.settle()
    assert (world.serving, world.files) == (V1, {V1})
    assert f"{V1}.worker-mail.0.service" in world.running


def test_workers_stay_down_while_they_are_paused(world: World) -> None:
    world.build(V1, workers=[MAIL])
    os.makedirs(world.layout.maintenance)
    Path(world.layout.maintenance, "paused").touch()
    result = world.deploy(V1)
    assert ("failed" in result, world.running) == (False, web(V1))


# Runs that were killed


def commands_of_a_deploy() -> int:
    """Return how many commands a deploy runs that replaces a release with a worker; more numbers kill nothing."""
    return 24


@pytest.mark.parametrize("number", range(1, commands_of_a_deploy()))
def test_a_run_that_was_killed_at_any_command_is_taken_up_by_the_next_one(world: World, number: int) -> None:
    for release in (V1, V2):
        world.build(release, workers=[MAIL])
    world.deploy(V1)
    before, world.sim.commands.before = world.sim.commands.before, []
    world.kill_at(number)
    try:
        world.deploy(V2)
    except Killed:
        killed = True
    else:
        killed = False
    world.commands.before = before
    # After each step visitors get one of the two, and so they would after a boot.
    assert world.serving in (V1, V2)
    assert world.serving in world.at_boot
    result = world.deploy(V2)
    assert "failed" not in result
    world.settle()
    assert (world.serving, world.at_boot, world.files) == (V2, {V2}, {V2})
    assert world.running == [f"{V2}.service", f"{V2}.socket", f"{V2}.worker-mail.0.service"]
    assert world.history()[0] == f"deploy {V1} activated"
    assert world.history()[-1] == f"deploy {V2} activated"
    assert not killed or "begun" not in " ".join(world.history())


def test_the_release_of_a_killed_run_is_removed_when_another_one_is_wanted(world: World) -> None:
    world.deploy(V1)
    world.kill_at(5)
    with pytest.raises(Killed):
        world.deploy(V2)
    world.commands.before = []
    assert (world.serving, world.files) == (V1, {V1, V2})
    world.deploy(V3)
    world.settle()
    assert (world.serving, world.running, world.files) == (V3, web(V3), {V3})
    assert world.history()[1:] == [f"deploy {V2} interrupted", f"deploy {V3} activated"]


def test_a_rollback_that_was_killed_after_its_switch_is_completed_and_not_repeated(world: World) -> None:
    for release in (V1, V2, V3):
        world.deploy(release)

    def kill(words: list[str]) -> None:
        if words[:2] == ["systemctl", "stop"]:
            raise Killed

    world.commands.before = [kill]
    with pytest.raises(Killed):
        world.roll_back()
    world.commands.before = []
    world.roll_back()
    assert world.serving == V2


# Surplus and removal


def test_old_releases_are_pruned_but_for_the_current_one_and_the_target_of_a_rollback(world: World) -> None:
    for release in (V1, V2, V3):
        world.deploy(release)
    assert world.deploy(V4)["services"][0]["pruned"] == [V1]
    world.roll_back()
    assert world.serving == V3


def test_static_files_of_the_previous_release_stay_reachable_for_a_while(world: World) -> None:
    for release in (V1, V2):
        world.deploy(release)
    assert _assets.kept_assets(world.layout) == V1
    assert [word for argv in world.commands.asked for word in argv if word == f"--unit=flaskops-assets-shop-{V1}"]


def test_an_application_that_is_removed_leaves_no_unit_and_no_process(world: World) -> None:
    world.deploy(V1)
    world.run({"state": "absent"})
    assert (world.running, world.at_boot, world.files, current_id(world.layout)) == ([], set(), set(), None)
