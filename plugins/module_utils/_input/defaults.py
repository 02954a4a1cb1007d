# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a release, and default values of all that users write. Private to flaskops.stack."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

# What to do about too little memory for two releases.
REFUSE, FALLBACK, ALWAYS, NEVER = OVERLAPS = ("refuse", "fallback", "always", "never")
# Whether two releases of an application may run at once: this one, or never.
ALLOW = "allow"

STAGES = ("build", "migrate", "before_switch", "after_switch")


# begin defaults: written by `make specs` from tools/specs/schema/
@dataclass(frozen=True)
class HealthSettings:
    """Settings of the health check of a release."""

    path: str = "/"
    status: tuple[int, ...] = ()
    host: str = ""
    timeout: int = 60
    successes: int = 1
    watch: int = 0


@dataclass(frozen=True)
class Settings:
    """Settings of gunicorn and its units, which are part of a release."""

    worker_class: str = "gthread"
    workers: int = 0
    threads: int = 0
    timeout: int = 30
    graceful_timeout: int = 30
    keepalive: int = 2
    max_requests: int = 10000
    max_requests_jitter: int = 5000
    preload: bool = False
    extra: t.Mapping[str, object] = field(default_factory=dict)
    config_file: str = ""
    instances: int = 1
    bind: tuple[str, ...] = ()
    allow_public_bind: bool = False
    socket_group: str = "www-data"
    memory_max: str = ""
    memory_high: str = ""
    cpu_quota: str = ""
    tasks_max: int = 0
    open_files: int = 65536
    after: tuple[str, ...] = ()
    sandbox: bool | t.Mapping[str, object] = True
    sandbox_paths: tuple[str, ...] = ()
    log_level: str = "info"
    access_log: bool = False
    health: HealthSettings = HealthSettings()
    prefix: str = ""
    overlap: str = "allow"
    drain_timeout: int = 30
    asset_grace: int = 3600
    idle: str = ""


APP_DEFAULTS: dict[str, object] = {
    "root": "/srv",
    "python": "python3",
    "installer": "uv",
    "uv_requirement": "uv==0.13.8",
    "gunicorn_requirement": "gunicorn>=21.2,<28",
    "build_timeout": 1800,
    "source_max_mib": 4096,
    "keep": 5,
    "lock_timeout": 60,
    "source_type": "auto",
    "trusted_hops": 1,
    "compress": True,
}
SERVICE_DEFAULTS: dict[str, object] = {"state": "present", "trusted_hops": 1, "keep": 5}
WORKER_DEFAULTS: dict[str, object] = {"count": 1, "stop_timeout": 60, "memory_max": "", "cpu_quota": ""}
TIMER_DEFAULTS: dict[str, object] = {"persistent": True, "random_delay": 0, "timeout": 3600}
HOOK_TIMEOUT = 900
# Settings that came after 1.0: with their defaults they are no part of a release's id.
LATER = ("config_file", "prefix", "overlap", "idle")
# What an application takes from the task when it does not set it itself.
INHERITED = (
    "python",
    "installer",
    "gunicorn_requirement",
    "index_url",
    "ca_bundle",
    "wheel_dir",
    "build_timeout",
    "source_max_mib",
    "keep",
)
# end defaults


def to_json(settings: Settings | HealthSettings) -> dict[str, object]:
    """Return settings as C(release.json) has them."""
    return {key: _plain(value) for key, value in vars(settings).items()}


def _plain(value: object) -> object:
    if isinstance(value, HealthSettings):
        return to_json(value)
    return list(value) if isinstance(value, tuple) else value


def settings_from_json(values: t.Mapping[str, t.Any]) -> tuple[Settings, tuple[str, ...]]:
    """Return the settings of a C(release.json), whose types were checked, and the paths of those that are unknown.

    One that an earlier version of the collection did not write has its default.
    """
    health = values.get("health", {})
    unknown = [*(key for key in values if key not in DEFAULTS)]
    unknown += [f"health.{key}" for key in health if key not in HEALTH_DEFAULTS]
    known = {key: _typed(value) for key, value in values.items() if key in DEFAULTS}
    known["health"] = HealthSettings(**{key: _typed(health[key]) for key in health if key in HEALTH_DEFAULTS})
    return Settings(**known), tuple(sorted(unknown))


def _typed(value: t.Any) -> t.Any:
    return tuple(value) if isinstance(value, list) else value


# The same as dictionaries, in the types of JSON.
DEFAULTS = to_json(Settings())
HEALTH_DEFAULTS = to_json(HealthSettings())
