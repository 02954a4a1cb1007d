# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications that sleep: what may be asked for, and when gunicorn ends."""

from __future__ import annotations

import struct
import time
import typing as t
from types import SimpleNamespace

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout, Manifest
from ansible_collections.flaskops.stack.plugins.module_utils._service.idle import (
    as_idle,
    check_idle,
    idle_seconds,
    is_asleep,
    with_idle,
)
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import (
    identifying_settings,
    parse_settings,
)
from ansible_collections.flaskops.stack.plugins.module_utils._service.units import release_units


@pytest.mark.parametrize(
    ("idle", "seconds"), [("15m", 900), ("90s", 90), ("90", 90), (600, 600), ("2h", 7200), ("1d", 86400), ("10", 10)]
)
def test_times_are_read_as_systemd_writes_them(idle: object, seconds: int) -> None:
    assert idle_seconds(as_idle("idle", idle)) == seconds


@pytest.mark.parametrize("idle", ["", "0", 0])
def test_an_application_is_never_idle_unless_that_is_chosen(idle: object) -> None:
    assert as_idle("idle", idle) == ""
    assert with_idle("x", "") == "x"
    assert "idle" not in identifying_settings(parse_settings({"idle": idle}))


@pytest.mark.parametrize("idle", ["9", "9s", "0m", "-5", "15 m", "1.5h", "15min", "m", "15m 5s", "\uff115m"])
def test_other_times_are_refused_with_an_example(idle: object) -> None:
    with pytest.raises(InputError, match="must be a time of 10 seconds or more, such as 15m"):
        as_idle("idle", idle)


def test_requests_would_be_lost_where_they_are_not_finished() -> None:
    with pytest.raises(InputError, match="tornado does not, choose gthread"):
        parse_settings({"idle": "15m", "worker_class": "tornado"})
    for timeout in (0, 60, 90):
        with pytest.raises(InputError, match="must be longer than timeout"):
            check_idle("60", "sync", timeout)
    for worker_class in ("gthread", "gevent"):
        check_idle("60", worker_class, 0)
    check_idle("60", "sync", 59)
    check_idle("", "tornado", 0)


def test_systemd_starts_it_again_after_a_crash_only() -> None:
    def service(**settings: object) -> str:
        manifest = Manifest("shop", "3f2a91c-1b9e02d4", "u", "g", {}, "", "a:b", parse_settings(settings))
        return next(text for name, text in release_units(Layout("/srv", "shop"), manifest).items() if "service" in name)

    assert "\nRestart=always\n" in service()
    assert "\nRestart=on-failure\n" in service(idle="15m")


@pytest.mark.parametrize(
    ("active", "result", "asleep"),
    [
        ("inactive", "success", True),
        ("active", "success", False),
        ("deactivating", "success", True),
        ("failed", "exit-code", False),
        ("inactive", "exit-code", False),
        ("", "", False),
    ],
)
def test_one_that_has_failed_is_not_asleep(active: str, result: str, asleep: bool) -> None:
    assert is_asleep({"ActiveState": active, "Result": result}) is asleep
    assert not is_asleep({"ActiveState": active, "Result": result, "LoadState": "not-found"})


class Log:
    def __init__(self) -> None:
        self.said: list[str] = []

    def info(self, text: str, *_args: object) -> None:
        self.said.append(text)

    warning = info


Names = t.Dict[str, t.Any]


def run(worker_class: str = "gthread", version: str = "27.0.1", **more: object) -> Names:
    names: Names = {"worker_class": worker_class, "_VERSION": version, **more}
    exec(with_idle("", "15m"), names)
    return names


def last_used(names: Names, seconds_ago: float | None = None) -> float:
    if seconds_ago is not None:
        names["_used"][:] = struct.pack("d", time.monotonic() - seconds_ago)
    return float(struct.unpack("d", names["_used"][:])[0])


def master(names: Names) -> SimpleNamespace:
    server = SimpleNamespace(log=Log(), murder_workers=lambda: None)
    names["when_ready"](server)
    return server


def test_the_master_ends_when_no_worker_was_at_work_for_long_enough() -> None:
    names = run()
    server = master(names)
    # No worker has loaded the application.
    server.murder_workers()
    last_used(names, 890)
    server.murder_workers()
    last_used(names, 901)
    with pytest.raises(StopIteration):
        server.murder_workers()
    assert server.log.said == ["asleep: no request for 900 seconds, the next one starts it again"]


@pytest.mark.parametrize(
    ("worker_class", "version", "sleeps"),
    [("gthread", "23.0.0", False), ("gthread", "24.0.0", True), ("sync", "21.2.0", True), ("gevent", "23.0.0", True)],
)
def test_a_gunicorn_that_would_lose_requests_stays_awake(worker_class: str, version: str, sleeps: bool) -> None:
    names = run(worker_class, version)
    server = master(names)
    last_used(names, 901)
    if sleeps:
        with pytest.raises(StopIteration):
            server.murder_workers()
    else:
        server.murder_workers()
        assert server.log.said == ["idle is off: gthread of gunicorn %s loses requests when it ends, 24 does not"]


def test_a_request_that_takes_long_keeps_it_awake() -> None:
    names = run()
    noted: list[float] = []

    def handle(*args: object) -> object:
        noted.append(last_used(names))
        last_used(names, 800)
        worker.notify()
        noted.append(last_used(names))
        last_used(names, 700)
        return args

    worker = SimpleNamespace(handle_request=handle, notify=lambda: None)
    names["post_worker_init"](worker)
    begun = last_used(names)
    assert time.monotonic() - begun < 5
    last_used(names, 890)
    worker.notify()
    assert time.monotonic() - last_used(names) > 880
    assert worker.handle_request("request", "connection") == ("request", "connection")
    assert all(time.monotonic() - moment < 5 for moment in [*noted, last_used(names)])


def test_a_request_that_fails_is_over() -> None:
    names = run()

    def handle() -> None:
        raise ZeroDivisionError

    worker = SimpleNamespace(handle_request=handle, notify=lambda: None)
    names["post_worker_init"](worker)
    with pytest.raises(ZeroDivisionError):
        worker.handle_request()
    last_used(names, 800)
    worker.notify()
    assert time.monotonic() - last_used(names) > 790


def test_hooks_of_the_settings_are_called_as_well() -> None:
    called: list[object] = []
    names = run(when_ready=called.append, post_worker_init=called.append)
    server = master(names)
    worker = SimpleNamespace(handle_request=None, notify=None)
    names["post_worker_init"](worker)
    assert called == [server, worker]
