"""An application that starts and answers nothing but errors."""

from flask import Flask, abort

app = Flask(__name__)


@app.get("/")
def index() -> str:
    """Fail, with a line in the log."""
    app.logger.error("the database of this application is away")
    abort(503)
