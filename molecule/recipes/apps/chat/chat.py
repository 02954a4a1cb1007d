# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Flask-SocketIO application."""

import os

from flask import Flask
from flask_socketio import SocketIO

app = Flask(__name__)
socketio = SocketIO(app)


@app.get("/")
def index() -> str:
    """Tell which process answers."""
    return str(os.getpid())


@socketio.on("whoami")
def whoami() -> int:
    """Acknowledge an event with the process that has the session."""
    return os.getpid()
