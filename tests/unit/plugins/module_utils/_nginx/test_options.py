# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.conf import COMMAND_LINE, load
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.options import global_directives, unit_directives


@pytest.mark.parametrize(
    ("command", "given"),
    [
        ("nginx: master process /usr/sbin/nginx -g daemon on; master_process on;", "daemon on; master_process on;"),
        ("nginx: master process nginx -g load_module modules/x.so; -c /etc/nginx/n.conf", "load_module modules/x.so;"),
        ("nginx -c /etc/nginx/n.conf -p /srv/ -gdaemon off;", "daemon off;"),
        ("nginx -g user a; -g user b;", "user b;"),
        ("nginx -g env A=x -c y; -q", "env A=x -c y;"),
        ("nginx -c /a-g/n.conf", ""),
        ("nginx", ""),
    ],
)
def test_directives_of_a_command_line_are_found(command: str, given: str) -> None:
    assert global_directives(command) == given


@pytest.mark.parametrize(
    ("exec_start", "given"),
    [
        (
            "{ path=/sbin/nginx ; argv[]=/sbin/nginx -g daemon on; master_process on; ; ignore_errors=no ; pid=0 }",
            "daemon on; master_process on;",
        ),
        ("{ path=/usr/sbin/nginx ; argv[]=/usr/sbin/nginx ; ignore_errors=no ; pid=0 }", ""),
        ("{ path=/usr/sbin/nginx ; argv[]=/usr/sbin/nginx -g ${OPTIONS}; ; ignore_errors=no ; pid=0 }", ""),
        ("", ""),
    ],
)
def test_directives_of_a_unit_are_found(exec_start: str, given: str) -> None:
    assert unit_directives(exec_start) == given


def test_what_the_command_line_gives_stands_before_the_main_file() -> None:
    tree = {"/n/main": b"pid x;\nhttp {}\n", "/n/more": b"user b;\n"}
    config = load("/n/main", tree.get, lambda _pattern: [], "load_module m.so;\ninclude more;")
    placed = list(config.top())
    assert [item.directive.name for item in placed] == ["load_module", "user", "pid", "http"]
    assert [item.file for item in placed] == [COMMAND_LINE, "/n/more", "/n/main", "/n/main"]
    assert [config.line(item) for item in placed] == [1, 1, 1, 2]
