# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small Flask application to try flaskops.stack with."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask

from . import pages, visits

VERSION = "1"


def create_app() -> Flask:
    """Return the application, with its instance folder ready."""
    app = Flask(__name__, instance_relative_config=True)
    app.config.from_mapping(
        VERSION=VERSION,
        GREETING=os.environ.get("HELLO_GREETING", "Hello"),
        DATABASE=Path(app.instance_path) / "hello.sqlite3",
        UPLOADS=Path(app.instance_path) / "uploads",
        MAX_CONTENT_LENGTH=64 * 1024 * 1024,
    )
    app.config["UPLOADS"].mkdir(parents=True, exist_ok=True)
    visits.prepare(app.config["DATABASE"])
    app.register_blueprint(pages.blueprint)
    return app
