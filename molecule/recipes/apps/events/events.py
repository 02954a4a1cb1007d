# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream of server-sent events."""

import os
import time
from collections.abc import Iterator

from flask import Flask, Response

app = Flask(__name__)


@app.get("/")
def index() -> str:
    """Tell which release answers."""
    return os.environ.get("EDITION", "first")


@app.get("/events")
def events() -> Response:
    """Send an event each half second, for five minutes."""

    def stream() -> Iterator[str]:
        for number in range(600):
            yield f"data: {number}\n\n"
            time.sleep(0.5)

    return Response(stream(), mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})
