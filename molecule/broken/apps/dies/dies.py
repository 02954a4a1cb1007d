"""An application whose workers end when they are asked, or after they have loaded."""

import os
import threading

from flask import Flask

app = Flask(__name__)
if "AFTER" in os.environ:
    end = threading.Timer(float(os.environ["AFTER"]), os._exit, (1,))
    end.daemon = True
    end.start()


@app.get("/")
def index() -> str:
    """Answer, and end."""
    if "AFTER" not in os.environ:
        threading.Timer(0.01, os._exit, (1,)).start()
    return "last words\n"
