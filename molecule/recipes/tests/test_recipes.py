# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each recipe of docs/recipes.md does what the page says."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import subprocess
import time
from pathlib import Path

import pytest
from testinfra.host import Host

from tools.molecule.protocols import Eventually, ReleaseOf, Shell, Visit
from tools.molecule.recipes import MARKER, applications, shown

SCENARIO = Path(__file__).parents[1]
DEPLOY = SCENARIO.parents[1] / "playbooks" / "deploy.yml"
INVENTORY = os.environ["MOLECULE_INVENTORY_FILE"]
SESSIONS = 20

# Socket.IO's polling transport by hand: an event is sent, and its acknowledgement comes with a later poll.
POLLING = """
import json, sys, urllib.request
def ask(path, body=None):
    request = urllib.request.Request("http://127.0.0.1/socket.io/?EIO=4&transport=polling" + path, body)
    request.add_header("Host", "chat.example.com")
    return urllib.request.urlopen(request, timeout=10).read().decode()
good = 0
for _number in range(int(sys.argv[1])):
    try:
        sid = "&sid=" + json.loads(ask("")[1:])["sid"]
        ask(sid, b"40")
        assert ask(sid).startswith("40"), "not connected"
        ask(sid, b'421["whoami"]')
        assert ask(sid).startswith("431["), "not acknowledged"
        good += 1
    except Exception as exc:
        print(type(exc).__name__, exc, file=sys.stderr)
print(good)
"""
WEBSOCKET = (
    "curl -s -o /dev/null -w '%{http_code}' --max-time 2 -H 'Host: chat.example.com' -H 'Connection: Upgrade' "
    "-H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' "
    "'http://127.0.0.1/socket.io/?EIO=4&transport=websocket'; true"
)


def test_an_application_below_a_path_knows_where_it_is(visit: Visit) -> None:
    assert visit("www.example.com").text == "front"
    found = visit("www.example.com", "/blog/").json
    assert found == {"root": "/blog", "post": "/blog/post", "absolute": "http://www.example.com/blog/post"}
    assert visit("www.example.com", "/blog/newest").header("location") == "/blog/post"
    assert visit("www.example.com", "/blog/post").text == "post"
    assert visit("www.example.com", "/blog?a=b").header("location") == "/blog/?a=b"


def test_a_visitor_cannot_say_where_an_application_is(visit: Visit) -> None:
    forged = {"X-Forwarded-Prefix": "/forged", "X-Script-Name": "/forged"}
    assert visit("www.example.com", "/blog/", headers=forged).json["root"] == "/blog"


def test_an_application_below_a_path_is_closed_alone(visit: Visit, sh: Shell) -> None:
    for flag, closed, opened in (("blog", "/blog/post", "/"), ("front", "/", "/blog/post")):
        sh(f"mkdir -p /srv/{flag}/maintenance; touch /srv/{flag}/maintenance/on")
        try:
            assert [visit("www.example.com", path).status for path in (closed, opened)] == [503, 200], flag
        finally:
            sh(f"rm /srv/{flag}/maintenance/on")


def test_every_polling_session_of_socketio_works(host: Host) -> None:
    result = host.run("python3 -c %s %s", POLLING, str(SESSIONS))
    assert result.stdout.strip() == str(SESSIONS), result.stderr


def test_socketio_may_upgrade_to_a_websocket(sh: Shell) -> None:
    assert sh(WEBSOCKET) == "101"


def test_a_deploy_does_not_wait_long_for_streams(
    host: Host, sh: Shell, visit: Visit, release_of: ReleaseOf, eventually: Eventually
) -> None:
    sh(
        "cd /tmp && { setsid curl -sN --max-time 60 -H 'Host: events.example.com' http://127.0.0.1/events "
        "> stream.txt 2>&1 & }; sleep 2"
    )
    assert "data: 1" in sh("cat /tmp/stream.txt")
    before = release_of("events")
    seconds, _said = deploy(host, "events", environment={"EDITION": "second"})
    assert release_of("events") != before
    assert visit("events.example.com").text == "second"
    # Two and two seconds, and what the deploy takes anyway.
    assert seconds < 25
    eventually(lambda: not host.run("pgrep -x curl").stdout.strip(), 15)


def deploy(host: Host, name: str, **changes: object) -> tuple[float, str]:
    """Deploy an application with other values; return how long that took, and what was said."""
    app = next(app for app in applications() if app["name"] == name)
    variables = json.dumps({"flask_apps": [{**app, **changes}]})
    command = ["ansible-playbook", "-i", INVENTORY, "--limit", str(host.backend.get_hostname()), str(DEPLOY)]
    started = time.monotonic()
    done = subprocess.run(
        [*command, "-v", "--extra-vars", variables], capture_output=True, text=True, timeout=180, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert MARKER not in said
    return time.monotonic() - started, said


def test_hooks_of_gunicorn_are_called_and_all_workers_counted(visit: Visit, sh: Shell) -> None:
    for _number in range(30):
        assert visit("metrics.example.com").text == "counted"
    # The health check has asked as well.
    found = visit("metrics.example.com", "/metrics").text
    count = next(line for line in found.splitlines() if line.startswith("pages_total "))
    assert float(count.split()[1]) >= 30
    assert sh("journalctl --no-pager -t metrics | grep -c 'metrics.hooks: worker'").strip() >= "3"


def test_hooks_of_the_applications_own_configuration_are_called(visit: Visit) -> None:
    assert visit("own.example.com").text == "hook of gunicorn.conf.py"


def test_web_and_worker_share_a_directory_and_not_tmp(visit: Visit, eventually: Eventually) -> None:
    assert visit("jobs.example.com", "/jobs/one", method="POST").text == "added"
    eventually(lambda: visit("jobs.example.com", "/jobs/one").text != "waiting", 10)
    assert visit("jobs.example.com", "/jobs/one").text == "done, in /tmp: False"


def test_a_package_writes_beside_its_own_code(visit: Visit, sh: Shell) -> None:
    assert visit("labels.example.com").text == "made"
    assert sh("stat -c %U /srv/labels/shared/labels/static/made/label.txt") == "labels"


def test_who_is_in_the_socket_group_may_ask_and_nobody_else(host: Host, visit: Visit) -> None:
    assert visit("status.example.com").text == "status"
    ask = "runuser -u %s -- curl -s --max-time 5 --unix-socket /srv/status/current/run/0.sock http://localhost/"
    assert host.run(ask % "monitor").stdout == "status"
    assert host.run(ask % "nobody").rc != 0


def test_an_application_is_told_who_has_logged_in_to_nginx(visit: Visit) -> None:
    assert visit("tracker.example.com").status == 401
    word = base64.b64encode(f"anna:{MARKER}-vault_anna_password".encode()).decode()
    headers = {"Authorization": f"Basic {word}", "X-Remote-User": "root"}
    assert visit("tracker.example.com", headers=headers).text == "anna"


def test_a_database_is_changed_once_and_the_first_user_made_once(host: Host, sh: Shell, visit: Visit) -> None:
    assert visit("members.example.com").json == ["admin"]
    # The next release runs the hooks again.
    _seconds, said = deploy(host, "members", gunicorn={"workers": 4})
    assert "with the password" not in said
    assert visit("members.example.com").json == ["admin"]
    sh(f"! grep -r {MARKER} /srv/members/releases/*/release.json /etc/systemd/system")


def test_sqlite_is_copied_while_it_is_written_and_brought_back(visit: Visit, sh: Shell) -> None:
    assert visit("notes.example.com", "/before", method="POST").text == "kept"
    open_ = (
        "import sqlite3, time; c = sqlite3.connect('/srv/notes/shared/instance/notes.db', isolation_level=None); "
        "c.execute('BEGIN IMMEDIATE'); c.execute(\"INSERT INTO notes VALUES ('open')\"); time.sleep(4)"
    )
    sh(f"cd /tmp && {{ setsid runuser -u notes -- python3 -c {shlex.quote(open_)} >/dev/null 2>&1 & }}; sleep 1")
    sh(shown("timer-backup.service"))
    copy = sh("cd /srv/notes/shared && ls backup/*.db")
    sh("sleep 4")
    assert visit("notes.example.com", "/after", method="POST").text == "kept"
    back, copies = re.subn(r"backup/[0-9_-]+\.db", copy, shown("a.backup(b)"))
    assert copies == 1
    sh(back)
    assert visit("notes.example.com").json == ["before"]
    assert visit("notes.example.com", "/later", method="POST").text == "kept"


def test_a_scheduler_runs_once_and_a_deploy_says_when_it_would_run_twice(
    host: Host, visit: Visit, eventually: Eventually
) -> None:
    eventually(lambda: visit("ticker.example.com").json["ticks"] > 0, 10)
    assert visit("ticker.example.com").json["processes"] == 1
    _seconds, said = deploy(host, "ticker", environment={"EDITION": "second"})
    assert "without an answer" in said and "two of each" not in said
    # The release that serves has overlap: never, so the deploy of the next one stops it first.
    _seconds, said = deploy(host, "ticker", gunicorn={"workers": 1})
    assert "To prevent that in ticker, with a short gap: gunicorn.overlap: never" in said
    _seconds, said = deploy(host, "ticker", gunicorn={"workers": 1, "overlap": "allow"}, environment={"EDITION": "3"})
    assert "without an answer" not in said and "two of each" not in said


def test_code_is_compiled_at_run_time_and_drawn_with(visit: Visit, sh: Shell) -> None:
    places = {"cache": "/srv/charts/shared/cache/numba", "drawing": "/srv/charts/shared/cache/matplotlib"}
    assert visit("charts.example.com").json == {"total": 500500, **places}
    assert visit("charts.example.com", "/chart.png").header("content-type") == "image/png"
    assert sh("find /srv/charts/shared/cache/numba -name '*.nbc'")
    assert sh("ls /srv/charts/shared/cache/matplotlib")


def test_celery_works_and_beat_runs_once(visit: Visit, eventually: Eventually) -> None:
    assert visit("orders.example.com", "/add/2/3", method="POST").text == "5"
    eventually(lambda: int(visit("orders.example.com").text) > 2, 20)
    started, before = time.monotonic(), int(visit("orders.example.com").text)
    time.sleep(5)
    counted = int(visit("orders.example.com").text) - before
    assert 2 <= counted <= time.monotonic() - started + 2


def test_rq_works(visit: Visit, eventually: Eventually) -> None:
    job = visit("mails.example.com", "/7", method="POST").text
    eventually(lambda: visit("mails.example.com", f"/{job}").text == "sent 7", 20)


def test_postgresql_knows_the_application_by_its_user_and_redis_by_its_group(visit: Visit, sh: Shell) -> None:
    assert visit("shop.example.com").json == {"user": "shop", "cache": "kept"}
    after = sh(
        "systemctl show -P After \"$(systemctl list-units --plain --no-legend 'shop@*.service' | cut -d' ' -f1)\""
    )
    assert {"postgresql.service", "redis-server.service"} <= set(after.split())


@pytest.mark.parametrize("name", ["polls", "links", "wiki", "api"])
def test_any_framework_knows_who_asks_and_for_what(visit: Visit, name: str) -> None:
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "forged.example.com"}
    assert visit(f"{name}.example.com", "/?a=b", headers=forged).text == f"http://{name}.example.com/?a=b 127.0.0.1"


def test_django_has_its_static_files_and_its_database(visit: Visit) -> None:
    found = visit("polls.example.com", "/static/admin/css/base.css")
    assert (found.status, found.header("content-type")) == (200, "text/css")
    assert visit("polls.example.com", "/admin/login/").status == 200


def test_an_application_made_in_main_is_made_by_a_file(visit: Visit) -> None:
    assert visit("board.example.com").text == "made by a file"
