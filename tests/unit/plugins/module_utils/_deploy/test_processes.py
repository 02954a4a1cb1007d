# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers and timers: what may be written of them, their units, and what a hand-over does with those."""

from __future__ import annotations

import os
import typing as t
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._build.preflight import check_programs
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import processes as _processes
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import timer_state as _timer_state
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.deployment import Deployment, Service
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.observe import UnitDirectory
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.plan import Observed, WantedUnits, plan_deploy
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.processes import WorkersAndTimers
from ansible_collections.flaskops.stack.plugins.module_utils._input.processes import (
    normalise_timers,
    normalise_workers,
)
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout, Manifest
from ansible_collections.flaskops.stack.plugins.module_utils._release.release import write_manifest
from ansible_collections.flaskops.stack.plugins.module_utils._service.process_units import process_units
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import parse_settings
from ansible_collections.flaskops.stack.plugins.module_utils._service.units import (
    UnitName,
    parse_unit_name,
    release_units,
)
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_system import Unit, simulate

NEW, OLD = "3f2a91c-1b9e02d4", "90b1c7e-77aa01f2"
MAIL = {"name": "mail", "command": "celery -A tasks worker"}
TICK = {"name": "tick", "command": ["python", "tick.py"], "schedule": "daily"}
WORKER, JOB, TIMER = "worker-mail.0.service", "timer-tick.service", "timer-tick.timer"


def manifest(release: str = NEW, workers: object = (MAIL,), timers: object = (TICK,)) -> Manifest:
    source = {"type": "git", "location": "", "version": "", "revision": ""}
    extra = {"workers": normalise_workers(workers), "timers": normalise_timers(timers)}
    return Manifest("shop", release, "shop", "web", source, "3.13", "shop:app", parse_settings({}), extra=extra)


def units(**given: t.Any) -> dict[str, str]:
    return process_units(Layout("/srv", "shop"), manifest(**given))


def test_what_is_left_out_has_a_default_and_the_order_says_nothing() -> None:
    other = {**MAIL, "name": "a"}
    assert normalise_workers([MAIL, other]) == normalise_workers([other, MAIL])
    assert normalise_workers([MAIL])[0] == {
        "name": "mail",
        "command": ["celery", "-A", "tasks", "worker"],
        "count": 1,
        "stop_timeout": 60,
        "memory_max": "",
        "cpu_quota": "",
    }
    assert normalise_timers(None) == normalise_workers([]) == []


@pytest.mark.parametrize(
    ("workers", "said"),
    [
        (4, "gunicorn.workers"),
        ([{"name": "mail"}], r"workers\[0\] has no 'command'"),
        ([{**MAIL, "name": "Mail"}], "name 'Mail' must be 1 to 31"),
        ([{**MAIL, "name": "a.b"}], "must be 1 to 31"),
        ([MAIL, MAIL], "the name 'mail' 2 times"),
        ([{**MAIL, "cuont": 2}], "has no setting 'cuont'"),
        ([{**MAIL, "count": 0}], "workers 'mail': count .*, not 0"),
        ([{**MAIL, "stop_timeout": "soon"}], "workers 'mail': stop_timeout .*soon"),
        ([{**MAIL, "memory_max": "much"}], "memory_max 'much' must be a size"),
        ([{**MAIL, "command": "a 'b"}], "cannot be split"),
        ([{**MAIL, "command": ["a\nb"]}], "one line"),
        ([{**MAIL, "command": "a && b"}], "needs a shell for '&&'"),
    ],
)
def test_a_worker_that_cannot_be_is_refused(workers: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        normalise_workers(workers)


@pytest.mark.parametrize(
    ("timers", "said"),
    [
        ([{"name": "tick", "command": "x"}], "has no 'schedule'"),
        ([{**TICK, "persistent": "perhaps"}], "persistent .*perhaps"),
        ([{**TICK, "timeout": 0}], "timeout .*, not 0"),
        ([{**TICK, "count": 2}], "has no setting 'count'"),
        ("daily", "must be a list"),
    ],
)
def test_a_timer_that_cannot_be_is_refused(timers: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        normalise_timers(timers)


def test_the_names_of_the_units_say_what_they_are() -> None:
    assert list(units(workers=[{**MAIL, "count": 2}])) == [
        f"shop@{NEW}.worker-mail.0.service",
        f"shop@{NEW}.worker-mail.1.service",
        f"shop@{NEW}.timer-tick.service",
        f"shop@{NEW}.timer-tick.timer",
    ]
    assert parse_unit_name(f"shop@{NEW}.worker-mail.1.service") == UnitName(
        "shop", NEW, 1, "", "service", "worker", "mail"
    )
    assert parse_unit_name(f"shop@{NEW}.timer-tick.timer") == UnitName("shop", NEW, 0, "", "timer", "timer", "tick")
    assert parse_unit_name(f"shop@{NEW}.worker-mail.0.timer") is None
    assert parse_unit_name(f"shop@{NEW}.worker-mail.0.socket") is None


def test_a_process_has_what_the_web_has() -> None:
    web = release_units(Layout("/srv", "shop"), manifest())[f"shop@{NEW}.service"].splitlines()
    shared = [line for line in web if line.startswith(("User", "Group", "Working", "Env", "Protect", "SystemCall"))]
    assert len(shared) > 10
    for name in (WORKER, JOB):
        assert set(shared) <= set(units()[f"shop@{NEW}.{name}"].splitlines())


def test_flask_finds_the_application_as_it_does_in_hooks() -> None:
    app = "shop:create_app(\"50% ü\", mode='a\\b')"
    created = process_units(Layout("/srv", "shop"), replace(manifest(), app=app))
    line = 'Environment="FLASK_APP=shop:create_app(\\"50%% ü\\", mode=\'a\\\\b\')"\n'
    for name in created:
        # The file of the environment comes later, and wins: an application that sets it decides for itself.
        assert name.endswith(".timer") or 0 < created[name].index(line) < created[name].index("EnvironmentFile=")


def test_systemd_reads_the_words_that_were_written() -> None:
    text = units(workers=[{**MAIL, "command": ["a", 'b "c"', "$HOME", "5%", "\\n"]}])[f"shop@{NEW}.{WORKER}"]
    assert r'ExecStart=/usr/bin/env -- "a" "b \"c\"" "$$HOME" "5%%" "\\n"' in text


def test_only_the_current_release_works_also_after_a_reboot_and_nobody_while_paused() -> None:
    for name in (WORKER, JOB):
        text = units()[f"shop@{NEW}.{name}"]
        assert f"ExecCondition=/usr/bin/test /srv/shop/current -ef /srv/shop/releases/{NEW}" in text
        assert "ConditionPathExists=!/srv/shop/maintenance/paused" in text


def test_jobs_of_two_releases_do_not_run_at_once() -> None:
    assert "flock --no-fork /var/lib/flaskops/shop/timer-tick.lock" in units()[f"shop@{NEW}.{JOB}"]


def test_the_lock_of_a_job_follows_the_group_of_the_application(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "shop" / "timer-tick.lock"
    given: list[int] = []
    groups = iter((os.getgid(), os.getgid(), 4711))
    monkeypatch.setattr(_timer_state, "timer_lock", lambda _app, _timer: str(lock))
    monkeypatch.setattr(_timer_state, "find_group", lambda _name: SimpleNamespace(gr_gid=next(groups)))
    monkeypatch.setattr(os, "chown", lambda _path, _uid, gid: given.append(gid))
    monkeypatch.setattr(_timer_state, "write_file", lambda path, *_rest: Path(path).touch())
    for _release in range(3):
        _timer_state.make_locks(manifest())
    assert lock.exists()
    assert given == [4711]


def test_a_program_that_is_nowhere_is_named(tmp_path: Path) -> None:
    workers = normalise_workers([{**MAIL, "command": "no-such-program"}])
    with pytest.raises(InputError, match=r"workers 'mail': there is no program 'no-such-program'.*to system_packages"):
        check_programs(workers, [], str(tmp_path))
    with pytest.raises(InputError, match=r"timers 'tick': <release>/app/\./bin/x does not exist"):
        check_programs([], normalise_timers([{**TICK, "command": "./bin/x"}]), str(tmp_path))
    check_programs(normalise_workers([{**MAIL, "command": "sh -c true"}]), [], str(tmp_path))


def test_a_program_is_looked_for_in_the_path_that_the_environment_sets(tmp_path: Path) -> None:
    for directory in ("venv/bin", "app/node_modules/.bin"):
        (tmp_path / directory).mkdir(parents=True)
        (tmp_path / directory / "celery").touch(0o755)
    workers = normalise_workers([MAIL])
    check_programs(workers, [], str(tmp_path))
    with pytest.raises(InputError, match=r"workers 'mail': there is no program 'celery' in the PATH .*\{venv\}/bin"):
        check_programs(workers, [], str(tmp_path), "/no/such/place:/usr/bin")
    for path in (f"/usr/bin:{tmp_path}/venv/bin", "node_modules/.bin:/usr/bin"):
        check_programs(workers, [], str(tmp_path), path)


def observed(**given: t.Any) -> Observed:
    old = {name.replace(NEW, OLD): text for name, text in units().items()}
    names = frozenset(old)
    return Observed(**{"current": OLD, "files": old, "alive": names, "up": names, "enabled": names, **given})


def test_the_new_ones_are_started_and_the_old_ones_relieved() -> None:
    plan = plan_deploy(observed(), WantedUnits(NEW, processes=units()))
    assert plan.start_workers == (f"shop@{NEW}.{WORKER}", f"shop@{NEW}.{TIMER}")
    assert plan.stop_workers == tuple(f"shop@{OLD}.{name}" for name in (JOB, TIMER, WORKER))
    assert (plan.remove, plan.start) == ((), ())
    # A job starts when its time has come.
    assert plan.enable == plan.start_workers


def test_a_worker_that_has_only_just_started_is_watched_by_the_next_run() -> None:
    # One that ends again and again is active at each start; one that ends after so many jobs needs no help.
    new = frozenset(units())
    worker = f"shop@{NEW}.{WORKER}"
    now = observed(current=NEW, files=units(), alive=new, up=new, enabled=new, just_started=frozenset({worker}))
    assert plan_deploy(now, WantedUnits(NEW, processes=units())).empty
    left = f"shop@{OLD}.service"
    assert plan_deploy(
        replace(now, files={**units(), left: ""}), WantedUnits(NEW, processes=units())
    ).start_workers == (worker,)


def test_what_leaves_needs_nothing_unless_the_application_goes() -> None:
    name = f"shop@{OLD}.{WORKER}"
    new = {key: frozenset(units()) for key in ("alive", "up", "enabled")}
    now = observed(current=NEW, files=units(), workers_stopping=frozenset({name}), **new)
    assert plan_deploy(now, WantedUnits(NEW, processes=units())).empty
    assert name in plan_deploy(now, WantedUnits()).stop_workers


def test_nothing_is_started_while_it_is_paused() -> None:
    now = observed(current=NEW, files=units(), alive=frozenset(), up=frozenset(), enabled=frozenset(units()))
    assert plan_deploy(now, WantedUnits(NEW, processes=units())).start_workers
    paused = observed(
        current=NEW, files=units(), alive=frozenset(), up=frozenset(), enabled=frozenset(units()), paused=True
    )
    assert plan_deploy(paused, WantedUnits(NEW, processes=units())).empty


class Host:
    """A simulated host with the units of an old release, and those of a new one."""

    def __init__(self, path: Path, patch: pytest.MonkeyPatch) -> None:
        self.layout = Layout(str(path / "srv"), "shop")
        self.units, self.runtime_units, self.stamps = path / "system", path / "run", path / "stamps"
        for directory in (self.units, self.stamps, Path(self.layout.releases)):
            directory.mkdir(parents=True)
        patch.setattr(_processes, "make_locks", lambda _manifest: None)
        patch.setattr(_timer_state, "_STAMPS", str(self.stamps))
        self.sim = simulate(self.units, self.runtime_units)
        self.directory = UnitDirectory(self.sim.host, str(self.units), str(self.runtime_units))
        self.background = WorkersAndTimers(self.sim.host, self.directory)
        for release in (OLD, NEW):
            os.mkdir(self.layout.release(release))
            write_manifest(self.layout.release(release), manifest(release))

    @property
    def log(self) -> list[str]:
        """Return what systemd was told, with short names."""
        told = [argv for argv in self.sim.commands.asked if argv[1] not in ("show", "daemon-reload")]
        lines = []
        for argv in told:
            cut = argv.index("--")
            short = [name.replace(NEW, "new").replace(OLD, "old").replace("shop@", "") for name in argv[cut + 1 :]]
            lines.append(" ".join([argv[1], *short, *argv[2:cut]]))
        return lines

    def unit(self, name: str) -> Unit:
        return self.sim.systemd.units[f"shop@{name}"]

    def deployment(self) -> Deployment:
        """Return the deploy of the new release, after its switch."""
        old = process_units(self.layout, manifest(OLD))
        self.directory.write(old)
        self.directory.enable([name for name in old if JOB not in name])
        self.switch(OLD)
        for name in old:
            if JOB not in name:
                self.sim.systemd.start(name)
        names = frozenset(old)
        service = Service(self.layout, manifest(), WantedUnits(NEW, processes=process_units(self.layout, manifest())))
        observed = Observed(OLD, old, names, names, frozenset(n for n in names if JOB not in n))
        deployment = Deployment.from_observed(service, observed, self.sim.host)
        self.directory.write(deployment.plan.write)
        self.switch(NEW)
        deployment.switched = True
        return deployment

    def switch(self, release: str) -> None:
        Path(self.layout.current).unlink(missing_ok=True)
        os.symlink(f"releases/{release}", self.layout.current)

    def files(self, path: Path) -> list[str]:
        return sorted(name for name in os.listdir(path) if name.startswith("shop@")) if path.is_dir() else []


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_the_old_ones_take_nothing_new_before_the_new_ones_start_and_a_job_is_not_stopped(host: Host) -> None:
    host.background.replace(host.deployment())
    assert host.log == [
        f"stop old.{TIMER}",
        f"stop old.{WORKER} --no-block",
        f"start new.{WORKER} new.{TIMER} --no-block",
    ]


def renamed_deployment(host: Host) -> Deployment:
    """Return the hand-over to a release that was built when the application got its name; something runs as store."""
    deployment = host.deployment()
    renamed = replace(manifest(), extra={**manifest().extra, "former": "store"})
    deployment.service = replace(deployment.service, manifest=renamed)
    worker, web = f"store@{OLD}.{WORKER}", f"store@{OLD}.service"
    for name in (worker, web):
        (host.units / name).write_text("[Service]\n")
        host.sim.systemd.start(name)
    os.makedirs(Layout(host.layout.root, "store").base)
    return deployment


def test_those_of_the_former_name_stop_at_the_switch_and_work_again_when_the_release_is_refused(
    host: Host,
) -> None:
    deployment = renamed_deployment(host)
    os.symlink(host.layout.shared, Layout(host.layout.root, "store").shared)
    host.background.replace(deployment)
    # The web serves until the new name is published.
    assert host.log[0] == f"stop store@old.{WORKER} --no-block"
    assert not [line for line in host.log if "store@old.service" in line]
    host.background.restart_old(deployment)
    assert f"start store@old.{WORKER} --no-block" in host.log


def test_those_of_a_new_application_with_the_former_name_work_on(host: Host) -> None:
    deployment = renamed_deployment(host)
    os.makedirs(Layout(host.layout.root, "store").shared)
    host.background.replace(deployment)
    assert not [line for line in host.log if "store@" in line]


def test_a_run_that_would_have_been_between_two_releases_is_made_up_for(host: Host) -> None:
    stamps = [host.stamps / f"stamp-shop@{release}.{TIMER}" for release in (OLD, NEW)]
    stamps[0].write_text("")
    os.utime(stamps[0], (1_000_000, 1_000_000))
    host.background.replace(host.deployment())
    assert stamps[1].stat().st_mtime == 1_000_000


def test_another_schedule_begins_anew(host: Host) -> None:
    write_manifest(host.layout.release(OLD), manifest(OLD, timers=[{**TICK, "schedule": "hourly"}]))
    (host.stamps / f"stamp-shop@{OLD}.{TIMER}").write_text("")
    host.background.replace(host.deployment())
    assert not (host.stamps / f"stamp-shop@{NEW}.{TIMER}").exists()


def test_what_has_not_finished_keeps_its_settings_and_starts_at_no_boot(host: Host) -> None:
    deployment = host.deployment()
    host.sim.systemd.app(OLD).stops_in = 60
    host.background.replace(deployment)
    ended = host.background.remove_old(deployment)
    assert sorted(ended) == [f"shop@{OLD}.{name}" for name in (JOB, TIMER)]
    assert deployment.finishing == host.files(host.runtime_units) == [f"shop@{OLD}.{WORKER}"]
    assert not [name for name in host.files(host.units) if OLD in name]
    assert not [name for name in host.directory.names()["enabled"] if OLD in name]


def test_what_has_finished_since_is_cleared_by_the_next_change(host: Host) -> None:
    deployment = host.deployment()
    host.runtime_units.mkdir()
    gone = f"shop@{OLD}.worker-gone.0.service"
    (host.runtime_units / gone).write_text("")
    deployment.observed = Observed(OLD, runtime_units=frozenset({gone}))
    host.background.replace(deployment)
    host.sim.clock.sleep(1)
    assert gone in host.background.remove_old(deployment)
    assert host.files(host.runtime_units) == []


def test_a_worker_that_ends_is_named(host: Host) -> None:
    deployment = host.deployment()
    host.background.replace(deployment)
    assert host.background.check(deployment) == ""
    host.sim.systemd.exit(host.unit(f"{NEW}.{WORKER}"))
    assert f"worker shop@{NEW}.{WORKER} ended (exit-code" in host.background.check(deployment)
    assert deployment.failed_worker == f"shop@{NEW}.{WORKER}"


def test_a_worker_that_still_ended_when_it_was_told_to_start_was_not_restarted(host: Host) -> None:
    # Of a release that is gone back to; a worker that ends after so many jobs is restarted all day.
    deployment = host.deployment()
    host.switch(NEW)
    host.sim.systemd.start(f"shop@{NEW}.{WORKER}")
    worker = host.unit(f"{NEW}.{WORKER}")
    worker.restarts = 57
    host.sim.systemd.stop(worker.name, wait=False)
    host.background.replace(deployment)
    host.sim.clock.sleep(1)
    assert (worker.active, worker.restarts) == ("active", 0)
    assert host.background.check(deployment) == ""
    worker.restarts = 1
    assert "ended and was started again" in host.background.check(deployment)


def test_a_worker_that_is_paused_is_not_unhealthy(host: Host) -> None:
    deployment = host.deployment()
    os.makedirs(host.layout.maintenance)
    Path(host.layout.maintenance, "paused").touch()
    host.background.replace(deployment)
    assert host.unit(f"{NEW}.{WORKER}").active == "inactive"
    assert host.background.check(deployment) == ""


def test_the_old_ones_work_again_after_a_switch_back(host: Host) -> None:
    deployment = host.deployment()
    host.background.replace(deployment)
    host.directory.disable(deployment.plan.stop_workers)
    host.sim.commands.asked.clear()
    host.background.stop_new(deployment)
    host.background.restart_old(deployment)
    assert host.log == [
        f"stop new.{TIMER}",
        f"stop new.{WORKER} --no-block",
        f"start old.{TIMER} old.{WORKER} --no-block",
    ]
    assert f"shop@{OLD}.{WORKER}" in host.directory.names()["enabled"]
    host.background.remove_new(deployment)
    assert not [name for name in host.files(host.units) if NEW in name]


def test_a_worker_that_still_runs_before_it_is_removed_is_stopped_again(host: Host) -> None:
    deployment = host.deployment()
    host.background.replace(deployment)
    host.sim.systemd.exit(host.unit(f"{NEW}.{WORKER}"))
    host.sim.systemd.stop(f"shop@{NEW}.{TIMER}", wait=True)
    host.sim.commands.asked.clear()
    host.background.remove_new(deployment)
    assert host.log == [f"stop new.{WORKER} --no-block"]
    assert not [name for name in host.files(host.units) if NEW in name]


def test_a_worker_that_stops_already_is_not_stopped_again(host: Host) -> None:
    deployment = host.deployment()
    host.background.replace(deployment)
    host.sim.systemd.app(NEW).stops_in = 60
    for name in (WORKER, TIMER):
        host.sim.systemd.stop(f"shop@{NEW}.{name}", wait=False)
    host.sim.commands.asked.clear()
    host.background.remove_new(deployment)
    assert host.log == []
