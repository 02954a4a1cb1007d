# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deployer, on a simulated host."""

from __future__ import annotations

import difflib
import errno
import os
import socket
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import deployer as _deployer
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import finish as _finish
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import memory_use as _memory_use
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import proxy_check as _proxy_check
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import room as _room
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import start as _start
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import watch as _watch
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.deployer import Deployer
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.deployment import Deployment, Service
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.edited_units import drop_ins, recorded_units
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.hook_run import HookResult
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.memory import explain_shortage
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.observe import (
    ForeignUnitError,
    UnitDirectory,
    observe,
)
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.plan import (
    Observed,
    WantedUnits,
)
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.release_warnings import release_warnings
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.report import report
from ansible_collections.flaskops.stack.plugins.module_utils._input.hooks import HookError
from ansible_collections.flaskops.stack.plugins.module_utils._release import assets as _assets
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout, Manifest
from ansible_collections.flaskops.stack.plugins.module_utils._release.proxy_probe import HeaderCheckResult
from ansible_collections.flaskops.stack.plugins.module_utils._release.release import write_manifest
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import parse_settings
from ansible_collections.flaskops.stack.plugins.module_utils._service.units import address_units, release_units
from ansible_collections.flaskops.stack.plugins.module_utils._service.worker_mark import with_mark
from ansible_collections.flaskops.stack.plugins.module_utils._service.worker_room import Room, find_room
from ansible_collections.flaskops.stack.plugins.module_utils._site.forwarded import ForwardedChain
from ansible_collections.flaskops.stack.plugins.module_utils._system import files as _files
from ansible_collections.flaskops.stack.plugins.module_utils._system.command import CommandError
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_system import MIB, simulate

NEW, OLD, WIKI = "3f2a91c-1b9e02d4", "90b1c7e-77aa01f2", "77aa01f-90b1c7e2"


class Full(UnitDirectory):
    """A unit directory whose disk fails when certain units are written, enabled or disabled."""

    def __init__(self, host: Host, step: str, word: str, error: int) -> None:
        super().__init__(host.sim.host, host.directory.path, str(host.runtime))
        self._step, self._word, self._error = step, word, error

    def _fail(self, step: str, names: t.Iterable[str]) -> None:
        if step == self._step and any(self._word in name for name in names):
            raise OSError(self._error, os.strerror(self._error))

    def write(self, units: t.Mapping[str, str]) -> None:
        self._fail("write", units)
        super().write(units)

    def enable(self, names: t.Iterable[str]) -> None:
        listed = list(names)
        self._fail("enable", listed)
        super().enable(listed)

    def disable(self, names: t.Iterable[str]) -> None:
        listed = list(names)
        super().disable(listed)
        self._fail("disable", listed)


class Host:
    """A simulated host with an application, and a log of what systemd is told."""

    def __init__(self, path: Path) -> None:
        self.layout = Layout(str(path / "srv"), "shop")
        self.path, self.runtime = path / "system", path / "runtime"
        os.makedirs(self.layout.base)
        os.makedirs(self.path)
        self.sim = simulate(self.path, self.runtime)
        self.directory = UnitDirectory(self.sim.host, str(self.path), str(self.runtime))
        self.new, self.old = self.sim.systemd.app(NEW), self.sim.systemd.app(OLD)
        self.log: list[str] = []
        self.sim.commands.before.append(self.note)
        self.hooks: list[str] = []
        self.overlap = "refuse"
        # What the log adds to a reason, or why it cannot be read.
        self.said = ""
        self.unreadable: list[OSError] = []
        self.failing: set[str] = set()
        # What happens while a hook runs.
        self.meanwhile: t.Callable[[], object] = lambda: None

    def note(self, words: list[str]) -> None:
        """Log what systemd is told, and what serves now and would after a reboot."""
        if words[0] == "systemd-run":
            self.log.append(f"arm {self.serving()}")
        elif words[0] == "sh":
            self.log.append("forget later")
        elif words[0] == "systemctl" and words[1] in ("daemon-reload", "reset-failed"):
            self.log.append({"daemon-reload": "reload"}.get(words[1], words[1]))
        elif words[0] == "systemctl" and words[1] != "show":
            kinds = sorted({unit.rpartition(".")[2] for unit in words[words.index("--") + 1 :]})
            self.log.append(f"{words[1]} {'+'.join(kinds)} {self.serving()} {self.at_boot()}")

    def serving(self) -> str:
        link = self.layout.current
        return {NEW: "new", OLD: "old"}[os.path.basename(os.readlink(link))] if os.path.islink(link) else "none"

    def at_boot(self) -> str:
        names = self.directory.names()["enabled"]
        return "+".join(word for word, release in (("old", OLD), ("new", NEW)) if any(release in n for n in names))

    def manifest(self, release: str, **settings: object) -> Manifest:
        source = {"type": "git", "location": "", "version": "", "revision": ""}
        health = {"health": {"timeout": 1}}
        return Manifest("shop", release, "u", "g", source, "", "a:b", parse_settings({**health, **settings}))

    def make(self, manifest: Manifest) -> None:
        """Make as much of a release as a deploy reads."""
        directory = Layout(self.layout.root, manifest.name).release(manifest.id)
        os.makedirs(directory)
        write_manifest(directory, manifest)
        Path(directory, "gunicorn.conf.py").write_text(with_mark(""))

    def install_old(self, **settings: object) -> Observed:
        """Let an old release serve, and return what is observed."""
        manifest = self.manifest(OLD, **settings)
        self.make(manifest)
        units = release_units(self.layout, manifest)
        self.directory.write(units)
        self.directory.enable(units)
        os.symlink(f"releases/{OLD}", self.layout.current)
        for name in units:
            self.sim.systemd.start(name)
        self.sim.clock.sleep(100)
        return self.observed()

    def observed(self) -> Observed:
        return observe(self.sim.host, self.directory, [self.layout])["shop"]

    def deployment(self, observed: Observed, **settings: object) -> Deployment:
        manifest = self.manifest(NEW, **settings)
        if not os.path.isdir(self.layout.release(NEW)):
            self.make(manifest)
        return self.deployment_of(WantedUnits(NEW, release_units(self.layout, manifest)), observed, manifest)

    def deployment_of(self, wanted: WantedUnits, observed: Observed, manifest: Manifest | None) -> Deployment:
        return Deployment.from_observed(Service(self.layout, manifest, wanted), observed, self.sim.host)

    def run(self, *deployments: Deployment) -> None:
        Deployer(self.sim.host, self.directory, self.explain, self.run_hooks, self.overlap).run(deployments)

    def explain(self, deployment: Deployment, reason: str) -> str:
        self.log.append(f"explain {deployment.service.name} {self.serving()} {self.at_boot()}")
        for error in self.unreadable:
            raise error
        return reason + self.said

    def run_hooks(self, _deployment: Deployment, stage: str) -> list[HookResult]:
        if stage in self.failing:
            raise HookError(f"hook {stage} failed")
        self.hooks.append(f"{stage} {self.serving()}")
        if stage == "before_switch":
            self.sim.clock.sleep(1)
            self.meanwhile()
        return []

    def files(self) -> set[str]:
        return {name.split("@")[1] for name in self.directory.names()["files"]}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Host]:
    monkeypatch.setattr(_assets, "PREVIOUS", str(tmp_path / "previous"))
    made = Host(tmp_path)
    yield made
    # Threads that still ask an application come to their end.
    made.sim.clock.sleep(100)


def test_at_every_step_a_reboot_would_serve(host: Host) -> None:
    host.run(host.deployment(host.install_old()))
    assert host.log == [
        "start service+socket old old",
        "start socket old old",
        "arm old",
        "stop service+socket new new",
        "forget later",
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
    host.new.status = 500
    deployment = host.deployment(host.install_old())
    host.run(deployment)
    assert deployment.error.startswith("instance 0: / answered 500")
    assert (host.serving(), host.at_boot()) == ("old", "old")
    assert host.files() == {f"{OLD}.service", f"{OLD}.socket"}


def test_a_unit_that_systemd_does_not_start_aborts_before_the_health_check(host: Host) -> None:
    deployment = host.deployment(host.install_old())
    host.sim.commands.fail("systemctl start", "start failed")
    host.run(deployment)
    assert (deployment.error, host.serving()) == ("start failed", "old")
    assert host.sim.http.requests == []


def test_when_units_cannot_be_loaded_nothing_is_left(host: Host) -> None:
    before = host.install_old()
    deployment = host.deployment(replace(before, loaded=frozenset(release_units(host.layout, host.manifest(NEW)))))
    host.sim.commands.fail("daemon-reload", times=1)
    host.run(deployment)
    assert (deployment.error, host.serving()) == ("connection timed out", "old")
    assert host.files() == {f"{OLD}.service", f"{OLD}.socket"}


def test_what_systemd_remembers_otherwise_it_reads_again(host: Host) -> None:
    before = host.install_old()
    host.run(host.deployment(replace(before, loaded=frozenset([f"shop@{NEW}.service"]))))
    assert host.log[0] == "reload"


def test_a_file_that_systemd_has_overlooked_makes_it_read_all(host: Host) -> None:
    deployment = host.deployment(host.install_old())
    host.sim.commands.fail("systemctl start", "Failed to start x.socket: Unit x.socket not found.", times=1)
    host.run(deployment)
    assert (deployment.error, host.serving()) == ("", "new")
    assert host.log[:3] == ["start service+socket old old", "reload", "start service+socket old old"]


def verified(host: Host) -> list[str]:
    """Return the units that systemd was asked to verify, and forget that."""
    words = [word for argv in host.sim.commands.asked if argv[0] == "systemd-analyze" for word in argv[2:]]
    host.sim.commands.asked.clear()
    return [os.path.basename(word) for word in words]


def test_units_like_those_of_the_current_release_need_no_verification(host: Host) -> None:
    before = host.install_old()
    host.run(host.deployment(before))
    assert verified(host) == []
    host.run(host.deployment(before, memory_max="1G"))
    assert verified(host) == [f"shop@{NEW}.service"]


def test_one_that_may_take_long_to_end_is_waited_for(host: Host) -> None:
    host.run(host.deployment(host.install_old(graceful_timeout=200)))
    assert host.log[-2:] == ["reload", "reset-failed"]


def test_one_that_may_take_longer_than_systemd_lets_it_is_waited_for(host: Host) -> None:
    host.sim.systemd.default_stop = "20s"
    host.run(host.deployment(host.install_old()))
    assert host.log[-2:] == ["reload", "reset-failed"]


def test_an_old_release_that_cannot_be_stopped_is_left_to_the_next_run(host: Host) -> None:
    deployment = host.deployment(host.install_old())
    host.sim.commands.fail("systemctl stop")
    host.run(deployment)
    assert (deployment.error, host.serving(), host.at_boot()) == ("", "new", "new")
    assert deployment.lingering == [f"shop@{OLD}.service", f"shop@{OLD}.socket"]
    assert "connection timed out" in deployment.step_warning
    assert "next run" in deployment.step_warning


def test_a_forwarder_that_does_not_start_again_undoes_the_switch(host: Host) -> None:
    host.install_old()
    manifest = host.manifest(NEW, bind=["127.0.0.1:8000"])
    forwards = address_units(host.layout, manifest)
    old = {name: text + "# old\n" for name, text in forwards.items()}
    host.directory.write(old)
    for name in forwards:
        host.sim.systemd.start(name)
    host.make(manifest)
    wanted = WantedUnits(NEW, release_units(host.layout, manifest), forwards)
    deployment = host.deployment_of(wanted, host.observed(), manifest)
    host.sim.commands.fail("systemctl restart", times=1)
    host.run(deployment)
    assert "connection timed out" in deployment.error
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
def test_an_address_that_cannot_be_had_is_named_with_the_way_out(host: Host, taken: bool, said: str, why: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        if not taken:
            other.close()
        before = host.install_old()
        manifest = host.manifest(NEW, bind=[address, "[::1]:81"])
        wanted = WantedUnits(NEW, release_units(host.layout, manifest), address_units(host.layout, manifest))
        host.sim.systemd.taken = {address}
        host.sim.commands.journal[f"shop@tcp-{address}.socket"] = said
        host.make(manifest)
        deployment = host.deployment_of(wanted, before, manifest)
        host.run(deployment)
    assert deployment.error.startswith(f"nothing can listen on '{address}' of bind: {why}")
    assert "'ss -ltnp'" in deployment.error
    assert "::1" not in deployment.error
    assert host.serving() == "old"


def test_an_address_that_another_of_the_application_includes_is_named_with_it(host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        address, every = (f"{name}:{ours.getsockname()[1]}" for name in ("127.0.0.1", "0.0.0.0"))
        before = host.install_old()
        manifest = host.manifest(NEW, bind=[address, every], allow_public_bind=True)
        wanted = WantedUnits(NEW, release_units(host.layout, manifest), address_units(host.layout, manifest))
        host.sim.systemd.taken = {every}
        host.make(manifest)
        deployment = host.deployment_of(wanted, before, manifest)
        host.run(deployment)
    assert f"'{every}' of bind: Address already in use, by '{address}' of bind: list one" in deployment.error


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


def fails_after_the_switch(host: Host, *errors: Exception) -> None:
    """Let systemd give no states, as often as there are errors, once the new release is live."""
    left = list(errors)

    def fail(words: list[str]) -> None:
        if words[:2] == ["systemctl", "show"] and host.serving() == "new" and left:
            raise left.pop()

    host.sim.commands.before.append(fail)


@pytest.mark.parametrize("hiccups", [1, 3])
def test_a_systemd_that_does_not_answer_for_a_moment_is_asked_again(host: Host, hiccups: int) -> None:
    deployment = host.deployment(host.install_old(), health={"watch": 1})
    fails_after_the_switch(host, *[CommandError("show: connection timed out")] * hiccups)
    host.run(deployment)
    assert (deployment.error, host.serving()) == ("", "new")


def test_a_full_disk_is_named_and_leaves_the_old_release(host: Host) -> None:
    deployment = host.deployment(host.install_old())
    host.directory = Full(host, "write", NEW, errno.ENOSPC)
    host.run(deployment)
    assert deployment.error.startswith("the disk is full: the file system at /")
    assert (host.serving(), host.at_boot()) == ("old", "old")


def test_what_cannot_be_undone_is_said(host: Host) -> None:
    deployment = host.deployment(host.install_old())
    host.new.status = 500
    host.sim.commands.fail(f"systemctl stop.*{NEW}", "stop: connection timed out")
    host.run(deployment)
    assert deployment.error.startswith("instance 0: / answered 500")
    assert "stop: connection timed out" in deployment.error
    assert "next run" in deployment.error
    assert (host.serving(), host.at_boot()) == ("old", "old")


@pytest.mark.parametrize("busy", [False, True])
def test_nothing_is_told_to_end_that_was_not_looked_after_a_moment_before(host: Host, busy: bool) -> None:
    looked: list[float] = []
    stopped: list[float] = []

    def note(words: list[str]) -> None:
        if words[:2] in (["systemctl", "show"], ["systemctl", "stop"]):
            (looked if words[1] == "show" else stopped).append(host.sim.clock.now)

    deployment = host.deployment(host.install_old())
    host.sim.commands.before.append(note)
    if busy:
        # A visitor waits for an answer of the old release until some time after the switch.
        host.sim.kernel.visit(host.layout.socket(OLD, 0), 2)
    began = host.sim.clock.now
    host.run(deployment)
    switched = host.sim.kernel.looks[0]
    assert stopped[0] - looked[-1] < 0.1
    assert looked[-1] - switched >= 0.079
    assert stopped[0] - switched >= 0.1
    assert (stopped[0] - began >= 2) == busy


EXITS = 1.3


def test_one_that_ends_after_the_switch_is_switched_back_from(host: Host) -> None:
    deployment = host.deployment(host.install_old(), health={"watch": 1})
    host.new.exits_after = EXITS
    host.run(deployment)
    assert "ended (exit-code, exit status 3) soon after the switch" in deployment.error
    assert (host.serving(), host.at_boot()) == ("old", "old")
    assert host.files() == {f"{OLD}.service", f"{OLD}.socket"}


@pytest.mark.parametrize(("watch", "serves"), [(1, "old"), (0, "new")])
def test_one_whose_workers_die_is_switched_back_from_when_it_is_watched(host: Host, watch: int, serves: str) -> None:
    host.new.log = "[1] [ERROR] Worker (pid:7) was sent SIGSEGV!\n"
    deployment = host.deployment(host.install_old(), health={"watch": watch})
    host.run(deployment)
    assert ("died ([1] [ERROR] Worker (pid:7) was sent SIGSEGV!) soon after" in deployment.error) == (serves == "old")
    assert (host.serving(), host.at_boot()) == (serves, serves)


def test_visitors_of_a_release_that_is_switched_back_from_are_let_finish(host: Host) -> None:
    deployment = host.deployment(host.install_old(), health={"watch": 1})
    host.new.exits_after = EXITS
    host.sim.kernel.visit(host.layout.socket(NEW, 0), 5)
    answered, stopped = host.sim.clock.now + 5, []
    host.sim.commands.before.append(
        lambda words: stopped.append(host.sim.clock.now) if words[1] == "stop" and NEW in words[-1] else None
    )
    host.run(deployment)
    assert stopped[0] >= answered
    assert host.serving() == "old"


def test_a_look_that_fails_right_after_the_switch_costs_nothing(host: Host) -> None:
    deployment = host.deployment(host.install_old())
    host.sim.kernel.table_fails = [OSError(errno.EMFILE, "Too many open files")]
    host.run(deployment)
    assert (deployment.error, host.serving()) == ("", "new")
    assert host.files() == {f"{NEW}.service", f"{NEW}.socket"}


@pytest.mark.parametrize("what", ["table", "disable", "show"])
def test_what_fails_while_the_old_one_is_waited_for_keeps_nobody_from_looking_after_the_new_one(
    host: Host, what: str
) -> None:
    deployment = host.deployment(host.install_old(), health={"watch": 1})
    host.new.exits_after = EXITS
    if what == "table":
        host.sim.kernel.table_fails = [OSError(errno.EIO, "Input/output error")] * 50
    elif what == "disable":
        host.directory = Full(host, "disable", OLD, errno.EIO)
    else:
        fails_after_the_switch(host, OSError(errno.EIO, "Input/output error"))
    host.run(deployment)
    assert "ended (exit-code, exit status 3) soon after the switch" in deployment.error
    assert (host.serving(), host.at_boot()) == ("old", "old")


def test_a_release_that_cannot_be_asked_about_is_taken_away_nevertheless(host: Host) -> None:
    def fail(words: list[str]) -> None:
        if words[1] == "show" and any(line.startswith("stop") for line in host.log):
            raise CommandError("systemctl show: connection timed out")

    deployment = host.deployment(host.install_old())
    host.new.status = 500
    host.sim.commands.before.append(fail)
    host.run(deployment)
    assert host.files() == {f"{OLD}.service", f"{OLD}.socket"}
    assert "connection timed out" in deployment.error
    assert "forget later" in host.log


def test_the_link_leads_back_also_where_the_old_one_cannot_be_enabled(host: Host) -> None:
    deployment = host.deployment(host.install_old(), health={"watch": 1})
    host.new.exits_after = EXITS
    host.directory = Full(host, "enable", OLD, errno.ENOSPC)
    host.run(deployment)
    assert next(line for line in host.log if line.startswith("stop")).startswith("stop service+socket old")
    assert "Rollback incomplete" in deployment.error
    assert "No space left on device" in deployment.error


def test_a_second_refusal_mends_what_the_first_could_not(host: Host) -> None:
    before = host.install_old()
    host.directory.disable([f"shop@{OLD}.socket"])
    deployment = host.deployment(replace(before, enabled=frozenset([f"shop@{OLD}.service"])), health={"watch": 1})
    host.new.exits_after = EXITS
    host.run(deployment)
    assert host.serving() == "old"
    assert host.directory.names()["enabled"] == {f"shop@{OLD}.service", f"shop@{OLD}.socket"}


def other_change(host: Host, **settings: object) -> Deployment:
    layout = Layout(host.layout.root, "wiki")
    os.makedirs(layout.base)
    manifest = replace(host.manifest(WIKI, **settings), name="wiki")
    host.make(manifest)
    wanted = WantedUnits(WIKI, release_units(layout, manifest))
    return Deployment.from_observed(Service(layout, manifest, wanted), Observed(), host.sim.host)


@pytest.mark.parametrize("ends", [False, True])
def test_nobody_waits_for_what_the_log_says_with_a_release_that_is_unhealthy(host: Host, ends: bool) -> None:
    deployment, other = host.deployment(host.install_old(), health={"watch": 1}), other_change(host)
    host.said = "\nIts log says: no"
    if ends:
        host.new.exits_after = EXITS
    else:
        host.new.status, host.sim.systemd.app(WIKI).status = 500, 404
    host.run(deployment, other)
    first = next(number for number, line in enumerate(host.log) if line.startswith("explain"))
    assert host.log[first].startswith("explain shop old old")
    assert not [line for line in host.log[first:] if not line.startswith("explain")]
    assert host.log[:first].count("reset-failed") == (1 if ends else 2)
    assert deployment.error.endswith("Its log says: no")


def test_a_log_that_cannot_be_read_hides_neither_the_failure_nor_a_secret(host: Host) -> None:
    host.unreadable.append(OSError(errno.EIO, "Input/output error"))
    host.new.status, host.new.body = 500, b"secret"
    deployment = host.deployment(host.install_old())
    host.run(deployment)
    assert deployment.error == f"release {NEW} failed; reading its log failed, too: [Errno 5] Input/output error"
    assert (host.serving(), host.at_boot()) == ("old", "old")


def test_one_service_that_fails_does_not_keep_the_others(host: Host) -> None:
    good, bad = host.deployment(host.install_old()), other_change(host)
    host.sim.systemd.app(WIKI).status = 404
    host.run(bad, good)
    assert bad.error.startswith("instance 0: / answered 404")
    assert (good.error, host.serving()) == ("", "new")
    assert not os.path.lexists(bad.service.layout.current)


@pytest.mark.parametrize("first", [0, 1])
def test_a_release_that_may_not_run_beside_another_is_not_kept_waiting_by_other_services(
    host: Host, first: int
) -> None:
    alone, slow = host.deployment(host.install_old(), overlap="never"), other_change(host, health={"timeout": 30})
    host.sim.systemd.app(WIKI).status = 404
    host.run(*[(slow, alone), (alone, slow)][first])
    assert slow.error.startswith("instance 0: / answered 404")
    assert (alone.error, host.serving()) == ("", "new")
    assert 0 < alone.gap <= alone.seconds < 5
    assert slow.seconds > 30


def test_services_that_are_deployed_together_share_the_memory_from_the_first_release_on(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared: list[list[str]] = []
    monkeypatch.setattr(_start, "limit_workers", lambda _one, together: shared.append(sorted(together)))
    host.run(host.deployment(Observed()), other_change(host))
    assert shared == [["shop", "wiki"]] * 2


def test_an_absent_service_waits_for_a_release_that_still_ends(host: Host) -> None:
    before = replace(host.install_old(), units_stopping=frozenset(["shop@0000001-00000000.service"]))
    deployment = host.deployment_of(WantedUnits(), before, None)
    assert "shop@0000001-00000000.service" in deployment.plan.remove
    # A deploy has nothing to do with it.
    assert "shop@0000001-00000000.service" not in host.deployment(before).plan.remove


def test_an_absent_service_leaves_no_link_and_no_unit(host: Host) -> None:
    deployment = host.deployment_of(WantedUnits(), host.install_old(), None)
    host.run(deployment)
    assert (host.serving(), host.at_boot(), host.files()) == ("none", "", set())


def test_a_run_that_died_after_the_switch_is_finished(host: Host) -> None:
    deployment = host.deployment(host.install_old())
    host.run(deployment)
    units = release_units(host.layout, host.manifest(OLD))
    host.directory.write(units)
    for name in units:
        host.sim.systemd.start(name)
    host.log.clear()
    host.run(host.deployment(host.observed()))
    assert host.log == ["stop service+socket new new", "forget later"]
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
    assert not [line for line in host.log if line.startswith("start")]


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
    before, manifest = host.install_old(), host.manifest(OLD)
    host.run(host.deployment_of(WantedUnits(OLD, release_units(host.layout, manifest)), before, manifest))
    assert host.hooks == []


@pytest.fixture
def scarce(host: Host) -> Host:
    """Let 100 MiB be available where the old release uses 150."""
    host.sim.kernel.available = 100 * MIB
    host.old.memory = 150 * MIB
    return host


def test_history_knows_whether_a_release_that_failed_was_started(scarce: Host) -> None:
    refused = scarce.deployment(scarce.install_old())
    scarce.run(refused)
    failed = scarce.deployment(Observed())
    scarce.overlap, scarce.new.status = "always", 500
    scarce.run(failed)
    results = [_finish.history_entry(deployment, {}) for deployment in (refused, failed)]
    assert [(line["result"], line["started"]) for line in results] == [("failed", False), ("failed", True)]


def test_a_release_that_does_not_fit_beside_the_old_one_is_refused_before_anything_is_started(scarce: Host) -> None:
    deployment = scarce.deployment(scarce.install_old())
    scarce.run(deployment)
    said = "needs about 150 MiB of memory beside the one that serves, by what that uses, and 100 MiB are available"
    assert said in deployment.error
    assert deployment.error.startswith(explain_shortage(NEW, 150 * MIB, 100 * MIB))
    assert "gunicorn_overlap: fallback" in deployment.error
    assert (scarce.serving(), scarce.hooks) == ("old", [])
    assert not [line for line in scarce.log if line.startswith("start")]


@pytest.mark.parametrize(("workers", "fits"), [(1, True), (2, False), (3, False)])
def test_a_release_with_fewer_workers_needs_less_beside_the_old_one(scarce: Host, workers: int, fits: bool) -> None:
    deployment = scarce.deployment(scarce.install_old(), workers=workers)
    scarce.run(deployment)
    assert bool(deployment.error) is not fits
    assert scarce.serving() == ("new" if fits else "old")


@pytest.mark.parametrize(
    ("variables", "fits"),
    [
        ("", True),
        ('WEB_CONCURRENCY="2"\n', False),
        ('WEB_CONCURRENCY="0"\n', True),
        ('WEB_CONCURRENCY="many"\n', True),
        ('MY_WEB_CONCURRENCY="2"\n', True),
        ('NOTE="WEB_CONCURRENCY=2"\n', True),
    ],
)
def test_a_release_that_memory_gives_fewer_workers_needs_less_beside_the_old_one(
    scarce: Host, variables: str, fits: bool
) -> None:
    deployment = scarce.deployment(scarce.install_old())
    scarce.sim.kernel.total = 150 * MIB
    Path(scarce.layout.release(OLD), "workers.json").write_text(Room(2, 75 * MIB, True, 75 * MIB).to_json())
    Path(scarce.layout.release(NEW), "env").write_text(variables)
    scarce.run(deployment)
    assert scarce.serving() == ("new" if fits else "old")


def test_the_room_for_workers_is_found_once_in_a_deploy(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Room] = []

    def find(total: int, applications: int, instances: int, memory_max: str, worker: int) -> Room:
        found.append(find_room(total, applications, instances, memory_max, worker))
        return found[-1]

    monkeypatch.setattr(_room, "find_room", find)
    host.sim.kernel.available = host.sim.kernel.total = 1000 * MIB
    deployment = host.deployment(host.install_old())
    host.run(deployment)
    assert (deployment.error, len(found)) == ("", 1)
    assert _room.read_room(host.layout.release(NEW)) == found[0]


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
    scarce.overlap, scarce.new.status = "fallback", 500
    deployment = scarce.deployment(scarce.install_old())
    scarce.run(deployment)
    assert deployment.error.splitlines()[1:] == [
        f"{OLD} had been stopped first, and was started again after {deployment.gap:.1f} s.",
    ]
    assert (scarce.serving(), scarce.log[-2:]) == ("old", ["start service+socket old old", "explain shop old old"])
    assert scarce.sim.systemd.units[f"shop@{OLD}.service"].active == "active"


def test_the_old_release_is_started_again_even_when_the_new_one_cannot_be_ended(scarce: Host) -> None:
    scarce.overlap, scarce.said = "fallback", "\nIts log says: no"
    scarce.new.status = 500
    scarce.sim.commands.fail(f"systemctl .*{NEW}", "stop: connection timed out", times=0)
    scarce.sim.commands.fail(f"systemctl (stop|reset-failed) .*{NEW}", "stop: connection timed out")
    deployment = scarce.deployment(scarce.install_old())
    scarce.run(deployment)
    assert scarce.sim.systemd.units[f"shop@{OLD}.service"].active == "active"
    assert deployment.error.splitlines()[1:] == [
        "Its log says: no",
        f"{OLD} had been stopped first, and was started again after {deployment.gap:.1f} s.",
        "Rollback incomplete; the next run retries: stop: connection timed out",
    ]


@pytest.mark.parametrize(("overlap", "seconds"), [("fallback", 0), ("always", 5)])
def test_where_nobody_serves_a_refused_release_gets_no_time_to_end(scarce: Host, overlap: str, seconds: float) -> None:
    times: dict[str, float] = {}
    scarce.sim.commands.before.append(
        lambda words: times.setdefault(words[1], scarce.sim.clock.now) if NEW in words[-1] else None
    )
    scarce.overlap, scarce.new.status, scarce.new.stops_in = overlap, 500, 60
    scarce.run(scarce.deployment(scarce.install_old()))
    assert times["kill"] - times["stop"] == pytest.approx(seconds, abs=0.1)


def test_the_old_release_is_started_again_at_once_when_the_site_was_wrong(
    scarce: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No release serves meanwhile: visitors of the refused release are not given its drain_timeout.
    scarce.overlap = "never"
    deployment = scarce.deployment(scarce.install_old(), drain_timeout=30)
    deployment.service = replace(deployment.service, chain=ForwardedChain("/srv/shop/current", "shop.test"))
    monkeypatch.setattr(
        _proxy_check, "check_forwarded_headers", lambda *_args: HeaderCheckResult(wrong="it believes too much")
    )
    scarce.sim.kernel.visit(scarce.layout.socket(NEW, 0), 20)
    began = scarce.sim.clock.now
    scarce.run(deployment)
    assert "it believes too much" in deployment.error
    assert f"{OLD} had been stopped first, and was started again" in deployment.error
    assert scarce.serving() == "old"
    assert scarce.sim.clock.now - began < 10


def test_the_first_release_needs_no_room_beside_another(scarce: Host) -> None:
    deployment = scarce.deployment(Observed())
    scarce.run(deployment)
    assert (deployment.error, scarce.serving()) == ("", "new")


def test_without_a_count_of_systemd_the_memory_of_the_processes_is_summed_up() -> None:
    rollup = "Rss: 9000 kB\nPss: 900 kB\nPss_Anon:  100 kB\nPss_File: 500 kB\nPss_Shmem:   20 kB\n"
    assert _memory_use.parse_own(rollup) == 120 * 1024


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("exits", "ended (exit-code, exit status 3)"),
        ("was killed", "ended (signal, exit status 0)"),
        ("systemd is busy", "systemd could not be asked: connection timed out"),
    ],
)
def test_a_release_that_ended_after_its_health_check_gets_no_traffic(host: Host, what: str, says: str) -> None:
    """Hooks and other releases take their time between the health check and the switch."""

    def meanwhile() -> None:
        if what == "systemd is busy":
            host.sim.commands.fail("systemctl show", times=1)
        elif what == "exits":
            host.sim.systemd.exit(host.sim.systemd.units[f"shop@{NEW}.service"])
        else:
            host.sim.systemd.kill([f"shop@{NEW}.service"])

    deployment = host.deployment(host.install_old())
    host.meanwhile = meanwhile
    host.run(deployment)
    assert says in deployment.error
    assert (host.serving(), host.at_boot()) == ("old", "old")
    assert not os.path.lexists(_assets.link_path(host.layout))


def fall_asleep(host: Host, release: str) -> None:
    """Let the service of a release end by itself; its socket stays."""
    host.sim.systemd.stop(f"shop@{release}.service", wait=True)
    # By a pattern systemctl shows no unit that is inactive.
    del host.sim.systemd.units[f"shop@{release}.service"]


def test_a_release_that_sleeps_is_left_asleep(host: Host) -> None:
    host.install_old(idle="15m")
    fall_asleep(host, OLD)
    manifest = host.manifest(OLD, idle="15m")
    wanted = WantedUnits(OLD, release_units(host.layout, manifest))
    assert host.deployment_of(wanted, host.observed(), manifest).plan.empty


def test_a_release_that_falls_asleep_at_this_moment_is_left_alone(host: Host) -> None:
    host.install_old(idle="15m")
    host.sim.systemd.stop(f"shop@{OLD}.service", wait=False)
    assert host.sim.systemd.units[f"shop@{OLD}.service"].active == "deactivating"
    manifest = host.manifest(OLD, idle="15m")
    wanted = WantedUnits(OLD, release_units(host.layout, manifest))
    assert host.deployment_of(wanted, host.observed(), manifest).plan.empty


def test_one_that_does_not_sleep_by_choice_is_started(host: Host) -> None:
    host.install_old()
    fall_asleep(host, OLD)
    manifest = host.manifest(OLD)
    wanted = WantedUnits(OLD, release_units(host.layout, manifest))
    assert host.deployment_of(wanted, host.observed(), manifest).plan.start == (f"shop@{OLD}.service",)


def test_one_without_a_socket_does_not_sleep(host: Host) -> None:
    host.install_old(idle="15m")
    fall_asleep(host, OLD)
    host.sim.systemd.stop(f"shop@{OLD}.socket", wait=True)
    assert f"shop@{OLD}.service" not in host.observed().up


def test_a_release_that_sleeps_is_replaced_without_being_woken(host: Host) -> None:
    host.install_old(idle="15m")
    fall_asleep(host, OLD)
    host.run(host.deployment(host.observed(), idle="15m"))
    assert (host.serving(), host.at_boot()) == ("new", "new")
    assert host.files() == {f"{NEW}.service", f"{NEW}.socket"}
    assert not any(line.startswith("start") and OLD in line for line in host.sim.commands.told())


def test_the_site_goes_back_to_a_release_that_sleeps(host: Host) -> None:
    host.install_old(idle="15m")
    fall_asleep(host, OLD)
    deployment = host.deployment(host.observed(), health={"watch": 1})
    host.new.exits_after = EXITS
    host.run(deployment)
    assert "soon after the switch" in deployment.error
    assert (host.serving(), host.at_boot()) == ("old", "old")
    assert f"shop@{OLD}.socket" in host.observed().up


def test_a_release_may_fall_asleep_while_a_hook_runs(host: Host) -> None:
    deployment = host.deployment(host.install_old(), idle="10")
    host.meanwhile = lambda: fall_asleep(host, NEW)
    host.run(deployment)
    assert deployment.error == ""
    assert (host.serving(), host.at_boot()) == ("new", "new")


@pytest.mark.parametrize(("needed", "watch", "seconds"), [(0.2, 0, 0.0), (1.0, 0, 0.5), (9.0, 0, 1.0), (0.2, 5, 5.0)])
def test_a_release_is_watched_for_half_as_long_as_it_needed_to_load(
    host: Host, needed: float, watch: int, seconds: float
) -> None:
    deployment = host.deployment(host.install_old(), health={"watch": watch})
    deployment.health_check = deployment.new_health_check()
    assert deployment.health_check
    deployment.health_check.probes[0].seconds = needed
    assert _watch.watch_seconds(deployment, host.sim.clock.now) == pytest.approx(seconds, abs=0.05)
    deployment.service = replace(deployment.service, rollback=True)
    assert _watch.watch_seconds(deployment, host.sim.clock.now) == pytest.approx(watch, abs=0.05)
    first = host.deployment(Observed(), health={"watch": watch})
    assert _watch.watch_seconds(first, 0.0) == 0.0


def test_an_edited_unit_is_written_again_and_nothing_is_restarted(host: Host) -> None:
    host.run(host.deployment(host.install_old()))
    units = release_units(host.layout, host.manifest(NEW))
    assert recorded_units(host.layout, NEW) == units
    service = f"shop@{NEW}.service"
    (host.path / service).write_text(units[service].replace("Restart=always", "Restart=no"))
    host.log.clear()
    deployment = host.deployment(host.observed())
    host.run(deployment)
    assert (deployment.error, (host.path / service).read_text()) == ("", units[service])
    assert host.log == ["reload"]
    assert f"{service} was edited on the host, and is as the release has it again" in release_warnings(deployment)[0]
    assert f"{service} was edited on the host, and the next run" in release_warnings(deployment, done=False)[0]
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
    assert "memory.conf changes units of this application beside its releases" in release_warnings(deployment)[0]
    assert "gunicorn settings (sandbox, memory_max" in release_warnings(deployment)[0]


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"a": 1}', b"[" * 100_000])
def test_a_damaged_record_of_units_is_none(host: Host, content: bytes) -> None:
    os.makedirs(host.layout.release(NEW))
    Path(host.layout.release(NEW), "units.json").write_bytes(content)
    assert recorded_units(host.layout, NEW) == {}
