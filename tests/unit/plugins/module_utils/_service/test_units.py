# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit files, and the plan that leads from what is there to what is wanted."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import observe as _observe
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.plan import (
    DeployPlan,
    Observed,
    WantedUnits,
    plan_deploy,
)
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout, Manifest
from ansible_collections.flaskops.stack.plugins.module_utils._service.sandbox import needed_paths, sandbox_lines
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import parse_settings
from ansible_collections.flaskops.stack.plugins.module_utils._service.units import (
    MARK,
    UnitName,
    address_links,
    address_units,
    parse_unit_name,
    release_units,
    stop_seconds,
)
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_system import Simulation, Unit, simulate
from hypothesis import given
from hypothesis import strategies as st

LAYOUT = Layout("/srv", "shop")
ID = "3f2a91c-1b9e02d4"
OLD = "90b1c7e-77aa01f2"


def manifest(**settings: object) -> Manifest:
    source = {"type": "git", "location": "", "version": "", "revision": ""}
    return Manifest("shop", ID, "shop", "web", source, "3.13", "shop:app", parse_settings(settings))


def lines(**settings: object) -> list[str]:
    return release_units(LAYOUT, manifest(**settings))[f"shop@{ID}.service"].splitlines()


def test_an_instance_is_a_socket_and_a_service_and_the_sockets_come_first() -> None:
    assert list(release_units(LAYOUT, manifest(instances=2))) == [
        f"shop@{ID}.socket",
        f"shop@{ID}.1.socket",
        f"shop@{ID}.service",
        f"shop@{ID}.1.service",
    ]


def test_the_socket_is_the_users_and_open_to_nginx() -> None:
    text = release_units(LAYOUT, manifest(socket_group="nginx"))[f"shop@{ID}.socket"]
    assert text.startswith(MARK)
    for line in (
        f"ListenStream=/srv/shop/releases/{ID}/run/0.sock",
        "SocketUser=shop",
        "SocketGroup=nginx",
        "SocketMode=0660",
        "WantedBy=sockets.target",
    ):
        assert line in text.splitlines()


def test_the_service_never_gives_up_and_never_starts_without_its_socket() -> None:
    found = lines()
    assert {"Restart=always", "StartLimitIntervalSec=0", f"Requires=shop@{ID}.socket"} <= set(found)
    assert "TriggerLimitIntervalSec=0" in release_units(LAYOUT, manifest())[f"shop@{ID}.socket"]


def test_limits_are_written_only_when_set() -> None:
    assert not [line for line in lines() if line.startswith(("Memory", "CPU", "Tasks")) and "Deny" not in line]
    found = lines(memory_max="512M", memory_high="400M", cpu_quota="150%", tasks_max=64, open_files=100)
    assert {"MemoryMax=512M", "MemoryHigh=400M", "CPUQuota=150%", "TasksMax=64", "LimitNOFILE=100"} <= set(found)


def test_units_to_start_after_are_wanted_too() -> None:
    found = lines(after=["postgresql"])
    assert "Wants=postgresql.service" in found
    assert f"After=shop@{ID}.socket network.target postgresql.service" in found


@pytest.mark.parametrize("graceful", [1, 30, 300])
def test_systemd_waits_longer_than_gunicorn(graceful: int) -> None:
    settings = parse_settings({"graceful_timeout": graceful})
    assert stop_seconds(settings) > graceful
    assert f"TimeoutStopSec={stop_seconds(settings)}" in lines(graceful_timeout=graceful)


def test_a_slow_start_has_as_long_as_the_health_gate() -> None:
    assert "TimeoutStartSec=330" in lines(health={"timeout": 300})


def test_single_walls_of_the_sandbox_can_be_opened() -> None:
    found = lines(sandbox={"MemoryDenyWriteExecute": False, "BindPaths": ["/a", "/b%i"]}, sandbox_paths=["/var/lib/x"])
    assert "MemoryDenyWriteExecute=no" in found
    assert "MemoryDenyWriteExecute=yes" not in found
    assert {"BindPaths=/a", "BindPaths=/b%%i", "ProtectSystem=strict"} <= set(found)
    assert [line for line in found if line.startswith("ReadWritePaths")] == [
        "ReadWritePaths=-/srv/shop/shared",
        "ReadWritePaths=/var/lib/x",
    ]


@pytest.mark.parametrize(
    ("sandbox", "writable", "needed"),
    [
        (True, ["/a"], [("sandbox_paths", "/a")]),
        (False, ["/a"], []),
        ({"ReadOnlyPaths": "/a -/b +/c"}, [], [("sandbox.ReadOnlyPaths", "/a"), ("sandbox.ReadOnlyPaths", "/c")]),
        ({"BindPaths": ["/a:/b", "-/c:/d"]}, [], [("sandbox.BindPaths", "/a")]),
        ({"ProtectHome": False}, [], []),
    ],
)
def test_paths_without_which_a_service_does_not_start_are_known(
    sandbox: bool | dict[str, object], writable: list[str], needed: list[tuple[str, str]]
) -> None:
    assert needed_paths(sandbox, writable) == needed


def test_the_sandbox_can_be_left_out_as_a_whole() -> None:
    assert not [line for line in lines(sandbox=False) if line.startswith(("Protect", "Restrict", "System", "Read"))]


def test_code_in_a_home_directory_stays_readable() -> None:
    assert "ProtectHome=yes" in sandbox_lines(True, [], home_is_used=False)
    assert "ProtectHome=read-only" in sandbox_lines(True, [], home_is_used=True)


def test_the_shared_memory_of_the_next_release_is_not_removed_with_the_old_one() -> None:
    assert not [line for line in lines() if line.startswith("RemoveIPC")]


def test_an_address_is_forwarded_to_the_current_release_and_belongs_to_none() -> None:
    release = manifest(bind=["127.0.0.1:8000", "[::1]:8001", "127.0.0.1:8002"], instances=2)
    units = address_units(LAYOUT, release)
    assert list(units)[:3] == [
        "shop@tcp-127.0.0.1:8000.socket",
        "shop@tcp-::1:8001.socket",
        "shop@tcp-127.0.0.1:8002.socket",
    ]
    assert "ListenStream=[::1]:8001" in units["shop@tcp-::1:8001.socket"]
    links = [units[name].split("/srv/shop/current/run/")[1].split("\n")[0] for name in list(units)[3:]]
    assert [address_links(release)[link] for link in links] == ["0.sock", "1.sock", "0.sock"]
    assert ID not in "".join(units.values())


def test_a_forwarder_stays_as_it_is_when_addresses_and_instances_change() -> None:
    before = address_units(LAYOUT, manifest(bind=["127.0.0.1:8000", "127.0.0.1:8001"], instances=2))
    after = address_units(LAYOUT, manifest(bind=["127.0.0.1:8001", "127.0.0.1:8002"], instances=3))
    assert {name: after[name] for name in before if "8001" in name} == {
        name: text for name, text in before.items() if "8001" in name
    }


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        (f"shop@{ID}.service", UnitName("shop", ID, 0, "", "service")),
        (f"my-shop2@{ID}.11.socket", UnitName("my-shop2", ID, 11, "", "socket")),
        ("shop@tcp-::1:8000.socket", UnitName("shop", "", 0, "::1:8000", "socket")),
        ("shop@.service", None),
        ("shop@prod.service", None),
        (f"shop@{ID}.timer", None),
        (f"Shop@{ID}.service", None),
        (f"shop@{ID}.service.d", None),
        (f"shop@{ID}.x.service", None),
    ],
)
def test_only_names_of_our_form_are_ours(file: str, wanted: UnitName | None) -> None:
    assert parse_unit_name(file) == wanted


NEW = WantedUnits(ID, {"n.socket": "1", "n.service": "2"}, {"t.socket": "3", "t.service": "4"})
NAMES = ("n.socket", "n.service", "o.socket", "o.service", "t.socket", "t.service", "u.socket")


def test_nothing_there_means_everything_is_done() -> None:
    plan = plan_deploy(Observed(), NEW)
    assert (plan.write, plan.start, plan.switch) == (NEW.units, ("n.socket", "n.service"), True)
    assert plan.enable == ("n.socket", "n.service", "t.socket")
    assert (plan.forward_write, plan.forward_start, plan.remove) == (NEW.forwards, ("t.socket",), ())


def test_units_that_another_version_wrote_stay_with_the_release_that_serves() -> None:
    files = {"n.socket": "of a version before", "n.service": "2", **NEW.forwards}
    up = frozenset(files)
    assert plan_deploy(Observed(ID, files, up, up, up), NEW).empty
    recorded = {"n.socket": "of a version before", "n.service": "2"}
    assert plan_deploy(Observed(ID, files, up, up, up, recorded=recorded), NEW).empty
    assert plan_deploy(Observed(OLD, files, up, up, up), NEW).write == {"n.socket": "1"}


def test_units_that_somebody_edited_get_the_text_of_their_release_again() -> None:
    files = {"n.socket": "of a version before", "n.service": "edited", **NEW.forwards}
    up = frozenset(files)
    recorded = {"n.socket": "of a version before", "n.service": "of a version before, too"}
    plan = plan_deploy(Observed(ID, files, up, up, up, recorded=recorded), NEW)
    assert plan.rewrite == {"n.service": "of a version before, too"}
    assert (plan.start, plan.switch, plan.needs_health_check, plan.empty) == ((), False, False, False)
    # One that was removed has it, too.
    gone = {name: text for name, text in files.items() if name != "n.socket"}
    assert plan_deploy(Observed(ID, gone, up, up, up, recorded=recorded), NEW).write == {
        "n.socket": "of a version before"
    }


def test_a_current_release_that_does_not_run_is_started_and_gated() -> None:
    files = {**NEW.units, **NEW.forwards}
    seen = Observed(ID, files, frozenset(), frozenset(), frozenset(files))
    plan = plan_deploy(seen, NEW)
    assert (plan.start, plan.switch, plan.needs_health_check) == (("n.socket", "n.service"), False, True)


def test_units_whose_socket_somebody_removed_are_stopped_started_and_gated() -> None:
    files = {**NEW.units, **NEW.forwards}
    lost = frozenset(NEW.units)
    seen = Observed(ID, files, frozenset(files), frozenset(NEW.forwards), frozenset(files), lost)
    plan = plan_deploy(seen, NEW)
    assert (plan.stop, plan.start, plan.needs_health_check) == (tuple(NEW.units), tuple(NEW.units), True)
    assert not plan_deploy(seen, WantedUnits()).stop


def observed(sim: Simulation, directory: Path, layout: Layout) -> Observed:
    return _observe.observe(sim.host, _observe.UnitDirectory(sim.host, str(directory)), [layout])["shop"]


def known(units: t.Mapping[str, t.Any]) -> Simulation:
    """Return a host whose systemd knows units of these states."""
    sim = simulate()
    for name, state in units.items():
        sim.systemd.units[name] = Unit(name, "", **{"active": "active", **state})
    return sim


def test_a_unit_that_runs_without_the_path_of_its_socket_is_lost(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path), "shop")
    here, gone, starting = (f"shop@{ID}{end}" for end in (".service", ".1.service", ".2.socket"))
    path = Path(layout.socket(ID, 0))
    path.parent.mkdir(parents=True)
    path.touch()
    sim = known({here: {}, gone: {}, starting: {"active": "activating"}, "shop@tcp-127.0.0.1:8000.socket": {}})
    seen = observed(sim, tmp_path / "units", layout)
    assert seen.socket_missing == frozenset({gone})
    assert (starting in seen.alive, here in seen.up, gone in seen.up) == (True, True, False)


def test_a_worker_is_young_for_a_moment(tmp_path: Path) -> None:
    # One that ends at once is active at each of its starts.
    worker, timer, unknown, older = (
        f"shop@{ID}.{end}"
        for end in ("worker-a.0.service", "timer-b.timer", "worker-c.0.service", "worker-a.1.service")
    )
    sim = known({worker: {"since": 999.5}, timer: {"since": 999.5}, unknown: {}, older: {"since": 997.0}})
    seen = observed(sim, tmp_path, Layout("/srv", "shop"))
    assert seen.just_started == {worker}
    assert seen.up == {worker, timer, unknown, older}


def test_what_was_told_to_end_and_has_no_file_needs_nothing_else(tmp_path: Path) -> None:
    # A service that finishes what it has: its socket ends after it, and a moment later than it.
    ending, socket, other, service = (f"shop@{OLD}{end}" for end in (".service", ".socket", ".1.socket", ".1.service"))
    sim = known({ending: {"active": "deactivating", "job": 17}, socket: {"job": 18}, other: {}, service: {}})
    layout = Layout("/srv", "shop")
    assert observed(sim, tmp_path, layout).alive == {other, service}
    sim.systemd.units[ending].active = "inactive"
    assert observed(sim, tmp_path, layout).alive == {other, service}
    sim.systemd.units[ending] = Unit(ending, "", active="deactivating", job=17)
    for name in (ending, socket, other, service):
        (tmp_path / name).touch()
    assert observed(sim, tmp_path, layout).alive == {ending, socket, other, service}


@given(
    st.sampled_from([None, ID, OLD]),
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from("1234x")),
    st.frozensets(st.sampled_from(NAMES)),
    st.frozensets(st.sampled_from(NAMES)),
    st.frozensets(st.sampled_from(NAMES)),
    st.booleans(),
)
def test_whatever_is_there_one_run_leads_to_what_is_wanted_and_the_next_does_nothing(
    current: str | None,
    files: dict[str, str],
    starting: frozenset[str],
    up: frozenset[str],
    enabled: frozenset[str],
    absent: bool,
) -> None:
    wanted = WantedUnits() if absent else NEW
    seen = Observed(current, files, up | starting, up, enabled)
    after = carry_out(seen, wanted, plan_deploy(seen, wanted))
    assert plan_deploy(after, wanted).empty
    assert (
        set(after.files)
        == after.alive | (set(wanted.forwards) & set(after.files))
        == after.up | {name for name in wanted.forwards if name.endswith(".service")}
    )
    assert after.current == (current if absent else ID)


def carry_out(seen: Observed, wanted: WantedUnits, plan: DeployPlan) -> Observed:
    """Do to a picture of a host what the hand-over does to the host."""
    gone = set(plan.remove)
    files = {**seen.files, **plan.write, **plan.forward_write}
    running = set(plan.start) | set(plan.forward_start)
    forwards = {name for name in wanted.forwards if name.endswith(".service")}
    return Observed(
        wanted.release if plan.switch else seen.current,
        {name: text for name, text in files.items() if name not in gone},
        frozenset((seen.alive | running) - gone),
        frozenset((seen.up | running | forwards) - gone),
        frozenset((seen.enabled | set(plan.enable)) - gone),
    )


def test_the_plan_says_when_there_is_nothing_to_do() -> None:
    nothing: t.Any = ({}, (), (), (), False, {}, (), (), ())
    assert DeployPlan(*nothing).empty
