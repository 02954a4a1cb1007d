# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of the last migration that this host knows of. Private to flaskops.stack."""

from __future__ import annotations

import json
import os

from .._system.files import read_file, remove_file, utc_now, write_file
from .._system.paths import STATE


def migration_path(name: str) -> str:
    """Return the record file of an application."""
    return os.path.join(STATE, name, "migrated.json")


def migrated_key(name: str) -> str:
    """Return the key of the migrations that ran last; empty when none are known."""
    return _recorded(name, "key")


def migrated_release(name: str) -> str:
    """Return the release for which migrations ran last; empty when none are known."""
    return _recorded(name, "release")


def _recorded(name: str, key: str) -> str:
    try:
        return str(json.loads(read_file(migration_path(name)) or b"{}").get(key, ""))
    except (ValueError, AttributeError, RecursionError, OSError):
        return ""


def record_migration(name: str, release: str, key: str, here: bool) -> None:
    """Record that the migrations of a release have run, here or on another host of the fleet."""
    path = migration_path(name)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    when = utc_now()
    entry = {"release": release, "key": key, "when": when, "here": here}
    write_file(path, (json.dumps(entry, sort_keys=True) + "\n").encode())


def forget_migration(name: str) -> None:
    """Remove the record: of an application that is gone, or whose database was migrated down."""
    if os.path.isdir(os.path.dirname(migration_path(name))):
        remove_file(migration_path(name))
