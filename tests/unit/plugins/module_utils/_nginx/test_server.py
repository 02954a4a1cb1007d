# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which process is the nginx that is meant, and what proves that it has loaded its configuration."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.binary import Nginx
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.build_options import parse_build
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.host import NginxHost
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.server import (
    Master,
    configuration_of,
    error_logs,
    find_master,
    given_directives,
    pid_file,
)
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.staged_tree import StagedTree
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_host import FakeHost

TITLE = "nginx: master process /usr/sbin/nginx"
OPTIONS = "--prefix=/usr/share/nginx --conf-path=nginx.conf"
# A build with a relative configuration file.
COMPILED = parse_build(f"nginx version: nginx/1.26.3\nconfigure arguments: {OPTIONS}")


@pytest.fixture(name="host")
def make_host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    host.nginx.start(age=100)
    return host


def found(host: FakeHost) -> Master | None:
    nginx = Nginx("nginx", host.nginx.config, host=host)
    return find_master(host, nginx.config, nginx.build, "nginx", [f"{host.root}/error.log"])


def master_of(host: FakeHost) -> Master:
    master = found(host)
    assert master is not None
    return master


# Which process


@pytest.mark.parametrize("systemd", [True, False])
def test_a_master_is_found_also_when_its_pid_file_is_gone_or_stale(host: FakeHost, systemd: bool) -> None:
    host.systemd = systemd
    assert master_of(host).pid == host.nginx.master
    for text in ("", "x", "1", "99999"):
        (host.root / "nginx.pid").write_text(text)
        assert master_of(host).pid == host.nginx.master
    (host.root / "nginx.pid").unlink()
    assert master_of(host).pid == host.nginx.master


def test_a_master_of_another_configuration_or_of_a_container_is_not_ours(host: FakeHost) -> None:
    pid = host.nginx.master
    host.titles = {pid: f"{TITLE} -c /etc/other/nginx.conf"}
    assert found(host) is None
    host.titles = {}
    host.namespaces = {pid: "pid:[2]"}
    assert found(host) is None
    host.nginx.stop()
    host.namespaces = {}
    assert found(host) is None


@pytest.mark.parametrize(
    ("title", "directory", "path"),
    [
        (TITLE, "/", "/usr/share/nginx/nginx.conf"),
        (f"{TITLE} -c /etc/nginx/nginx.conf", "/", "/etc/nginx/nginx.conf"),
        (f"{TITLE} -c/etc/nginx/nginx.conf", "/", "/etc/nginx/nginx.conf"),
        (f"{TITLE} -p /opt/web -c conf/n.conf", "/", "/opt/web/conf/n.conf"),
        (f"{TITLE} -p web -c n.conf -g x", "/opt", "/opt/web/n.conf"),
        (f"{TITLE} -c", "/", "/usr/share/nginx/nginx.conf"),
    ],
)
def test_the_configuration_of_a_process_is_read_from_its_command_line(title: str, directory: str, path: str) -> None:
    assert configuration_of(title, directory, COMPILED) == path


def test_the_pid_file_is_the_one_that_the_configuration_names(host: FakeHost) -> None:
    build = Nginx("nginx", host.nginx.config, host=host).build
    config = Path(host.nginx.config)
    for text, path in {"pid run/n.pid;": f"{host.root}/run/n.pid", "events {}": build.pid}.items():
        config.write_text(text)
        assert pid_file(str(config), build) == path


def test_directives_of_the_command_line_come_from_the_process_or_else_from_the_unit(host: FakeHost) -> None:
    master = master_of(host)
    host.titles = {master.pid: f"{TITLE} -g daemon on; master_process on;"}
    assert "daemon on;" in given_directives(host, master, "nginx")
    argv = "/usr/sbin/nginx -g daemon on;"
    host.properties = {"ExecStart": f"{{ path=/usr/sbin/nginx ; argv[]={argv} ; ignore_errors=no }}"}
    assert "daemon on;" in given_directives(host, None, "nginx")
    host.systemd = False
    assert given_directives(host, None, "nginx") == ""


def test_error_logs_are_the_files_of_the_main_level(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text(
        "error_log a.log; error_log stderr; error_log syslog:server=x; http { error_log b.log; }"
    )
    config = StagedTree({}).load(str(tmp_path / "nginx.conf"))
    (tmp_path / "fake").mkdir()
    build = Nginx("nginx", "x", host=FakeHost(tmp_path / "fake")).build
    assert error_logs(config, build) == [f"{tmp_path}/fake/a.log"]
    assert error_logs(None, build) == []


# What a reload proves


def test_new_workers_in_the_place_of_all_old_ones_prove_a_reload(host: FakeHost) -> None:
    old = tuple(sorted(host.nginx.workers))
    result = master_of(host).reload(30)
    assert (result.performed, result.proved, result.old_workers) == (True, True, old)
    assert not set(result.new_workers) & set(old)
    assert set(result.old_workers) == master_of(host).workers(leaving=True)


def test_a_refused_load_is_told_with_what_nginx_says_of_it(host: FakeHost) -> None:
    (host.root / "enabled/x").write_text("unloadable;\n")
    master = master_of(host)
    before = master.workers()
    result = master.reload(30)
    assert (result.performed, result.proved) == (True, False)
    assert result.reason == "nginx could not load the new configuration"
    said = f'unknown directive "unloadable" in {host.root}/enabled/x:1'
    assert result.output == f"[emerg] {master.pid}#{master.pid}: {said}"
    assert master.runs_only(before)


def test_a_load_of_somebody_else_is_waited_for_and_proves_nothing_of_ours(host: FakeHost) -> None:
    """The one under way has read the files as they were; the words of the log are those of our own load."""
    host.nginx.hang_up()
    host.clock.sleep(0.02)
    began = host.clock.now
    result = master_of(host).reload(30)
    assert result.proved and host.nginx.reloads == 2
    assert host.clock.now - began > 0.15


def test_a_master_that_takes_no_signal_is_given_the_time_and_not_more(host: FakeHost) -> None:
    host.nginx.takes_signals = False
    began = host.clock.now
    result = master_of(host).reload(5)
    assert not result.proved
    assert result.reason.endswith("it was still loading an earlier configuration, or is suspended")
    assert 5 <= host.clock.now - began < 12


def test_a_master_that_has_ended_is_told(host: FakeHost) -> None:
    master = master_of(host)
    host.nginx.happens_at_reload = host.nginx.stop
    assert master.reload(30).reason == "the master process ended"
    host.nginx.happens_at_reload = None
    assert master.reload(30).reason == "the master process ended"


def test_an_exchange_of_the_binary_that_begins_meanwhile_leaves_nothing_proved(host: FakeHost) -> None:
    master = master_of(host)

    def exchange() -> None:
        host.titles = {900: TITLE, 901: "nginx: worker process"}
        host.parents = {900: master.pid, 901: 900}

    host.nginx.happens_at_reload = exchange
    assert "USR2" in master.reload(30).reason


def test_a_master_that_was_just_started_is_given_time_to_make_its_workers(host: FakeHost) -> None:
    workers = dict(host.nginx.workers)
    host.nginx.workers.clear()
    host.clock.after(0.3, lambda: host.nginx.workers.update(workers))
    assert master_of(host).present_workers() == set(workers)
    host.nginx.workers.clear()
    began = host.clock.now
    assert master_of(host).present_workers() == set()
    assert 1 <= host.clock.now - began < 1.1


# The host itself


def test_the_host_tells_of_its_processes() -> None:
    """A process of the test's own, whose title it has set as nginx does."""
    title = "nginx: master process /usr/sbin/nginx"
    # Tests that run with nohup ignore the signal, and so would the process.
    program = "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_DFL); print(1, flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [title, "-c", program],
        executable=sys.executable,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
    )
    assert process.stdin and process.stdout
    host, pid = NginxHost(), process.pid
    with process:
        process.stdout.readline()
        assert host.title(pid).startswith(title)
        assert pid in host.children(os.getpid()) and pid in set(host.processes())
        assert (host.parent(pid), host.directory(pid)) == (os.getpid(), "/")
        assert host.namespace(pid) == host.namespace("self") != ""
        assert host.start_ticks(pid) >= host.start_ticks(os.getpid()) > 0
        assert "SigBlk:" in host.status(pid)
        assert host.send_hup(pid)
        assert process.wait(20) == -signal.SIGHUP
    assert not host.send_hup(pid)
    gone = (host.title(pid), host.children(pid), host.parent(pid), host.start_ticks(pid), host.status(pid))
    assert gone == ("", [], 0, 0, "")
    assert (host.directory(pid), host.namespace(pid), host.standard_error(pid)) == ("/", "", "")
