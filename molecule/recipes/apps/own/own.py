# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application whose workers a hook of gunicorn prepares."""

import os

from flask import Flask

app = Flask(__name__)


@app.get("/")
def index() -> str:
    """Tell whether the hook was called."""
    return os.environ.get("PREPARED_BY", "no hook")
