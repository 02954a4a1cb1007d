# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What services have that do not say otherwise. Private to flaskops.stack."""

from __future__ import annotations

# What to do about too little memory for two releases.
REFUSE, FALLBACK, ALWAYS, NEVER = OVERLAPS = ("refuse", "fallback", "always", "never")

HEALTH_DEFAULTS: dict[str, object] = {
    "path": "/",
    "status": [],
    "host": "",
    "timeout": 60,
    "successes": 1,
    "watch": 0,
}

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
    "drain_timeout": 30,
    "asset_grace": 3600,
}
