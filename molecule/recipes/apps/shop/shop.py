# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application with PostgreSQL and Redis beside it."""

import os

import psycopg
import redis
from flask import Flask

app = Flask(__name__)
cache = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)


@app.get("/")
def index() -> dict[str, str]:
    """Tell who the application is to the database, and ask Redis."""
    cache.set("shop", "kept")
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        found = connection.execute("SELECT current_user").fetchone()
    return {"user": str(found and found[0]), "cache": str(cache.get("shop"))}
