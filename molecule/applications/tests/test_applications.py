# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications that are not ours: their pages, an upgrade under load, the way back, and their removal."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t

import pytest
from testinfra.host import Host

from tools.common import ROOT
from tools.molecule.protocols import Eventually, ReleaseOf, Shell, Visit

INVENTORY = os.environ["MOLECULE_INVENTORY_FILE"]
SECRET = "marker-k7w2xq-applications"
# Those that two versions are known of, and what a visitor asks all the time while they are upgraded.
UPGRADED = {"budget": "/", "music": "/user/login", "packages": "/", "echo": "/get", "jobs": "/"}
BASIC = {"Authorization": "Basic dXNlcjpwYXNz"}
WEBSOCKET = (
    "curl -s -o /dev/null -w '%{http_code}' --max-time 2 -H 'Host: debugger.test' -H 'Connection: Upgrade' "
    "-H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' "
    "'http://127.0.0.1/socket.io/?EIO=4&transport=websocket'; true"
)


def play(host: Host, name: str, **variables: object) -> str:
    """Run a playbook of the collection on one host and return what it says."""
    where = ["-i", INVENTORY, "--limit", str(host.backend.get_hostname())]
    command = [
        "ansible-playbook",
        *where,
        str(ROOT / "playbooks" / f"{name}.yml"),
        "--extra-vars",
        json.dumps(variables),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("name", "path", "said"),
    [
        ("budget", "/", "I hate money"),
        ("music", "/user/login", "Supysonic"),
        ("packages", "/", "pypiserver"),
        ("echo", "/get?a=b", '"a": "b"'),
        ("jobs", "/", "Redis"),
        ("debugger", "/", "gdbgui"),
        ("records", "/v1/", "project_name"),
    ],
)
def test_it_serves_its_page(visit: Visit, name: str, path: str, said: str) -> None:
    found = visit(f"{name}.test", path)
    assert found.status == 200, found
    assert said.lower() in found.text.lower()


def test_a_form_is_posted_and_what_it_says_is_kept(visit: Visit) -> None:
    found = visit("echo.test", "/post", method="POST", body="a=b")
    assert found.status == 200
    stored = visit(
        "records.test",
        "/v1/buckets/default/collections/notes/records/11111111-1111-4111-8111-111111111111",
        method="PUT",
        body='{"data": {"text": "kept"}}',
        headers={**BASIC, "Content-Type": "application/json"},
    )
    assert stored.status == 201, stored


def test_redirects_keep_the_host_and_the_port(visit: Visit) -> None:
    found = visit("echo.test", "/redirect-to?url=/get&status_code=302")
    assert found.status == 302
    assert visit("echo.test", "/get", headers={"Host": "echo.test"}).json["url"] == "http://echo.test/get"


def test_an_upload_arrives_whole(sh: Shell) -> None:
    sh("head -c 3000000 /dev/zero > /tmp/marker_k7w2xq-1.0.tar.gz")
    answer = sh(
        "curl -s -o /dev/null -w '%{http_code}' -H 'Host: packages.test' -F ':action=file_upload' "
        "-F 'content=@/tmp/marker_k7w2xq-1.0.tar.gz' http://127.0.0.1/"
    )
    assert answer == "200"
    assert sh("stat -c '%s %U' /srv/packages/shared/uploads/marker_k7w2xq-1.0.tar.gz") == "3000000 packages"


def test_static_files_of_a_package_come_from_nginx(visit: Visit, sh: Shell) -> None:
    name = sh("cd /srv/budget/current/venv/lib/python3*/site-packages/ihatemoney/static/css && ls *.css | head -1")
    found = visit("budget.test", f"/static/css/{name}")
    assert (found.status, found.header("content-type")) == (200, "text/css")
    assert found.header("x-content-type-options") == "nosniff"
    # The application would set a cookie or a policy of its own.
    assert not found.header("content-security-policy")


def test_a_websocket_is_opened(sh: Shell) -> None:
    assert sh(WEBSOCKET) == "101"


def test_a_job_is_done_by_the_worker(host: Host, sh: Shell, eventually: Eventually) -> None:
    code = "import redis, rq; print(rq.Queue(connection=redis.Redis()).enqueue('platform.node').id)"
    job = sh(f'cd /tmp && /srv/jobs/current/venv/bin/python -c "{code}"').strip()
    ask = f"from rq.job import Job; import redis; print(Job.fetch('{job}', connection=redis.Redis()).get_status())"
    eventually(
        lambda: "finished" in host.run(f'cd /tmp && /srv/jobs/current/venv/bin/python -c "{ask}"').stdout.lower(), 20
    )


def test_secret_files_are_for_the_application_alone(sh: Shell) -> None:
    for name, path in (("budget", "budget.cfg"), ("records", "records.ini")):
        assert sh(f"stat -c '%a %U %G' /srv/{name}/current/app/{path}") == f"640 root {name}"
        assert SECRET in sh(f"cat /srv/{name}/current/app/{path}")
    public = "/srv/*/releases/*/release.json /etc/systemd/system /etc/nginx"
    assert sh(f"cat $(find {public} -type f) | grep -c {SECRET} | cat") == "0"


@pytest.fixture(scope="module")
def upgrade(host: Host) -> dict[str, t.Any]:
    """Upgrade all applications while visitors come, and return what each visitor has seen."""
    program = (ROOT / "tools" / "traffic.py").read_text(encoding="utf-8")
    before = {name: host.run(f"readlink /srv/{name}/current").stdout.strip() for name in (*UPGRADED, "records")}
    assert host.run("printf %%s %s > /tmp/traffic.py", program).rc == 0
    for name, path in UPGRADED.items():
        visitors = f"python3 /tmp/traffic.py --host {name}.test --path {path} --field '' --connections 4 --pause 0.2"
        assert (
            host.run(
                f"rm -f /tmp/stop; {{ setsid {visitors} --repeat --seconds 400 --until /tmp/stop "
                f"> /tmp/seen-{name}.json 2>/tmp/seen-{name}.txt & }}"
            ).rc
            == 0
        )
    said = play(host, "deploy", applications_upgraded=True)
    assert (
        host.run("touch /tmp/stop; for n in $(seq 60); do pgrep -f traffic.py >/dev/null || break; sleep 1; done").rc
        == 0
    )
    seen = {name: json.loads(host.run(f"cat /tmp/seen-{name}.json").stdout) for name in UPGRADED}
    after = {name: host.run(f"readlink /srv/{name}/current").stdout.strip() for name in before}
    return {"said": said, "seen": seen, "before": before, "after": after}


def test_an_upgrade_loses_no_request(upgrade: dict[str, t.Any]) -> None:
    for name, seen in upgrade["seen"].items():
        assert upgrade["before"][name] != upgrade["after"][name], name
        assert seen["requests"] > 50, (name, seen)
        assert seen["failed"] == 0, (name, seen)
        print(f"{name}: {seen['requests']} requests, failed: 0")


def test_the_gap_of_an_application_that_must_not_run_twice_is_told(upgrade: dict[str, t.Any]) -> None:
    assert upgrade["before"]["records"] != upgrade["after"]["records"]
    (line,) = [line for line in upgrade["said"].splitlines() if line.startswith("records:")]
    assert " s of them without an answer, as two releases may not run at once" in line


def test_the_data_is_there_after_the_upgrade(upgrade: dict[str, t.Any], sh: Shell, visit: Visit) -> None:
    assert upgrade["seen"]
    assert sh("stat -c %s /srv/packages/shared/uploads/marker_k7w2xq-1.0.tar.gz") == "3000000"
    assert "marker" in visit("packages.test", "/simple/").text


@pytest.mark.parametrize("name", list(UPGRADED))
def test_it_goes_back(
    upgrade: dict[str, t.Any], host: Host, visit: Visit, sh: Shell, release_of: ReleaseOf, name: str
) -> None:
    play(host, "rollback", app=name)
    assert upgrade["before"][name].endswith(release_of(name))
    assert visit(f"{name}.test", UPGRADED[name]).status == 200


def test_a_removed_application_leaves_nothing(host: Host, sh: Shell) -> None:
    play(host, "remove", app="echo", purge_data=True)
    left = sh(
        "ls -d /srv/echo /etc/nginx/sites-*/echo* /etc/systemd/system/echo@* /var/cache/flaskops/echo 2>/dev/null; true"
    )
    assert left == ""
    assert "echo" not in sh("getent passwd")
