# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The URLs of the project."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import path


def index(request: HttpRequest) -> HttpResponse:
    """Tell where it is, and who asks."""
    return HttpResponse(f"{request.build_absolute_uri()} {request.META['REMOTE_ADDR']}")


urlpatterns = [path("", index), path("admin/", admin.site.urls)]
