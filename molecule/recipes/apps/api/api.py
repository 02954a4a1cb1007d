# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Falcon."""

import falcon


class Index:
    """The only resource."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Tell where it is, and who asks."""
        response.text = f"{request.url} {request.remote_addr}"


app = falcon.App()
app.add_route("/", Index())
