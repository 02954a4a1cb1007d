# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every scenario's tests ask a host: as a visitor over HTTP, as an operator in a shell."""

from __future__ import annotations

import json
import shlex
import time
import typing as t

import pytest
from testinfra.host import Host

from tools.common import ROOT
from tools.molecule.protocols import Eventually, ReleaseOf, Reply, Shell, ShellError, Visit

VISITOR = ROOT / "tools" / "molecule" / "visit.py"

# The last words of what may be the cause, printed with a failing test.
POST_MORTEM = (
    "systemctl --failed --no-legend --plain",
    "tail -n 15 /var/log/nginx/error.log",
    "journalctl --no-pager --quiet --lines 25 --output short-precise --unit '*@*' | cut -c -200",
)


@pytest.fixture
def sh(host: Host) -> Shell:
    """Run a shell command that must succeed and return its output."""

    def run(command: str) -> str:
        result = host.run(command)
        if result.rc != 0:
            raise ShellError(f"{command}\nexited {result.rc}: {result.stdout}{result.stderr}")
        return str(result.stdout).strip()

    return run


@pytest.fixture
def visit(host: Host) -> Visit:
    """Send a request from inside the host to its nginx."""
    program = VISITOR.read_text(encoding="utf-8")

    def send(name: str, target: str = "/", *, headers: t.Mapping[str, str] | None = None, **wanted: t.Any) -> Reply:
        named = {"Host": name, **(headers or {})}
        request = {
            "address": "127.0.0.1",
            "port": 443 if wanted.get("ca_file") else 80,
            "server_name": name,
            "target": target,
            "headers": list(named.items()),
            **wanted,
        }
        result = host.run("python3 -c %s %s", program, json.dumps(request))
        assert result.rc == 0, result.stderr
        answer = json.loads(result.stdout)
        return Reply(**{**answer, "headers": [tuple(header) for header in answer.get("headers", [])]})

    return send


@pytest.fixture
def eventually() -> Eventually:
    """Wait, for a bounded time, until a question is answered with yes."""

    def wait(question: t.Callable[[], object], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not question():
            assert time.monotonic() < deadline, f"not so after {seconds} s"
            time.sleep(0.3)

    return wait


@pytest.fixture
def release_of(sh: Shell) -> ReleaseOf:
    """Return the id of an application's current release."""
    return lambda app: sh(f"basename $(readlink /srv/{shlex.quote(app)}/current)")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> t.Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the host's journal to the report of a failing test."""
    report = yield
    host = getattr(item, "funcargs", {}).get("host")
    if report.when == "call" and report.failed and isinstance(host, Host):
        for command in POST_MORTEM:
            report.sections.append((f"{host.backend.get_hostname()}: {command}", host.run(command).stdout))
    return report
