# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application that is made in main(), which then serves it itself."""

import argparse

from flask import Flask


def make(title: str) -> Flask:
    """Return the application."""
    app = Flask(__name__)
    app.add_url_rule("/", "index", lambda: title)
    return app


def main() -> None:
    """Read the command line, and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--title", default="board")
    make(parser.parse_args().title).run()


if __name__ == "__main__":
    main()
