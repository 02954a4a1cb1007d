# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pyramid."""

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.router import Router


def index(request: Request) -> Response:
    """Tell where it is, and who asks."""
    return Response(f"{request.url} {request.remote_addr}")


def main(_settings: dict[str, str], **_more: str) -> Router:
    """Make the application, as a file of settings would have it made."""
    with Configurator() as config:
        config.add_route("index", "/")
        config.add_view(index, route_name="index")
        return config.make_wsgi_app()
