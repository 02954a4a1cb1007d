# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Default values of applications, services, health checks, hooks, workers and timers. Private to flaskops.stack."""

from __future__ import annotations

# What to do about too little memory for two releases.
REFUSE, FALLBACK, ALWAYS, NEVER = OVERLAPS = ("refuse", "fallback", "always", "never")

STAGES = ("build", "migrate", "before_switch", "after_switch")

# begin defaults: written by `make specs` from tools/specs/schema/
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
HEALTH_DEFAULTS: dict[str, object] = {"path": "/", "status": [], "host": "", "timeout": 60, "successes": 1, "watch": 0}
DEFAULTS: dict[str, object] = {
    "worker_class": "gthread",
    "workers": 0,
    "threads": 4,
    "timeout": 30,
    "graceful_timeout": 30,
    "keepalive": 2,
    "max_requests": 10000,
    "max_requests_jitter": 5000,
    "preload": False,
    "extra": {},
    "config_file": "",
    "instances": 1,
    "bind": [],
    "allow_public_bind": False,
    "socket_group": "www-data",
    "memory_max": "",
    "memory_high": "",
    "cpu_quota": "",
    "tasks_max": 0,
    "open_files": 65536,
    "after": [],
    "sandbox": True,
    "sandbox_paths": [],
    "log_level": "info",
    "access_log": False,
    "health": HEALTH_DEFAULTS,
    "prefix": "",
    "drain_timeout": 30,
    "asset_grace": 3600,
}
WORKER_DEFAULTS: dict[str, object] = {"count": 1, "stop_timeout": 60, "memory_max": "", "cpu_quota": ""}
TIMER_DEFAULTS: dict[str, object] = {"persistent": True, "random_delay": 0, "timeout": 3600}
HOOK_TIMEOUT = 900
# Settings that came after 1.0: with their defaults they are no part of a release's id.
LATER = ("config_file", "prefix")
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
