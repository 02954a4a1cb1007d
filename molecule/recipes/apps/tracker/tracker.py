# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application that a web server tells who has logged in."""

from flask import Flask, request

app = Flask(__name__)


@app.get("/")
def index() -> str:
    """Return the user."""
    return request.remote_user or "none"
