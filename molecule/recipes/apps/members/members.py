# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application that changes its database when it is imported."""

import os
import sqlite3
import time

from flask import Flask

DATABASE = os.environ["DATABASE"]
app = Flask(__name__)


def connect() -> sqlite3.Connection:
    """Open the database."""
    return sqlite3.connect(DATABASE, isolation_level=None)


def migrate() -> None:
    """Make the table, slowly, as one process that is alone may do it."""
    connection = connect()
    if connection.execute("PRAGMA user_version").fetchone()[0] < 1:
        time.sleep(0.5)
        connection.execute("CREATE TABLE users (name TEXT, password TEXT)")
        connection.execute("PRAGMA user_version = 1")
    connection.close()


def users() -> list[str]:
    """Return the names of all users."""
    return [name for (name,) in connect().execute("SELECT name FROM users")]


def add_user(name: str, password: str) -> None:
    """Add a user, and say too much of it."""
    connect().execute("INSERT INTO users VALUES (?, ?)", (name, password))
    print(f"added {name} with the password {password}")


migrate()


@app.get("/")
def index() -> list[str]:
    """Return the names of all users."""
    return users()
