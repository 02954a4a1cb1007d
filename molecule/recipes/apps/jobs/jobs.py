# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A web part that hands work to a worker through a directory."""

from pathlib import Path

from flask import Flask

app = Flask(__name__)
SPOOL = Path(app.root_path) / "spool"


@app.post("/jobs/<name>")
def add(name: str) -> str:
    """Hand a job to the worker, in the shared directory and in /tmp."""
    Path("/tmp", name).write_text("job", encoding="utf-8")
    (SPOOL / f"{name}.new").write_text("job", encoding="utf-8")
    (SPOOL / f"{name}.new").rename(SPOOL / f"{name}.job")
    return "added"


@app.get("/jobs/<name>")
def result(name: str) -> str:
    """Return what the worker has made of a job."""
    path = SPOOL / f"{name}.done"
    return path.read_text(encoding="utf-8") if path.exists() else "waiting"


@app.get("/")
def index() -> str:
    """Answer."""
    return "jobs"
