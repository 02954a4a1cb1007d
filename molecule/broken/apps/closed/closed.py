"""An application that refuses all visitors, and needs a variable."""

import os

from flask import Flask, redirect
from werkzeug.wrappers import Response


def create_app() -> Flask:
    """Return the application."""
    app = Flask(__name__)
    app.config["TOKEN"] = os.environ["TOKEN"]

    @app.get("/")
    def index() -> Response:
        return redirect("/login?next=/")

    return app
