# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of a host to say how its applications are."""

from __future__ import annotations

import os
import threading
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.health import Probe
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints import flask_status as _flask_status
from ansible_collections.flaskops.stack.plugins.module_utils._release import history as _history
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout, Manifest
from ansible_collections.flaskops.stack.plugins.module_utils._release.release import write_manifest
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import parse_settings
from ansible_collections.flaskops.stack.plugins.module_utils._system.host import Clock, Kernel
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_system import Simulation, Unit, simulate

RELEASE = "3f2a91c-1b9e02d4"
WEB, SOCKET, WORKER = (
    f"shop@{RELEASE}.service",
    f"shop@{RELEASE}.socket",
    "shop@90b1c7e-77aa01f2.worker-mail.0.service",
)


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Return an application with a release whose service does not run."""
    monkeypatch.setattr(_history, "STATE", str(tmp_path / "history"))
    monkeypatch.setattr(Layout, "lock", property(lambda self: str(tmp_path / "locks" / self.name)))
    layout = Layout(str(tmp_path / "s"), "shop")
    os.makedirs(f"{layout.release(RELEASE)}/venv/lib/python3.13/site-packages/gunicorn-27.0.1.dist-info")
    source = {"type": "git", "location": "", "version": "v2", "revision": "3f2a91c"}
    settings = parse_settings({"health": {"path": "/health"}})
    write_manifest(layout.release(RELEASE), Manifest("shop", RELEASE, "u", "g", source, "3.13.5", "a:b", settings))
    os.symlink(f"releases/{RELEASE}", layout.current)
    return layout


@pytest.fixture
def sim(tmp_path: Path) -> Simulation:
    """Return a host on which the service of the release has failed, and a worker of another one runs."""
    made = simulate(tmp_path / "system")
    made.systemd.units[WEB] = Unit(WEB, "", active="failed", sub="failed")
    made.systemd.units[WORKER] = Unit(WORKER, "", active="active", sub="running")
    return made


def look(sim: Simulation, layout: Layout) -> dict[str, t.Any]:
    return _flask_status.application_states(sim.host, layout.root, None, 1)[0]


def test_an_application_that_does_not_answer_is_not_healthy(sim: Simulation, layout: Layout) -> None:
    found = look(sim, layout)
    assert (found["name"], found["current"], found["healthy"]) == ("shop", RELEASE, False)
    assert (found["version"], found["python"], found["gunicorn"]) == ("v2", "3.13.5", "27.0.1")
    assert found["answers"][0]["problem"].startswith("no answer to /health")
    assert (found["instances"], found["running"], found["uptime"]) == (1, 0, 0)
    assert found["beside"] == [{"unit": WORKER, "state": "active"}]


@pytest.mark.parametrize(("readable", "shown"), [(True, "; it said: no login as ********"), (False, "")])
def test_what_an_application_said_is_shown_without_its_secrets(
    sim: Simulation, layout: Layout, monkeypatch: pytest.MonkeyPatch, readable: bool, shown: str
) -> None:
    def start(_host: t.Any, probe: Probe, *_more: t.Any, **_once: bool) -> threading.Thread:
        probe.problem = "/health answered 500; it said: no login as s3cr3t-of-the-shop"
        thread = threading.Thread(target=bool)
        thread.start()
        return thread

    env = Path(layout.release(RELEASE), "env")
    if readable:
        env.write_text('TOKEN="s3cr3t-of-the-shop"\n')
    else:
        # As for a user who may not read it.
        env.mkdir()
    monkeypatch.setattr(_flask_status, "start_probe", start)
    assert look(sim, layout)["answers"][0]["problem"] == f"/health answered 500{shown}"


def test_one_that_answers_between_two_of_its_ends_is_not_healthy(sim: Simulation, layout: Layout) -> None:
    """Its worker cannot load, another one answers, and systemd starts the service again and again."""
    text = f"[Socket]\nListenStream={layout.socket(RELEASE, 0)}\n"
    sim.systemd.units[SOCKET] = Unit(SOCKET, text, active="active", sub="running")
    looping = Unit(WEB, "", active="active", sub="running", restarts=6, pid=7, workers={8: 1}, loaded={8})
    sim.systemd.units[WEB] = looping
    found = look(sim, layout)
    assert (found["healthy"], found["running"], found["answers"][0]["status"]) == (False, 1, 200)
    assert "keeps ending; systemd has started it again 6 times" in found["ill"]


@pytest.mark.parametrize(("listens", "idle"), [(True, "15m"), (False, "15m"), (True, "")])
def test_an_application_that_sleeps_is_not_woken(
    sim: Simulation, layout: Layout, tmp_path: Path, listens: bool, idle: str
) -> None:
    (tmp_path / "system").mkdir()
    (tmp_path / "system" / WEB).write_text("")
    settings = parse_settings({"idle": idle, "health": {"path": "/health"}})
    write_manifest(layout.release(RELEASE), Manifest("shop", RELEASE, "u", "g", {}, "", "a:b", settings))
    sim.systemd.units[WEB] = Unit(WEB, "")
    sim.systemd.units[SOCKET] = Unit(SOCKET, "", active="active" if listens else "inactive", sub="listening")
    found = look(sim, layout)
    asleep = listens and bool(idle)
    assert (found["asleep"], found["running"], found["healthy"]) == (int(asleep), 0, asleep)
    assert (found["answers"] == []) is asleep


def test_an_application_that_never_served_has_no_health(sim: Simulation, layout: Layout) -> None:
    os.unlink(layout.current)
    found = look(sim, layout)
    assert (found["current"], found["healthy"], found["answers"]) == ("", False, [])


def test_an_application_that_is_not_there_has_nothing(sim: Simulation, layout: Layout) -> None:
    found = _flask_status.application_states(sim.host, layout.root, ["wiki"], 1)[0]
    assert (found["current"], found["healthy"], found["releases"], found["disk"]) == ("", False, [], 0)


def test_what_failed_last_is_told_until_something_succeeds(sim: Simulation, layout: Layout) -> None:
    failed = {"release": "b", "when": "2", "result": "failed"}
    for entry, expected in (
        ({"release": RELEASE, "when": "1", "result": "activated"}, None),
        (failed, failed),
        ({"release": "c", "when": "3", "result": "interrupted"}, failed),
        ({"release": "c", "when": "4", "result": "activated"}, None),
    ):
        _history.record("shop", entry)
        assert look(sim, layout)["failed"] == expected
    assert look(sim, layout)["activated"]["when"] == "1"


def test_what_was_begun_and_the_flag_of_maintenance_are_seen(sim: Simulation, layout: Layout) -> None:
    _history.resolve_interrupted("shop", RELEASE, {"release": "b", "when": "1"})
    os.makedirs(layout.maintenance)
    Path(layout.maintenance, "on").touch()
    found = look(sim, layout)
    assert (found["unfinished"]["release"], found["maintenance"], found["lock"]) == ("b", True, None)


def test_a_file_with_two_names_takes_its_place_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100_000)
    before = _flask_status.disk_usage(Clock(), str(tmp_path))
    os.link(tmp_path / "a", tmp_path / "b")
    assert before >= 100_000
    assert _flask_status.disk_usage(Clock(), str(tmp_path)) == before


@pytest.mark.parametrize(("text", "number"), [("12", 12), ("[not set]", 0), (str(2**64 - 1), 0), ("", 0)])
def test_what_systemd_does_not_know_is_nothing(text: str, number: int) -> None:
    assert _flask_status._number({"MemoryCurrent": text}, "MemoryCurrent") == number


class Files(Kernel):
    """A kernel with these files."""

    def read(self, path: str, most: int = 65536) -> str | None:
        files = {
            "/sys/fs/cgroup/shop/cgroup.procs": "7\n8\n9\n",
            "/proc/7/smaps_rollup": "Rss: 9 kB\nPss:      4 kB\nPss_Dirty: 1 kB\n",
            "/proc/8/smaps_rollup": "Pss: 6 kB\n",
        }
        return files.get(path, "")[:most]


def test_memory_is_counted_by_process_where_the_cgroup_does_not_count() -> None:
    assert _flask_status._memory(Files(), {"MemoryCurrent": "[not set]", "ControlGroup": "/shop"}) == 10 * 1024
    assert _flask_status._memory(Files(), {"MemoryCurrent": "5", "ControlGroup": "/shop"}) == 5


def test_a_name_that_no_application_has_is_told_with_those_there_are(layout: Layout) -> None:
    found = _flask_status.unknown_applications(layout.root, ["shpo", "shop"])
    assert found == {"unknown": ["shpo"], "known": ["shop"]}
    for names in (["shop"], None):
        assert _flask_status.unknown_applications(layout.root, names) == {"unknown": [], "known": []}


def test_an_application_that_was_never_built_is_known_by_its_failures(layout: Layout) -> None:
    history = Path(_history.history_path("blog"))
    history.parent.mkdir(parents=True)
    history.write_text('{"release": "3f2a91c-1b9e02d4", "when": "2026-01-02T03:04:05Z", "result": "failed"}\n')
    assert _flask_status.unknown_applications(layout.root, ["blog"])["unknown"] == []


def test_a_directory_of_another_deploy_tool_is_no_application(layout: Layout) -> None:
    os.makedirs(f"{layout.root}/cap/releases/20261130120000")
    assert _flask_status.unknown_applications(layout.root, ["cap"]) == {"unknown": ["cap"], "known": ["shop"]}


@pytest.mark.parametrize(
    ("place", "said"), [("current", "is not a symbolic link"), ("system/timers.target.wants", "has to be a directory")]
)
def test_what_a_removal_would_refuse_is_known_before_it_begins(
    sim: Simulation, layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, said: str
) -> None:
    units = tmp_path / "system"
    units.mkdir()
    monkeypatch.setattr(_flask_status, "UNITS", str(units))
    assert look(sim, layout)["obstacle"] == ""
    path = Path(layout.current) if place == "current" else tmp_path / place
    path.unlink(missing_ok=True)
    path.write_text("")
    found = look(sim, layout)["obstacle"]
    assert found.startswith(str(path)) and said in found
