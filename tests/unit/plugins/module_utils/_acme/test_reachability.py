# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import threading
import time
import typing as t
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._acme import reachability
from ansible_collections.flaskops.stack.plugins.module_utils._acme.reachability import Network, leads_elsewhere
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_certbot import HERE, FakeNetwork

OTHER, SIX = "192.0.2.9", "2001:db8::9"


@pytest.fixture(name="network")
def make_network(tmp_path: Path) -> FakeNetwork:
    return FakeNetwork(str(tmp_path))


def found(network: FakeNetwork, *names: str) -> dict[str, str]:
    return leads_elsewhere(t.cast("t.Any", network), network.challenges, names)


def test_names_that_lead_here_are_no_problem_and_no_token_stays(network: FakeNetwork) -> None:
    assert found(network, "shop.test", "www.shop.test") == {}
    assert os.listdir(f"{network.challenges}/.well-known/acme-challenge") == []


def test_each_address_is_asked_and_the_one_that_is_another_host_is_named(network: FakeNetwork) -> None:
    network.addresses["shop.test"] = [HERE, SIX]
    network.answers[SIX] = (404, "", b"not here")
    said = found(network, "shop.test", "blog.test")
    assert list(said) == ["shop.test"]
    assert f"shop.test leads to {SIX}, which answers with status 404" in said["shop.test"]
    assert "nginx_acme_check_names" in said["shop.test"]


def test_a_name_without_an_address_says_so(network: FakeNetwork) -> None:
    network.addresses["shop.test"] = []
    assert "has no address (Name or service not known)" in found(network, "shop.test")["shop.test"]


def test_an_address_that_does_not_answer_is_named(network: FakeNetwork) -> None:
    network.addresses["shop.test"] = [OTHER]
    network.answers[OTHER] = OSError(111, "Connection refused")
    assert f"{OTHER}, which does not answer (Connection refused)" in found(network, "shop.test")["shop.test"]


def test_another_content_is_another_host(network: FakeNetwork) -> None:
    network.answers[HERE] = (200, "", b"<html>parked</html>")
    assert "answers with something else" in found(network, "shop.test")["shop.test"]


def test_a_redirection_is_followed_as_a_ca_does_it(network: FakeNetwork) -> None:
    network.addresses["shop.test"] = [OTHER]
    network.answers[OTHER] = (301, "https://edge.test/.well-known/acme-challenge/x", b"")
    network.answers["edge.test"] = (404, "", b"")
    assert "status 404" in found(network, "shop.test")["shop.test"]
    assert [address for _url, address in network.asked] == [OTHER, ""]
    network.answers[OTHER] = (301, "file:///etc/passwd", b"")
    assert "redirects to file:///etc/passwd" in found(network, "shop.test")["shop.test"]


def test_redirections_in_a_circle_end(network: FakeNetwork) -> None:
    network.answers[HERE] = (302, "/again", b"")
    assert "status 302" in found(network, "shop.test")["shop.test"]


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{self.headers['Host']} {self.path}".encode())

    def log_message(self, *_words: object) -> None:
        pass


def test_the_network_asks_an_address_as_for_a_name() -> None:
    server = HTTPServer(("127.0.0.1", 0), _Answer)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    port = server.server_address[1]
    assert Network().fetch(f"http://shop.test:{port}/x?y", "127.0.0.1") == (200, "", f"shop.test:{port} /x?y".encode())
    thread.join()
    server.server_close()
    assert "127.0.0.1" in Network().resolve("localhost")


class _Slow(_Answer):
    def do_GET(self) -> None:
        with suppress(OSError):
            for _second in range(40):
                self.wfile.write(b"x")
                time.sleep(0.05)


def test_an_answer_of_one_byte_at_a_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachability, "_SECONDS", 0.3)
    server = HTTPServer(("127.0.0.1", 0), _Slow)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    begin = time.monotonic()
    with pytest.raises(OSError, match="no complete answer within 0"):
        Network().fetch(f"http://shop.test:{server.server_address[1]}/", "127.0.0.1")
    assert time.monotonic() - begin < 1
    thread.join()
    server.server_close()
