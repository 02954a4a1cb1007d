# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the settings of gunicorn and its units. Private to flaskops.stack."""

from __future__ import annotations

import ipaddress
import json
import re
import typing as t

from .._input.defaults import ALLOW, DEFAULTS, HEALTH_DEFAULTS, LATER, NEVER, HealthSettings, Settings, to_json
from .._input.values import (
    InputError,
    as_bool,
    as_int,
    as_line,
    as_list,
    as_mapping,
    as_prefix,
    as_quota,
    as_size,
    refuse_unknown,
)
from .gunicorn_conf import FORMER_THREADS, check_extra
from .idle import as_idle, check_idle
from .own_conf import check_config_file
from .sandbox import SANDBOX

# Packages to install beside gunicorn, per worker class; its gevent worker imports packaging without requiring it.
WORKER_REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "sync": (),
    "gthread": (),
    "gevent": ("gevent", "packaging"),
    "tornado": ("tornado",),
}
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")

_UNIT = re.compile(r"[A-Za-z0-9:_.@\\-]+\.(?:service|socket|target|mount|path|device|slice|timer)")
_GROUP = re.compile(r"[a-z_][a-z0-9_-]*")
_PATH = re.compile(r"/[A-Za-z0-9._@+/-]*")
_TEXT_PATH = re.compile(r"/[!-~]*")
_HOST = re.compile(r"[A-Za-z0-9._-]+(?::[0-9]+)?|\[[0-9a-fA-F:.]+\](?::[0-9]+)?|")


def worker_requirements(worker_class: str) -> tuple[str, ...]:
    """Return the distributions that a worker class needs beside gunicorn."""
    if worker_class == "eventlet":
        raise InputError("worker_class 'eventlet' was removed from gunicorn: use 'gevent' or 'gthread'")
    if worker_class not in WORKER_REQUIREMENTS:
        raise InputError(f"worker_class '{worker_class}' does not exist: choose from {', '.join(WORKER_REQUIREMENTS)}")
    return WORKER_REQUIREMENTS[worker_class]


def parse_settings(raw: t.Mapping[str, object]) -> Settings:
    """Return all settings, checked; raise InputError for one that cannot be used.

    A setting that is absent or None has its default.
    """
    given = {key: value for key, value in raw.items() if value is not None}
    refuse_unknown("gunicorn", given, DEFAULTS)
    values = {**DEFAULTS, **given}
    checked: dict[str, t.Any] = {key: _CHECKS[key](key, values[key]) for key in DEFAULTS}
    settings = Settings(**checked)
    _check_together(settings)
    return settings


def identifying_settings(settings: Settings) -> dict[str, object]:
    """Return the settings that tell one release from another; new ones do not, as long as they have their defaults."""
    values = {**to_json(settings), "threads": settings.threads or FORMER_THREADS}
    return {key: value for key, value in values.items() if key not in LATER or value != DEFAULTS[key]}


def _check_together(settings: Settings) -> None:
    binds = settings.bind
    if len(set(binds)) != len(binds):
        raise InputError(f"bind lists an address twice: {', '.join(binds)}")
    public = [address for address in binds if not _is_loopback(address)]
    if public and not settings.allow_public_bind:
        raise InputError(
            f"bind '{public[0]}' can be reached from other hosts, past nginx and its TLS: bind a loopback address, or "
            "set allow_public_bind: true if a firewall lets only your proxies in"
        )
    check_extra(settings.extra)
    check_idle(settings.idle, settings.worker_class, settings.timeout)


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    return ipaddress.ip_address(host).is_loopback


def _worker_class(_key: str, value: object) -> str:
    name = str(value)
    worker_requirements(name)
    return name


def _natural(key: str, value: object) -> int:
    return as_int(key, value)


def _positive(key: str, value: object) -> int:
    return as_int(key, value, least=1)


def _group(key: str, value: object) -> str:
    text = as_line(key, value)
    if not _GROUP.fullmatch(text):
        raise InputError(f"{key} '{text}' must be the name of a group")
    return text


def _level(key: str, value: object) -> str:
    if value not in LOG_LEVELS:
        raise InputError(f"{key} '{value}' must be one of {', '.join(LOG_LEVELS)}")
    return str(value)


def _overlap(key: str, value: object) -> str:
    if value not in (ALLOW, NEVER):
        raise InputError(f"{key} '{value}' must be {ALLOW} or {NEVER}; what little memory does is in gunicorn_overlap")
    return str(value)


def _units(key: str, value: object) -> tuple[str, ...]:
    names = [as_line(key, name) for name in as_list(key, value, "postgresql.service")]
    full = tuple(name if "." in name else name + ".service" for name in names)
    for name in full:
        if not _UNIT.fullmatch(name):
            raise InputError(f"{key} '{name}' must be the name of a unit, such as postgresql.service")
    return full


def _paths(key: str, value: object) -> tuple[str, ...]:
    paths = tuple(as_line(key, path) for path in as_list(key, value, "/var/spool/shop"))
    for path in paths:
        if not _PATH.fullmatch(path) or "/../" in path + "/":
            raise InputError(f"{key} '{path}' must be an absolute path of letters, digits and ._@+-")
    return paths


def _binds(key: str, value: object) -> tuple[str, ...]:
    return tuple(_bind(key, as_line(key, address)) for address in as_list(key, value, "127.0.0.1:8000"))


def _bind(key: str, address: str) -> str:
    host, colon, port = address.rpartition(":")
    try:
        if not colon or not 0 < int(port) < 65536 or (":" in host) != host.startswith("["):
            raise ValueError
        # An interface behind '%' is no part of a unit's name.
        if "%" in host:
            raise ValueError
        parsed = ipaddress.ip_address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    except ValueError:
        raise InputError(
            f"{key} '{address}' must be an IP address and a port, such as 127.0.0.1:8000 or [::1]:8000 "
            "(the unix socket for nginx is always there and is not listed)"
        ) from None
    return f"[{parsed}]:{int(port)}" if parsed.version == 6 else f"{parsed}:{int(port)}"


def _sandbox(key: str, value: object) -> bool | dict[str, object]:
    if not isinstance(value, t.Mapping):
        return as_bool(key, value)
    refuse_unknown(key, map(str, value), SANDBOX)
    return {str(name): _directive(f"{key}.{name}", content) for name, content in value.items()}


def _directive(key: str, value: object) -> object:
    if isinstance(value, bool):
        return value
    if isinstance(value, (list, tuple)):
        return [as_line(key, item) for item in value]
    return as_line(key, value)


def _extra(key: str, value: object) -> dict[str, object]:
    extra = as_mapping(key, value)
    try:
        return t.cast("dict[str, object]", json.loads(json.dumps(extra, allow_nan=False)))
    except (TypeError, ValueError) as exc:
        raise InputError(f"{key} must hold texts, numbers, truth values, lists and dictionaries only: {exc}") from exc


def _health(key: str, value: object) -> HealthSettings:
    given = {name: content for name, content in as_mapping(key, value).items() if content is not None}
    refuse_unknown(key, given, HEALTH_DEFAULTS)
    values = {**HEALTH_DEFAULTS, **given}
    path, host = as_line(f"{key}.path", values["path"]), as_line(f"{key}.host", values["host"])
    if not _TEXT_PATH.fullmatch(path):
        raise InputError(f"{key}.path '{path}' must start with '/' and be percent-encoded, such as /health?full=1")
    if not _HOST.fullmatch(host):
        raise InputError(f"{key}.host '{host}' must be a host name, with a port or without")
    return HealthSettings(
        path=path,
        status=tuple(_status(f"{key}.status", code) for code in as_list(f"{key}.status", values["status"], "200")),
        host=host,
        timeout=as_int(f"{key}.timeout", values["timeout"], least=1),
        successes=as_int(f"{key}.successes", values["successes"], least=1),
        watch=as_int(f"{key}.watch", values["watch"]),
    )


def _status(key: str, value: object) -> int:
    code = as_int(key, value)
    if not 100 <= code <= 599:
        raise InputError(f"{key} '{value}' must list HTTP status codes, such as 200")
    return code


_CHECKS: dict[str, t.Callable[[str, object], object]] = {
    "worker_class": _worker_class,
    "workers": _natural,
    "threads": _natural,
    "timeout": _natural,
    "graceful_timeout": _positive,
    "keepalive": _natural,
    "max_requests": _natural,
    "max_requests_jitter": _natural,
    "preload": as_bool,
    "extra": _extra,
    "config_file": check_config_file,
    "instances": _positive,
    "bind": _binds,
    "allow_public_bind": as_bool,
    "socket_group": _group,
    "memory_max": as_size,
    "memory_high": as_size,
    "cpu_quota": as_quota,
    "tasks_max": _natural,
    "open_files": _positive,
    "after": _units,
    "sandbox": _sandbox,
    "sandbox_paths": _paths,
    "log_level": _level,
    "access_log": as_bool,
    "health": _health,
    "prefix": as_prefix,
    "overlap": _overlap,
    "drain_timeout": _natural,
    "asset_grace": _natural,
    "idle": as_idle,
}
