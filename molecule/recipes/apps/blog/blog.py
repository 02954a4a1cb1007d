# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application below a path."""

from flask import Flask, redirect, request, url_for
from werkzeug.wrappers import Response

app = Flask(__name__)


@app.get("/")
def index() -> dict[str, str]:
    """Tell where the application believes to be."""
    return {"root": request.script_root, "post": url_for("post"), "absolute": url_for("post", _external=True)}


@app.get("/post")
def post() -> str:
    """Answer below the path."""
    return "post"


@app.get("/newest")
def newest() -> Response:
    """Redirect to a page of its own."""
    return redirect(url_for("post"))
