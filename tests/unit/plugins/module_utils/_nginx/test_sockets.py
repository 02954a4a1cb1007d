# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.conf import load
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.holders import (
    find_sockets_in_use,
    parse_table,
    parse_unix,
    resolve,
)
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.policy import CLASH, IN_USE
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.sockets import Socket, find_clashes, find_sockets


def sockets(http: str = "", stream: str = "", mail: str = "") -> list[Socket]:
    """Return the sockets of a configuration; a server is written as its listen directives, each on a line."""
    blocks = []
    for context, text in (("http", http), ("stream", stream), ("mail", mail)):
        servers = "\n".join(f"server {{ {one} }}" for one in text.split("|") if one)
        blocks.append(f"{context} {{ {servers} }}")
    tree = {"/main": "\n".join(blocks).encode()}
    names = {"localhost": ["127.0.0.1", "::1"], "both": ["192.0.2.1", "192.0.2.2"]}
    return find_sockets(load("/main", tree.get, lambda _pattern: []), lambda name: names.get(name, []))


def clashes(**contexts: str) -> list[str]:
    return [problem.message for problem in find_clashes(sockets(**contexts))]


# What nginx 1.26 on Linux 6 refuses to start with, although nginx -t accepts it; each was tried.
@pytest.mark.parametrize(
    "contexts",
    [
        {"http": "listen 80;|listen [::]:80 ipv6only=off;"},
        {"http": "listen 80; listen [::]:80 ipv6only=off;"},
        {"http": "listen 127.0.0.1:80;|listen [::]:80 ipv6only=off;"},
        {"http": "listen [::1]:80 bind;|listen [::]:80 ipv6only=off;"},
        {"http": "listen [::]:80 ipv6only=off;|listen [::]:80;|listen 80;"},
        {"http": "listen 80;|listen 127.0.0.1:80 bind;"},
        {"http": "listen 80;|listen 127.0.0.1:80 backlog=10;"},
        {"http": "listen 80;|listen 127.0.0.1:80 reuseport;"},
        {"http": "listen 80;", "stream": "listen 80;"},
        {"http": "listen 80;", "stream": "listen *:80;"},
        {"http": "server_name x;", "stream": "listen 0.0.0.0:80;"},
        {"http": "listen 127.0.0.1:80;", "stream": "listen 80;"},
        {"http": "listen 80;", "mail": "listen 80;"},
        {"stream": "listen 80;", "mail": "listen 80;"},
        {"stream": "listen 80;|listen [::]:80 ipv6only=off;"},
        {"http": "listen unix:/run/a.sock;", "stream": "listen unix:/run/a.sock;"},
        {"http": "listen unix:/run/a.sock;|listen unix:/run//a.sock;"},
        {"http": "listen 8000-8010;|listen [::]:8005 ipv6only=off;"},
        {"http": "listen localhost:80;|listen [::]:80 ipv6only=off;"},
        {"http": "listen both:80;", "stream": "listen 192.0.2.2:80;"},
        {"http": "listen 127.0.0.1:80;|listen [::ffff:127.0.0.1]:80 ipv6only=off;"},
        # These start, and each connection or packet goes to one of the two by chance.
        {"http": "listen 80 reuseport;", "stream": "listen 80 reuseport;"},
        {"http": "listen 80 quic;", "stream": "listen 80 udp;"},
    ],
)
def test_sockets_that_exclude_each_other_are_found(contexts: dict[str, str]) -> None:
    assert len(clashes(**contexts)) == 1


# What nginx starts with; each was tried.
@pytest.mark.parametrize(
    "contexts",
    [
        {"http": "listen 80; listen [::]:80;|listen 80; listen [::]:80;"},
        {"http": "listen [::1]:80;|listen [::]:80 ipv6only=off;"},
        {"http": "listen 80;|listen 127.0.0.1:80;"},
        {"http": "listen 80 bind;|listen 127.0.0.1:80;"},
        {"http": "listen 80 reuseport;|listen 127.0.0.1:80 reuseport;"},
        {"http": "listen 80 reuseport;|listen [::]:80 ipv6only=off reuseport;"},
        {"http": "listen 80;", "stream": "listen 80 udp;"},
        {"http": "listen 443 ssl; listen 443 quic;"},
        {"http": "listen 127.0.0.1:80;", "stream": "listen 127.0.0.2:80;"},
        {"http": "listen 80;", "stream": "listen [::]:80;"},
        {"stream": "listen 80;|listen 127.0.0.1:80;"},
        {"mail": "listen 80;|listen 127.0.0.1:80;"},
        {"stream": "listen 80 udp;|listen [::]:80 udp ipv6only=off;"},
        {"http": "listen 80;|listen 81;", "stream": "listen 82;", "mail": "listen 83;"},
        {"http": "listen nowhere.invalid:80;|listen x:y;"},
    ],
)
def test_sockets_that_get_along_are_left_alone(contexts: dict[str, str]) -> None:
    assert clashes(**contexts) == []


def test_both_places_and_the_way_out_are_named() -> None:
    (message,) = clashes(http="listen 80;|\nlisten 80; listen [::]:80;|\n\nlisten [::]:80 ipv6only=off;")
    assert "0.0.0.0:80 (http, /main:1, /main:3)" in message
    assert "[::]:80 with ipv6only=off (http, /main:6, /main:3)" in message
    assert "take 'ipv6only=off' out of /main:6, add 'listen 80;' beside it and restart nginx" in message
    assert "http_port" in message


def test_of_many_places_only_some_are_named() -> None:
    (message,) = clashes(http="listen 80;|" * 9, stream="listen 80;")
    assert "(http, /main:1, /main:2, /main:3, /main:4 and 5 more)" in message


def test_a_range_of_ports_is_told_once() -> None:
    assert len(clashes(http="listen 8000-8100;", stream="listen 8050-8150;")) == 1


def test_the_kernels_tables_are_read() -> None:
    tcp = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 123 1 0 100 0\n"
        "   1: 0100007F:0050 0100007F:AFFE 01 00000000:00000000 00:00000000 00000000     0        0 124 1 0 100 0\n"
    )
    assert [(str(one.address), one.inode) for one in parse_table(tcp, "tcp", "0A")] == [("127.0.0.1:80", "123")]
    six = tcp.replace("0100007F:0050 00000000", "00000000000000000000000001000000:0050 00000000")
    assert [str(one.address) for one in parse_table(six, "tcp", "0A")] == ["[::1]:80"]
    unix = (
        "Num       RefCount Protocol Flags    Type St Inode Path\n"
        "0: 00000002 00000000 00010000 0001 01 77 /run/a b.sock\n"
        "0: 00000002 00000000 00010000 0001 01 78 @abstract\n"
        "0: 00000003 00000000 00000000 0001 03 79 /run/a b.sock\n"
    )
    assert [(str(one.address), one.inode) for one in parse_unix(unix)] == [("unix:/run/a b.sock", "77")]


@pytest.mark.parametrize(
    ("host", "listen"), [("127.0.0.1", "127.0.0.1:%d"), ("0.0.0.0", "127.0.0.1:%d"), ("127.0.0.1", "%d")]
)
def test_who_has_a_port_is_named(host: str, listen: str) -> None:
    with socket.create_server((host, 0)) as taken:
        port = taken.getsockname()[1]
        (problem,) = find_sockets_in_use(sockets(http=f"listen {listen % port};"))
        assert problem.kind == IN_USE
        assert f"process {os.getpid()} (" in problem.message
        assert f"{host}:{port}" in problem.message
        assert "/main:1" in problem.message
        # The process that will be reloaded keeps what it has. Another address beside it is in its own way.
        own = find_sockets_in_use(sockets(http=f"listen {listen % port};"), master=os.getpid())
        assert ["the running nginx has" in one.message for one in own] == ([] if host in listen else [True])


def test_a_port_that_nobody_has_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]
    assert find_sockets_in_use(sockets(http=f"listen 127.0.0.1:{port};", stream=f"listen 127.0.0.1:{port} udp;")) == []


def test_a_datagram_socket_of_somebody_else_is_found() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        (problem,) = find_sockets_in_use(sockets(stream=f"listen 127.0.0.1:{port} udp;"))
        assert f"127.0.0.1:{port}/udp" in problem.message


def test_a_unix_socket_is_taken_by_whatever_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    assert find_sockets_in_use(sockets(http=f"listen unix:{path};")) == []
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(path))
        taken.listen()
        (problem,) = find_sockets_in_use(sockets(http=f"listen unix:{path};"))
        assert f"process {os.getpid()} (" in problem.message
        assert find_sockets_in_use(sockets(http=f"listen unix:{path};"), master=os.getpid()) == []
    (problem,) = find_sockets_in_use(sockets(http=f"listen unix:{path};"))
    assert "remove that file" in problem.message


def test_names_are_resolved_as_nginx_does() -> None:
    assert "127.0.0.1" in resolve("localhost") or "::1" in resolve("localhost")
    assert resolve("no-such-host.invalid") == []


def test_kinds_can_be_tolerated() -> None:
    assert find_clashes(sockets(http="listen 80;", stream="listen 80;"))[0].kind == CLASH
