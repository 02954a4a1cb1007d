# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens after something died; these tests run on a host that was restarted, and Ansible has not run since."""

from __future__ import annotations

import pytest

from tools.molecule.protocols import Eventually, ReleaseOf, Shell, Visit

APPS = {"hello": "/whoami", "httpbin": "/get"}


@pytest.fixture(params=APPS)
def app(request: pytest.FixtureRequest) -> str:
    """Return one of the applications after the other."""
    return str(request.param)


@pytest.fixture
def unit(app: str, release_of: ReleaseOf) -> str:
    """Return the service of the application's current release."""
    return f"{app}@{release_of(app)}.service"


def test_a_killed_worker_is_replaced(app: str, unit: str, sh: Shell, visit: Visit, eventually: Eventually) -> None:
    master = sh(f"systemctl show --property MainPID --value {unit}")
    workers = set(sh(f"pgrep --parent {master}").split())
    victim = min(workers)
    sh(f"kill -9 {victim}")
    eventually(lambda: len(set(sh(f"pgrep --parent {master}").split()) - {victim}) >= len(workers), 10)
    assert [visit(f"{app}.test", APPS[app]).status for _time in range(5)] == [200] * 5
    assert sh(f"systemctl show --property MainPID --value {unit}") == master


def test_a_killed_master_is_started_again(app: str, unit: str, sh: Shell, visit: Visit, eventually: Eventually) -> None:
    master = sh(f"systemctl show --property MainPID --value {unit}")
    sh(f"kill -9 {master}")
    eventually(lambda: visit(f"{app}.test", APPS[app]).status == 200, 15)
    assert [visit(f"{app}.test", APPS[app]).status for _time in range(5)] == [200] * 5
    assert sh(f"systemctl show --property MainPID --value {unit}") not in (master, "0")
    assert sh(f"systemctl is-active {unit}") == "active"


def test_a_killed_nginx_is_no_disaster(sh: Shell, visit: Visit, eventually: Eventually) -> None:
    sh("kill -9 $(pgrep --parent $(cat /run/nginx.pid))")
    eventually(lambda: visit("hello.test", "/healthz").status == 200, 10)


def test_the_version_deployed_under_load_serves(visit: Visit) -> None:
    assert visit("hello.test", "/whoami").json["version"] == "2"
