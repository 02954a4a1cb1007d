# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application that counts, over all of its workers."""

from flask import Flask, Response
from prometheus_client import CollectorRegistry, Counter, generate_latest, multiprocess

app = Flask(__name__)
PAGES = Counter("pages", "Pages that were asked for.")


@app.get("/")
def index() -> str:
    """Count a page."""
    PAGES.inc()
    return "counted"


@app.get("/metrics")
def metrics() -> Response:
    """Show the counts of all workers."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return Response(generate_latest(registry), mimetype="text/plain")
