# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each recipe of docs/recipes.md does what the page says."""

from __future__ import annotations

import json
import os
import subprocess
import time
import typing as t
from pathlib import Path

from testinfra.host import Host

from tools.molecule.protocols import Eventually, ReleaseOf, Shell, Visit
from tools.molecule.recipes import applications

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
    seconds = deploy(host, {"EDITION": "second"})
    assert release_of("events") != before
    assert visit("events.example.com").text == "second"
    # Two and two seconds, and what the deploy takes anyway.
    assert seconds < 25
    eventually(lambda: not host.run("pgrep -x curl").stdout.strip(), 15)


def deploy(host: Host, environment: t.Mapping[str, str]) -> float:
    """Deploy C(events) with another environment; return how long that took."""
    app = next(app for app in applications() if app["name"] == "events")
    variables = json.dumps({"flask_apps": [{**app, "environment": environment}]})
    command = ["ansible-playbook", "-i", INVENTORY, "--limit", str(host.backend.get_hostname()), str(DEPLOY)]
    started = time.monotonic()
    subprocess.run([*command, "--extra-vars", variables], capture_output=True, timeout=180, check=True)
    return time.monotonic() - started


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


def test_who_is_in_the_socket_group_may_ask_and_nobody_else(host: Host, visit: Visit) -> None:
    assert visit("status.example.com").text == "status"
    ask = "runuser -u %s -- curl -s --max-time 5 --unix-socket /srv/status/current/run/0.sock http://localhost/"
    assert host.run(ask % "monitor").stdout == "status"
    assert host.run(ask % "nobody").rc != 0
