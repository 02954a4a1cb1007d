# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of an application server: defaults, types and what is refused."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import Settings, to_json
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import (
    parse_settings,
    worker_requirements,
)


def test_nothing_given_gives_the_defaults() -> None:
    assert parse_settings({}) == Settings()


def test_the_result_is_stable_and_goes_through_json() -> None:
    once = parse_settings({"bind": "127.0.0.1:8000", "extra": {"backlog": 64}, "health": {"path": "/up"}})
    assert parse_settings(json.loads(json.dumps(to_json(once)))) == once


def test_none_means_the_default() -> None:
    assert parse_settings({"workers": None, "health": {"path": None}}) == Settings()


@pytest.mark.parametrize(
    ("key", "given", "wanted"),
    [
        ("workers", "3", 3),
        ("preload", "yes", True),
        ("bind", ["127.0.0.1:8000", "[::1]:81"], ["127.0.0.1:8000", "[::1]:81"]),
        ("bind", "127.0.0.1:08000", ["127.0.0.1:8000"]),
        ("after", ["postgresql", "redis.service"], ["postgresql.service", "redis.service"]),
        ("memory_max", "512M", "512M"),
        ("memory_high", "80%", "80%"),
        ("cpu_quota", "150%", "150%"),
        ("sandbox", False, False),
        ("sandbox", {"PrivateTmp": False, "BindPaths": ["/a", "/b"]}, {"PrivateTmp": False, "BindPaths": ["/a", "/b"]}),
        ("sandbox_paths", "/var/lib/x", ["/var/lib/x"]),
    ],
)
def test_values_are_brought_into_one_form(key: str, given: object, wanted: object) -> None:
    assert to_json(parse_settings({key: given}))[key] == wanted


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"worker": 3}, "no setting 'worker'.*workers"),
        ({"worker_class": "eventlet"}, "removed from gunicorn.*gevent"),
        ({"worker_class": "uvicorn"}, "'uvicorn' does not exist.*gthread"),
        ({"workers": -1}, "workers .*0 or more, not -1"),
        ({"threads": -1}, "threads .*0 or more, not -1"),
        ({"timeout": "soon"}, 'timeout must be a whole number, 0 or more, not "soon"'),
        ({"timeout": True}, "timeout .*, not true"),
        ({"preload": "perhaps"}, 'preload must be true or false, not "perhaps"'),
        ({"memory_max": "lots"}, "'lots'.*512M"),
        ({"cpu_quota": "2"}, "'2'.*150%"),
        ({"bind": ["8000"]}, "bind '8000'.*127.0.0.1:8000"),
        ({"bind": ["localhost:8000"]}, "'localhost:8000'.*IP address"),
        ({"bind": ["127.0.0.1:99999"]}, "99999"),
        ({"bind": ["::1:8000"]}, "::1:8000"),
        ({"bind": ["[fe80::1%eth0]:8000"], "allow_public_bind": True}, "eth0.*IP address"),
        ({"bind": ["unix:/run/x.sock"]}, "unix socket"),
        ({"bind": ["127.0.0.1:1", "127.0.0.1:01"]}, "twice"),
        ({"after": ["a b"]}, "'a b.service'.*unit"),
        ({"after": ["x.conf"]}, "x.conf"),
        ({"socket_group": "www data"}, "www data"),
        ({"sandbox": {"MemoryDenyWriteExec": False}}, "no setting 'MemoryDenyWriteExec'.*MemoryDenyWriteExecute"),
        ({"sandbox": {"PrivateTmp": "yes\nUser=root"}}, "one line"),
        ({"sandbox_paths": ["relative"]}, "absolute"),
        ({"sandbox_paths": ["/a/../etc"]}, "absolute"),
        ({"sandbox_paths": ["/a b"]}, "absolute"),
        ({"log_level": "chatty"}, "chatty.*info"),
        ({"health": {"pth": "/"}}, "health has no setting 'pth'"),
        ({"health": {"path": "health"}}, "start with '/'"),
        ({"health": {"path": "/a b"}}, "percent-encoded"),
        ({"health": {"status": [99]}}, "99.*status codes"),
        ({"health": {"host": "a/b"}}, "host name"),
        ({"health": "/up"}, "must be a dictionary"),
        ({"extra": {"bind": "0.0.0.0:80"}}, "gunicorn's 'bind': use 'bind'"),
        ({"extra": {"daemon": True}}, "systemd keeps the process"),
        ({"extra": {"--threads": 3}}, "gunicorn.conf.py"),
        ({"extra": ["x"]}, "dictionary"),
        ({"extra": {"x": {1, 2}}}, "texts, numbers"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_the_way_out(raw: dict[str, t.Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_settings(raw)


@pytest.mark.parametrize("address", ["0.0.0.0:8000", "[::]:8000", "10.0.0.5:80", "[2001:db8::1]:80"])
def test_an_address_that_others_can_reach_has_to_be_allowed(address: str) -> None:
    with pytest.raises(InputError, match="allow_public_bind: true"):
        parse_settings({"bind": [address]})
    assert parse_settings({"bind": [address], "allow_public_bind": True}).bind == (address,)


def test_gevent_needs_packaging_which_gunicorn_27_does_not_bring() -> None:
    assert set(worker_requirements("gevent")) == {"gevent", "packaging"}
    assert worker_requirements("gthread") == ()
