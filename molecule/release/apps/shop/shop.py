# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A shop that tells which release answers; each version of the repository has its own fate.json."""

from __future__ import annotations

import importlib
import json
import os
import signal
import threading
import time
import typing as t
from pathlib import Path

from flask import Flask, Response, abort, jsonify, request

HERE = Path(__file__).resolve().parent
FATE: dict[str, t.Any] = json.loads((HERE / "fate.json").read_text(encoding="utf-8"))


def die() -> None:
    """End gunicorn, from one of its workers."""
    time.sleep(FATE["dies_after"])
    os.kill(os.getppid(), signal.SIGTERM)


def create_app() -> Flask:
    """Return the application, unless that is not its fate."""
    if FATE.get("cannot_be_imported"):
        importlib.import_module("a_module_that_nobody_has")
    time.sleep(FATE.get("import_takes", 0))
    app = Flask(__name__)
    app.add_url_rule("/healthz", view_func=healthz)
    app.add_url_rule("/whoami", view_func=whoami, methods=["GET", "POST"])
    if "dies_after" in FATE:
        threading.Thread(target=die, daemon=True).start()
    return app


def healthz() -> Response:
    """Say that this process can answer, or what becomes of those who ask."""
    if FATE.get("is_ill"):
        abort(500, "the database says no")
    time.sleep(FATE.get("answer_takes", 0))
    return Response("ok\n", mimetype="text/plain")


def whoami() -> Response:
    """Say what answers: the code, the environment and the settings of which release."""
    if request.method == "POST" and request.form.get("a") != "b":
        abort(400, "the form did not arrive")
    return jsonify(
        version=FATE["version"],
        release=HERE.parent.name,
        greeting=os.environ.get("SHOP_GREETING", ""),
        threads=bool(request.environ["wsgi.multithread"]),
    )
