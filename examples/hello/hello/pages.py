# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a visitor can ask for."""

from __future__ import annotations

import hashlib
import os

from flask import Blueprint, Response, abort, current_app, jsonify, render_template, request, url_for
from werkzeug.utils import secure_filename

from . import visits

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def index() -> str:
    """The page with the counter."""
    config = current_app.config
    return render_template(
        "index.html",
        greeting=config["GREETING"],
        version=config["VERSION"],
        visits=visits.count(config["DATABASE"]),
    )


@blueprint.get("/favicon.ico")
def icon() -> Response:
    """Answer browsers, which ask for an icon here when an answer names none, such as JSON."""
    return current_app.send_static_file("icon.svg")


@blueprint.get("/healthz")
def healthz() -> Response:
    """Say that this process can answer."""
    return Response("ok\n", mimetype="text/plain")


@blueprint.route("/whoami", methods=["GET", "POST"])
def whoami() -> Response:
    """What Flask believes of the request, and which process answers."""
    return jsonify(
        version=current_app.config["VERSION"],
        greeting=current_app.config["GREETING"],
        client=request.remote_addr,
        host=request.host,
        scheme=request.scheme,
        external=url_for("pages.index", _external=True),
        pid=os.getpid(),
    )


@blueprint.post("/upload")
def upload() -> Response:
    """Keep a file and say what arrived."""
    sent = request.files.get("file")
    name = secure_filename(sent.filename or "") if sent else ""
    if sent is None or not name:
        abort(400, "Send a file in the form field 'file'.")
    path = current_app.config["UPLOADS"] / name
    sent.save(path)
    digest = hashlib.sha256()
    with path.open("rb") as kept:
        for block in iter(lambda: kept.read(1 << 16), b""):
            digest.update(block)
    return jsonify(name=name, size=path.stat().st_size, sha256=digest.hexdigest())
