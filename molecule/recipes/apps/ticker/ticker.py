# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application with a scheduler in its process."""

import os

from apscheduler.schedulers.background import BackgroundScheduler
from flask import Flask

app = Flask(__name__)
ticks: list[int] = []


def tick() -> None:
    """Do what is to be done once."""
    ticks.append(os.getpid())


scheduler = BackgroundScheduler()
scheduler.add_job(tick, "interval", seconds=1)
scheduler.start()


@app.get("/")
def index() -> dict[str, int]:
    """Tell how often it was done, and by how many processes."""
    return {"ticks": len(ticks), "processes": len(set(ticks))}
