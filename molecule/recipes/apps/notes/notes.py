# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application with its data in SQLite."""

import os
import sqlite3

from flask import Flask

app = Flask(__name__)


def connect() -> sqlite3.Connection:
    """Open the database; a reader does not wait for a writer."""
    connection = sqlite3.connect(os.environ["DATABASE"], timeout=10)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE IF NOT EXISTS notes (text TEXT)")
    return connection


@app.post("/<text>")
def add(text: str) -> str:
    """Keep a note."""
    with connect() as connection:
        connection.execute("INSERT INTO notes VALUES (?)", (text,))
    return "kept"


@app.get("/")
def index() -> list[str]:
    """Return all notes."""
    return [text for (text,) in connect().execute("SELECT text FROM notes ORDER BY rowid")]
