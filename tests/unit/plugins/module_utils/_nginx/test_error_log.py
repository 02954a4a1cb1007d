# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running nginx complains of while it loads: of this process, since then, from files or the journal."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.error_log import ErrorLog
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_host import FakeHost

EMERG = '2026/01/01 12:00:00 [emerg] 101#101: unknown directive "x" in /etc/nginx/nginx.conf:1'
PLAIN = '[emerg] 101#101: unknown directive "x" in /etc/nginx/nginx.conf:1'


@pytest.fixture(name="host")
def make_host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def append(path: Path, *lines: str) -> None:
    with path.open("a") as stream:
        stream.writelines(f"{line}\n" for line in lines)


def test_errors_are_those_of_the_process_since_the_beginning(host: FakeHost, tmp_path: Path) -> None:
    path = tmp_path / "n.log"
    append(path, EMERG.replace('"x"', '"before"'))
    log = ErrorLog(host, 101, ["", str(path)], "nginx")
    append(path, EMERG, EMERG, EMERG.replace("101#", "102#"), EMERG.replace("[emerg]", "[notice]"), "no line of nginx")
    assert log.errors() == [PLAIN]
    log.begin()
    assert log.errors() == []


def test_a_log_that_appears_later_is_read_from_its_beginning(host: FakeHost, tmp_path: Path) -> None:
    log = ErrorLog(host, 101, [str(tmp_path / "later.log")], "nginx")
    assert log.errors() == []
    append(tmp_path / "later.log", EMERG)
    assert log.errors() == [PLAIN]


def test_without_a_file_the_journal_is_asked_now_and_then(host: FakeHost) -> None:
    log = ErrorLog(host, 101, [], "nginx")
    assert log.errors() == []
    host.journal = [(host.time() - 60, EMERG.replace('"x"', '"before"')), (host.time() + 60, EMERG)]
    assert log.errors() == []
    host.clock.sleep(1)
    assert log.errors() == [PLAIN]
    host.journal = []
    assert (log.errors(), log.errors(now=True)) == ([PLAIN], [])


def test_where_there_is_neither_nothing_is_known(host: FakeHost) -> None:
    host.systemd, host.journal = False, [(host.time() + 60, EMERG)]
    assert ErrorLog(host, 101, [], "nginx").errors(now=True) == []
