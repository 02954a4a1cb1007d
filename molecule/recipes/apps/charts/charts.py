# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application that compiles its own code, and draws."""

import io
import os

import matplotlib
import numba
from flask import Flask, Response
from matplotlib import pyplot

app = Flask(__name__)


@numba.njit(cache=True)
def total(last: int) -> int:
    """Add numbers."""
    found = 0
    for number in range(last + 1):
        found += number
    return found


@app.get("/")
def index() -> dict[str, object]:
    """Compute, and tell where what is compiled is kept."""
    return {"total": total(1000), "cache": os.environ["NUMBA_CACHE_DIR"], "drawing": matplotlib.get_configdir()}


@app.get("/chart.png")
def chart() -> Response:
    """Draw."""
    figure, axes = pyplot.subplots()
    axes.plot([total(number) for number in range(10)])
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    pyplot.close(figure)
    return Response(drawn.getvalue(), mimetype="image/png")
