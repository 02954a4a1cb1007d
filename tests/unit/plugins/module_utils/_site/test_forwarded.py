# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an application has to believe of a visitor who forges, through the real wsgi.py and a proxy like nginx."""

from __future__ import annotations

import json
import re
import socket
import ssl
import stat
import sys
import threading
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._release import proxy_probe as _proxy_probe
from ansible_collections.flaskops.stack.plugins.module_utils._release.contents import write_token
from ansible_collections.flaskops.stack.plugins.module_utils._release.proxy_probe import (
    check_forwarded_headers,
    probe_sites,
)
from ansible_collections.flaskops.stack.plugins.module_utils._service.wsgi import complete_wsgi, render_wsgi
from ansible_collections.flaskops.stack.plugins.module_utils._site.forwarded import (
    ForwardedChain,
    find_wrong_headers,
    forged_headers,
)
from ansible_collections.flaskops.stack.plugins.module_utils._site.model import chain_of
from ansible_collections.flaskops.stack.plugins.module_utils._site.parse import parse_site
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_system import simulate

Headers = t.Mapping[str, str]
APP = {"name": "shop", "domains": ["shop.test"], "upstream": ["unix:/srv/shop/current/run/0.sock"]}


def right(chain: ForwardedChain, sent: Headers) -> Headers:
    """Do what the generated site does."""
    scheme = "https" if chain.tls else "http"
    if chain.behind_proxy:
        return {**sent, "X-Forwarded-For": sent["X-Forwarded-For"] + ", 127.0.0.1"}
    return {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": scheme, "X-Forwarded-Host": chain.authority}


def appending(_chain: ForwardedChain, sent: Headers) -> Headers:
    """Do what many tutorials do."""
    return {**sent, "X-Forwarded-For": sent["X-Forwarded-For"] + ", 127.0.0.1"}


def passing(_chain: ForwardedChain, sent: Headers) -> Headers:
    """Do nothing."""
    return sent


def short(chain: ForwardedChain, sent: Headers) -> Headers:
    """Be believed by a proxy that was not counted."""
    return {**sent, "X-Forwarded-For": "192.0.2.66, 10.0.0.1, 10.0.0.2"}


class ProxyFix:
    """What Werkzeug's does, for a test that has no Werkzeug."""

    def __init__(self, app: t.Any, **trusted: int) -> None:
        self._app, self._trusted = app, trusted

    def __call__(self, environ: dict[str, t.Any], start_response: t.Any) -> t.Any:
        keys = {"for": "REMOTE_ADDR", "proto": "wsgi.url_scheme", "host": "HTTP_HOST"}
        for what, key in keys.items():
            values = [value.strip() for value in environ.get(f"HTTP_X_FORWARDED_{what.upper()}", "").split(",")]
            number = self._trusted[f"x_{what}"]
            if len(values) >= number and values[-number]:
                environ[key] = values[-number]
        return self._app(environ, start_response)


class Host:
    """A release in a directory, and what stands in the place of nginx."""

    def __init__(self, path: Path, patch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.proxy: t.Callable[[ForwardedChain, Headers], Headers] = right
        self.status = 0
        patch.setattr(_proxy_probe, "_ask", self.ask)
        self.sim = simulate()

    def release(self, hops: int) -> None:
        write_token(str(self.path), hops, -1)
        (self.path / "shop.py").write_text("def app(environ, start_response):\n    return [b'the application']\n")
        (self.path / "wsgi.py").write_text(complete_wsgi(render_wsgi("shop:app", hops, "")))

    def chain(self, **options: t.Any) -> ForwardedChain:
        return ForwardedChain(str(self.path), "shop.test", **options)

    def ask(self, chain: ForwardedChain, path: str, headers: Headers) -> tuple[int, bytes]:
        if self.status:
            return self.status, b"<html>"
        changed = {**headers, **self.proxy(chain, headers), "Host": chain.authority}
        environ = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in changed.items()}
        plain = {
            "wsgi.url_scheme": "http",
            "REMOTE_ADDR": "",
            "SERVER_NAME": "x",
            "SERVER_PORT": "80",
            "PATH_INFO": path,
        }
        return 200, b"".join(self.application()({**environ, **plain}, lambda *_answer: None))

    def application(self) -> t.Any:
        names: dict[str, t.Any] = {"__file__": str(self.path / "wsgi.py"), "__name__": "flaskops_wsgi"}
        exec((self.path / "wsgi.py").read_text(), names)
        return names["application"]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    module = types.ModuleType("werkzeug.middleware.proxy_fix")
    module.ProxyFix = ProxyFix  # type: ignore[attr-defined]
    for name in ("werkzeug", "werkzeug.middleware"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return Host(tmp_path, monkeypatch)


WAYS = [
    (1, {}),
    (1, {"tls": True, "port": 443}),
    (1, {"port": 8080}),
    (2, {"behind_proxy": True}),
    (3, {"behind_proxy": True, "tls": True, "port": 8443}),
]


@pytest.mark.parametrize(("hops", "options"), WAYS)
def test_what_the_generated_site_does_is_right(host: Host, hops: int, options: dict[str, t.Any]) -> None:
    host.release(hops)
    assert check_forwarded_headers(host.sim.host, host.chain(**options)) == _proxy_probe.HeaderCheckResult()


@pytest.mark.parametrize(("old_answers", "seen"), [(1, True), (3, True), (4, False)])
def test_answers_of_the_old_release_on_kept_connections_are_not_taken_for_the_application(
    host: Host, monkeypatch: pytest.MonkeyPatch, old_answers: int, seen: bool
) -> None:
    host.release(1)
    answers = iter([(200, b"the old release")] * old_answers)
    monkeypatch.setattr(_proxy_probe, "_ask", lambda *args: next(answers, None) or host.ask(*args))
    found = check_forwarded_headers(host.sim.host, host.chain())
    assert ("something else than the application answers" not in found.unknown) is seen
    assert not found.wrong


@pytest.mark.parametrize(
    ("hops", "options", "proxy", "says"),
    [
        (1, {}, passing, "REMOTE_ADDR. was '192.0.2.66' and should be '127.0.0.1'; the scheme was 'https'"),
        (
            1,
            {},
            appending,
            "the host was 'forged.invalid' and should be 'shop.test'.*is 1: nginx has to set",
        ),
        (2, {}, right, "trusted_hops is 2, but the site of nginx is not told of the proxy before it"),
        (1, {"behind_proxy": True}, right, "set trusted_hops to the number of proxies, nginx included"),
        (
            3,
            {"behind_proxy": True, "chosen_proxies": True},
            lambda _c, s: {**s, "X-Forwarded-For": "192.0.2.66, 1, 2"},
            "192",
        ),
    ],
)
def test_what_is_wrong_is_told_with_what_it_should_be(
    host: Host, hops: int, options: dict[str, t.Any], proxy: t.Any, says: str
) -> None:
    host.release(hops)
    host.proxy = proxy
    wrong = check_forwarded_headers(host.sim.host, host.chain(**options)).wrong
    assert re.search(says, wrong), wrong


def test_an_application_that_reads_the_headers_itself_is_free_to(host: Host) -> None:
    host.release(0)
    host.proxy = passing
    assert not check_forwarded_headers(host.sim.host, host.chain()).wrong


def test_a_site_that_does_not_reach_the_application_is_wrong(host: Host) -> None:
    host.release(1)
    host.status = 502
    # nginx cannot be asked whether the site is published.
    host.sim.commands.fail("nginx -T")
    wrong = check_forwarded_headers(host.sim.host, host.chain()).wrong
    assert "does not reach the application; see its error log, and socket_group" in wrong
    assert "its next release gets sockets of the new group" in wrong


SITE = "upstream shop {{ server unix:{current}/run/0.sock; }}\nserver {{ server_name {names}; }}\n"


@pytest.mark.parametrize(
    ("config", "known"),
    [
        (SITE.format(current="{current}", names="www.test shop.test"), True),
        # Another server of the host answers for a name that it does not have.
        (SITE.format(current="/srv/wiki/current", names="wiki.test"), False),
        (SITE.format(current="/srv/wiki/current", names="shop.test"), False),
        (SITE.format(current="{current}", names="old-shop.test.example shop.test.example"), False),
        # nginx cannot be asked.
        ("", True),
    ],
)
def test_a_site_that_is_not_published_cannot_be_wrong(host: Host, config: str, known: bool) -> None:
    host.release(1)
    host.status = 502
    said = config.replace("{current}", str(host.path))
    if said:
        host.sim.commands.nginx = said
    else:
        host.sim.commands.fail("nginx -T")
    verdict = check_forwarded_headers(host.sim.host, host.chain())
    assert bool(verdict.wrong) == known
    assert known or verdict.unknown == (
        "nginx has no site that leads from shop.test to the application yet, and answers 502 for http://shop.test"
    )


@pytest.mark.parametrize(
    ("current", "says"),
    [
        (
            "/srv/wiki/current",
            "nginx has no site that leads from shop.test to the application yet, and does not answer",
        ),
        ("{current}", "nginx does not answer for http://shop.test: closed"),
    ],
)
def test_a_name_that_no_site_has_is_told_from_an_nginx_that_does_not_answer(
    host: Host, monkeypatch: pytest.MonkeyPatch, current: str, says: str
) -> None:
    host.release(1)
    host.sim.commands.nginx = SITE.format(current=current, names="shop.test").replace("{current}", str(host.path))
    monkeypatch.setattr(_proxy_probe, "_ask", lambda *_args: (0, b"closed"))
    assert check_forwarded_headers(host.sim.host, host.chain()).unknown.startswith(says)


def test_an_answer_of_somebody_else_is_no_verdict(host: Host) -> None:
    host.release(1)
    host.status = 401
    assert (
        "something else than the application answers, with status 401"
        in check_forwarded_headers(host.sim.host, host.chain()).unknown
    )


def test_a_python_that_cannot_do_tls_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ssl.SSLError("no usable configuration of OpenSSL")

    monkeypatch.setattr(ssl, "create_default_context", fail)
    write_token(str(tmp_path), 1, -1)
    verdict = check_forwarded_headers(simulate().host, ForwardedChain(str(tmp_path), "shop.test", 443, tls=True))
    assert (verdict.wrong, "no usable configuration" in verdict.unknown) == ("", True)


def test_only_who_has_the_token_learns_anything(host: Host) -> None:
    host.release(1)
    token = json.loads((host.path / "probe.json").read_text())["token"]
    for wrong in ("", "x", token[:-1], token + "0", "\u00fc"):
        environ = {"HTTP_X_FLASKOPS_PROBE": wrong, "wsgi.url_scheme": "http"}
        assert b"".join(host.application()(environ, None)) == b"the application"
    assert stat.S_IMODE((host.path / "probe.json").stat().st_mode) == 0o640


def test_a_release_without_a_token_is_the_application_alone(host: Host) -> None:
    host.release(1)
    (host.path / "probe.json").unlink()
    environ = {"HTTP_X_FLASKOPS_PROBE": "", "wsgi.url_scheme": "http"}
    assert b"".join(host.application()(environ, None)) == b"the application"
    assert "before there was such a probe" in check_forwarded_headers(host.sim.host, host.chain()).unknown


def test_sites_are_asked_when_they_lead_to_a_release(host: Host) -> None:
    items: list[dict[str, t.Any]] = [{"name": "shop", "chain": host.chain().to_json()}, {"name": "other"}]
    assert probe_sites(host.sim.host, items) == ([], [])
    host.release(1)
    host.proxy = passing
    wrong, unknown = probe_sites(host.sim.host, items)
    assert wrong[0].startswith("site 'shop' is published, but through nginx, with forged")
    assert not unknown


@pytest.mark.parametrize(
    "changes",
    [{"domains": ["*.shop.test"]}, {"upstream": ["10.0.0.1"]}, {"state": "disabled"}],
)
def test_a_site_that_leads_elsewhere_has_no_such_way(changes: dict[str, t.Any]) -> None:
    assert chain_of(parse_site({**APP, **changes}, {})) is None


def test_the_judge_needs_no_host() -> None:
    chain = ForwardedChain("/srv/shop/current", "shop.test")
    assert find_wrong_headers(chain, 1, {"address": "127.0.0.1", "scheme": "http", "host": "shop.test"}) == ""
    assert forged_headers(chain, 1)["X-Forwarded-Host"] == "forged.invalid"


@pytest.mark.parametrize(("tls", "then"), [(False, b"GET /x HTTP/1.1\r\n"), (True, b"\x16\x03")])
@pytest.mark.parametrize("proxied", [True, False])
def test_the_probe_speaks_the_proxy_protocol_where_nginx_expects_it(tls: bool, then: bytes, proxied: bool) -> None:
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            connection, _address = server.accept()
            with connection:
                connection.settimeout(5)
                while len(b"".join(seen)) < 70 and (data := connection.recv(4096)):
                    seen.append(data)

        thread = threading.Thread(target=serve)
        thread.start()
        chain = ForwardedChain("/srv/shop/current", "shop.test", port, tls, proxy_protocol=proxied)
        assert _proxy_probe._ask(chain, "/x", {})[0] == 0
        thread.join()
    greeting = f"PROXY TCP4 127.0.0.1 127.0.0.1 {port} {port}\r\n".encode() if proxied else b""
    assert b"".join(seen).startswith(greeting + then)
