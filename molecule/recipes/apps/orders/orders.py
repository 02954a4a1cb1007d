# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application that hands work to Celery."""

import redis
from celery import Celery
from flask import Flask

URL = "redis://127.0.0.1:6379/0"

app = Flask(__name__)
tasks = Celery("orders", broker=URL, backend=URL)
tasks.conf.beat_schedule = {"count": {"task": "orders.count", "schedule": 1.0}}


@tasks.task(name="orders.add")
def add(left: int, right: int) -> int:
    """Add two numbers."""
    return left + right


@tasks.task(name="orders.count")
def count() -> None:
    """Count, as beat wants it each second."""
    redis.Redis.from_url(URL).incr("orders-counted")


@app.get("/")
def index() -> str:
    """Return how often beat has asked for it."""
    return str(redis.Redis.from_url(URL, decode_responses=True).get("orders-counted") or "0")


@app.post("/add/<int:left>/<int:right>")
def post(left: int, right: int) -> str:
    """Let a worker add two numbers."""
    return str(add.delay(left, right).get(timeout=20))
