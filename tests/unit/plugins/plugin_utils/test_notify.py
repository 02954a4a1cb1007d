# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A notice is posted once when a run ends, and cannot hold up the run or show its URL."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
import typing as t
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from ansible import constants
from ansible_collections.flaskops.stack.plugins.plugin_utils import _notify
from ansible_collections.flaskops.stack.plugins.plugin_utils._notice_program import post

ROOT = Path(__file__).parents[4]
TOKEN = "s3cr3t-token"
LOCAL = ("--inventory", "one,two,", "--connection", "local")


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what is posted; a path that begins with a number is answered with it."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, t.Any, dict[str, str]]] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((self.path, json.loads(data), dict(self.headers)))
        code = self.path.split("/")[1]
        self.send_response(int(code) if code.isdigit() else 200)
        if code == "302":
            self.send_header("Location", "file:///etc/passwd")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def receiving() -> t.Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@contextmanager
def silent() -> t.Iterator[str]:
    """Yield the URL of a server that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/{TOKEN}"


def entries(*urls: str) -> list[dict[str, t.Any]]:
    notices = [{"url": url, "on": ["failure"], "apps": []} for url in urls]
    failed = {"kind": "failed", "host": "web1", "stage": "nginx", "error": "no"}
    return [{"kind": "notices", "host": "web1", "notices": notices}, failed]


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    # What leaves for this host goes through no proxy.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")


def test_a_notice_is_json_for_people_and_programs() -> None:
    with receiving() as server:
        assert _notify.notify(entries(f"{server.url}/hooks/x"), 1.25) == []
    ((path, body, headers),) = server.posts
    assert (path, body["result"], body["duration"]) == ("/hooks/x", "failure", 1.25)
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert len(body["run"]) == 12


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (f"/404/{TOKEN}", "its server answered 404"),
        (f"/500/{TOKEN}", "its server answered 500"),
        (f"/302/{TOKEN}", "its server answered 302, and redirects are not followed"),
    ],
)
def test_a_refusal_is_a_warning_without_the_url(path: str, said: str) -> None:
    with receiving() as server:
        (problem,) = _notify.notify(entries(server.url + path), 1.0)
    assert problem == f"a notice of this run was not sent: {said}"
    assert len(server.posts) == 1


@pytest.mark.parametrize(
    "url", [f"http://127.0.0.1:1/{TOKEN}", f"https://{TOKEN}.invalid/", f"https://127.0.0.1:1/{TOKEN}"]
)
def test_a_server_that_is_not_there_is_a_warning_without_the_url(url: str) -> None:
    (problem,) = _notify.notify(entries(url), 1.0)
    assert "cannot be reached" in problem
    assert TOKEN not in problem


def test_a_certificate_that_is_not_trusted_is_not_accepted(tmp_path: Path) -> None:
    with receiving() as server:
        plain = server.url.replace("http:", "https:")
        (problem,) = _notify.notify(entries(f"{plain}/{TOKEN}"), 1.0)
    assert TOKEN not in problem
    assert server.posts == []


def test_a_server_that_says_nothing_holds_up_no_run_and_no_other_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_notify, "_SECONDS", 1)
    with receiving() as server, silent() as slow:
        begin = time.monotonic()
        (problem,) = _notify.notify(entries(slow, f"{server.url}/x"), 1.0)
        assert time.monotonic() - begin < 4
    assert "did not answer" in problem
    assert TOKEN not in problem
    assert len(server.posts) == 1


def test_an_answer_of_one_byte_at_a_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_notify, "_SECONDS", 1)

    def drip(server: socket.socket) -> None:
        connection, _address = server.accept()
        with connection, suppress(OSError):
            for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100:
                connection.send(bytes([byte]))
                time.sleep(0.1)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        begin = time.monotonic()
        (problem,) = _notify.notify(entries(f"http://127.0.0.1:{server.getsockname()[1]}/"), 1.0)
        assert time.monotonic() - begin < 4
        thread.join()
    assert "did not answer in 1 s" in problem


def test_credentials_in_the_url_are_sent_as_such() -> None:
    with receiving() as server:
        url = server.url.replace("http://", "http://anna:p%40ss@")
        assert post(f"{url}/x", {"text": "x"}, 2.0) == ""
    ((path, _body, headers),) = server.posts
    assert (path, headers["Authorization"]) == ("/x", "Basic YW5uYTpwQHNz")
    assert "@" not in headers["Host"]


def test_what_could_not_be_read_is_a_warning() -> None:
    (problem,) = _notify.notify([{"kind": "notices", "host": "web1", "notices": [], "unreadable": True}], 1.0)
    assert problem == "no notice of this run is sent for web1: its flask_notify cannot be read"


@pytest.mark.parametrize("options", [[], ["--check"]], ids=["run", "check"])
@pytest.mark.parametrize("playbook", ["site", "deploy"])
def test_a_run_that_is_refused_is_told_once_and_shows_no_url(playbook: str, options: list[str], tmp_path: Path) -> None:
    with receiving() as server:
        notify = [{"url": "{{ vault_hook }}", "on": ["failure"]}, {"url": "{{ vault_hook }}2", "on": ["success"]}]
        apps = [{"name": "shop", "source": "./shop", "app": "shop:app", "keep": "five"}]
        values = {"flask_apps": apps, "flask_notify": notify, "vault_hook": f"{server.url}/{TOKEN}"}
        done = played(tmp_path, playbook, values, "-vvv", *LOCAL, *options)
    assert done.returncode == 2
    assert TOKEN not in done.stdout + done.stderr
    if options:
        assert server.posts == []
        return
    ((path, body, _headers),) = server.posts
    assert (path, body["result"], body["hosts"]) == (f"/{TOKEN}", "failure", ["one", "two"])
    assert "keep must be a whole number" in body["reason"]
    assert body["failures"][0]["host"] == "one"


@pytest.mark.parametrize("playbook", ["site", "deploy", "rollback"])
@pytest.mark.parametrize("hosts", ["one,", "one,two,"])
def test_hosts_that_cannot_be_reached_are_told_of(playbook: str, hosts: str, tmp_path: Path) -> None:
    with receiving() as server:
        lost = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
        apps = [{"name": "shop", "source": "./shop", "app": "shop:app"}]
        values = {**lost, "app": "shop", "flask_apps": apps, "flask_notify": [{"url": f"{server.url}/{TOKEN}"}]}
        done = played(tmp_path, playbook, values, f"--inventory={hosts}")
    assert done.returncode in (2, 4)
    assert TOKEN not in done.stdout + done.stderr
    ((_path, body, _headers),) = server.posts
    assert (body["result"], body["applications"]) == ("failure", [])
    assert body["hosts"] == hosts.strip(",").split(",")
    assert "Connection refused" in body["reason"]


@pytest.mark.parametrize("playbook", ["site", "deploy"])
def test_what_cannot_be_used_is_refused_before_anything_changes(playbook: str, tmp_path: Path) -> None:
    notify = [{"url": f"ftp://example.com/{TOKEN}"}]
    apps = [{"name": "shop", "source": "./shop", "app": "shop:app"}]
    done = played(tmp_path, playbook, {"flask_apps": apps, "flask_notify": notify}, "-vvv", *LOCAL)
    assert done.returncode == 2
    assert "flask_notify[0].url must begin with https:// and a host" in done.stdout
    assert TOKEN not in done.stdout + done.stderr


def played(tmp_path: Path, playbook: str, values: dict[str, t.Any], *options: str) -> subprocess.CompletedProcess[str]:
    variables = tmp_path / "variables.json"
    variables.write_text(json.dumps(values), encoding="utf-8")
    command = [sys.executable, "-m", "ansible", "playbook", str(ROOT / "playbooks" / f"{playbook}.yml")]
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible/collections"),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path),
        "ANSIBLE_NOCOLOR": "1",
    }
    return subprocess.run(
        [*command, "--extra-vars", f"@{variables}", *options],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        env=environment,
        text=True,
        timeout=120,
    )
