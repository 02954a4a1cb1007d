# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications that are not ours: their pages, an upgrade under load, the way back, and their removal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import typing as t
import urllib.parse

import pytest
from testinfra.host import Host

from tools.common import ROOT
from tools.molecule.protocols import Eventually, ReleaseOf, Shell, Visit

INVENTORY = os.environ["MOLECULE_INVENTORY_FILE"]
SECRET = "marker-k7w2xq-applications"
# Those that two versions are known of, and what a visitor asks all the time while they are upgraded.
UPGRADED = {"budget": "/", "music": "/user/login", "packages": "/", "echo": "/get", "jobs": "/"}
ALL = (*UPGRADED, "debugger", "records")
BASIC = {"Authorization": "Basic dXNlcjpwYXNz"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
RECORD = "/v1/buckets/default/collections/notes/records/11111111-1111-4111-8111-111111111111"
PACKAGE = "marker_k7w2xq-1.0.tar.gz"
UPLOADED = 3_000_000
# Runs on the host: what pip's tools send.
UPLOAD = f"""
import http.client
head = "--b\\r\\nContent-Disposition: form-data; name="
body = (head + '":action"\\r\\n\\r\\nfile_upload\\r\\n' + head + '"content"; filename="{PACKAGE}"\\r\\n\\r\\n').encode()
connection = http.client.HTTPConnection("127.0.0.1")
connection.request("POST", "/", body + bytes({UPLOADED}) + b"\\r\\n--b--\\r\\n",
                   {{"Host": "packages.test", "Content-Type": "multipart/form-data; boundary=b"}})
print(connection.getresponse().status)
"""


def run_playbook(host: Host, name: str, **variables: object) -> tuple[int, str]:
    """Run a playbook of the collection on one host and return how it ended and what it says."""
    where = ["-i", INVENTORY, "--limit", str(host.backend.get_hostname())]
    command = [
        "ansible-playbook",
        *where,
        str(ROOT / "playbooks" / f"{name}.yml"),
        "--extra-vars",
        json.dumps(variables),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert SECRET not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


def play(host: Host, name: str, **variables: object) -> str:
    """Run a playbook that must succeed."""
    code, said = run_playbook(host, name, **variables)
    assert code == 0, said
    return said


@pytest.mark.parametrize(
    ("name", "path", "said"),
    [
        ("budget", "/", "I hate money"),
        ("music", "/user/login", "Supysonic"),
        ("packages", "/", "pypiserver"),
        ("echo", "/get?a=b", "http://echo.test/get?a=b"),
        ("jobs", "/", "Redis"),
        ("debugger", "/", "gdbgui"),
        ("records", "/v1/", "project_name"),
    ],
)
def test_it_serves_its_page(visit: Visit, name: str, path: str, said: str) -> None:
    found = visit(f"{name}.test", path)
    assert found.status == 200, found
    assert said.lower() in found.text.lower()


def entered(visit: Visit) -> tuple[int, str]:
    """Enter a project, whose form has a token: cookie and form have to come from the same session."""
    page = visit("budget.test", "/authenticate")
    token = re.findall(r'csrf_token"[^>]*value="([^"]+)"', page.text)[0]
    headers = {**FORM, "Cookie": page.header("set-cookie").partition(";")[0]}
    body = f"id=demo&password=demo&csrf_token={token}"
    answer = visit("budget.test", "/authenticate", method="POST", body=body, headers=headers)
    return answer.status, answer.header("location")


def test_a_form_is_posted_and_what_it_says_is_kept(visit: Visit) -> None:
    found = visit("echo.test", "/post", method="POST", body="a=b", headers=FORM)
    assert found.json["form"] == {"a": "b"}
    refused = visit("music.test", "/user/login", method="POST", body="user=a&password=b", headers=FORM)
    assert refused.status == 200 and "Wrong username or password" in refused.text
    assert visit("budget.test", "/demo").status == 302
    assert entered(visit) == (302, "/demo/")
    denied = visit("debugger.test", "/send_signal_to_pid", method="POST", body="signal_name=SIGINT&pid=1", headers=FORM)
    assert denied.status == 400 and "could not be killed" in denied.text, denied
    # They are in the one process that may run.
    stored = visit(
        "records.test",
        RECORD,
        method="PUT",
        body='{"data": {"text": "kept"}}',
        headers={**BASIC, "Content-Type": "application/json"},
    )
    assert stored.status == 201, stored
    assert visit("records.test", RECORD, headers=BASIC).json["data"]["text"] == "kept"


@pytest.mark.parametrize(
    ("name", "path", "leads_to"),
    [
        ("budget", "/nosuch", "/nosuch/"),
        ("music", "/", "/user/login?returnUrl=/"),
        ("packages", "/simple", "/simple/"),
        ("echo", "/absolute-redirect/1", "/get"),
        ("jobs", "/0", "/0/"),
        ("records", "/", "/v1/"),
    ],
)
def test_redirects_keep_the_host_and_the_port(visit: Visit, name: str, path: str, leads_to: str) -> None:
    asked = f"http://{name}.test:8080"
    found = visit(f"{name}.test", path, headers={"Host": f"{name}.test:8080"})
    assert found.status in (301, 302, 307, 308), found
    assert urllib.parse.urljoin(asked + path, found.header("location")) == asked + leads_to


def test_an_upload_arrives_whole(host: Host, sh: Shell, visit: Visit) -> None:
    done = host.run("python3 -c %s", UPLOAD)
    assert done.stdout.strip() == "200", done
    assert sh(f"stat -c '%s %U' /srv/packages/shared/uploads/{PACKAGE}") == f"{UPLOADED} packages"
    back = visit("echo.test", "/post", method="POST", upload=500_000)
    assert back.status == 200 and back.size > 500_000, back.size


@pytest.mark.parametrize(
    ("name", "path", "package"),
    [
        ("budget", "/static/css/main.css", "ihatemoney"),
        ("music", "/static/css/supysonic.css", "supysonic"),
        ("jobs", "/static/css/main.css", "rq_dashboard"),
    ],
)
def test_static_files_of_a_package_come_from_nginx(visit: Visit, sh: Shell, name: str, path: str, package: str) -> None:
    found = visit(f"{name}.test", path)
    assert (found.status, found.header("content-type")) == (200, "text/css"), found
    assert found.header("x-content-type-options") == "nosniff"
    assert found.header("cache-control") and found.header("etag")
    # The application would set a cookie or a policy of its own.
    assert not found.header("content-security-policy") and not found.header("set-cookie")
    (file,) = sh(f"ls /srv/{name}/current/venv/lib/python3*/site-packages/{package}{path}").splitlines()
    assert found.sha256 == sh(f"sha256sum {file}").split()[0]


@pytest.mark.parametrize(
    ("name", "path", "kind"),
    [("debugger", "/static/vendor/css/bootstrap.min.css", "text/css"), ("echo", "/static/favicon.ico", "image/")],
)
def test_static_files_of_the_application_pass(visit: Visit, name: str, path: str, kind: str) -> None:
    found = visit(f"{name}.test", path)
    assert found.status == 200 and found.header("content-type").startswith(kind), found.headers
    assert found.header("x-content-type-options") == "nosniff"
    again = visit(f"{name}.test", path, headers={"If-None-Match": found.header("etag")})
    assert (again.status, again.size) == (304, 0)


def test_a_websocket_is_opened(visit: Visit) -> None:
    # Engine.IO says at once what the session is called.
    reply = visit("debugger.test", "/socket.io/?EIO=4&transport=websocket", websocket="40")
    assert reply.status == 101 and '"sid"' in reply.text, reply


def test_an_application_has_the_python_that_the_host_lacks(host: Host, sh: Shell, visit: Visit) -> None:
    assert host.run("command -v python3.11").rc != 0
    assert sh("/srv/echo/current/venv/bin/python -c 'import sys; print(*sys.version_info[:2])'") == "3 11"
    assert "/usr/local/lib/flaskops/python/" in sh("readlink -f /srv/echo/current/venv/bin/python")
    assert "/usr/bin/" in sh("readlink -f /srv/music/current/venv/bin/python")
    # Compiled for it.
    assert ".cpython-311-" in sh("find /srv/echo/current/venv/lib/python3.11/site-packages -name '*.so'")


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
    waiting = "for n in $(seq 60); do pgrep -f '[t]raffic.py' >/dev/null || break; sleep 1; done"
    assert host.run(f"touch /tmp/stop; {waiting}").rc == 0
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
    assert sh(f"stat -c %s /srv/packages/shared/uploads/{PACKAGE}") == str(UPLOADED)
    assert "marker" in visit("packages.test", "/simple/").text
    assert entered(visit) == (302, "/demo/")


@pytest.mark.parametrize("name", [*UPGRADED, "records"])
def test_it_goes_back(
    upgrade: dict[str, t.Any], host: Host, visit: Visit, sh: Shell, release_of: ReleaseOf, name: str
) -> None:
    if name == "budget":
        # Its older version does not start with the newer one's tables: this is what the hook has kept of them.
        sh("cd /srv/budget/shared/instance && runuser -u budget -- cp budget.db.before budget.db")
    play(host, "rollback", app=name)
    assert upgrade["before"][name].endswith(release_of(name))
    assert visit(f"{name}.test", UPGRADED.get(name, "/v1/")).status == 200


def test_a_python_that_the_mirror_lacks_is_refused_before_anything_changes(host: Host, sh: Shell) -> None:
    look = "ls -l /srv /srv/echo /srv/echo/releases /usr/local/lib/flaskops/python"
    before = sh(look)
    item = {"name": "echo", "source": "httpbin==0.10.4", "app": "httpbin:app", "domains": ["echo.test"]}
    wanted = {"flask_apps": [{**item, "python": "3.8"}], "flask_python_mirror": "file:///var/lib/python-mirror"}
    code, said = run_playbook(host, "site", **wanted)
    assert code != 0
    assert "python 'python3.8' is not on this host" in said and "choose another Python" in said, said
    assert sh(look) == before


@pytest.mark.parametrize("name", ALL)
def test_a_removed_application_leaves_nothing(host: Host, sh: Shell, name: str) -> None:
    play(host, "remove", app=name, purge_data=True)
    # The logs of nginx are the distribution's to rotate; a lock that a run may wait for stays in /run.
    names = f"-name '{name}' -o -name '{name}[@.]*' -o -name 'flaskops-{name}*'"
    places = "/etc /run /usr/local/lib/flaskops /usr/local/bin"
    left = sh(f"find {places} -name _locks -prune -o -path '*/lib/python3*' -prune -o \\( {names} \\) -print")
    left += sh(f"find /srv /var/cache /var/lib -mindepth 1 -maxdepth 2 {names}")
    assert left == ""
    assert sh(f"systemctl list-units --all --plain --no-legend '{name}@*'") == ""
    assert host.run(f"getent passwd {name}; getent group {name}").stdout == ""
