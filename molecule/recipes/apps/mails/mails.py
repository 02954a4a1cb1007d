# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application that hands work to RQ."""

import os

import redis
import rq
from flask import Flask

app = Flask(__name__)
connection = redis.Redis.from_url(os.environ["REDIS_URL"])


def send(number: int) -> str:
    """Do the work."""
    return f"sent {number}"


@app.get("/")
def index() -> str:
    """Answer."""
    return "mails"


@app.post("/<int:number>")
def post(number: int) -> str:
    """Hand work to a worker."""
    return rq.Queue("mails", connection=connection).enqueue(send, number).id


@app.get("/<job>")
def result(job: str) -> str:
    """Return what has become of it."""
    return str(rq.job.Job.fetch(job, connection=connection).return_value() or "waiting")
