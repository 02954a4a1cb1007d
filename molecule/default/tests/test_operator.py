# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator finds on the host."""

from __future__ import annotations

import json

import pytest
from testinfra.host import Host

from tools.molecule.protocols import ReleaseOf, Shell, Visit

APPS = ("hello", "httpbin")

MAX_EXPOSURE = 1.5


@pytest.fixture(params=APPS)
def app(request: pytest.FixtureRequest) -> str:
    """Return one of the applications after the other."""
    return str(request.param)


@pytest.fixture
def release(app: str, release_of: ReleaseOf) -> str:
    """Return the directory of the application's current release."""
    return f"/srv/{app}/releases/{release_of(app)}"


def test_the_service_runs_and_starts_at_boot(host: Host, app: str, release_of: ReleaseOf) -> None:
    for unit in (f"{app}@{release_of(app)}.service", f"{app}@{release_of(app)}.socket"):
        assert host.service(unit).is_running, unit
        assert host.service(unit).is_enabled, unit


def test_only_the_current_release_is_enabled(sh: Shell, app: str, release_of: ReleaseOf) -> None:
    listed = sh(f"systemctl list-unit-files --no-legend --plain --state enabled '{app}@*' | cut -d ' ' -f 1").split()
    assert {name.rpartition(".")[0] for name in listed} == {f"{app}@{release_of(app)}"}


def test_nothing_failed_on_the_host(sh: Shell) -> None:
    assert sh("systemctl --failed --no-legend --plain") == ""


def test_the_processes_belong_to_the_applications_user(sh: Shell, app: str, release_of: ReleaseOf) -> None:
    group = sh(f"systemctl show --property ControlGroup --value {app}@{release_of(app)}.service")
    users = sh(f"ps --no-headers -o user:32 -p $(paste -sd, /sys/fs/cgroup{group}/cgroup.procs)").split()
    assert len(users) > 1
    assert set(users) == {app}


def test_the_user_cannot_log_in(host: Host, app: str) -> None:
    user = host.user(app)
    assert user.uid < 1000
    assert user.shell == "/usr/sbin/nologin"
    assert user.password in ("!", "*", "!*", "!!")


def test_only_nginx_and_the_application_reach_the_socket(host: Host, app: str, release: str) -> None:
    socket = host.file(f"{release}/run/0.sock")
    assert socket.is_socket
    assert (socket.user, socket.group, socket.mode) == (app, "www-data", 0o660)


def test_gunicorn_listens_on_no_port(sh: Shell) -> None:
    listening = sh("ss --listening --tcp --udp --numeric --processes --no-header")
    assert "nginx" in listening
    assert "gunicorn" not in listening


def test_only_root_and_the_service_read_the_environment(host: Host, app: str, release: str) -> None:
    environment = host.file(f"{release}/env")
    assert (environment.user, environment.group, environment.mode) == ("root", app, 0o640)


def test_the_application_cannot_change_its_release(sh: Shell, app: str, release: str) -> None:
    assert sh(f"find {release} ! -user root ! -type s ! -type l -print -quit") == ""
    assert sh(f"find {release} -perm /022 ! -type s ! -type l -print -quit") == ""
    assert sh(f"stat --format '%U %a' /srv/{app} /srv/{app}/releases").split() == ["root", "755"] * 2


def test_the_release_describes_itself(host: Host, app: str, release: str) -> None:
    manifest = json.loads(host.file(f"{release}/release.json").content_string)
    assert (manifest["schema"], manifest["name"], manifest["user"]) == (1, app, app)
    assert release.endswith(manifest["id"])


def test_the_switch_is_one_relative_link(sh: Shell, app: str, release_of: ReleaseOf) -> None:
    assert sh(f"readlink /srv/{app}/current") == f"releases/{release_of(app)}"


def test_the_code_was_compiled_when_it_was_built(sh: Shell, release: str) -> None:
    assert sh(f"find {release}/venv -name 'app.*.pyc' -path '*flask*' -print -quit")


def test_the_sandbox_meets_its_budget(sh: Shell, app: str, release_of: ReleaseOf) -> None:
    overall = sh(f"systemd-analyze security --no-pager {app}@{release_of(app)}.service").splitlines()[-1]
    assert float(overall.split(": ")[1].split()[0]) <= MAX_EXPOSURE, overall


def test_the_configuration_of_nginx_gives_no_warning(host: Host) -> None:
    result = host.run("nginx -t -q")
    assert (result.rc, result.stderr) == (0, "")


def test_the_links_of_the_sites_lead_to_versions(sh: Shell, app: str) -> None:
    target = sh(f"readlink --canonicalize-existing /etc/nginx/sites-enabled/{app}")
    assert target.startswith(f"/etc/nginx/sites-available/{app}@")


def test_the_files_of_somebody_else_are_as_they_were(sh: Shell) -> None:
    sh("cd / && sha256sum --check --quiet /root/foreign.sha256")
    now = "stat --format '%n %U:%G %a %Y %N' etc/nginx/sites-enabled/foreign.conf etc/nginx/sites-enabled/legacy"
    sh(f"cd / && {now} | diff /root/foreign.stat -")


def test_the_service_of_somebody_else_was_not_restarted(sh: Shell) -> None:
    sh("readlink /run/systemd/units/invocation:foreign.service | diff /root/foreign.invocation -")


def test_a_site_has_its_own_log(visit: Visit, sh: Shell, app: str) -> None:
    visit(f"{app}.test", f"/a-path-of-{app}")
    assert f"/a-path-of-{app}" in sh(f"tail -n 5 /var/log/nginx/{app}.access.log")


def test_a_rotated_log_goes_on_in_a_new_file(visit: Visit, sh: Shell, app: str) -> None:
    visit(f"{app}.test", "/before-the-rotation")
    sh("logrotate --force /etc/logrotate.d/nginx")
    visit(f"{app}.test", "/after-the-rotation")
    now = sh(f"cat /var/log/nginx/{app}.access.log")
    assert "/after-the-rotation" in now
    assert "/before-the-rotation" not in now
    assert "/before-the-rotation" in sh(f"cat /var/log/nginx/{app}.access.log.1")


def test_gunicorn_writes_to_the_journal(sh: Shell, app: str, release_of: ReleaseOf) -> None:
    journal = sh(f"journalctl --no-pager --boot --unit {app}@{release_of(app)}.service --output cat")
    assert "Listening at" in journal
    assert sh(f"find /srv/{app} /var/log -name '*gunicorn*.log' -o -name '{app}*.log' -path '/srv/*'") == ""
