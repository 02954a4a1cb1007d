# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units that collect metrics are there when they are wanted, and only then."""

from __future__ import annotations

import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints import nginx_metrics, nginx_site
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints.nginx_metrics import (
    SERVICE,
    TIMER,
    Metrics,
    apply_metrics,
    uncounted,
)
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.model import NginxLayout, NginxSiteError
from ansible_collections.flaskops.stack.plugins.module_utils._system.command import CommandError

LAYOUT = NginxLayout("/etc/nginx/sites-available", "/etc/nginx/sites-enabled")
NODE_EXPORTER = "/var/lib/prometheus/node-exporter"


class Systemd:
    """Notes what it is told; enabling makes the link."""

    def __init__(self, units: Path, fails: bool = False) -> None:
        self.units = units
        self.fails = fails
        self.said: list[str] = []

    def daemon_reload(self) -> None:
        self.said.append("daemon-reload")

    def reset_failed(self, units: t.Sequence[str]) -> None:
        self.said.append(f"reset-failed {len(units)}")

    def journal_tail(self, unit: str, lines: int) -> str:
        return f"the last {lines} lines of {unit}"

    def systemctl(self, verb: str, units: t.Sequence[str], options: t.Sequence[str] = ()) -> None:
        self.said.append(" ".join([verb, *options, *units]))
        if verb == "start" and self.fails:
            raise CommandError("Job for flaskops-metrics.service failed")
        link = self.units / "timers.target.wants" / TIMER
        if verb == "enable":
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(self.units / TIMER)


class Fake:
    def __init__(self, top: Path, fails: bool = False) -> None:
        self.units, self.state, self.out = top / "units", top / "state", top / "out"
        self.units.mkdir()
        self.systemd = Systemd(self.units, fails)
        self.metrics = Metrics(t.cast("t.Any", SimpleNamespace(systemd=self.systemd)), str(self.units), str(self.state))

    def wanted(self, root: str = "/srv") -> dict[str, str]:
        return self.metrics.wanted(LAYOUT, str(self.out), root)

    def differing(self, wanted: t.Mapping[str, str]) -> dict[str, tuple[str, str]]:
        return self.metrics.differing(wanted, str(self.out))


def test_units_are_written_started_and_then_in_place(tmp_path: Path) -> None:
    host = Fake(tmp_path)
    wanted = host.wanted()
    assert set(host.differing(wanted)) == {SERVICE, TIMER}
    host.metrics.set_up(wanted, str(host.out))
    assert host.differing(wanted) == {}
    assert host.systemd.said == ["daemon-reload", f"start {SERVICE}", f"enable {TIMER}", f"restart {TIMER}"]
    assert host.out.is_dir()


def test_another_place_or_code_is_another_unit(tmp_path: Path) -> None:
    host = Fake(tmp_path)
    host.metrics.set_up(host.wanted(), str(host.out))
    assert set(host.differing(host.wanted("/opt"))) == {SERVICE}


def test_a_timer_that_somebody_has_disabled_is_not_in_place(tmp_path: Path) -> None:
    host = Fake(tmp_path)
    host.metrics.set_up(host.wanted(), str(host.out))
    (host.units / "timers.target.wants" / TIMER).unlink()
    assert set(host.differing(host.wanted())) == {TIMER}


@pytest.mark.parametrize("name", ["out", "state"])
def test_a_directory_that_is_gone_is_made_again(tmp_path: Path, name: str) -> None:
    host = Fake(tmp_path)
    host.metrics.set_up(host.wanted(), str(host.out))
    (tmp_path / name).rmdir()
    assert set(host.differing(host.wanted())) == {SERVICE}


def test_a_collection_that_fails_leaves_no_unit_so_that_the_next_run_tries_again(tmp_path: Path) -> None:
    host = Fake(tmp_path, fails=True)
    with pytest.raises(
        CommandError, match=r"(?s)the collection of metrics \(nginx_metrics\) failed: Job.*the last 10 lines of"
    ):
        host.metrics.set_up(host.wanted(), str(host.out))
    assert list(host.units.iterdir()) == []


def test_what_is_removed_leaves_nothing(tmp_path: Path) -> None:
    host = Fake(tmp_path)
    host.metrics.set_up(host.wanted(), str(host.out))
    prom = host.out / "flaskops.prom"
    prom.write_text("x 1\n")
    host.state.joinpath("state.json").write_text(
        f'{{"counts": [], "logs": {{}}, "deploys": {{}}, "file": "{prom}", "problems": []}}'
    )
    assert set(host.differing({})) == {SERVICE, TIMER}
    host.metrics.remove()
    assert host.differing({}) == {}
    assert not prom.exists()
    assert not host.state.exists()
    assert host.out.is_dir()


@pytest.mark.parametrize("path", ["/srv/a b", "/srv/%i", "/srv/'", "/srv/$HOME", "/srv/a\nb"])
def test_a_path_that_a_unit_reads_in_another_way_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(NginxSiteError, match="has a blank, a quote"):
        Fake(tmp_path).wanted(path)


def test_sites_without_a_log_in_json_are_named() -> None:
    text = 'flaskops_site_requests_counted{site="shop"} 1\nflaskops_site_requests_counted{site="wiki"} 0\n'
    (warning,) = uncounted(text.encode())
    assert warning.startswith("requests to wiki are not counted (nginx_metrics): that needs access_log: json")
    assert uncounted(text[:46].encode()) == uncounted(b"") == []


def params(**more: object) -> dict[str, t.Any]:
    return {"metrics": "textfile", "metrics_directory": NODE_EXPORTER, "metrics_root": "/srv", **more}


def test_check_mode_changes_nothing_and_says_what_would_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nginx_metrics.Metrics.__init__, "__defaults__", (str(tmp_path / "units"), str(tmp_path)))
    found = apply_metrics(params(), LAYOUT, check=True, diff=True)
    assert found["changed"]
    assert [one["after_header"] for one in found["diff"]] == [SERVICE, TIMER]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("check", [True, False])
def test_where_code_cannot_be_kept_no_run_says_that_it_changes_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: bool
) -> None:
    monkeypatch.setattr(nginx_metrics.Metrics.__init__, "__defaults__", (str(tmp_path / "units"), str(tmp_path)))
    monkeypatch.setattr(nginx_metrics, "_CODE", f"{tmp_path}/code.zip/inside")
    found = apply_metrics(params(), LAYOUT, check=check, diff=True)
    assert (found["changed"], found["diff"], list(tmp_path.iterdir())) == (False, [], [])
    assert found["warnings"][0].startswith("no metrics are collected: the code for that could not be kept")


@pytest.mark.parametrize("wanted", [None, "none"])
def test_nothing_is_loaded_for_hosts_without_metrics(
    wanted: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nginx_site, "METRICS_UNIT", str(tmp_path / SERVICE))
    monkeypatch.setattr(nginx_metrics, "apply_metrics", None)
    result: dict[str, t.Any] = {"changed": False, "in_place": True, "diff": [], "warnings": []}
    nginx_site._apply_metrics(params(metrics=wanted), LAYOUT, False, False, result)
    assert result == {"changed": False, "in_place": True, "diff": [], "warnings": []}


def test_what_changes_for_metrics_is_a_change_of_the_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = {"changed": True, "diff": [{"after": "x"}], "warnings": ["w"]}
    monkeypatch.setattr(nginx_metrics, "apply_metrics", lambda *_args: changed)
    result: dict[str, t.Any] = {"changed": False, "in_place": True, "diff": [], "warnings": []}
    nginx_site._apply_metrics(params(), LAYOUT, False, True, result)
    assert result == {"changed": True, "in_place": False, "diff": [{"after": "x"}], "warnings": ["w"]}
