"""An application that answers visitors of one host only, as some do against DNS rebinding."""

import os

from flask import Flask, Response, request

app = Flask(__name__)


@app.get("/")
def index() -> Response:
    """Refuse all other hosts."""
    if request.host != os.environ["ALLOWED"]:
        return Response("Invalid Host header", 403)
    return Response("welcome\n")
