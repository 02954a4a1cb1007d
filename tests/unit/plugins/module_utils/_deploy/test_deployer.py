# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deployer on a directory tree of the test, with a fake systemd that records its commands."""

from __future__ import annotations

import difflib
import errno
import os
import socket
import time
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import deployer as _deployer
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import deployment as _deployment_module
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import drain as _drain
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import finish as _finish
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import memory as _memory
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import proxy_check as _proxy_check
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import start as _start
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import watch as _watch
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import workers as _workers
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.caution import cautions
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.deployer import Deployer
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.deployment import Deployment, Service
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.edited_units import drop_ins, recorded_units
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.health import HealthCheckError
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.hook_run import HookResult
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.observe import (
    ForeignUnitError,
    UnitDirectory,
)
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.plan import (
    Observed,
    WantedUnits,
)
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.report import report
from ansible_collections.flaskops.stack.plugins.module_utils._input.hooks import HookError
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout, Manifest
from ansible_collections.flaskops.stack.plugins.module_utils._release.proxy_probe import HeaderCheckResult
from ansible_collections.flaskops.stack.plugins.module_utils._release.release import write_manifest
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import normalise_settings
from ansible_collections.flaskops.stack.plugins.module_utils._service.units import address_units, release_units
from ansible_collections.flaskops.stack.plugins.module_utils._site.forwarded import ForwardedChain
from ansible_collections.flaskops.stack.plugins.module_utils._system import files as _files
from ansible_collections.flaskops.stack.plugins.module_utils._system.command import CommandError, Result

NEW, OLD = "3f2a91c-1b9e02d4", "90b1c7e-77aa01f2"


def tell(patch: pytest.MonkeyPatch, systemctl: t.Callable[..., None]) -> None:
    """Let the steps of a hand-over tell systemd by this."""
    for module in (_deployer, _start):
        patch.setattr(module, "systemctl", systemctl)


class Host:
    """Units on disk, and what systemd was told about them."""

    def __init__(self, path: Path, patch: pytest.MonkeyPatch) -> None:
        self.layout = Layout(str(path / "srv"), "shop")
        self.path = path / "system"
        self.directory = UnitDirectory(str(self.path))
        self.log: list[str] = []
        self.problem: dict[str, HealthCheckError] = {}
        os.makedirs(self.layout.base)
        os.makedirs(self.path)
        # A real systemd, where there is one, would find the sockets' paths too long in a deep temporary directory.
        patch.setattr(UnitDirectory, "verify", lambda _self, _names: {})
        tell(patch, self.systemctl)
        patch.setattr(_start, "daemon_reload", lambda: self.log.append("reload"))
        # A test's directory has a longer name than systemd takes for a socket.
        patch.setattr(self.directory, "verify", lambda _names: {})
        patch.setattr(_deployer, "reset_failed", lambda _units: self.log.append("forget"))
        patch.setattr(_deployer, "reset_failed_later", lambda _units: self.log.append("forget behind"))
        patch.setattr(_deployment_module, "default_stop_seconds", lambda: 90.0)
        patch.setattr(_deployer, "run", lambda argv: self.log.append(argv[1]))
        patch.setattr(_deployer, "wait_until_stopped", lambda _names, _seconds: [])
        patch.setattr(_deployer, "wait_until_healthy", self.wait_until_healthy)
        patch.setattr(_memory, "systemctl", self.systemctl)
        patch.setattr(_memory, "run", lambda argv: self.log.append(f"room {argv[1]}"))
        patch.setattr(_memory, "wait_until_stopped", lambda _names, _seconds: [])
        patch.setattr(_deployer, "show", lambda units, _properties: dict.fromkeys(units, self.state))
        patch.setattr(_deployer, "query_systemd", self.query_systemd)
        # What systemd says just before the switch, and why it says nothing.
        self.before, self.silence = {"ActiveState": "active", "SubState": "running"}, ""
        self.hooks: list[str] = []
        self.overlap = "refuse"
        # What the log adds to a reason.
        self.said = ""
        self.failing: set[str] = set()
        patch.setattr(_start, "default_stop_seconds", lambda: 90.0)
        patch.setattr(_start, "schedule_asset_expiry", self.schedule_asset_expiry)
        patch.setattr(_deployer, "keep_assets", self.keep_assets)
        self.state: dict[str, str] = {"ActiveState": "active", "SubState": "running"}

    def systemctl(self, verb: str, units: t.Sequence[str], _options: t.Sequence[str] = ()) -> None:
        kinds = sorted({unit.rpartition(".")[2] for unit in units})
        if units:
            self.log.append(f"{verb} {'+'.join(kinds)} {self.serving()} {self.at_boot()}")

    def query_systemd(self, units: t.Iterable[str]) -> tuple[dict[str, dict[str, str]], str]:
        return dict.fromkeys(units, self.before), self.silence

    def schedule_asset_expiry(self, _layout: Layout, release: str, _seconds: int) -> float:
        self.log.append(f"arm {self.serving()}" if release else "arm nothing")
        return 1.0

    def keep_assets(self, _layout: Layout, _release: str, _seconds: int, end: float) -> None:
        self.log.append(f"keep {self.serving()}" if end else "keep without a timer")

    def wait_until_healthy(self, _gates: t.Mapping[str, object]) -> t.Iterable[tuple[str, HealthCheckError]]:
        self.log.append(f"gate {self.serving()} {self.at_boot()}")
        return self.problem.items()

    def serving(self) -> str:
        link = self.layout.current
        return {NEW: "new", OLD: "old"}[os.path.basename(os.readlink(link))] if os.path.islink(link) else "none"

    def at_boot(self) -> str:
        names = self.directory.names()["enabled"]
        return "+".join(word for word, release in (("old", OLD), ("new", NEW)) if any(release in n for n in names))

    def manifest(self, release: str, **settings: object) -> Manifest:
        source = {"type": "git", "location": "", "version": "", "revision": ""}
        health = {"health": {"timeout": 1}}
        return Manifest("shop", release, "u", "g", source, "", "a:b", normalise_settings({**health, **settings}))

    def install_old(self, **settings: object) -> Observed:
        os.makedirs(self.layout.release(OLD))
        write_manifest(self.layout.release(OLD), self.manifest(OLD, **settings))
        units = release_units(self.layout, self.manifest(OLD))
        self.directory.write(units)
        self.directory.enable(units)
        os.symlink(f"releases/{OLD}", self.layout.current)
        names = frozenset(units)
        return Observed(OLD, units, names, names, names, groups=dict.fromkeys(names, "/old"))

    def deployment(self, observed: Observed, **settings: object) -> Deployment:
        manifest = self.manifest(NEW, **settings)
        return Deployment.from_observed(
            Service(self.layout, manifest, WantedUnits(NEW, release_units(self.layout, manifest))), observed
        )

    def run(self, *deployments: Deployment) -> None:
        Deployer(self.directory, self.explain, self.run_hooks, self.overlap).run(deployments)

    def explain(self, deployment: Deployment, reason: str) -> str:
        self.log.append(f"explain {deployment.service.name} {self.serving()} {self.at_boot()}")
        return reason + self.said

    def run_hooks(self, _deployment: Deployment, stage: str) -> list[HookResult]:
        if stage in self.failing:
            raise HookError(f"hook {stage} failed")
        self.hooks.append(f"{stage} {self.serving()}")
        return []

    def files(self) -> set[str]:
        return {name.split("@")[1] for name in self.directory.names()["files"]}


@pytest.fixture
def host(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Host:
    # Not tmp_path, which is long: systemd refuses a socket's path of more than 107 bytes.
    return Host(tmp_path_factory.mktemp("h"), monkeypatch)


def test_at_every_step_a_reboot_would_serve(host: Host) -> None:
    host.run(host.deployment(host.install_old()))
    assert host.log == [
        "start service+socket old old",
        "start socket old old",
        "arm old",
        "gate old old",
        "keep old",
        "stop service+socket new new",
        "forget behind",
    ]
    assert host.files() == {f"{NEW}.service", f"{NEW}.socket"}


def test_the_new_one_starts_at_boot_before_the_switch_and_the_old_one_until_after_it(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    real = _files.replace_link

    def switch(target: str, path: str) -> None:
        seen.append(host.at_boot())
        real(target, path)
        seen.append(host.at_boot())

    monkeypatch.setattr(_deployer, "replace_link", switch)
    host.run(host.deployment(host.install_old()))
    assert seen == ["old+new", "old+new"]


def test_the_first_release_of_all_has_nothing_to_drain(host: Host) -> None:
    deployment = host.deployment(Observed())
    host.run(deployment)
    assert (deployment.error, host.serving(), host.at_boot()) == ("", "new", "new")
    assert not [line for line in host.log if line.startswith("stop")]


def test_a_release_that_is_refused_leaves_everything_as_it_was(host: Host) -> None:
    before = host.install_old()
    host.problem = {"shop": HealthCheckError("/ answered 500")}
    deployment = host.deployment(before)
    host.run(deployment)
    assert deployment.error == "/ answered 500"
    assert (host.serving(), host.at_boot()) == ("old", "old")
    assert host.files() == {f"{OLD}.service", f"{OLD}.socket"}


def test_a_unit_that_systemd_does_not_start_aborts_before_the_health_check(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(verb: str, _units: t.Sequence[str], _options: t.Sequence[str] = ()) -> None:
        raise CommandError(f"{verb} failed")

    deployment = host.deployment(host.install_old())
    tell(monkeypatch, fail)
    host.run(deployment)
    assert (deployment.error, host.serving()) == ("start failed", "old")
    assert not [line for line in host.log if line.startswith("gate")]


def _fails_at(host: Host, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """Let systemd refuse one verb."""

    def systemctl(given: str, units: t.Sequence[str], options: t.Sequence[str] = ()) -> None:
        host.systemctl(given, units, options)
        if given == verb and units:
            raise CommandError(f"{verb}: connection timed out")

    tell(monkeypatch, systemctl)


def test_when_units_cannot_be_loaded_nothing_is_left(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise CommandError("daemon-reload: connection timed out")

    before = host.install_old()
    deployment = host.deployment(replace(before, loaded=frozenset(release_units(host.layout, host.manifest(NEW)))))
    monkeypatch.setattr(_start, "daemon_reload", fail)
    host.run(deployment)
    assert (deployment.error, host.serving()) == ("daemon-reload: connection timed out", "old")
    assert host.files() == {f"{OLD}.service", f"{OLD}.socket"}


def test_what_systemd_remembers_otherwise_it_reads_again(host: Host) -> None:
    before = host.install_old()
    host.run(host.deployment(replace(before, loaded=frozenset([f"shop@{NEW}.service"]))))
    assert host.log[0] == "reload"


def test_a_file_that_systemd_has_overlooked_makes_it_read_all(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def systemctl(verb: str, units: t.Sequence[str], options: t.Sequence[str] = ()) -> None:
        host.systemctl(verb, units, options)
        if verb == "start" and "reload" not in host.log:
            raise CommandError(f"Failed to start {units[0]}: Unit {units[0]} not found.")

    tell(monkeypatch, systemctl)
    deployment = host.deployment(host.install_old())
    host.run(deployment)
    assert (deployment.error, host.serving()) == ("", "new")
    assert host.log[:3] == ["start service+socket old old", "reload", "start service+socket old old"]


def test_units_like_those_of_the_current_release_need_no_verification(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    proved: list[str] = []

    def faults(names: t.Sequence[str]) -> dict[str, list[str]]:
        proved.extend(names)
        return {}

    monkeypatch.setattr(host.directory, "verify", faults)
    before = host.install_old()
    host.run(host.deployment(before))
    assert proved == []
    host.run(host.deployment(before, memory_max="1G"))
    assert proved == [f"shop@{NEW}.service"]


def test_one_that_may_take_long_to_end_is_waited_for(host: Host) -> None:
    host.run(host.deployment(host.install_old(graceful_timeout=200)))
    assert host.log[-1] == "forget"


def test_one_that_may_take_longer_than_systemd_lets_it_is_waited_for(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_deployment_module, "default_stop_seconds", lambda: 20.0)
    host.run(host.deployment(host.install_old()))
    assert host.log[-1] == "forget"


def test_an_old_release_that_cannot_be_stopped_is_left_to_the_next_run(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = host.deployment(host.install_old())
    _fails_at(host, monkeypatch, "stop")
    host.run(deployment)
    assert (deployment.error, host.serving(), host.at_boot()) == ("", "new", "new")
    assert deployment.lingering == [f"shop@{OLD}.service", f"shop@{OLD}.socket"]
    assert "connection timed out" in deployment.note
    assert "next run" in deployment.note


def test_a_forwarder_that_does_not_start_again_undoes_the_switch(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    before = host.install_old()
    forwards = address_units(host.layout, host.manifest(NEW, bind=["127.0.0.1:8000"]))
    old = {name: text + "# old\n" for name, text in forwards.items()}
    host.directory.write(old)
    known = frozenset(forwards)
    observed = replace(
        before, files={**before.files, **old}, alive=before.alive | known, up=before.up | known, enabled=before.enabled
    )
    manifest = host.manifest(NEW, bind=["127.0.0.1:8000"])
    wanted = WantedUnits(NEW, release_units(host.layout, manifest), forwards)
    deployment = Deployment.from_observed(Service(host.layout, manifest, wanted), observed)
    _fails_at(host, monkeypatch, "restart")
    host.run(deployment)
    assert "restart: connection timed out" in deployment.error
    assert (host.serving(), host.at_boot()) == ("old", "old")
    assert all((host.path / name).read_text() == text for name, text in old.items())


@pytest.mark.parametrize(
    ("taken", "said", "why"),
    [
        # The first line of systemd's comes too late for us now and then.
        (True, "x: Failed to receive listening socket: Input/output error", "Address already in use. See"),
        (False, "x: Failed to listen on sockets: Permission denied\nx: Failed with result", "Permission denied. See"),
        (False, "", "see 'journalctl -u shop@tcp-127.0.0.1:"),
    ],
)
def test_an_address_that_cannot_be_had_is_named_with_the_way_out(
    host: Host, monkeypatch: pytest.MonkeyPatch, taken: bool, said: str, why: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        if not taken:
            other.close()
        before = host.install_old()
        manifest = host.manifest(NEW, bind=[address, "[::1]:81"])
        wanted = WantedUnits(NEW, release_units(host.layout, manifest), address_units(host.layout, manifest))
        states = {f"shop@tcp-{address}.socket": "failed", "shop@tcp-::1:81.socket": "active"}
        monkeypatch.setattr(
            _start, "show", lambda names, _wanted: {name: {"ActiveState": states[name]} for name in names}
        )
        monkeypatch.setattr(_start, "journal_tail", lambda *_which: said)

        def fail(verb: str, units: t.Sequence[str], options: t.Sequence[str] = ()) -> None:
            if verb == "start" and set(states) <= set(units) and not options:
                raise CommandError("Job failed")

        tell(monkeypatch, fail)
        deployment = Deployment.from_observed(Service(host.layout, manifest, wanted), before)
        host.run(deployment)
    assert deployment.error.startswith(f"nothing can listen on '{address}' of bind: {why}")
    assert "'ss -ltnp'" in deployment.error
    assert "::1" not in deployment.error
    assert host.serving() == "old"


@pytest.mark.parametrize("fails", ["the directory's way to the disk", "the look through nginx"])
@pytest.mark.parametrize("first", [True, False])
def test_whatever_fails_after_the_switch_the_link_leads_to_no_release_that_is_taken_away(
    host: Host, monkeypatch: pytest.MonkeyPatch, fails: str, first: bool
) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    def replace_link(target: str, path: str) -> None:
        _files.replace_link(target, path)
        if target.endswith(NEW):
            fail()

    deployment = host.deployment(Observed() if first else host.install_old())
    if "disk" in fails:
        monkeypatch.setattr(_deployer, "replace_link", replace_link)
    else:
        deployment.service = replace(deployment.service, chain=ForwardedChain(host.layout.current, "shop.example.com"))
        monkeypatch.setattr(_proxy_check, "check_forwarded_headers", fail)
    host.run(deployment)
    assert "Input/output error" in deployment.error
    assert (host.serving(), host.at_boot()) == (("none", "") if first else ("old", "old"))


@pytest.mark.parametrize("hiccups", [1, 3])
def test_a_systemd_that_does_not_answer_for_a_moment_is_asked_again(
    host: Host, monkeypatch: pytest.MonkeyPatch, hiccups: int
) -> None:
    left = [CommandError("show: connection timed out")] * hiccups

    def show(units: t.Sequence[str], _properties: object) -> dict[str, dict[str, str]]:
        if left:
            raise left.pop()
        return dict.fromkeys(units, host.state)

    deployment = host.deployment(host.install_old())
    monkeypatch.setattr(_deployer, "show", show)
    host.run(deployment)
    assert (deployment.error, host.serving()) == ("", "new")


def test_a_full_disk_is_named_and_leaves_the_old_release(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_words: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    deployment = host.deployment(host.install_old())
    monkeypatch.setattr(UnitDirectory, "write", full)
    host.run(deployment)
    assert deployment.error.startswith("the disk is full: the file system at /")
    assert (host.serving(), host.at_boot()) == ("old", "old")


def test_what_cannot_be_undone_is_said(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_words: object) -> None:
        raise CommandError("stop: connection timed out")

    deployment = host.deployment(host.install_old())
    host.problem = {"shop": HealthCheckError("/ answered 500")}
    monkeypatch.setattr(_deployer, "run", fail)
    host.run(deployment)
    assert deployment.error.startswith("/ answered 500")
    assert "stop: connection timed out" in deployment.error
    assert "next run" in deployment.error
    assert (host.serving(), host.at_boot()) == ("old", "old")


@pytest.mark.parametrize("busy", [False, True])
def test_nothing_is_told_to_end_that_was_not_looked_after_a_moment_before(
    host: Host, monkeypatch: pytest.MonkeyPatch, busy: bool
) -> None:
    looked: list[float] = []
    stopped: list[float] = []
    switched: list[float] = []

    def show(units: t.Sequence[str], _properties: object) -> dict[str, dict[str, str]]:
        looked.append(time.monotonic())
        return dict.fromkeys(units, host.state)

    def systemctl(verb: str, units: t.Sequence[str], options: t.Sequence[str] = ()) -> None:
        host.systemctl(verb, units, options)
        stopped.extend([time.monotonic()] if verb == "stop" else [])

    monkeypatch.setattr(_deployer, "show", show)
    real = _drain.read_table

    def read_table() -> str:
        switched.append(time.monotonic())
        return real()

    monkeypatch.setattr(_deployer, "read_table", read_table)
    tell(monkeypatch, systemctl)
    if busy:
        # Somebody waits for an answer of the old release until some time later.
        path = host.layout.socket(OLD, 0)
        line = f"0: 00000003 00000000 00000000 0001 03 77 {path}\n"
        monkeypatch.setattr(_watch, "read_table", lambda: line if time.monotonic() < switched[0] + 0.3 else real())
    host.run(host.deployment(host.install_old()))
    assert stopped[0] - looked[-1] < 0.1
    assert looked[-1] - switched[0] >= 0.08
    assert stopped[0] - switched[0] >= (0.3 if busy else 0.1)


def test_one_that_ends_after_the_switch_is_switched_back_from(host: Host) -> None:
    deployment = host.deployment(host.install_old(), health={"watch": 1})
    host.state = {"ActiveState": "failed", "SubState": "failed", "Result": "signal", "ExecMainStatus": "9"}
    host.run(deployment)
    assert "ended (signal, exit status 9) soon after the switch" in deployment.error
    assert (host.serving(), host.at_boot()) == ("old", "old")
    assert host.files() == {f"{OLD}.service", f"{OLD}.socket"}


@pytest.mark.parametrize(("watch", "serves"), [(1, "old"), (0, "new")])
def test_one_whose_workers_die_is_switched_back_from_when_it_is_watched(
    host: Host, monkeypatch: pytest.MonkeyPatch, watch: int, serves: str
) -> None:
    def journal(words: t.Sequence[str]) -> Result:
        assert f"--unit={NEW}" in " ".join(words).replace("shop@", "")
        return Result((), 0, "[1] [ERROR] Worker (pid:7) was sent SIGSEGV!\n", "")

    monkeypatch.setattr(_workers, "run", journal)
    deployment = host.deployment(host.install_old(), health={"watch": watch})
    host.run(deployment)
    assert ("died ([1] [ERROR] Worker (pid:7) was sent SIGSEGV!) soon after" in deployment.error) == (serves == "old")
    assert (host.serving(), host.at_boot()) == (serves, serves)


def test_visitors_of_a_release_that_is_switched_back_from_are_let_finish(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = host.deployment(host.install_old(), health={"watch": 1})
    host.state = {"ActiveState": "failed", "SubState": "failed", "Result": "signal", "ExecMainStatus": "9"}
    visitor = f"0: 00000003 00000000 00000000 0001 03 1 {host.layout.socket(NEW, 0)}\n"
    tables = [visitor, visitor, visitor]

    def table() -> str:
        now = tables.pop() if tables else ""
        host.log.append("busy" if now else "quiet")
        return now if host.serving() == "old" else ""

    for module in (_deployer, _drain):
        monkeypatch.setattr(module, "read_table", table)
    host.run(deployment)
    assert host.log.index("quiet") < host.log.index("stop")
    assert host.serving() == "old"


def test_a_look_that_fails_right_after_the_switch_costs_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(_deployer, "read_table", fail)
    deployment = host.deployment(host.install_old())
    host.run(deployment)
    assert (deployment.error, host.serving()) == ("", "new")
    assert host.files() == {f"{NEW}.service", f"{NEW}.socket"}


@pytest.mark.parametrize("what", ["table", "disable", "show"])
def test_what_fails_while_the_old_one_is_waited_for_keeps_nobody_from_looking_after_the_new_one(
    host: Host, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    real, calls = UnitDirectory.disable, [0]

    def fail(*_given: object) -> t.NoReturn:
        raise OSError(errno.EIO, "Input/output error")

    def once(*_given: object) -> dict[str, dict[str, str]]:
        calls[0] += 1
        return fail() if calls[0] == 1 else {f"shop@{NEW}.service": host.state}

    def disable(directory: UnitDirectory, names: t.Iterable[str]) -> None:
        listed = list(names)
        real(directory, listed)
        if calls[0] == 0 and any(OLD in name for name in listed):
            fail()

    deployment = host.deployment(host.install_old(), health={"watch": 1})
    host.state = {"ActiveState": "failed", "SubState": "failed", "Result": "signal", "ExecMainStatus": "9"}
    if what == "table":
        monkeypatch.setattr(_watch, "read_table", fail)
    elif what == "disable":
        monkeypatch.setattr(UnitDirectory, "disable", disable)
    else:
        monkeypatch.setattr(_deployer, "show", once)
    host.run(deployment)
    assert "ended (signal, exit status 9) soon after the switch" in deployment.error
    assert (host.serving(), host.at_boot()) == ("old", "old")


def test_a_release_that_cannot_be_asked_about_is_taken_away_nevertheless(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_names: object, _seconds: float) -> list[str]:
        raise CommandError("systemctl show: connection timed out")

    monkeypatch.setattr(_deployer, "wait_until_stopped", fail)
    host.problem = {"shop": HealthCheckError("/ answered 500")}
    deployment = host.deployment(host.install_old())
    host.run(deployment)
    assert host.files() == {f"{OLD}.service", f"{OLD}.socket"}
    assert "connection timed out" in deployment.error
    assert "forget behind" in host.log


def test_the_link_leads_back_also_where_the_old_one_cannot_be_enabled(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = host.deployment(host.install_old(), health={"watch": 1})
    host.state = {"ActiveState": "failed", "SubState": "failed", "Result": "signal", "ExecMainStatus": "9"}
    served: list[str] = []
    real = UnitDirectory.enable

    def enable(directory: UnitDirectory, names: t.Iterable[str]) -> None:
        listed = list(names)
        if any(OLD in name for name in listed):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(directory, listed)

    monkeypatch.setattr(UnitDirectory, "enable", enable)
    monkeypatch.setattr(_watch, "wait_until_drained", lambda _paths, _timeout: served.append(host.serving()))
    host.run(deployment)
    assert served == ["old"]
    assert "Rollback incomplete" in deployment.error
    assert "No space left on device" in deployment.error


def test_a_second_refusal_mends_what_the_first_could_not(host: Host) -> None:
    before = host.install_old()
    host.directory.disable([f"shop@{OLD}.socket"])
    deployment = host.deployment(replace(before, enabled=frozenset([f"shop@{OLD}.service"])), health={"watch": 1})
    host.state = {"ActiveState": "failed", "SubState": "failed", "Result": "signal", "ExecMainStatus": "9"}
    host.run(deployment)
    assert host.serving() == "old"
    assert host.directory.names()["enabled"] == {f"shop@{OLD}.service", f"shop@{OLD}.socket"}


def other_change(host: Host) -> Deployment:
    layout = Layout(host.layout.root, "wiki")
    os.makedirs(layout.base)
    manifest = replace(host.manifest(NEW), name="wiki")
    return Deployment.from_observed(
        Service(layout, manifest, WantedUnits(NEW, release_units(layout, manifest))), Observed()
    )


@pytest.mark.parametrize("ends", [False, True])
def test_nobody_waits_for_what_the_log_says_with_a_release_that_is_unhealthy(host: Host, ends: bool) -> None:
    deployment, other = host.deployment(host.install_old(), health={"watch": 1}), other_change(host)
    host.said = "\nIts log says: no"
    if ends:
        host.state = {"ActiveState": "failed", "SubState": "failed", "Result": "signal", "ExecMainStatus": "9"}
    else:
        host.problem = {"shop": HealthCheckError("/ answered 500"), "wiki": HealthCheckError("/ answered 404")}
    host.run(deployment, other)
    first = next(number for number, line in enumerate(host.log) if line.startswith("explain"))
    assert host.log[first].startswith("explain shop old old")
    assert not [line for line in host.log[first:] if not line.startswith("explain")]
    assert host.log[:first].count("reset-failed") == (1 if ends else 2)
    assert deployment.error.endswith("Its log says: no")


def test_a_log_that_cannot_be_read_hides_neither_the_failure_nor_a_secret(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_deployment: Deployment, _reason: str) -> str:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(host, "explain", fail)
    host.problem = {"shop": HealthCheckError("/ answered 500; it said: secret")}
    deployment = host.deployment(host.install_old())
    host.run(deployment)
    assert deployment.error == f"release {NEW} failed; reading its log failed, too: [Errno 5] Input/output error"
    assert (host.serving(), host.at_boot()) == ("old", "old")


def test_one_service_that_fails_does_not_keep_the_others(host: Host) -> None:
    good, bad = host.deployment(host.install_old()), other_change(host)
    host.problem = {"wiki": HealthCheckError("no")}
    host.run(bad, good)
    assert (bad.error, good.error) == ("no", "")
    assert host.serving() == "new"
    assert not os.path.lexists(bad.service.layout.current)


def test_an_absent_service_waits_for_a_release_that_still_ends(host: Host) -> None:
    before = replace(host.install_old(), units_stopping=frozenset(["shop@0000001-00000000.service"]))
    deployment = Deployment.from_observed(Service(host.layout, None, WantedUnits()), before)
    assert "shop@0000001-00000000.service" in deployment.plan.remove
    # A deploy has nothing to do with it.
    assert "shop@0000001-00000000.service" not in host.deployment(before).plan.remove


def test_an_absent_service_leaves_no_link_and_no_unit(host: Host) -> None:
    deployment = Deployment.from_observed(Service(host.layout, None, WantedUnits()), host.install_old())
    host.run(deployment)
    assert (host.serving(), host.at_boot(), host.files()) == ("none", "", set())


def test_a_run_that_died_after_the_switch_is_finished(host: Host) -> None:
    before = host.install_old()
    host.run(host.deployment(before))
    host.log.clear()
    units = release_units(host.layout, host.manifest(OLD))
    host.directory.write(units)
    names = frozenset([*units, *host.deployment(before).service.wanted.units])
    files = {name: host.directory.read(name) or "" for name in names}
    host.run(host.deployment(Observed(NEW, files, names, names, names)))
    assert host.log == ["stop service+socket new new", "forget behind"]
    assert host.files() == {f"{NEW}.service", f"{NEW}.socket"}


def test_a_unit_file_of_somebody_else_is_not_touched(host: Host) -> None:
    name = f"shop@{NEW}.service"
    (host.path / name).write_text("[Service]\n")
    with pytest.raises(ForeignUnitError, match="was not written by"):
        host.directory.check([name])
    masked = f"shop@{NEW}.service"
    Path(host.directory.path, masked).unlink(missing_ok=True)
    Path(host.directory.path, masked).symlink_to("/dev/null")
    with pytest.raises(ForeignUnitError, match=f"systemctl unmask {masked}"):
        host.directory.check([masked])
    Path(host.directory.path, masked).unlink()
    host.directory.check([f"shop@{OLD}.service"])


def test_what_a_killed_run_left_is_swept_when_it_is_old(host: Host) -> None:
    for name, age in ((".flaskops-old", 3600), (".flaskops-new", 0), ("other", 3600)):
        (host.path / name).write_text("")
        stat = (host.path / name).stat()
        os.utime(host.path / name, (stat.st_atime - age, stat.st_mtime - age))
    host.directory.remove_stale_temp_files()
    assert sorted(os.listdir(host.path)) == [".flaskops-new", "other"]


def test_hooks_run_before_the_start_before_the_switch_and_after_the_stop(host: Host) -> None:
    host.run(host.deployment(host.install_old()))
    assert host.hooks == ["migrate old", "before_switch old", "after_switch new"]


@pytest.mark.parametrize("stage", ["migrate", "before_switch"])
def test_a_hook_that_fails_before_the_switch_costs_nothing(host: Host, stage: str) -> None:
    deployment = host.deployment(host.install_old())
    host.failing = {stage}
    host.run(deployment)
    assert deployment.error.splitlines() == [
        f"hook {stage} failed",
        f"Release {NEW} was removed before the switch; {OLD} still serves.",
    ]
    assert (host.serving(), host.at_boot()) == ("old", "old")
    assert host.files() == {f"{OLD}.service", f"{OLD}.socket"}


def test_nothing_is_started_when_the_migration_fails(host: Host) -> None:
    host.failing = {"migrate"}
    host.run(host.deployment(host.install_old()))
    assert not [line for line in host.log if line.startswith(("start", "gate"))]


def test_a_hook_that_fails_after_the_switch_leaves_the_new_release_and_is_told(host: Host) -> None:
    deployment = host.deployment(host.install_old())
    host.failing = {"after_switch"}
    host.run(deployment)
    assert (deployment.error, host.serving(), host.at_boot()) == ("", "new", "new")
    assert (
        deployment.post_switch_error
        == f"release {NEW} is live, but its after_switch hook failed: hook after_switch failed"
    )
    assert host.files() == {f"{NEW}.service", f"{NEW}.socket"}


def test_no_hook_runs_when_the_release_serves_already(host: Host) -> None:
    manifest = host.manifest(OLD)
    deployment = Deployment.from_observed(
        Service(host.layout, manifest, WantedUnits(OLD, release_units(host.layout, manifest))), host.install_old()
    )
    host.run(deployment)
    assert host.hooks == []


@pytest.fixture
def scarce(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Let 100 MiB be available where the old release uses 150."""
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "memory.current").write_text(f"{200 * 2**20}\n")
    (tmp_path / "old" / "memory.stat").write_text(f"anon 1\nactive_file {30 * 2**20}\ninactive_file {20 * 2**20}\n")
    monkeypatch.setattr(_memory, "_CGROUPS", str(tmp_path))
    real = _files.read_file
    meminfo = f"MemTotal: 9999999 kB\nMemAvailable:  {100 * 1024} kB\n".encode()
    monkeypatch.setattr(_memory, "read_file", lambda path: meminfo if path == "/proc/meminfo" else real(path))
    return host


def test_history_knows_whether_a_release_that_failed_was_started(scarce: Host) -> None:
    refused, ill = scarce.deployment(scarce.install_old()), scarce.deployment(Observed())
    scarce.run(refused)
    scarce.overlap, scarce.problem = "always", {"shop": HealthCheckError("/ answered 500")}
    scarce.run(ill)
    results = [_finish.history_entry(deployment, {}) for deployment in (refused, ill)]
    assert [(line["result"], line["started"]) for line in results] == [("failed", False), ("failed", True)]


def test_a_release_that_does_not_fit_beside_the_old_one_is_refused_before_anything_is_started(scarce: Host) -> None:
    deployment = scarce.deployment(scarce.install_old())
    scarce.run(deployment)
    assert "uses 150 MiB of memory, and 100 MiB are available" in deployment.error
    assert "gunicorn_overlap: fallback" in deployment.error
    assert (scarce.serving(), scarce.hooks) == ("old", [])
    assert not [line for line in scarce.log if line.startswith(("start", "gate"))]


def test_nobody_looks_at_the_memory_when_told_so(scarce: Host) -> None:
    scarce.overlap = "always"
    deployment = scarce.deployment(scarce.install_old())
    scarce.run(deployment)
    assert (deployment.error, scarce.serving()) == ("", "new")


@pytest.mark.parametrize("overlap", ["fallback", "never"])
def test_the_old_release_stops_first_where_there_is_no_room(scarce: Host, overlap: str) -> None:
    scarce.overlap = overlap
    deployment = scarce.deployment(scarce.install_old())
    scarce.run(deployment)
    assert (deployment.error, scarce.serving()) == ("", "new")
    first = [line for line in scarce.log if line.startswith(("stop", "start"))]
    assert first[:2] == ["stop socket old old", "stop service old old"]
    assert scarce.files() == {f"{NEW}.service", f"{NEW}.socket"}


def test_the_old_release_is_started_again_when_the_new_one_is_refused(scarce: Host) -> None:
    scarce.overlap = "fallback"
    scarce.problem = {"shop": HealthCheckError("/ answered 500")}
    deployment = scarce.deployment(scarce.install_old())
    scarce.run(deployment)
    assert deployment.error.splitlines() == [
        "/ answered 500",
        f"{OLD} had been stopped to free memory, and was started again.",
    ]
    assert (scarce.serving(), scarce.log[-2:]) == ("old", ["room start", "explain shop old old"])


def test_the_old_release_is_started_again_even_when_the_new_one_cannot_be_ended(
    scarce: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_words: object) -> None:
        raise CommandError("stop: connection timed out")

    scarce.overlap, scarce.said = "fallback", "\nIts log says: no"
    scarce.problem = {"shop": HealthCheckError("/ answered 500")}
    monkeypatch.setattr(_deployer, "run", fail)
    deployment = scarce.deployment(scarce.install_old())
    scarce.run(deployment)
    assert "room start" in scarce.log
    assert deployment.error.splitlines() == [
        "/ answered 500",
        "Its log says: no",
        f"{OLD} had been stopped to free memory, and was started again.",
        "Rollback incomplete; the next run retries: stop: connection timed out",
    ]


def test_where_nobody_serves_a_refused_release_gets_no_time_to_end(
    scarce: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    def wait(_names: t.Collection[str], seconds: float) -> list[str]:
        waited.append(seconds)
        return []

    monkeypatch.setattr(_deployer, "wait_until_stopped", wait)
    scarce.problem = {"shop": HealthCheckError("/ answered 500")}
    scarce.overlap = "fallback"
    scarce.run(scarce.deployment(scarce.install_old()))
    scarce.overlap = "always"
    scarce.run(scarce.deployment(Observed()))
    assert waited == [0, 5]


def test_the_old_release_is_started_again_at_once_when_the_site_was_wrong(
    scarce: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody serves meanwhile: visitors of the refused release are not given its drain_timeout.
    scarce.overlap = "never"
    deployment = scarce.deployment(scarce.install_old(), drain_timeout=30)
    service = replace(deployment.service, chain=ForwardedChain("/srv/shop/current", "shop.test"))
    deployment = replace(deployment, service=service)
    monkeypatch.setattr(
        _proxy_check, "check_forwarded_headers", lambda *_args: HeaderCheckResult(wrong="it believes too much")
    )
    waited: list[float] = []
    monkeypatch.setattr(_watch, "wait_until_drained", lambda _paths, timeout: waited.append(timeout))
    scarce.run(deployment)
    assert "it believes too much" in deployment.error
    assert f"{OLD} had been stopped to free memory, and was started again" in deployment.error
    assert scarce.serving() == "old"
    assert waited == []


def test_the_first_release_needs_no_room_beside_another(scarce: Host) -> None:
    deployment = scarce.deployment(Observed())
    scarce.run(deployment)
    assert (deployment.error, scarce.serving()) == ("", "new")


def test_without_a_count_of_systemd_the_memory_of_the_processes_is_summed_up() -> None:
    rollup = "Rss: 9000 kB\nPss: 900 kB\nPss_Anon:  100 kB\nPss_File: 500 kB\nPss_Shmem:   20 kB\n"
    assert _memory.parse_own(rollup) == 120 * 1024


@pytest.mark.parametrize(
    ("state", "silence", "says"),
    [
        (
            {"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "3"},
            "",
            "ended (exit-code, exit status 3)",
        ),
        ({"ActiveState": "activating", "SubState": "auto-restart"}, "", "ended"),
        ({}, "systemd could not be asked: timeout", "could not be asked"),
    ],
)
def test_a_release_that_ended_after_its_health_check_gets_no_traffic(
    host: Host, state: dict[str, str], silence: str, says: str
) -> None:
    """Hooks and other releases take their time between the gate and the switch."""
    deployment = host.deployment(host.install_old())
    host.before, host.silence = state, silence
    host.run(deployment)
    assert says in deployment.error
    assert (host.serving(), host.at_boot()) == ("old", "old")
    assert not [line for line in host.log if line.startswith("keep")]


@pytest.mark.parametrize(("needed", "watch", "seconds"), [(0.2, 0, 0.0), (1.0, 0, 0.5), (9.0, 0, 1.0), (0.2, 5, 5.0)])
def test_a_release_is_watched_for_half_as_long_as_it_needed_to_load(
    host: Host, needed: float, watch: int, seconds: float
) -> None:
    deployment = host.deployment(host.install_old(), health={"watch": watch})
    deployment.health_check = deployment.new_health_check()
    assert deployment.health_check
    deployment.health_check.probes[0].seconds = needed
    assert _watch.watch_seconds(deployment, time.monotonic()) == pytest.approx(seconds, abs=0.05)
    deployment.service = replace(deployment.service, rollback=True)
    assert _watch.watch_seconds(deployment, time.monotonic()) == pytest.approx(watch, abs=0.05)
    first = host.deployment(Observed(), health={"watch": watch})
    assert _watch.watch_seconds(first, 0.0) == 0.0


def test_an_edited_unit_is_written_again_and_nothing_is_restarted(host: Host) -> None:
    os.makedirs(host.layout.release(NEW))
    host.run(host.deployment(host.install_old()))
    units = release_units(host.layout, host.manifest(NEW))
    assert recorded_units(host.layout, NEW) == units
    service = f"shop@{NEW}.service"
    (host.path / service).write_text(units[service].replace("Restart=always", "Restart=no"))
    names = frozenset(units)
    files = {name: (host.path / name).read_text() for name in units}
    observed = Observed(NEW, files, names, names, names, loaded=names, recorded=recorded_units(host.layout, NEW))
    host.log.clear()
    deployment = host.deployment(observed)
    host.run(deployment)
    assert (deployment.error, (host.path / service).read_text()) == ("", units[service])
    assert host.log == ["reload"]
    assert f"{service} was edited on the host, and is as the release has it again" in cautions(deployment)[0]
    assert f"{service} was edited on the host, and the next run" in cautions(deployment, done=False)[0]
    assert "-Restart=no" in "".join(
        difflib.ndiff(*(report([deployment])["diff"][0][key].splitlines(True) for key in ("before", "after")))
    ).replace("- ", "-")


def test_drop_ins_are_told_and_left_alone(host: Host) -> None:
    before = host.install_old()
    (host.path / "shop@.service.d").mkdir()
    (host.path / "shop@.service.d" / "memory.conf").write_text("[Service]\nMemoryMax=1G\n")
    (host.path / "wiki@.service.d").mkdir()
    (host.path / "wiki@.service.d" / "memory.conf").touch()
    found = drop_ins(str(host.path), "shop")
    assert found == [str(host.path / "shop@.service.d" / "memory.conf")]
    deployment = host.deployment(replace(before, drop_ins=tuple(found)))
    host.run(deployment)
    assert "memory.conf changes units of this application beside its releases" in cautions(deployment)[0]
    assert "gunicorn settings (sandbox, memory_max" in cautions(deployment)[0]


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"a": 1}', b"[" * 100_000])
def test_a_damaged_record_of_units_is_none(host: Host, content: bytes) -> None:
    os.makedirs(host.layout.release(NEW))
    Path(host.layout.release(NEW), "units.json").write_bytes(content)
    assert recorded_units(host.layout, NEW) == {}
