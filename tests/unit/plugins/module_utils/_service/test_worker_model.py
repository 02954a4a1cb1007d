# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes, requests and kept connections of workers: what is added to gunicorn.conf.py is run."""

from __future__ import annotations

import math
import os
import sys
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import parse_settings
from ansible_collections.flaskops.stack.plugins.module_utils._service.worker_model import with_sizes, with_worker_model

THIS, OTHER = "3f2a91c-1b9e02d4", "abcdef1-16114b43"
OFFERED = [("HOST", "shop.test"), ("CONNECTION", "close"), ("KEEP-ALIVE", "flaskops"), ("ACCEPT", "*/*")]
Conf = t.Dict[str, t.Any]


class Request:
    def __init__(self, headers: list[tuple[str, str]]) -> None:
        self.headers = list(headers)
        self.closed = False

    def force_close(self) -> None:
        self.closed = True


class Socket:
    def __init__(self) -> None:
        self.ended = False

    def shutdown(self, _how: int) -> None:
        self.ended = True


class Worker:
    """What a worker of gunicorn has that the model reads."""

    def __init__(self, requests: int = 1, kept: int = 0) -> None:
        self.cfg = types.SimpleNamespace(threads=4)
        self.keepalived_conns, self.pending_conns = [None] * kept, list[None]()
        self.nr_conns = requests + kept
        self.worker_connections = 1000


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> t.Callable[..., Conf]:
    """Run what is added, in a gunicorn that answers on kept connections before a worker ends, or in an older one."""

    def run(names: Conf, *, lingers: bool = True, **chosen: object) -> Conf:
        modules = {
            name: types.ModuleType(name)
            for name in ("gunicorn", "gunicorn.config", "gunicorn.workers", "gunicorn.workers.gthread")
        }
        setting = types.SimpleNamespace(default=lambda *_args: None, validator=lambda hook: hook)
        modules["gunicorn.config"].__dict__.update(PreRequest=setting, PostRequest=setting)
        gthread = modules["gunicorn.workers.gthread"]
        gthread.__dict__.update(ThreadWorker=Worker, **({"STOP_KEEPALIVE_LINGER": 2.0} if lingers else {}))
        modules["gunicorn.workers"].__dict__["gthread"] = gthread
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        settings = parse_settings({"workers": 2, **chosen})
        conf: Conf = {"_os": os, "_math": math, "_cpus": lambda: 1.5, "worker_class": settings.worker_class}
        conf.update({"workers": 5, "threads": 4, "keepalive": settings.keepalive, **names})
        exec(with_worker_model(with_sizes("", settings), settings, f"{tmp_path}/releases/{THIS}"), conf)
        return conf

    return run


def asked(conf: Conf, headers: list[tuple[str, str]], worker: Worker | None = None) -> Request:
    request = Request(headers)
    conf["pre_request"](worker or conf["worker_class"](), request)
    return request


@pytest.mark.parametrize(
    ("cpus", "concurrency", "sizes"),
    [(0.5, "", (2, 8)), (1, "", (2, 8)), (1.5, "", (3, 8)), (4, "0", (5, 8)), (64, "", (8, 8)), (4, "10", (5, 4))],
)
def test_there_is_a_worker_for_each_cpu_and_one_more(
    read: t.Callable[..., Conf], monkeypatch: pytest.MonkeyPatch, cpus: float, concurrency: str, sizes: tuple[int, int]
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", concurrency)
    conf = read({"_cpus": lambda: cpus}, workers=0)
    assert (conf["workers"], conf["threads"]) == sizes


@pytest.mark.parametrize("chosen", [{"workers": 5}, {"threads": 4}, {"worker_class": "sync"}])
def test_a_choice_of_sizes_is_left_alone(
    read: t.Callable[..., Conf], monkeypatch: pytest.MonkeyPatch, chosen: dict[str, object]
) -> None:
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    conf = read({}, **{"workers": 0, **chosen})
    assert (conf["workers"], conf["threads"]) == (5, 4)


@pytest.mark.parametrize(("requests", "kept", "accepts"), [(3, 0, True), (4, 0, False), (3, 9, True), (4, 9, False)])
def test_a_worker_accepts_what_it_has_a_thread_for(
    read: t.Callable[..., Conf], requests: int, kept: int, accepts: bool
) -> None:
    worker = read({})["worker_class"](requests, kept)
    assert (worker.nr_conns < worker.worker_connections) is accepts


def test_fewer_connections_can_be_chosen(read: t.Callable[..., Conf]) -> None:
    for requests, accepts in ((1, True), (2, False)):
        worker = read({})["worker_class"](requests, 9)
        worker.worker_connections = 2
        assert (worker.nr_conns < worker.worker_connections) is accepts


def test_a_busy_worker_keeps_no_connection(read: t.Callable[..., Conf], tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(f"releases/{THIS}")
    conf = read({})
    found = [asked(conf, OFFERED, conf["worker_class"](requests, 7)).closed for requests in (1, 4, 5)]
    assert found == [False, False, True]


def test_the_release_that_serves_keeps_a_connection_of_nginx(read: t.Callable[..., Conf], tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(f"releases/{THIS}")
    request = asked(read({}), OFFERED)
    assert (request.headers, request.closed) == ([("HOST", "shop.test"), ("ACCEPT", "*/*")], False)


@pytest.mark.parametrize("current", [f"releases/{OTHER}", ""])
def test_any_other_release_closes_it_after_the_answer(
    read: t.Callable[..., Conf], tmp_path: Path, current: str
) -> None:
    if current:
        (tmp_path / "current").symlink_to(current)
    request = asked(read({}), OFFERED)
    assert (request.headers, request.closed) == (OFFERED, True)


def test_a_switch_is_seen_with_the_next_request(read: t.Callable[..., Conf], tmp_path: Path) -> None:
    current, conf = tmp_path / "current", read({})
    current.symlink_to(f"releases/{THIS}")
    assert not asked(conf, OFFERED).closed
    current.unlink()
    current.symlink_to(f"releases/{OTHER}")
    assert asked(conf, OFFERED).closed


@pytest.mark.parametrize(
    "headers",
    [
        [("CONNECTION", "close")],
        [("KEEP-ALIVE", "timeout=5"), ("CONNECTION", "close")],
        [("CONNECTION", "keep-alive")],
        [],
    ],
)
def test_others_than_nginx_get_what_they_ask_for(
    read: t.Callable[..., Conf], tmp_path: Path, headers: list[tuple[str, str]]
) -> None:
    (tmp_path / "current").symlink_to(f"releases/{THIS}")
    request = asked(read({}), headers)
    assert (request.headers, request.closed) == (headers, False)


def test_a_websocket_stays_one(read: t.Callable[..., Conf], tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(f"releases/{THIS}")
    request = asked(read({}), [("CONNECTION", "upgrade"), ("KEEP-ALIVE", "flaskops"), ("UPGRADE", "websocket")])
    assert request.headers == [("CONNECTION", "upgrade"), ("UPGRADE", "websocket")]


@pytest.mark.parametrize(
    ("chosen", "lingers"), [({}, False), ({"worker_class": "sync"}, True), ({"worker_class": "gevent"}, True)]
)
def test_other_workers_are_left_alone(read: t.Callable[..., Conf], chosen: dict[str, object], lingers: bool) -> None:
    conf = read({}, lingers=lingers, **chosen)
    assert "pre_request" not in conf
    assert (conf["worker_class"], conf["keepalive"]) == (chosen.get("worker_class", "gthread"), 2)


@pytest.mark.parametrize(("chosen", "used"), [(0, 0), (2, 10), (10, 10), (75, 75)])
def test_gunicorn_never_closes_a_connection_before_nginx_does(
    read: t.Callable[..., Conf], chosen: int, used: int
) -> None:
    assert read({}, keepalive=chosen)["keepalive"] == used


def test_hooks_of_the_application_are_called(read: t.Callable[..., Conf]) -> None:
    called: list[tuple[object, ...]] = []
    conf = read({"pre_request": lambda *args: called.append(args), "post_request": lambda *args: called.append(args)})
    request = asked(conf, [])
    conf["post_request"]("worker", request, {}, None)
    assert [one[1:] for one in called] == [(request,), (request, {}, None)]


@pytest.mark.parametrize(
    ("sent", "length", "ended"), [(5, 10, True), (10, 10, False), (7, None, False), (0, 10, False)]
)
def test_an_answer_that_is_too_short_ends_its_connection(
    read: t.Callable[..., Conf], sent: int, length: int | None, ended: bool
) -> None:
    response = types.SimpleNamespace(sent=sent, response_length=length, sock=Socket())
    read({})["post_request"](None, None, {}, response)
    assert response.sock.ended is ended
