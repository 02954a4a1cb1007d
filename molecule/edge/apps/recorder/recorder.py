# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Flask application that keeps a record of every request it has seen."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from flask import Flask, Response, request

app = Flask(__name__)
# Shared by all releases; the tests read it as root.
RECORD = Path(__file__).resolve().parent / "seen" / "requests.jsonl"
EDITION = os.environ.get("EDITION", "none")


@app.before_request
def record() -> None:
    """Write down what there is, the whole body included, before any route is looked for."""
    seen = {
        "method": request.method,
        "target": request.environ["RAW_URI"],
        "path": request.path,
        "host": request.host,
        "client": request.remote_addr,
        "body": request.get_data().decode("latin-1"),
        "headers": [[name.lower(), value] for name, value in request.headers],
    }
    with RECORD.open("a", encoding="utf-8") as file:
        # In one call, so that the lines of several workers stay apart.
        file.write(json.dumps(seen) + "\n")


@app.route("/", methods=["GET", "POST", "PUT"], defaults={"path": ""})
@app.route("/<path:path>", methods=["GET", "POST", "PUT"])
def page(path: str) -> str:
    """Return a small page for each path."""
    return f"edition {EDITION}: {path}\n"


@app.get("/guarded/large")
def large() -> str:
    """Return what a slow reader has for a long time."""
    return "0123456789abcde\n" * 16384


@app.get("/cached/<name>")
def cached(name: str) -> Response:
    """Return a page that takes its time."""
    time.sleep(1)
    answer = Response(f"edition {EDITION}: {name} at {time.time_ns()}\n")
    if name == "cookie":
        answer.set_cookie("visitor", "alice")
    if name.startswith("long"):
        answer.cache_control.max_age = 3600
    return answer
