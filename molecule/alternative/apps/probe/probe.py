# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Flask application that tells what runs it."""

from __future__ import annotations

import gc
import hashlib
import importlib.metadata
import os
import subprocess
import sys
import typing as t
from pathlib import Path

from flask import Blueprint, Flask, abort, jsonify, request, url_for
from flask_sock import Sock
from gunicorn.workers.base import Worker

# Some libraries leave a process behind that has a session of its own. So does this one when it is loaded once.
if "--check-config" in sys.argv:
    subprocess.Popen(["/usr/bin/sleep", "86397"], stdout=subprocess.DEVNULL, start_new_session=True)

pages = Blueprint("pages", __name__)
sock = Sock()

HERE = Path(__file__).resolve().parent


def own_worker() -> Worker:
    """Return the gunicorn worker that is this process."""
    return next(found for found in gc.get_objects() if isinstance(found, Worker) and found.pid == os.getpid())


def can_write(path: Path) -> bool:
    """Tell whether this process can write a file to a directory."""
    try:
        (path / "written-by-probe").write_text("x", encoding="utf-8")
    except OSError:
        return False
    return True


@pages.get("/")
def index() -> str:
    """The page."""
    return "probe\n"


@pages.get("/healthz")
def healthz() -> str:
    """Say that this process can answer."""
    return "ok\n"


@pages.get("/worker")
def worker() -> t.Any:
    """What runs this process."""
    this = own_worker()
    return jsonify(
        type=f"{type(this).__module__}.{type(this).__name__}",
        master=os.getppid(),
        workers=this.cfg.workers,
        threads=this.cfg.threads,
        timeout=this.cfg.timeout,
        limit_request_fields=this.cfg.limit_request_fields,
        preload=this.cfg.preload_app,
        packages=sorted(found.metadata["Name"].lower() for found in importlib.metadata.distributions()),
    )


@pages.get("/whoami")
def whoami() -> t.Any:
    """What Flask believes of the request."""
    return jsonify(
        client=request.remote_addr,
        host=request.host,
        scheme=request.scheme,
        external=url_for("pages.index", _external=True),
        extra=request.headers.get("X-Extra"),
        request_id=request.headers.get("X-Request-ID"),
    )


@pages.get("/environment")
def environment() -> t.Any:
    """What came through the environment; of the secret only its hash."""
    secret = os.environ.get("PROBE_SECRET", "")
    return jsonify(color=os.environ.get("PROBE_COLOR"), secret=hashlib.sha256(secret.encode()).hexdigest())


@pages.get("/writable")
def writable() -> t.Any:
    """Where this process can write."""
    places = {name: HERE / name for name in (".", "uploads", "instance", "static")}
    places.update({name: Path(name) for name in ("/tmp", "/etc", "/var/lib/probe", "/srv")})
    return jsonify({name: can_write(path) for name, path in places.items()})


@pages.get("/text")
def text() -> str:
    """What can be compressed."""
    return "0123456789abcdef" * 4096


@pages.get("/error")
def error() -> t.NoReturn:
    """Fail."""
    abort(500)


@pages.post("/upload")
def upload() -> t.Any:
    """What arrived of an upload."""
    return jsonify(size=len(request.get_data()))


@sock.route("/echo")
def echo(peer: t.Any) -> None:
    """Send back what is received."""
    while True:
        peer.send(peer.receive())


def create_app() -> Flask:
    """Return the application."""
    app = Flask(__name__)
    app.register_blueprint(pages)
    sock.init_app(app)
    return app
