# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A counter in SQLite that several processes share."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def prepare(database: Path) -> None:
    """Make the counter where there is none."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS visits (id INTEGER PRIMARY KEY CHECK (id = 1), count INTEGER)")
        connection.execute("INSERT OR IGNORE INTO visits VALUES (1, 0)")
        connection.commit()


def count(database: Path) -> int:
    """Add a visit and return how many there were."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE visits SET count = count + 1")
        (visits,) = connection.execute("SELECT count FROM visits").fetchone()
        connection.commit()
    return int(visits)
