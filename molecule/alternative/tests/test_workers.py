# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs the applications, as the running processes themselves tell."""

from __future__ import annotations

import typing as t

import pytest
from testinfra.host import Host

from tools.molecule.protocols import ReleaseOf, Shell, Visit

CA = "/etc/ssl/own/ca.crt"
# What the scenario itself has put there: git over ssh, and a package index.
# The counters of nginx.
STATUS = ("127.0.0.1:8181", "[::1]:8181")
SERVERS = ("127.0.0.1:2022", "127.0.0.1:8443")


@pytest.fixture
def worker(visit: Visit) -> t.Callable[[str], t.Any]:
    """Return what the worker that answers says of itself."""

    def ask(app: str) -> t.Any:
        secure: dict[str, t.Any] = {"ca_file": CA} if app == "shop" else {}
        return visit(f"{app}.test", "/worker", **secure).json

    return ask


@pytest.mark.parametrize(
    ("app", "kind"),
    [
        ("shop", "gunicorn.workers.gthread.ThreadWorker"),
        ("gev", "gunicorn.workers.ggevent.GeventWorker"),
        ("tor", "gunicorn.workers.gtornado.TornadoWorker"),
        ("syn", "gunicorn.workers.sync.SyncWorker"),
    ],
)
def test_the_worker_is_of_the_wanted_class(worker: t.Callable[[str], t.Any], app: str, kind: str) -> None:
    assert worker(app)["type"] == kind


def test_the_settings_reach_the_process(worker: t.Callable[[str], t.Any]) -> None:
    seen = worker("shop")
    wanted = {"workers": 2, "threads": 3, "timeout": 40, "limit_request_fields": 60, "preload": True}
    assert {name: seen[name] for name in wanted} == wanted


def test_extra_packages_are_installed(worker: t.Callable[[str], t.Any]) -> None:
    assert "tomlkit" in worker("shop")["packages"]
    assert "tomlkit" not in worker("syn")["packages"]


def test_every_instance_gets_requests(worker: t.Callable[[str], t.Any], sh: Shell, release_of: ReleaseOf) -> None:
    units = (f"shop@{release_of('shop')}.service", f"shop@{release_of('shop')}.1.service")
    masters = {int(sh(f"systemctl show --property MainPID --value {unit}")) for unit in units}
    assert len(masters) == 2
    assert {worker("shop")["master"] for _time in range(12)} == masters


def test_the_limits_are_those_of_the_unit(sh: Shell, release_of: ReleaseOf) -> None:
    names = ("MemoryMax", "MemoryHigh", "CPUQuotaPerSecUSec", "TasksMax", "LimitNOFILE")
    shown = sh(f"systemctl show --property {','.join(names)} shop@{release_of('shop')}.service")
    values = dict(line.split("=", 1) for line in shown.splitlines())
    assert values == {
        "MemoryMax": str(512 * 1024**2),
        "MemoryHigh": str(400 * 1024**2),
        "CPUQuotaPerSecUSec": "1.500000s",
        "TasksMax": "128",
        "LimitNOFILE": "4096",
    }


def test_the_unit_starts_after_what_it_was_told_to(sh: Shell, release_of: ReleaseOf) -> None:
    shown = sh(f"systemctl show --property After,Wants shop@{release_of('shop')}.service")
    assert shown.count("foreign.service") == 2


def test_systemd_waits_longer_than_gunicorn(sh: Shell, release_of: ReleaseOf) -> None:
    shown = sh(f"systemctl show --property TimeoutStopUSec --value shop@{release_of('shop')}.service")
    minutes, _unit, rest = shown.rpartition("min")
    assert int(minutes or 0) * 60 + int(rest.strip().removesuffix("s") or 0) >= 20


@pytest.mark.parametrize("app", ["gev", "tor", "syn"])
def test_the_sandbox_meets_its_budget(sh: Shell, app: str, release_of: ReleaseOf) -> None:
    overall = sh(f"systemd-analyze security --no-pager {app}@{release_of(app)}.service").splitlines()[-1]
    assert float(overall.split(": ")[1].split()[0]) <= 1.5, overall


def test_a_single_directive_of_the_sandbox_can_be_opened(sh: Shell, release_of: ReleaseOf) -> None:
    names = "MemoryDenyWriteExecute,ProtectSystem,NoNewPrivileges"
    shown = sh(f"systemctl show --property {names} shop@{release_of('shop')}.service")
    assert sorted(shown.splitlines()) == ["MemoryDenyWriteExecute=no", "NoNewPrivileges=yes", "ProtectSystem=strict"]


def test_the_application_writes_only_where_it_may(host: Host, visit: Visit) -> None:
    assert host.file("/var/lib/probe").exists
    assert visit("shop.test", "/writable", ca_file=CA).json == {
        ".": False,
        "uploads": True,
        "instance": True,
        "static": False,
        "/tmp": True,
        "/etc": False,
        "/var/lib/probe": True,
        "/srv": False,
    }


def test_what_the_application_has_left_behind_when_it_was_loaded_is_gone(sh: Shell) -> None:
    assert sh("pgrep --full --exact '/usr/bin/sleep 86397' || echo none").strip() == "none"
    assert sh("systemctl list-units --all --plain --no-legend 'flaskops-build-*' 'flaskops-check-*'").strip() == ""


def test_what_the_application_writes_is_in_the_shared_directory(host: Host, visit: Visit) -> None:
    visit("shop.test", "/writable", ca_file=CA)
    written = host.file("/srv/shop/shared/uploads/written-by-probe")
    assert (written.user, written.group) == ("shop-web", "shop-web")
    assert (host.file("/srv/shop/shared").mode, host.file("/srv/shop/shared").user) == (0o750, "shop-web")


def test_visitors_get_files_of_a_shared_directory_whatever_their_mode(sh: Shell, visit: Visit) -> None:
    place = "/srv/shop/shared/uploads"
    sh(f"runuser -u shop-web -- sh -c 'umask 077; mkdir -p {place}/2026; echo hello >{place}/2026/a.txt'")
    sh(f"runuser -u shop-web -- ln -sf /etc/passwd {place}/link")
    reply = visit("shop.test", "/media/2026/a.txt", ca_file=CA)
    assert (reply.status, reply.text, reply.header("content-type")) == (200, "hello\n", "text/plain")
    assert reply.header("cache-control") == "no-cache"
    assert [visit("shop.test", f"/media/{name}", ca_file=CA).status for name in ("link", "2026", "none")] == [404] * 3
    # Nothing was opened to nginx for it.
    sh(f"! runuser -u www-data -- cat {place}/2026/a.txt")


def test_nothing_listens_but_nginx_and_the_address_that_was_asked_for(sh: Shell) -> None:
    listening = {line.split()[3] for line in sh("ss -ltnH").splitlines()}
    assert listening == {"0.0.0.0:80", "[::]:80", "0.0.0.0:443", "[::]:443", "127.0.0.1:8001", *STATUS, *SERVERS}
    assert "gunicorn" not in sh("ss -ltnpH")


def test_the_tcp_address_answers(visit: Visit) -> None:
    assert visit("gev.test", "/healthz", port=8001).text == "ok\n"


def test_access_logs_go_to_the_journal_when_wanted(visit: Visit, sh: Shell, release_of: ReleaseOf) -> None:
    visit("shop.test", "/a-path-for-the-journal", ca_file=CA)
    journal = sh(f"journalctl --no-pager --output cat --unit 'shop@{release_of('shop')}*.service'")
    assert "/a-path-for-the-journal" in journal
