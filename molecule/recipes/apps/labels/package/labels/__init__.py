# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application that makes a file beside its own code when it is imported."""

from pathlib import Path

from flask import Flask

MADE = Path(__file__).parent / "static" / "made"
MADE.mkdir(parents=True, exist_ok=True)
(MADE / "label.txt").write_text("made", encoding="utf-8")

app = Flask(__name__)


@app.get("/")
def index() -> str:
    """Return what was made."""
    return (MADE / "label.txt").read_text(encoding="utf-8")
