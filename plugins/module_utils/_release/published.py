# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out whether nginx serves an application. Only reads. Private to flaskops.stack."""

from __future__ import annotations

import os
import re
import typing as t

from .._system.planted import open_file, read_open
from .model import Layout

NGINX = "/etc/nginx"
# Files of sites that nginx does not load.
_IDLE = ("sites-available", "modules-available")
# A configuration is smaller; what else lies there, such as a database of addresses, can be of any size.
_LARGEST = 2**20


def is_published(layout: Layout, binds: t.Sequence[str] = (), nginx: str = NGINX) -> bool | None:
    """Tell whether a site leads to the application, also one that was not made by the collection.

    None when that says nothing, because the host has no nginx, or the application has addresses (C(binds)) of its own.
    """
    found = is_named(f"unix:{layout.base}/current/run/", nginx)
    return None if binds and found is False else found


def is_named(place: str, nginx: str = NGINX) -> bool | None:
    """Tell whether the configuration of nginx names something that begins so; None on a host without nginx."""
    if not os.path.isfile(os.path.join(nginx, "nginx.conf")):
        return None
    # A commented line leads nowhere.
    line = re.compile(rf"^[^#\n]*{re.escape(place)}".encode(), re.MULTILINE)
    return any(line.search(_content(path)) for path in _files(nginx))


def _files(nginx: str) -> t.Iterator[str]:
    for directory, names, files in os.walk(nginx):
        names[:] = [name for name in names if name not in _IDLE]
        yield from (path for path in (os.path.join(directory, name) for name in files) if os.path.isfile(path))


def _content(path: str) -> bytes:
    try:
        return read_open(open_file(path), path, _LARGEST)
    except OSError:
        return b""
