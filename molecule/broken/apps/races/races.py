"""An application whose first worker alone can be loaded, as when several migrate one database at import."""

import os
import time

from flask import Flask

try:
    os.close(os.open("/tmp/first", os.O_CREAT | os.O_EXCL))
except FileExistsError:
    time.sleep(3)
    raise RuntimeError("another worker was the first") from None

app = Flask(__name__)


@app.get("/")
def index() -> str:
    """Answer, in the one worker that could."""
    return "first\n"
